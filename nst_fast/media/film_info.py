"""What a film says about itself: size, rate, length, color, sound."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from nst_fast.errors import ImageError
from nst_fast.media.film_opening import (
    ReadErrors,
    decode_stream,
    explain_film_errors,
    find_video_stream,
    format_seconds,
    open_film,
)

_UNSPECIFIED = 2  # in each of FFmpeg's enumerations of color
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# Streams such as broadcasts count their time from anywhere; a start below this is meant as it is.
_FAR_START_SECONDS = 1


@dataclass(frozen=True)
class Color:
    """What the numbers of a film mean: matrix, primaries and transfer by the numbers of ITU-T H.273."""

    matrix: int
    primaries: int
    transfer: int


@dataclass(frozen=True)
class FilmInfo:
    """What a film says about itself.

    Attributes:
        height, width: of the upright frames, in pixels.
        rotation: degrees counterclockwise by which its frames are turned to stand upright.
        pixel_aspect: width of a pixel divided by its height, upright.
        frame_rate: average frames a second, exact, such as 30000/1001.
        time_base: the unit of all times, in seconds.
        origin: the time, in units of `time_base`, that counts as the beginning.
        seconds: length of the film; None if it does not say.
        frame_count: None if only reading all of it would tell.
        color: the matrix is never unspecified: for films that do not say, it is what players assume.
        sounds: codecs of its sound tracks, by FFmpeg's names.
        remarks: what the user should know, in whole phrases.
    """

    path: Path
    height: int
    width: int
    rotation: int
    pixel_aspect: Fraction
    frame_rate: Fraction
    time_base: Fraction
    origin: int
    seconds: float | None
    frame_count: int | None
    color: Color
    sounds: tuple[str, ...]
    remarks: tuple[str, ...]


def probe_film(path: Path) -> FilmInfo:
    """Read what a film says about itself, and its first frame.

    Raises:
        ImageError: missing, empty, no film, no moving picture, no decoder, no frame that can be decoded.
        SettingError: PyAV is not installed.
    """
    with explain_film_errors(path), open_film(path) as container:
        stream = find_video_stream(container, path)
        first = next(decode_stream(container, stream, ReadErrors()), None)
        if first is None:
            raise ImageError(f"{path} holds no frame that can be decoded; copy or download it again")
        return _describe(path, container, stream, first)


def _describe(path: Path, container: Any, stream: Any, first: Any) -> FilmInfo:
    rotation = round(first.rotation / 90) * 90 % 360
    height, width = (first.width, first.height) if rotation % 180 else (first.height, first.width)
    time_base = Fraction(stream.time_base)
    seconds = container.duration / 1e6 if container.duration else None
    if stream.duration:
        seconds = float(stream.duration * time_base)
    rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
    start = Fraction(container.start_time or 0, 1_000_000)
    color, remarks = _describe_color(first)
    if first.interlaced_frame:
        remarks.append("is interlaced; its lines are stylized as they are")
    if any(sound.codec_context is None for sound in container.streams.audio):
        remarks.append("has a sound track of an unknown kind, which is left out")
    if container.streams.subtitles:
        remarks.append("has subtitles, which are left out")
    return FilmInfo(
        path=path,
        height=height,
        width=width,
        rotation=rotation,
        pixel_aspect=1 / aspect if rotation % 180 else aspect,
        frame_rate=rate,
        time_base=time_base,
        origin=round(start / time_base) if start > _FAR_START_SECONDS else 0,
        seconds=seconds,
        frame_count=stream.frames or (round(seconds * rate) if seconds else None),
        color=color,
        sounds=tuple(sound.codec_context.name for sound in container.streams.audio if sound.codec_context),
        remarks=tuple(remarks),
    )


def _describe_color(first: Any) -> tuple[Color, list[str]]:
    matrix = int(first.colorspace)
    if first.format.is_rgb or matrix == 0:
        color = Color(1, 1, 1)
    elif matrix == _UNSPECIFIED:
        # What players assume where nothing is said: BT.709 from 720 lines on, BT.601 below.
        high_definition = first.height >= 720 or first.width >= 1280
        color = Color(1 if high_definition else 6, int(first.color_primaries), int(first.color_trc))
    else:
        # FFmpeg's scaler lacks 10, BT.2020 with constant luminance; 9 is its usual form.
        color = Color(9 if matrix == 10 else matrix, int(first.color_primaries), int(first.color_trc))
    transfer = _HDR_TRANSFERS.get(color.transfer)
    if transfer is None:
        return color, []
    remark = (
        f"is HDR ({transfer}), which the networks do not know: it is stylized with its numbers as they are, in 8 bits"
    )
    return color, [f"{remark}; convert it to SDR first for colors as on screen"]


def shorten(info: FilmInfo, start: Fraction | None, end: Fraction | None) -> FilmInfo:
    """The same film with the length of the part from `start` to `end`, in seconds.

    Raises:
        ImageError: the part begins after the end of the film.
    """
    if info.seconds is None or (start is None and end is None):
        return info
    first = float(start or 0)
    if first >= info.seconds:
        raise ImageError(
            f"{info.path} is {format_seconds(info.seconds)} long, so nothing of it is left from "
            f"{format_seconds(first)} on; give an earlier start"
        )
    seconds = min(info.seconds, float(end) if end is not None else info.seconds) - first
    return replace(info, seconds=seconds, frame_count=max(1, round(seconds * info.frame_rate)))
