"""Refuses to write over what is read: a file that is both an input and an output would be lost."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from nst_fast.errors import SettingError


def check_overwrites(inputs: Iterable[str | Path], outputs: Sequence[str | Path]) -> None:
    """Check, before anything is written, that no output would replace or delete an input.

    Two names of one file count as the same file: through symbolic or hard links, and in other upper and lower case
    where the disk ignores case.

    Args:
        inputs: files and folders to read; what does not exist is skipped.
        outputs: files to write, and folders whose content belongs to the program: an input inside such a folder
            counts as overwritten. Outputs that do not exist yet overwrite nothing.

    Raises:
        SettingError: an output is one of the inputs, or an input lies in an output folder.
    """
    written = {identity: output for output in outputs if (identity := identify_file(output)) is not None}
    for given in inputs:
        place = Path(os.path.realpath(given))
        for path in (place, *place.parents):
            output = written.get(identify_file(path) or (-1, -1))
            if output is not None:
                raise SettingError(_explain(given, output, lies_inside=path != place))


def identify_file(path: str | Path) -> tuple[int, int] | None:
    """Device and inode, which are the same for all names of one file or folder; None: it does not exist."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a name that no file can have, such as one with a null character
        return None
    return status.st_dev, status.st_ino


def is_same_file(one: str | Path, other: str | Path) -> bool:
    """Whether both exist and are names of one file or folder."""
    identity = identify_file(one)
    return identity is not None and identity == identify_file(other)


def _explain(given: str | Path, output: str | Path, *, lies_inside: bool) -> str:
    if lies_inside:
        return f"the input {str(given)!r} lies in {str(output)!r}, which will be written to; choose another output"
    return f"writing {str(output)!r} would overwrite the input {str(given)!r}; choose another output"
