"""Films and animations: decoding, painting and encoding at the same time, in a memory that the length does not change.

What is painted lies in whole segments beside the film in the making, so that a job that was killed goes on where it
was; the finished film takes its own name in one step.
"""

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from nst_fast.animations import AnimationInfo, probe_animation, read_animation, write_animation
from nst_fast.errors import ImageError, OutputError
from nst_fast.images import Picture, size_for_long_side
from nst_fast.inference.engines.engine import FilmFrame
from nst_fast.inference.film_formats import ANIMATION_SUFFIXES, Encoding, choose_encoding, is_film
from nst_fast.inference.film_joining import join_film
from nst_fast.inference.film_reader import Colour, Damage, FilmInfo, Frame, probe_film, read_frames, shorten
from nst_fast.inference.film_segments import SegmentFolder, check_encoder, write_segments
from nst_fast.inference.overlap import run_ahead
from nst_fast.inference.scene_cuts import SceneCuts
from nst_fast.inference.stylizer import Stylizer

# Frames that wait on either side of the network.
_WAITING = 3
# A job that goes on paints these again first, unseen, so that the smoothed statistics are what they were.
_FRAMES_TO_SETTLE = 24
DEFAULT_SMOOTHING = 0.9
_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class FilmSettings:
    """How a film is painted and written.

    Attributes:
        size: long side in pixels at which the network works. None: the film's own.
        smoothing: share of the past in the statistics, see `Stylizer.steady`; 0 paints each frame by itself.
        start, end: the part to paint, in seconds. None: from the beginning, to the end.
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
class FilmProgress:
    """How far a film is: frames painted in all and in this run, and the number of all; None: not known."""

    frames: int
    frames_now: int
    frame_count: int | None


@dataclass(frozen=True)
class FilmResult:
    """What was written: the film, or its beginning under another name, and what there is to say in whole phrases."""

    path: Path
    frames: int
    finished: bool
    remarks: list[str]


@dataclass(frozen=True)
class _Source:
    """A film or an animation, opened by whichever reads it."""

    info: FilmInfo
    animation: AnimationInfo | None

    def read(self, damage: Damage, settings: FilmSettings, after: int | None) -> Generator[Frame, None, None]:
        work = None
        if settings.size is not None:
            work = size_for_long_side(self.info.height, self.info.width, settings.size)
        if self.animation is None:
            yield from read_frames(self.info, damage, start=settings.start, end=settings.end, after=after, size=work)
            return
        time = 0
        start, end = (None if edge is None else edge / _MILLISECOND for edge in (settings.start, settings.end))
        for picture, milliseconds in read_animation(self.info.path):
            if picture.alpha is not None:  # what is hidden there is arbitrary
                picture = Picture(np.where(picture.alpha[..., None] == 0, np.uint8(255), picture.rgb), picture.alpha)
            inside = (start is None or time >= start) and (end is None or time < end)
            if inside and (after is None or time > after):
                rgb = picture.rgb if work is None else _resize(picture.rgb, *work)
                yield Frame(rgb, time, milliseconds, picture.alpha)
            time += milliseconds


def probe_source(path: Path) -> FilmInfo:
    """What a film, or an animated GIF or WebP, says of itself.

    Raises:
        ImageError: it cannot be read, or is no film.
        SettingError: films need the extra `film`.
    """
    return _open_source(path).info


def _open_source(path: Path) -> _Source:
    if is_film(path.suffix):
        return _Source(probe_film(path), None)
    animation = probe_animation(path)
    seconds = animation.milliseconds / 1000
    info = FilmInfo(
        path=path,
        height=animation.height,
        width=animation.width,
        rotation=0,
        pixel_aspect=Fraction(1),
        frame_rate=Fraction(1000 * animation.frame_count, max(1, animation.milliseconds)).limit_denominator(1001),
        time_base=_MILLISECOND,
        origin=0,
        seconds=seconds,
        frame_count=animation.frame_count,
        colour=Colour(1, 1, 1),
        sounds=(),
        remarks=(),
    )
    return _Source(info, animation)


def stylize_film(
    stylizer: Stylizer,
    source: Path,
    target: Path,
    settings: FilmSettings | None = None,
    *,
    watch: Callable[[FilmProgress], bool] | None = None,
) -> FilmResult:
    """Paint a film, or an animated GIF or WebP.

    Frame times, size, colours and sound are those of the source, whatever the container allows. A damaged film is
    painted as far as it can be read. Given the same source, target and settings again, a job that was cut off goes on.

    Args:
        target: its suffix says what is written: .mp4 .m4v .mov .mkv .webm .gif .webp.
        watch: told after each frame how far it is; when it returns False the film ends there and what is painted
            is written to NAME.partial.SUFFIX, complete with its sound, while the job can still be gone on with.

    Raises:
        ImageError: the source cannot be read.
        OutputError: the target cannot be written.
        SettingError: a setting that is not allowed, or the extra `film` is missing.
    """
    settings = settings or FilmSettings()
    painter = stylizer.steady(settings.smoothing)
    opened = _open_source(source)
    opened = replace(opened, info=shorten(opened.info, settings.start, settings.end))
    damage = Damage()
    progress = _Progress(watch, opened.info.frame_count)
    if target.suffix.lower() in ANIMATION_SUFFIXES:
        frames = _paint_ahead(opened.read(damage, settings, None), painter, progress, after=None)
        result = _write_animation(frames, opened, target, progress)
    else:
        encoding = choose_encoding(target.suffix, codec=settings.codec, crf=settings.crf, effort=settings.effort)
        check_encoder(encoding, opened.info)
        result = _write_film(stylizer, painter, opened, target, settings, encoding, damage, progress)
    remarks = [f"{source} {phrase}" for phrase in (*opened.info.remarks, *result.remarks, *damage.describe())]
    return replace(result, remarks=remarks)


class _Progress:
    """Counts frames, and ends them when the watcher says so."""

    def __init__(self, watch: Callable[[FilmProgress], bool] | None, frame_count: int | None) -> None:
        self._watch = watch
        self._frame_count = frame_count
        self.stopped = False
        self.frames_before = 0
        self.frames_now = 0

    @property
    def frames(self) -> int:
        return self.frames_before + self.frames_now

    def count(self) -> None:
        self.frames_now += 1
        if self._watch is not None:
            self.stopped = not self._watch(FilmProgress(self.frames, self.frames_now, self._frame_count))

    def until_stopped(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            yield frame
            if self.stopped:
                return


@contextlib.contextmanager
def _closing_frames(frames: Generator[Frame, None, None], progress: _Progress) -> Iterator[Iterator[Frame]]:
    with contextlib.closing(frames):
        yield progress.until_stopped(frames)


def _paint_ahead(
    frames: Generator[Frame, None, None], painter, progress: _Progress, *, after: int | None
) -> Generator[Frame, None, None]:
    """Painted frames: reading runs ahead of painting, and painting ahead of whoever takes them from here.

    Args:
        after: frames up to this time only settle the statistics. None: all are given.
    """
    read = run_ahead(frames, _WAITING, "read-film")

    def paint() -> Generator[Frame, None, None]:
        cuts = SceneCuts()
        waiting: deque[Frame] = deque()

        def take() -> Iterator[FilmFrame]:
            for frame in read:
                waiting.append(frame)
                yield np.ascontiguousarray(frame.rgb), cuts.is_cut(frame.rgb)

        with contextlib.closing(read), contextlib.closing(painter.stylize_frames(take())) as paintings:
            for painted in paintings:
                frame = waiting.popleft()
                if after is None or frame.time > after:
                    yield replace(frame, rgb=painted)

    return run_ahead(paint(), _WAITING, "paint-film")


def _write_film(
    stylizer: Stylizer,
    painter,
    opened: _Source,
    target: Path,
    settings: FilmSettings,
    encoding: Encoding,
    damage: Damage,
    progress: _Progress,
) -> FilmResult:
    info = opened.info
    folder = SegmentFolder(target, _describe_job(stylizer, info.path, settings, encoding), info.time_base)
    after = folder.prepare()
    progress.frames_before = folder.count_frames()
    base = 0 if settings.start is None else int(-(-settings.start // info.time_base))
    settle = None
    if after is not None:
        after += base
        settle = max(-1, after - round(_FRAMES_TO_SETTLE / info.frame_rate / info.time_base))
    frames = _paint_ahead(opened.read(damage, settings, settle), painter, progress, after=after)
    with _closing_frames(frames, progress) as painted:
        moved = (replace(frame, time=frame.time - base) for frame in painted)
        for _ in write_segments(folder, moved, info, encoding):
            progress.count()
    end = folder.measure_end()
    if end is None:
        raise ImageError(f"{info.path}: there is no frame in the part that was asked for; give another start and end")
    path = _partial_name(target) if progress.stopped else target
    sound_start = (info.origin + base) * info.time_base
    cut_short = progress.stopped or damage.ends_at is not None or settings.end is not None
    remarks = join_film(
        folder.list_segments(),
        info,
        path,
        sound_start=sound_start,
        sound_end=sound_start + end * info.time_base if cut_short else None,
    )
    if not progress.stopped:
        folder.remove()
    return FilmResult(path, progress.frames, not progress.stopped, remarks)


def _write_animation(
    frames: Generator[Frame, None, None], opened: _Source, target: Path, progress: _Progress
) -> FilmResult:
    """To GIF and WebP, in one go: they are short, and cannot be joined from parts."""
    info = opened.info
    elapsed = [Fraction(0), Fraction(0)]  # by the film's times, and in the milliseconds given so far

    def in_milliseconds(painted: Iterator[Frame]) -> Iterator[tuple[Picture, int]]:
        for frame in painted:
            elapsed[0] += frame.duration * info.time_base
            milliseconds = _round_duration(elapsed[0] - elapsed[1], target.suffix)
            elapsed[1] += milliseconds * _MILLISECOND
            progress.count()
            yield Picture(_resize(frame.rgb, info.height, info.width), frame.alpha), milliseconds

    loop = 0 if opened.animation is None else opened.animation.loop
    with _closing_frames(frames, progress) as painted:
        first = next(painted, None)
        if first is None:
            raise ImageError(f"{info.path}: there is no frame in the part that was asked for; give another one")

        def chain() -> Iterator[Frame]:
            yield first
            yield from painted

        # Whether it was stopped is known only at the end, hence a name that is right only then.
        pictures = list(in_milliseconds(chain()))
    path = _partial_name(target) if progress.stopped else target
    write_animation(path, pictures, loop=loop)
    remarks = ["has sound, which a moving picture cannot hold"] if info.sounds else []
    return FilmResult(path, progress.frames, not progress.stopped, remarks)


def _round_duration(seconds: Fraction, suffix: str) -> int:
    """In milliseconds: GIF holds hundredths of a second, and what is rounded off is made good by the next frame."""
    unit = 10 if suffix.lower() == ".gif" else 1
    return max(2 * unit if unit == 10 else unit, round(seconds / _MILLISECOND / unit) * unit)


def _resize(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    if rgb.shape[:2] == (height, width):
        return rgb
    from PIL import Image

    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))


def _partial_name(target: Path) -> Path:
    return target.with_name(f"{target.stem}.partial{target.suffix}")


def _describe_job(stylizer: Stylizer, source: Path, settings: FilmSettings, encoding: Encoding) -> dict[str, object]:
    """What decides the pixels of a film; segments are gone on with only where all of it is the same."""
    digest = hashlib.sha256()
    for name, tensor in stylizer.network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    status = os.stat(source)
    return {
        "source": os.path.abspath(source),
        "bytes": status.st_size,
        "modified": status.st_mtime_ns,
        "network": digest.hexdigest(),
        "size": settings.size,
        "smoothing": settings.smoothing,
        "start": str(settings.start),
        "end": str(settings.end),
        "encoding": [encoding.codec, encoding.crf, encoding.effort],
    }


def stylize_one_frame(stylizer: Stylizer, source: Path, seconds: Fraction, *, size: int | None = None) -> Picture:
    """The painting of the frame that is shown at a time, for a look before a long job.

    Raises:
        ImageError: the film cannot be read, or is over by then.
    """
    opened = _open_source(source)
    info = shorten(opened.info, seconds, None)
    settings = FilmSettings(size=size, start=max(Fraction(0), seconds - 1 / info.frame_rate))
    shown = None
    with contextlib.closing(opened.read(Damage(), settings, None)) as frames:
        for frame in frames:
            if shown is not None and frame.time * info.time_base > seconds:
                break
            shown = frame
    if shown is None:
        raise OutputError(f"{source} has no frame at {float(seconds)} s; give an earlier time")
    painted = stylizer.stylize_picture(Picture(shown.rgb, shown.alpha))
    return Picture(_resize(painted.rgb, info.height, info.width), painted.alpha)
