"""What is stylized frame by frame, as frames with times: a film, an animated GIF or WebP, or numbered pictures."""

import contextlib
import hashlib
import os
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from nst_fast.errors import ImageError, SettingError
from nst_fast.media.animations import AnimationInfo, probe_animation, read_animation
from nst_fast.media.film_formats import is_film
from nst_fast.media.film_info import Color, FilmInfo, probe_film, shorten
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import Frame, list_frame_times, read_frames
from nst_fast.media.pictures import Picture, read_picture, whiten_transparent
from nst_fast.media.resizing import resize_pixels, size_for_long_side
from nst_fast.media.sequences import find_numbers, is_sequence, name_in_sequence

MILLISECOND = Fraction(1, 1000)
# Of numbered pictures, which say nothing about time; as FFmpeg takes it.
_USUAL_FRAME_RATE = Fraction(25)


@dataclass(frozen=True)
class FilmSource:
    """A part of a film, an animation or a numbered sequence, opened by whoever reads it.

    Attributes:
        info: of the part.
        animation: None if it is no animation.
        numbers: of the pictures of a sequence, in order; empty if it is none.
        size: long side of the frames in pixels; None: their own.
        start, end: the part, in seconds. None: from the beginning, to the end.
    """

    info: FilmInfo
    animation: AnimationInfo | None = None
    numbers: tuple[int, ...] = ()
    size: int | None = None
    start: Fraction | None = None
    end: Fraction | None = None

    def read(self, errors: ReadErrors, *, after: int | None = None) -> Generator[Frame, None, None]:
        """The frames of the part, in order. Pixels that are fully transparent are white.

        Args:
            errors: records what could not be read.
            after: only frames later than this time, in units of the time base. None: all.
        """
        size = None if self.size is None else size_for_long_side(self.info.height, self.info.width, self.size)
        if self.animation is not None:
            yield from self._read_animation(size, after)
        elif self.numbers:
            yield from self._read_sequence(errors, size, after)
        else:
            yield from read_frames(self.info, errors, start=self.start, end=self.end, after=after, size=size)

    def list_times(self) -> list[int] | None:
        """The times of the frames in order, without reading their pixels; None if only reading them would tell."""
        if self.animation is not None:
            return None
        times = [number - self.numbers[0] for number in self.numbers] or list_frame_times(self.info)
        return times and [time for time in times if self._is_wanted(time, None)]

    def _read_animation(self, size: tuple[int, int] | None, after: int | None) -> Generator[Frame, None, None]:
        time = 0
        for picture, milliseconds in read_animation(self.info.path):
            if self._is_wanted(time, after):
                yield _to_frame(picture, time, milliseconds, size)
            time += milliseconds

    def _read_sequence(
        self, errors: ReadErrors, size: tuple[int, int] | None, after: int | None
    ) -> Generator[Frame, None, None]:
        own = self.info.height, self.info.width
        for number in self.numbers:
            time = number - self.numbers[0]
            if not self._is_wanted(time, after):
                continue
            try:
                picture = read_picture(name_in_sequence(self.info.path, number))
            except ImageError:
                errors.packets += 1
                continue
            if picture.rgb.shape[:2] != own:
                errors.resized += 1
                alpha = None if picture.alpha is None else resize_pixels(picture.alpha, *own)
                picture = Picture(resize_pixels(picture.rgb, *own), alpha)
            yield _to_frame(picture, time, 1, size)

    def _is_wanted(self, time: int, after: int | None) -> bool:
        seconds = time * self.info.time_base
        inside = (self.start is None or seconds >= self.start) and (self.end is None or seconds < self.end)
        return inside and (after is None or time > after)

    def identify(self) -> dict[str, Any]:
        """What tells this source from another one, or from itself after a change, without reading its pixels."""
        path = self.info.path
        if not self.numbers:
            status = os.stat(path)
            return {"source": os.path.abspath(path), "bytes": status.st_size, "modified": status.st_mtime_ns}
        facts: list[tuple[int, ...]] = []
        for number in self.numbers:
            with contextlib.suppress(OSError):  # removed in the meantime, as reading it will show
                status = os.stat(name_in_sequence(path, number))
                facts.append((number, status.st_size, status.st_mtime_ns))
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()
        return {"source": os.path.abspath(path), "pictures": digest, "rate": str(self.info.frame_rate)}


def _to_frame(picture: Picture, time: int, duration: int, size: tuple[int, int] | None) -> Frame:
    rgb = whiten_transparent(picture)
    return Frame(rgb if size is None else resize_pixels(rgb, *size), time, duration, picture.alpha)


def open_source(
    path: Path,
    *,
    size: int | None = None,
    start: Fraction | None = None,
    end: Fraction | None = None,
    frame_rate: Fraction | None = None,
) -> FilmSource:
    """Read what a film, an animation or a numbered sequence such as frames/%05d.png says about itself.

    Args:
        size, start, end: see `FilmSource`.
        frame_rate: of a numbered sequence, in frames a second. None: 25.

    Raises:
        ImageError: it cannot be read, is no film, or is over before `start`.
        SettingError: films need the extra `film`; or a frame rate is given for what has its own.
    """
    sequence = is_sequence(path) and not os.path.lexists(path)
    if frame_rate is not None and not sequence:
        raise SettingError(f"{path} has frame times of its own; leave out the frame rate")
    animation, numbers = None, ()
    if sequence:
        numbers = tuple(find_numbers(path))
        info = _describe_sequence(path, numbers, frame_rate or _USUAL_FRAME_RATE)
    elif is_film(path.suffix):
        info = probe_film(path)
    else:
        animation = probe_animation(path)
        info = _describe_animation(path, animation)
    return FilmSource(shorten(info, start, end), animation, numbers, size, start, end)


def probe_source(path: Path) -> FilmInfo:
    """What a film, an animated GIF or WebP, or a numbered sequence says about itself.

    Raises:
        ImageError, SettingError: see `open_source`.
    """
    return open_source(path).info


def _describe_animation(path: Path, animation: AnimationInfo) -> FilmInfo:
    rate = Fraction(1000 * animation.frame_count, max(1, animation.milliseconds)).limit_denominator(1001)
    seconds = animation.milliseconds / 1000
    return _describe_pictures(
        path, animation.height, animation.width, rate, MILLISECOND, seconds, animation.frame_count
    )


def _describe_sequence(path: Path, numbers: tuple[int, ...], frame_rate: Fraction) -> FilmInfo:
    height, width = read_picture(name_in_sequence(path, numbers[0])).rgb.shape[:2]
    seconds = float((numbers[-1] - numbers[0] + 1) / frame_rate)
    return _describe_pictures(path, height, width, frame_rate, 1 / frame_rate, seconds, len(numbers))


def _describe_pictures(
    path: Path, height: int, width: int, frame_rate: Fraction, time_base: Fraction, seconds: float, count: int
) -> FilmInfo:
    return FilmInfo(
        path=path,
        height=height,
        width=width,
        rotation=0,
        pixel_aspect=Fraction(1),
        frame_rate=frame_rate,
        time_base=time_base,
        origin=0,
        seconds=seconds,
        frame_count=count,
        color=Color(1, 1, 1),
        sounds=(),
        remarks=(),
    )
