"""Several processes, one folder: a process claims an output before it works on it, so that no two do the same work."""

import contextlib
import errno
import os
import sys
import time
from pathlib import Path

from nst_fast.files.names import name_beside

# A lock may be held for an instant by a process that removes what a killed one left.
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.02
_CONTENDED = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)
_swept: set[Path] = set()

# By hand rather than with `filelock`: importing that takes a fifth of the time in which a photo is stylized, it leaves
# its files behind on Unix, and on disks without locks it may fall back to files that outlive a killed owner.
if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _remove_and_unlock(path: Path, descriptor: int) -> None:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # another process has opened it meanwhile, and will remove it
            path.unlink()

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _remove_and_unlock(path: Path, descriptor: int) -> None:
        # In this order, so that nobody locks a file that is about to disappear.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


class Claim:
    """A claim that this process holds: a hidden, locked file beside the output.

    The system unlocks the file when the process ends, however it ends. What a killed process leaves is an empty hidden
    file that stops nobody and that the next job in the folder removes.
    """

    def __init__(self, path: Path | None = None, descriptor: int | None = None) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the claim up; a second call does nothing."""
        if self._descriptor is not None and self._path is not None:
            _remove_and_unlock(self._path, self._descriptor)
            self._descriptor = None


def claim(target: Path) -> Claim | None:
    """Claim the output `target`; None: another process, or another thread of this one, holds it now.

    Where the disk cannot lock, or the folder cannot be written to, every process gets the claim: work may then be done
    twice, but files stay whole, and whoever writes will say what is wrong with the folder. Missing parent folders are
    made.
    """
    path = name_beside(target, "claim")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_claims(path.parent)
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS)
            held = _try_to_claim(path)
            if held is not None:
                return held
    except OSError:
        return Claim()
    return None


def _try_to_claim(path: Path) -> Claim | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _CONTENDED:
                return None
            raise
        # Its last owner may have removed it between our opening and our locking.
        if sys.platform == "win32" or os.fstat(descriptor).st_nlink:
            return Claim(path, descriptor)
        os.close(descriptor)


def sweep_claims(folder: Path) -> None:
    """Remove the claims in `folder` that nobody holds; once for each folder in the life of this process."""
    folder = folder.absolute()
    if folder in _swept:
        return
    _swept.add(folder)
    for path in folder.glob(".*.claim"):
        with contextlib.suppress(OSError):
            held = _try_to_claim(path)
            if held is not None:
                held.release()
