"""Several processes at one folder: a painting is claimed by one of them, until it is written or the process ends."""

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Claim:
    """A claim that is held, by a hidden file beside the painting that the system keeps locked for this process.

    The system takes the lock off when a process ends, however it ends; what is left of a killed one is an empty
    hidden file, which does not stop the next.
    """

    def __init__(self, path: Path | None, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it up; a second time does nothing."""
        if self._descriptor is None or self._path is None:
            return
        # Before it is unlocked, so that nobody locks a file that is about to go.
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)
        self._descriptor = None


def claim(target: Path) -> Claim | None:
    """Claim the painting of `target`, in one step; None: another process has it just now.

    Where the file system cannot lock, or the folder cannot be written to, all may have it: whoever writes will say
    what is wrong with the folder. Missing parent folders are made.
    """
    if fcntl is None:
        return Claim(None, None)
    path = target.with_name(f".{target.name[:80]}.claim")
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return Claim(None, None)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            return Claim(None, None)
        if os.fstat(descriptor).st_nlink:
            return Claim(path, descriptor)
        os.close(descriptor)  # its last owner removed it between our opening and our locking
