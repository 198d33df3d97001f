"""A film or an animation through a Stylizer: smoothly, with its sound, and resumable.

Finished segments lie in a hidden folder beside the unfinished film; the whole film gets its name in one step.
"""

import contextlib
import math
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from nst_fast.errors import ImageError
from nst_fast.files.atomic import replace_atomically
from nst_fast.files.claims import claim
from nst_fast.films.joining import join_film
from nst_fast.films.pipeline import FilmProgress, FrameCounter, stylize_ahead
from nst_fast.films.segments import check_encoder, write_segments
from nst_fast.films.source import MILLISECOND, FilmSource, open_source
from nst_fast.films.work_folder import WorkFolder
from nst_fast.media.animation_writing import write_animation
from nst_fast.media.film_formats import ANIMATION_SUFFIXES, choose_encoding
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import Frame
from nst_fast.media.pictures import Picture
from nst_fast.media.resizing import resize_pixels
from nst_fast.stylize.stylizer import Stylizer

DEFAULT_SMOOTHING = 0.9
# What is left of the statistics of the first frame when a resumed job goes on to new ones, and how many frames it may
# stylize again for that.
_FORGOTTEN = 1e-8
_MOST_FRAMES_TO_SETTLE = 1000


@dataclass(frozen=True)
class FilmSettings:
    """How a film is stylized and written.

    Attributes:
        size: long side in pixels at which the network works. None: the film's own.
        smoothing: share of the past in the statistics, see `Stylizer.for_frames`; 0: each frame by itself.
        start, end: the part to stylize, in seconds. None: from the beginning, to the end.
        codec, crf, effort: see `choose_encoding`.
    """

    size: int | None = None
    smoothing: float = DEFAULT_SMOOTHING
    start: Fraction | None = None
    end: Fraction | None = None
    codec: str | None = None
    crf: int | None = None
    effort: str = "fast"


@dataclass(frozen=True)
class FilmResult:
    """What became of a film.

    Attributes:
        path: the film; if it was stopped, the file that holds its beginning.
        frames: in that file.
        status: `stylized`, `stopped` by the watcher, or `taken`: another process works on it or has finished it.
        remarks: what the user should know, in whole phrases.
    """

    path: Path
    frames: int
    status: Literal["stylized", "stopped", "taken"]
    remarks: tuple[str, ...] = ()


def stylize_film(
    stylizer: Stylizer,
    source: Path,
    target: Path,
    settings: FilmSettings | None = None,
    *,
    keep_existing: bool = False,
    watch: Callable[[FilmProgress], bool] | None = None,
) -> FilmResult:
    """Stylize a film, or an animated GIF or WebP.

    Frame times, size, colors and sound are those of the source, whatever the container. A damaged film is stylized as
    far as it can be read. To resume an interrupted job, call this again with the same source, target and settings.

    Args:
        target: its suffix decides what is written: .mp4 .m4v .mov .mkv .webm .gif .webp.
        keep_existing: leave alone a target that exists; False replaces it.
        watch: called after each frame. When it returns False, the film ends there: what is finished is written to
            NAME.partial.SUFFIX, complete with its sound, and the job can still be resumed.

    Raises:
        ImageError: the source cannot be read.
        OutputError: the target cannot be written.
        SettingError: a setting that is not allowed, or the extra `film` is missing.
    """
    held = claim(target)
    if held is None:
        return FilmResult(target, 0, "taken")
    try:
        if keep_existing and os.path.lexists(target):
            return FilmResult(target, 0, "taken")
        settings = settings or FilmSettings()
        opened = open_source(source, size=settings.size, start=settings.start, end=settings.end)
        job = _FilmJob(stylizer, opened, target, settings, FrameCounter(watch, opened.info.frame_count), ReadErrors())
        is_animation = target.suffix.lower() in ANIMATION_SUFFIXES
        result = job.write_animation() if is_animation else job.write_film()
        phrases = (*opened.info.remarks, *result.remarks, *job.errors.describe())
        return replace(result, remarks=tuple(f"{source} {phrase}" for phrase in phrases))
    finally:
        held.release()


@dataclass(frozen=True)
class _FilmJob:
    stylizer: Stylizer
    source: FilmSource
    target: Path
    settings: FilmSettings
    counter: FrameCounter
    errors: ReadErrors

    def write_film(self) -> FilmResult:
        """Stylize to a film, segment by segment."""
        info, settings = self.source.info, self.settings
        encoding = choose_encoding(self.target.suffix, codec=settings.codec, crf=settings.crf, effort=settings.effort)
        check_encoder(encoding, info)
        folder = WorkFolder(self.target, self.describe([encoding.codec, encoding.crf, encoding.effort]))
        folder.resume()
        self.counter.frames_before = folder.frames
        # The times of the film that is written count from the start of the part.
        base = 0 if settings.start is None else int(-(-settings.start // info.time_base))
        after = settle = None
        if folder.segments:
            after = folder.segments[-1].last_time + base
            settle = max(
                -1, after - round(_count_frames_to_settle(settings.smoothing) / info.frame_rate / info.time_base)
            )
        with self.counter.until_stopped(self.stylize(read_after=settle, after=after)) as frames:
            moved = (replace(frame, time=frame.time - base) for frame in frames)
            for _ in write_segments(folder, moved, info, encoding):
                self.counter.count()
        if not folder.segments:
            raise self.nothing_to_write()
        stopped = self.counter.stopped
        path = folder.choose_partial_name() if stopped else self.target
        sound_start = (info.origin + base) * info.time_base
        cut_short = stopped or self.errors.ends_at is not None or settings.end is not None
        remarks = join_film(
            folder.list_paths(),
            info,
            path,
            sound_start=sound_start,
            sound_end=sound_start + folder.segments[-1].end * info.time_base if cut_short else None,
        )
        if stopped:
            folder.note_partial(path)
        else:
            folder.remove()
        return FilmResult(path, self.counter.frames, "stopped" if stopped else "stylized", tuple(remarks))

    def write_animation(self) -> FilmResult:
        """Stylize to a GIF or WebP, in one go: they are short, and cannot be joined from parts."""
        folder = WorkFolder(self.target, self.describe([]))
        folder.resume()
        # Whether the film is stopped, which decides its name, is known only at the end.
        spool = folder.next_path().with_suffix(self.target.suffix)
        loop = 0 if self.source.animation is None else self.source.animation.loop
        try:
            with self.counter.until_stopped(self.stylize()) as frames:
                first = next(frames, None)
                if first is None:
                    raise self.nothing_to_write()
                write_animation(spool, self._time_in_milliseconds(first, frames), loop=loop)
            stopped = self.counter.stopped
            path = folder.choose_partial_name() if stopped else self.target
            with replace_atomically(path) as temporary:
                os.replace(spool, temporary)
        finally:
            folder.remove()
        remarks = ("has sound, which an animation cannot hold",) if self.source.info.sounds else ()
        return FilmResult(path, self.counter.frames, "stopped" if stopped else "stylized", remarks)

    def _time_in_milliseconds(self, first: Frame, frames: Iterator[Frame]) -> Iterator[tuple[Picture, int]]:
        info = self.source.info
        elapsed = given = Fraction(0)  # in seconds, exactly and as rounded so far
        frame: Frame | None = first
        while frame is not None:
            elapsed += frame.duration * info.time_base
            milliseconds = _round_duration(elapsed - given, self.target.suffix)
            given += milliseconds * MILLISECOND
            yield Picture(resize_pixels(frame.rgb, info.height, info.width), frame.alpha), milliseconds
            self.counter.count()
            frame = next(frames, None)

    def stylize(self, *, read_after: int | None = None, after: int | None = None) -> Generator[Frame, None, None]:
        """Stylized frames later than `after`; those between `read_after` and that only settle the statistics."""
        frames = self.source.read(self.errors, after=read_after)
        return stylize_ahead(frames, self.stylizer.for_frames(self.settings.smoothing), after=after)

    def describe(self, encoding: list[Any]) -> dict[str, Any]:
        """What decides the pixels of the film: a job is resumed only if all of it is the same."""
        path, settings = self.source.info.path, self.settings
        status = os.stat(path)
        return {
            "source": os.path.abspath(path),
            "bytes": status.st_size,
            "modified": status.st_mtime_ns,
            "network": self.stylizer.checkpoint.digest,
            "size": settings.size,
            "smoothing": settings.smoothing,
            "start": str(settings.start),
            "end": str(settings.end),
            "encoding": encoding,
        }

    def nothing_to_write(self) -> ImageError:
        return ImageError(f"{self.source.info.path} has no frame between start and end; give another part")


def _count_frames_to_settle(smoothing: float) -> int:
    """How many frames a resumed job stylizes again, unseen, for its smoothed statistics to be what they were."""
    if smoothing == 0:
        return 0
    return min(_MOST_FRAMES_TO_SETTLE, math.ceil(math.log(_FORGOTTEN) / math.log(smoothing)))


def _round_duration(seconds: Fraction, suffix: str) -> int:
    """In milliseconds. GIF holds hundredths of a second; the next frame makes up for what is rounded off."""
    if suffix.lower() == ".gif":
        return max(20, round(seconds / MILLISECOND / 10) * 10)
    return max(1, round(seconds / MILLISECOND))


def stylize_one_frame(stylizer: Stylizer, source: Path, seconds: Fraction, *, size: int | None = None) -> Picture:
    """Stylize the frame that is shown at a time: a look before a long job.

    Raises:
        ImageError: the film cannot be read, or is over by then.
        SettingError: `size` is less than 1, or the extra `film` is missing.
    """
    opened = open_source(source, start=seconds)
    info = opened.info
    # Frames may last longer than the average, so this begins a little earlier.
    opened = replace(opened, start=max(Fraction(0), seconds - 1 / info.frame_rate))
    shown = None
    with contextlib.closing(opened.read(ReadErrors())) as frames:
        for frame in frames:
            if shown is not None and frame.time * info.time_base > seconds:
                break
            shown = frame
    if shown is None:
        raise ImageError(f"{source} has no frame at {float(seconds)} s; give an earlier time")
    return stylizer.stylize_picture(Picture(shown.rgb, shown.alpha), size=size)
