"""Numbered pictures that are the frames of a film, named as compositing programs name them: frames/%05d.png."""

import os
import re
from pathlib import Path

from nst_fast.errors import ImageError
from nst_fast.media.opening import IMAGE_SUFFIXES

# %d, or %05d with as many digits as the numbers have at least.
_NUMBER = re.compile(r"%(?:0([1-9]))?d", re.ASCII)


def is_sequence(path: Path) -> bool:
    """Whether this names numbered pictures: one %d or %05d in the file's name, and the suffix of a picture."""
    return len(_NUMBER.findall(path.name)) == 1 and path.suffix.lower() in IMAGE_SUFFIXES


def name_in_sequence(sequence: Path, number: int) -> Path:
    """The picture of a sequence with this number, such as frames/00012.png."""
    return sequence.with_name(
        _NUMBER.sub(lambda match: f"{number:0{match[1]}}" if match[1] else str(number), sequence.name)
    )


def list_numbers(sequence: Path) -> list[int]:
    """The numbers of the pictures that exist, in order; empty if there are none.

    Raises:
        ImageError: the folder cannot be listed.
    """
    before, after = (re.escape(part) for part in _NUMBER.sub("\0", sequence.name).split("\0"))
    pattern = re.compile(rf"{before}(\d+){after}", re.ASCII)
    try:
        names = os.listdir(sequence.parent)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ImageError(
            f"cannot list the folder {sequence.parent} ({error.strerror}); check the path and its permissions"
        ) from error
    numbers = {int(match[1]) for name in names if (match := pattern.fullmatch(name))}
    # Of 7.png, 07.png and 007.png only the one with the right number of digits counts.
    existing = set(names)
    return sorted(number for number in numbers if name_in_sequence(sequence, number).name in existing)


def find_numbers(sequence: Path) -> list[int]:
    """The numbers of the pictures that exist, in order, at least one.

    Raises:
        ImageError: there are none, or the folder cannot be listed.
    """
    numbers = list_numbers(sequence)
    if not numbers:
        raise ImageError(
            f"there is no picture {sequence}, such as {name_in_sequence(sequence, 1)}; "
            f"check the path and the number of digits"
        )
    return numbers
