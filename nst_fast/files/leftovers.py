"""Temporary files: how they are named, and how those that a killed process left behind are removed."""

import contextlib
import functools
import hashlib
import os
import platform
import re
import secrets
import time
from pathlib import Path

# A stem has up to 4 bytes a character, and file systems take names of up to 255 bytes.
_STEM_CHARACTERS = 40
_TEMPORARY = re.compile(r"\..*\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.tmp(\.[^.]*)?", re.DOTALL)
# Of a process that cannot be asked, since it runs on another computer or in another container.
_ABANDONED_SECONDS = 24 * 3600
_swept: set[Path] = set()


def name_temporary(target: Path) -> Path:
    """A hidden path beside `target` that no other thread or process uses, with the same suffix.

    It names the computer and the process that use it, so that `sweep_temporaries` can tell whether that one still runs.
    """
    unique = f"{_identify_computer()}-{os.getpid()}-{secrets.token_hex(4)}"
    return target.with_name(f".{target.stem[:_STEM_CHARACTERS]}.{unique}.tmp{target.suffix}")


def sweep_temporaries(folder: Path) -> None:
    """Remove the temporary files in `folder` whose process is gone; once for each folder in the life of this process.

    Another computer's processes cannot be asked, so their files go once they have not changed for a day.
    """
    folder = folder.absolute()
    if folder in _swept:
        return
    _swept.add(folder)
    # A folder that cannot be listed is no reason not to write into it.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match is not None and _is_abandoned(match[1], int(match[2]), entry):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def _is_abandoned(computer: str, process_id: int, entry: "os.DirEntry[str]") -> bool:
    if computer == _identify_computer():
        import psutil  # only here, since most folders hold no temporary file

        return process_id != os.getpid() and not psutil.pid_exists(process_id)
    with contextlib.suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_SECONDS
    return False


@functools.cache
def _identify_computer() -> str:
    """Eight digits for this computer, and on Linux for this container: where a process number means one process."""
    numbering = ""
    with contextlib.suppress(OSError):
        numbering = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {numbering}".encode()).hexdigest()[:8]
