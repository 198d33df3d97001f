"""Picture files below a folder."""

import os
from pathlib import Path

from nst_fast.errors import ImageError
from nst_fast.media.opening import IMAGE_SUFFIXES


def find_images(folder: Path | str, *, also: frozenset[str] = frozenset()) -> list[Path]:
    """List all picture files below a folder, by suffix in either case, sorted by path; empty if there are none.

    Hidden files and folders (leading dot) are left out, since unfinished files have such names.

    Args:
        also: more suffixes to look for, in lower case, such as .mp4.

    Raises:
        ImageError: the folder is missing, is a file, or cannot be listed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file; give the folder it lies in" if folder.exists() else "does not exist; check the path"
        raise ImageError(f"{folder} {what}")

    def refuse(error: OSError) -> None:
        raise ImageError(
            f"cannot list the folder {error.filename} ({error.strerror}); change its permissions"
        ) from error

    found: list[str] = []
    suffixes = IMAGE_SUFFIXES | also
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = [name for name in files if not name.startswith(".")]
        found += [os.path.join(parent, name) for name in files if os.path.splitext(name)[1].lower() in suffixes]
    return [Path(name) for name in sorted(found)]
