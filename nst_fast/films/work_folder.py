"""The hidden folder beside an unfinished film: encoded segments, and a note of which ones belong to the job."""

import hashlib
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nst_fast.errors import OutputError
from nst_fast.files.atomic import replace_atomically
from nst_fast.files.claims import claim
from nst_fast.files.names import find_free_name, name_beside
from nst_fast.films.carried import Carried


@dataclass(frozen=True)
class Segment:
    """A part of the stylized film, encoded: a whole file.

    Attributes:
        name: of the file in the folder.
        sha256: of the file, in hexadecimal.
        carried_sha256: of what its last frame left for the next, in the file of the same name that ends in .npz.
        frames: how many it holds.
        last_time: of its last frame, and `end`: when that ends, in units of the film's time base.
        cut: whether the job was stopped in it. Such a segment is not resumed after.
    """

    name: str
    sha256: str
    carried_sha256: str
    frames: int
    last_time: int
    end: int
    cut: bool = False


class WorkFolder:
    """What is finished of a film, on disk, so that an interrupted job can be resumed.

    The note lists the segments in order, and only one process at a time writes it. Should two processes share the
    folder all the same, on a disk without locks, their segments have different names and whichever note is written
    last is complete in itself.

    Args:
        target: the film.
        job: what decides the pixels, as JSON holds it. Segments of another job are thrown away.

    Attributes:
        path: of the folder.
        segments: of this job, whole and in order.
    """

    def __init__(self, target: Path, job: dict[str, Any]) -> None:
        self.path = name_beside(target, "stylizing")
        self.segments: list[Segment] = []
        self._target = target
        self._job = job
        self._owner = secrets.token_hex(4)
        self._partial: list[Any] = []

    def resume(self) -> None:
        """Make the folder, and take over what an earlier run of the same job left, up to the first broken segment.

        Raises:
            OutputError: the folder cannot be made.
        """
        self.segments = self._read_note()
        kept = {Path(segment.name).stem for segment in self.segments}
        for path in (*self.path.glob("[0-9]*.mp4"), *self.path.glob("[0-9]*.npz")):
            if path.stem not in kept:
                path.unlink(missing_ok=True)
        self._write_note()

    def _read_note(self) -> list[Segment]:
        found: list[Segment] = []
        try:
            note = json.loads((self.path / "job.json").read_text(encoding="utf-8"))
            if note["job"] != json.loads(json.dumps(self._job)):
                return []
            self._partial = note["partial"]
            for entry in note["segments"]:
                segment = Segment(**entry)
                follows = not found or segment.last_time > found[-1].last_time
                path = self.path / segment.name
                hashes = (_hash_file(path), _hash_file(path.with_suffix(".npz")))
                if not follows or hashes != (segment.sha256, segment.carried_sha256):
                    break
                found.append(segment)
        except (OSError, ValueError, TypeError, KeyError):  # no note, or a damaged one
            pass
        return found

    def _write_note(self) -> None:
        segments = [asdict(segment) for segment in self.segments if not segment.cut]
        note = {"job": self._job, "partial": self._partial, "segments": segments}
        with replace_atomically(self.path / "job.json") as temporary:
            temporary.write_text(json.dumps(note), encoding="utf-8")

    @property
    def frames(self) -> int:
        """Frames in all segments."""
        return sum(segment.frames for segment in self.segments)

    def next_path(self) -> Path:
        """Where the next segment belongs."""
        return self.path / f"{len(self.segments):06}-{self._owner}.mp4"

    def add(self, path: Path, carried: Carried, *, frames: int, last_time: int, end: int, cut: bool) -> None:
        """Note a segment that has been written to `next_path`; `carried` is what its last frame left."""
        beside = path.with_suffix(".npz")
        with replace_atomically(beside) as temporary:
            temporary.write_bytes(carried.to_bytes())
        self.segments.append(Segment(path.name, _hash_file(path), _hash_file(beside), frames, last_time, end, cut))
        self._write_note()

    def read_carried(self) -> Carried | None:
        """What the last frame of the last segment left; None: there is no segment."""
        if not self.segments:
            return None
        return Carried.from_bytes((self.path / self.segments[-1].name).with_suffix(".npz").read_bytes())

    def list_paths(self) -> list[Path]:
        """The files of all segments.

        Raises:
            OutputError: another process has removed one.
        """
        paths = [self.path / segment.name for segment in self.segments]
        if not all(path.is_file() for path in paths):
            raise OutputError(
                f"cannot write {self._target}: another process is stylizing it and has removed parts of it; "
                f"wait for that process, or run this again once it has ended"
            )
        return paths

    def choose_partial_name(self) -> Path:
        """NAME.partial.SUFFIX for the part that is finished; another name if that file exists and is not ours."""
        wanted = self._target.with_name(f"{self._target.stem}.partial{self._target.suffix}")
        if self._partial and self._partial == _identify(self._target.with_name(self._partial[0])):
            return self._target.with_name(self._partial[0])
        return find_free_name(wanted)

    def note_partial(self, path: Path) -> None:
        """Remember that the file at `path` is ours, so that a later run may replace it."""
        self._partial = _identify(path)
        self._write_note()

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def remove_finished(target: Path) -> None:
    """Remove the work folder of a film that is finished, if a killed process left it.

    An unfinished job over an older film of the same name stays: its note is newer than that film.
    """
    path = name_beside(target, "stylizing")
    try:
        if os.stat(target).st_mtime_ns < os.stat(path / "job.json").st_mtime_ns:
            return
    except OSError:  # usually there is none
        return
    held = claim(target)
    if held is not None:
        shutil.rmtree(path, ignore_errors=True)
        held.release()


def _identify(path: Path) -> list[Any]:
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [path.name, status.st_size, status.st_mtime_ns]


def _hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
