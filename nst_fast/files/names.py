"""Names of the hidden files beside an output: short enough for every disk, and different for different outputs."""

import hashlib
import os
from pathlib import Path

# File systems take names of up to 255 bytes, and a character has up to 4.
_STEM_CHARACTERS = 32


def name_beside(target: Path, ending: str) -> Path:
    """A hidden path in the folder of `target`, such as .photo.2c26b46b68ffc68f.claim for the ending "claim".

    The hash is that of the whole name, so that two outputs that begin alike never share a hidden file.
    """
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f".{target.stem[:_STEM_CHARACTERS]}.{digest}.{ending}")


def find_free_name(path: Path) -> Path:
    """`path`, or the first of NAME-2.SUFFIX, NAME-3.SUFFIX, ... that does not exist yet."""
    free, number = path, 1
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
