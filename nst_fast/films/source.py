"""What is stylized frame by frame: a film, or an animated GIF or WebP, both as frames with times."""

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from nst_fast.media.animations import AnimationInfo, probe_animation, read_animation
from nst_fast.media.film_formats import is_film
from nst_fast.media.film_info import Color, FilmInfo, probe_film, shorten
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import Frame, read_frames
from nst_fast.media.pictures import whiten_transparent
from nst_fast.media.resizing import resize_pixels, size_for_long_side

MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class FilmSource:
    """A part of a film or an animation, opened by whoever reads it.

    Attributes:
        info: of the part.
        animation: None for a film.
        size: long side of the frames in pixels; None: their own.
        start, end: the part, in seconds. None: from the beginning, to the end.
    """

    info: FilmInfo
    animation: AnimationInfo | None
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
        if self.animation is None:
            yield from read_frames(self.info, errors, start=self.start, end=self.end, after=after, size=size)
            return
        time = 0
        start, end = (None if edge is None else edge / MILLISECOND for edge in (self.start, self.end))
        for picture, milliseconds in read_animation(self.info.path):
            inside = (start is None or time >= start) and (end is None or time < end)
            if inside and (after is None or time > after):
                rgb = whiten_transparent(picture)
                yield Frame(rgb if size is None else resize_pixels(rgb, *size), time, milliseconds, picture.alpha)
            time += milliseconds


def open_source(
    path: Path, *, size: int | None = None, start: Fraction | None = None, end: Fraction | None = None
) -> FilmSource:
    """Read what a film or an animation says about itself.

    Args:
        size, start, end: see `FilmSource`.

    Raises:
        ImageError: it cannot be read, is no film, or is over before `start`.
        SettingError: films need the extra `film`.
    """
    animation = None if is_film(path.suffix) else probe_animation(path)
    info = probe_film(path) if animation is None else _describe_animation(path, animation)
    return FilmSource(shorten(info, start, end), animation, size, start, end)


def probe_source(path: Path) -> FilmInfo:
    """What a film, or an animated GIF or WebP, says about itself.

    Raises:
        ImageError, SettingError: see `open_source`.
    """
    return open_source(path).info


def _describe_animation(path: Path, animation: AnimationInfo) -> FilmInfo:
    return FilmInfo(
        path=path,
        height=animation.height,
        width=animation.width,
        rotation=0,
        pixel_aspect=Fraction(1),
        frame_rate=Fraction(1000 * animation.frame_count, max(1, animation.milliseconds)).limit_denominator(1001),
        time_base=MILLISECOND,
        origin=0,
        seconds=animation.milliseconds / 1000,
        frame_count=animation.frame_count,
        color=Color(1, 1, 1),
        sounds=(),
        remarks=(),
    )
