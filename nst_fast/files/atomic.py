"""Files that are whole or absent: neither a reader nor an interrupted run ever meets half a file."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from nst_fast.errors import OutputError
from nst_fast.files.leftovers import name_temporary, sweep_temporaries

_WHY_AND_WHAT_TO_DO = {
    errno.EACCES: "no permission; choose a folder that you may write to",
    errno.EPERM: "no permission; choose a folder that you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOSPC: "the disk is full; free some space or choose a folder on another disk",
    errno.EDQUOT: "your share of the disk is used up; free some space or choose a folder on another disk",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another path",
    errno.EEXIST: "a part of this path is a file, not a folder; choose another path",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "it leads through a loop of symbolic links; choose another path",
}


@contextlib.contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well, the file written there becomes `path` in one step.

    The temporary file lies in the same folder, is hidden (leading dot), and has the suffix of `path`, since writers
    choose the format by it. Missing parent folders are made. A symbolic link is followed, not replaced, and a replaced
    file keeps its permissions. Whatever goes wrong, an interrupt included, the old file stays as it was and the
    temporary file is removed; what a killed process left in the folder is removed too. Let the block do nothing but
    write: every OSError in it is reported as a failure to write `path`.

    Raises:
        OutputError: no permission, full or read-only disk, a path that is a folder or leads through a file.
    """
    temporary = None
    try:
        with explain_write_errors(path):
            target = _find_target(path)
            _make_folder(target.parent)
            sweep_temporaries(target.parent)
            temporary = name_temporary(target)
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            os.replace(temporary, target)
            _fsync_folder(target.parent)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn each OSError in the block into an OutputError that says why `path` cannot be written and what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {_explain(error)}") from error


def _find_target(path: Path) -> Path:
    """The file that `path` leads to, which may not exist yet."""
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.exists() and not target.is_file():
        # Replacing a device such as /dev/null would break it for everyone.
        kind = "a folder" if target.is_dir() else "not a regular file"
        raise OutputError(f"cannot write {path}: it is {kind}; give the path of a file")
    return target


def _make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, so that they survive a power cut too."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        if folder == folder.parent:
            break
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        _fsync_folder(new.parent)


def _fsync_folder(folder: Path) -> None:
    # The new file is in place already. Where a folder cannot be synced (Windows, some network disks), only less is
    # certain after a power cut.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _explain(error: OSError) -> str:
    known = _WHY_AND_WHAT_TO_DO.get(error.errno or 0)
    return known or f"{' '.join((error.strerror or str(error)).split())}; choose another path"
