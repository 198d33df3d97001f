"""Stylized frames written as numbered pictures, and the note after which an interrupted job resumes."""

import json
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from nst_fast.files.atomic import replace_atomically
from nst_fast.files.names import name_beside
from nst_fast.films.carried import Carried
from nst_fast.films.source import FilmSource
from nst_fast.media.film_reader import Frame
from nst_fast.media.pictures import Picture, write_picture
from nst_fast.media.resizing import resize_pixels
from nst_fast.media.sequences import name_in_sequence

# Pictures of a film, which has no numbers of its own, are numbered from here on, as FFmpeg does it.
_FIRST_NUMBER = 1


class SequenceNote:
    """What is finished of a sequence, in a hidden folder beside the pictures.

    Args:
        target: the sequence, such as art/%05d.png.
        job: what decides the pixels, as JSON holds it. A note of another job is thrown away.

    Attributes:
        frames: how many are finished.
        last_time: of the last of them, in units of the source's time base; None: there is none.
        carried: what that frame left for the next.
    """

    def __init__(self, target: Path, job: dict[str, Any]) -> None:
        self.target = target
        self.frames = 0
        self.last_time: int | None = None
        self.carried: Carried | None = None
        self._path = name_beside(target, "stylizing")
        self._job = job

    def resume(self) -> None:
        """Take over what an earlier run of the same job noted."""
        try:
            note = json.loads((self._path / "job.json").read_text(encoding="utf-8"))
            if note["job"] != json.loads(json.dumps(self._job)):
                return
            frames, last_time = int(note["frames"]), int(note["last_time"])
            carried = Carried.from_bytes((self._path / str(note["carried"])).read_bytes())
        except (OSError, EOFError, BadZipFile, ValueError, TypeError, KeyError):  # no note, or a damaged one
            return
        self.frames, self.last_time, self.carried = frames, last_time, carried

    def add(self, frame: Frame, carried: Carried) -> None:
        """Note a frame whose picture has its name."""
        before = self._path / _name_carried(self.frames)
        self.frames, self.last_time, self.carried = self.frames + 1, frame.time, carried
        note = {
            "job": self._job,
            "frames": self.frames,
            "last_time": self.last_time,
            "carried": _name_carried(self.frames),
        }
        with replace_atomically(self._path / _name_carried(self.frames)) as temporary:
            temporary.write_bytes(carried.to_bytes())
        with replace_atomically(self._path / "job.json") as temporary:
            temporary.write_text(json.dumps(note), encoding="utf-8")
        before.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the hidden folder."""
        shutil.rmtree(self._path, ignore_errors=True)


def _name_carried(frames: int) -> str:
    """The file that holds what a frame left, the last of so many."""
    return f"{frames}.npz"


def write_sequence(
    note: SequenceNote, frames: Iterator[tuple[Frame, Carried]], source: FilmSource, *, keep_existing: bool
) -> Generator[int, None, None]:
    """Write frames as pictures of the source's size, with their alpha; yields the time of each once it is there.

    A picture has the number of the picture that it is made from. Frames of films and animations are numbered from 1.

    Args:
        keep_existing: leave alone pictures that exist; False replaces them.

    Raises:
        OutputError: the disk is full, or the format cannot hold this size.
    """
    height, width = source.info.height, source.info.width
    for frame, carried in frames:
        number = source.numbers[0] + frame.time if source.numbers else _FIRST_NUMBER + note.frames
        path = name_in_sequence(note.target, number)
        if not (keep_existing and path.exists()):
            write_picture(path, Picture(resize_pixels(frame.rgb, height, width), frame.alpha))
        note.add(frame, carried)
        yield frame.time
