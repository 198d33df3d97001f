"""Files that are either whole or not there: a reader, or a run that is cut off, never meets half a file."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from nst_fast.errors import OutputError

_WHY_AND_WHAT_TO_DO = {
    errno.EACCES: "no permission; choose a folder that you may write to",
    errno.EPERM: "no permission; choose a folder that you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOSPC: "the disk is full; free some space or choose a folder on another disk",
    errno.EDQUOT: "your share of the disk is used up; free some space or choose a folder on another disk",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another path",
    errno.EEXIST: "a part of this path is a file, not a folder; choose another path",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextlib.contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well, the file written there becomes `path` in one step.

    The temporary file lies in the same folder (missing parent folders are made), is hidden (leading dot), and ends
    in the suffix of `path`, since writers tell the format by it. A symbolic link is followed, not replaced.
    Whatever goes wrong, also an interrupt, an old file at `path` stays as it was and the temporary file is removed.
    The block should do nothing but write: each OSError in it is reported as a failure to write `path`.

    Raises:
        OutputError: no permission, full or read-only disk, a path that is a folder or leads through a file.
    """
    temporary = None
    try:
        with explain_write_errors(path):
            target = path.resolve() if path.is_symlink() else path
            if target.exists() and not target.is_file():
                # Replacing a device such as /dev/null would break it for everyone.
                kind = "a folder" if target.is_dir() else "not a regular file"
                raise OutputError(f"cannot write {path}: it is {kind}; give the path of a file")
            target.parent.mkdir(parents=True, exist_ok=True)
            # The process id tells whose it is, the random part keeps two threads apart; the stem is cut because the
            # whole name may have 255 bytes and one character up to 4.
            unique = f"{os.getpid()}-{secrets.token_hex(4)}"
            temporary = target.with_name(f".{target.stem[:40]}.{unique}.tmp{target.suffix}")
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
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


def _fsync_folder(folder: Path) -> None:
    # The new file is in place already: a file system that cannot sync a folder (Windows, some network disks) only
    # weakens what is left after a power cut.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _explain(error: OSError) -> str:
    known = _WHY_AND_WHAT_TO_DO.get(error.errno or 0)
    return known or f"{' '.join((error.strerror or str(error)).split())}; choose another path"
