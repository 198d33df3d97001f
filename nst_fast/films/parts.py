"""A long film in parts, which several processes stylize at the same time.

With temporal smoothing and coherence a frame depends on all frames before it, so parts are not independent by
themselves. Here each settles on the frames before it: these are stylized once more and thrown away. Where the parts
begin depends on the film alone, so the bytes are the same for any number of processes.
"""

import contextlib
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nst_fast.films.pipeline import FrameCounter, stylize_ahead
from nst_fast.films.segments import write_segments
from nst_fast.films.source import FilmSource
from nst_fast.films.work_folder import WorkFolder
from nst_fast.media.film_formats import Encoding
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import Frame
from nst_fast.stylize.stylizer import Stylizer

FRAMES_PER_PART = 500
# The usual smoothing of 0.9 leaves one percent of what was before these frames, which changes few pixels by one level.
_SETTLING_FRAMES = 44


@dataclass(frozen=True)
class Part:
    """Which frames of a film belong together, by their times in units of the time base.

    Attributes:
        number: from 0.
        settles_after: the time of the last frame that is not read at all; None: read from the beginning.
        after: the time of the last frame of the part before; None: this is the first part.
        last: the time of its last frame; None: to the end.
    """

    number: int
    settles_after: int | None
    after: int | None
    last: int | None


@dataclass(frozen=True)
class PartsJob:
    """What is the same for all parts of a film.

    Attributes:
        folder: hidden, of the whole film; it holds a folder for each part.
        description: what decides the pixels, as JSON holds it.
        base: the time, in units of the time base, that is 0 in the film that is written.
    """

    source: FilmSource
    folder: Path
    description: dict[str, Any]
    encoding: Encoding
    smoothing: float
    coherence: float
    base: int

    def open_folder(self, part: Part) -> WorkFolder:
        """The folder of a part with what an earlier run left in it."""
        path = self.folder / f"part-{part.number:05}.mp4"
        folder = WorkFolder(path, {**self.description, "part": asdict(part)})
        folder.resume()
        return folder


@dataclass(frozen=True)
class Written:
    """What is stylized of a film, or of a part of it.

    Attributes:
        segments: the files, in order.
        frames: in all of them.
        end: when the last frame ends, in units of the time base of the film that is written; 0 without frames.
    """

    segments: list[Path]
    frames: int
    end: int

    @classmethod
    def from_folder(cls, folder: WorkFolder) -> "Written":
        """All segments of a folder."""
        return cls(folder.list_paths(), folder.frames, folder.segments[-1].end if folder.segments else 0)


@dataclass(frozen=True)
class PartOutcome:
    """What became of a part.

    Attributes:
        stopped: whether frames are missing.
        errors: what could not be read of it.
    """

    written: Written
    stopped: bool
    errors: ReadErrors


def plan_parts(times: list[int], *, settle: bool) -> list[Part]:
    """Divide frames with these times, in order, into parts of 500.

    Args:
        settle: whether frames depend on those before, so that a part needs some to settle on.
    """
    settling = _SETTLING_FRAMES if settle else 0
    parts = []
    for number, first in enumerate(range(0, len(times), FRAMES_PER_PART)):
        read_from, end = first - settling, first + FRAMES_PER_PART
        parts.append(
            Part(
                number,
                settles_after=times[read_from - 1] if read_from > 0 else None,
                after=times[first - 1] if first else None,
                last=times[end - 1] if end < len(times) else None,
            )
        )
    return parts


def stylize_part(stylizer: Stylizer, job: PartsJob, part: Part, watch: Callable[[], bool]) -> PartOutcome:
    """Stylize one part into segments, or what is missing of it.

    Args:
        watch: called after each frame; when it returns False, the part ends there.
    """
    folder, errors = job.open_folder(part), ReadErrors()
    counter = FrameCounter(lambda _: watch(), None)
    after, read_after, carried = part.after, part.settles_after, None
    if folder.segments:
        after = read_after = folder.segments[-1].last_time + job.base
        carried = folder.read_carried()
    if part.last is None or after is None or after < part.last:
        frame_stylizer = stylizer.for_frames(job.smoothing, job.coherence)
        reading = _read_until(job.source, errors, read_after, part.last)
        with counter.until_stopped(stylize_ahead(reading, frame_stylizer, carried)) as frames:
            wanted = (
                (replace(frame, time=frame.time - job.base), left)
                for frame, left in frames
                if after is None or frame.time > after
            )
            for _ in write_segments(folder, wanted, job.source.info, job.encoding, lambda: counter.stopped):
                counter.count()
    return PartOutcome(Written.from_folder(folder), counter.stopped, errors)


def join_outcomes(outcomes: list[PartOutcome]) -> Written:
    """All parts in order, up to the first that was stopped, with what there is of it."""
    joined = Written([], 0, 0)
    for outcome in outcomes:
        more = outcome.written
        joined = Written(joined.segments + more.segments, joined.frames + more.frames, max(joined.end, more.end))
        if outcome.stopped:
            break
    return joined


def _read_until(
    source: FilmSource, errors: ReadErrors, after: int | None, last: int | None
) -> Generator[Frame, None, None]:
    with contextlib.closing(source.read(errors, after=after)) as frames:
        for frame in frames:
            if last is not None and frame.time > last:
                return
            yield frame
