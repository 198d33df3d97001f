"""Numbered pictures, such as frames/%05d.png, as the input and output of a job."""

import os
from pathlib import Path

from nst_fast.files.names import name_beside
from nst_fast.media.sequences import is_sequence, list_numbers, name_in_sequence


def names_sequence(path: Path) -> bool:
    """Whether this stands for numbered pictures, and not for a file that has such a name."""
    return is_sequence(path) and not os.path.lexists(path)


def is_finished(source: Path, target: Path) -> bool:
    """Whether a target exists; of numbered pictures, all that the source has."""
    if not names_sequence(target):
        return os.path.lexists(target)
    if names_sequence(source):
        return set(list_numbers(source)) <= set(list_numbers(target))
    # How many frames a film has is known only at its end, when its hidden folder is removed.
    return bool(list_numbers(target)) and not os.path.lexists(name_beside(target, "stylizing"))


def writes_over_itself(source: Path, target: Path) -> bool:
    """Whether numbered pictures would become numbered pictures of the same names."""
    if not (names_sequence(source) and names_sequence(target)):
        return False
    first = min(list_numbers(source), default=0)
    paths = [os.path.realpath(name_in_sequence(path, first)) for path in (source, target)]
    return os.path.normcase(paths[0]) == os.path.normcase(paths[1])
