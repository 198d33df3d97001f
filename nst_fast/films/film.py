"""A film, an animation or numbered pictures through a Stylizer: smoothly, with its sound, and resumable.

Finished segments lie in a hidden folder beside the unfinished film; the whole film gets its name in one step.
"""

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from nst_fast.errors import ImageError
from nst_fast.files.atomic import replace_atomically
from nst_fast.files.claims import claim
from nst_fast.films.carried import Carried
from nst_fast.films.joining import join_film
from nst_fast.films.part_workers import stylize_parts
from nst_fast.films.parts import PartsJob, Written, join_outcomes, plan_parts
from nst_fast.films.pipeline import FilmProgress, FrameCounter, stylize_ahead
from nst_fast.films.segments import check_encoder, write_segments
from nst_fast.films.sequence_writing import SequenceNote, write_sequence
from nst_fast.films.source import MILLISECOND, FilmSource, open_source
from nst_fast.films.work_folder import WorkFolder
from nst_fast.media.animation_writing import write_animation
from nst_fast.media.film_formats import ANIMATION_SUFFIXES, Encoding, choose_encoding
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import Frame
from nst_fast.media.pictures import Picture
from nst_fast.media.resizing import resize_pixels
from nst_fast.media.sequences import is_sequence
from nst_fast.stylize.stylizer import Stylizer

DEFAULT_SMOOTHING = 0.9
DEFAULT_COHERENCE = 0.6


@dataclass(frozen=True)
class FilmSettings:
    """How a film is stylized and written.

    Attributes:
        size: long side in pixels at which the network works. None: the film's own.
        smoothing: share of the past in the statistics, see `Stylizer.for_frames`; 0: of each frame by itself.
        coherence: share of the last output, carried along the motion of the scene, see the same; 0: none. None: 0.6
            where the network runs on the processor. It is computed there, so a GPU would wait for it: on one, 0.
        start, end: the part to stylize, in seconds. None: from the beginning, to the end.
        codec, crf, effort: see `choose_encoding`.
        frame_rate: of numbered pictures that become a film, in frames a second. None: 25.
        workers: processes that stylize parts of the film at the same time, see `parts`. The film is the same for any
            number, 1 included. None: this process stylizes frame after frame.
    """

    size: int | None = None
    smoothing: float = DEFAULT_SMOOTHING
    coherence: float | None = None
    start: Fraction | None = None
    end: Fraction | None = None
    codec: str | None = None
    crf: int | None = None
    effort: str = "fast"
    frame_rate: Fraction | None = None
    workers: int | None = None

    def choose_coherence(self, device: str) -> float:
        """`coherence`, or what it is by itself for a network on this device."""
        if self.coherence is not None:
            return self.coherence
        return DEFAULT_COHERENCE if device == "cpu" else 0.0


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
    """Stylize a film, an animated GIF or WebP, or numbered pictures such as frames/%05d.png.

    Frame times, size, colors and sound are those of the source, whatever the container. A damaged film is stylized as
    far as it can be read. To resume an interrupted job, call this again with the same source, target and settings.

    Args:
        target: its suffix decides what is written: .mp4 .m4v .mov .mkv .webm .gif .webp; or numbered pictures, such as
            art/%05d.png, see `write_sequence`.
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
        opened = open_source(
            source, size=settings.size, start=settings.start, end=settings.end, frame_rate=settings.frame_rate
        )
        job = _FilmJob(stylizer, opened, target, settings, FrameCounter(watch, opened.info.frame_count), ReadErrors())
        if is_sequence(target):
            result = job.write_pictures(keep_existing)
        elif target.suffix.lower() in ANIMATION_SUFFIXES:
            result = job.write_animation()
        else:
            result = job.write_film()
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

    @property
    def coherence(self) -> float:
        return self.settings.choose_coherence(self.stylizer.device)

    def write_film(self) -> FilmResult:
        """Stylize to a film, segment by segment."""
        info, settings = self.source.info, self.settings
        encoding = choose_encoding(self.target.suffix, codec=settings.codec, crf=settings.crf, effort=settings.effort)
        check_encoder(encoding, info)
        description = self.describe([encoding.codec, encoding.crf, encoding.effort])
        folder = WorkFolder(self.target, description)
        folder.resume()
        # The times of the film that is written count from the start of the part.
        base = 0 if settings.start is None else int(-(-settings.start // info.time_base))
        job = PartsJob(self.source, folder.path, description, encoding, settings.smoothing, self.coherence, base)
        written = self.write_parts(job) or self.write_frames(folder, encoding, base)
        stopped = self.counter.stopped
        if not written.segments:
            if stopped:
                return FilmResult(self.target, 0, "stopped")
            raise self.nothing_to_write()
        path = folder.choose_partial_name() if stopped else self.target
        sound_start = (info.origin + base) * info.time_base
        cut_short = stopped or self.errors.ends_at is not None or settings.end is not None
        remarks = join_film(
            written.segments,
            info,
            path,
            sound_start=sound_start,
            sound_end=sound_start + written.end * info.time_base if cut_short else None,
        )
        if stopped:
            folder.note_partial(path)
        else:
            folder.remove()
        return FilmResult(path, written.frames, "stopped" if stopped else "stylized", tuple(remarks))

    def write_frames(self, folder: WorkFolder, encoding: Encoding, base: int) -> Written:
        """Stylize frame after frame into segments."""
        self.counter.frames_before = folder.frames
        after = folder.segments[-1].last_time + base if folder.segments else None
        with self.counter.until_stopped(self.stylize(after, folder.read_carried())) as frames:
            moved = ((replace(frame, time=frame.time - base), carried) for frame, carried in frames)
            for _ in write_segments(folder, moved, self.source.info, encoding, lambda: self.counter.stopped):
                self.counter.count()
        return Written.from_folder(folder)

    def write_parts(self, job: PartsJob) -> Written | None:
        """Stylize parts in several processes; None if that is not asked for, or the film does not say its times."""
        workers = self.settings.workers
        times = self.source.list_times() if workers is not None else None
        if workers is None or not times:
            return None
        parts = plan_parts(times, settle=job.smoothing > 0 or job.coherence > 0)
        self.counter.frames_before = sum(job.open_folder(part).frames for part in parts)
        outcomes = stylize_parts(self.stylizer, job, parts, workers, self.counter.count)
        for outcome in outcomes:
            self.errors.add(outcome.errors)
        return join_outcomes(outcomes)

    def write_animation(self) -> FilmResult:
        """Stylize to a GIF or WebP, in one go: they are short, and cannot be joined from parts."""
        folder = WorkFolder(self.target, self.describe([]))
        folder.resume()
        # Whether the film is stopped, which decides its name, is known only at the end.
        spool = folder.next_path().with_suffix(self.target.suffix)
        loop = 0 if self.source.animation is None else self.source.animation.loop
        try:
            with self.counter.until_stopped(self.stylize()) as stylized:
                frames = (frame for frame, _ in stylized)
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

    def write_pictures(self, keep_existing: bool) -> FilmResult:
        """Stylize to numbered pictures, each of which is finished as soon as it is there."""
        note = SequenceNote(self.target, self.describe([]))
        note.resume()
        self.counter.frames_before = note.frames
        with self.counter.until_stopped(self.stylize(note.last_time, note.carried)) as frames:
            for _ in write_sequence(note, frames, self.source, keep_existing=keep_existing):
                self.counter.count()
        if not note.frames:
            note.remove()
            raise self.nothing_to_write()
        if not self.counter.stopped:
            note.remove()
        remarks = ("has sound, which pictures cannot hold",) if self.source.info.sounds else ()
        return FilmResult(self.target, note.frames, "stopped" if self.counter.stopped else "stylized", remarks)

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

    def stylize(
        self, after: int | None = None, carried: Carried | None = None
    ) -> Generator[tuple[Frame, Carried], None, None]:
        """Stylized frames later than `after`, where the last frame left `carried`; each with what it leaves itself."""
        frames = self.source.read(self.errors, after=after)
        frame_stylizer = self.stylizer.for_frames(self.settings.smoothing, self.coherence)
        return stylize_ahead(frames, frame_stylizer, carried)

    def describe(self, encoding: list[Any]) -> dict[str, Any]:
        """What decides the pixels of the film: a job is resumed only if all of it is the same."""
        settings = self.settings
        return {
            **self.source.identify(),
            "network and look": self.stylizer.fingerprint,
            "size": settings.size,
            "smoothing": settings.smoothing,
            "coherence": self.coherence,
            "start": str(settings.start),
            "end": str(settings.end),
            "encoding": encoding,
        }

    def nothing_to_write(self) -> ImageError:
        return ImageError(f"{self.source.info.path} has no frame between start and end; give another part")


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
