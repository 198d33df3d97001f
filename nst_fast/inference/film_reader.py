"""Films as upright RGB frames with exact times."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nst_fast.errors import ImageError
from nst_fast.inference.film_formats import require_film_extra

if TYPE_CHECKING:
    from av.container import InputContainer

_UNSPECIFIED = 2  # in each of FFmpeg's enumerations of colour
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# Streams such as those of broadcasts count their time from anywhere; below this a start is meant as it is.
_FAR_START_SECONDS = 1


@dataclass(frozen=True)
class Colour:
    """What the numbers of a film mean: matrix, primaries and transfer by the numbers of ITU-T H.273."""

    matrix: int
    primaries: int
    transfer: int


@dataclass(frozen=True)
class FilmInfo:
    """What a film says of itself.

    Attributes:
        height, width: of the upright frames, in pixels.
        rotation: degrees counterclockwise by which its frames are turned to stand upright.
        pixel_aspect: width of a pixel by its height, upright.
        frame_rate: average frames a second, exact, such as 30000/1001.
        time_base: the unit of all times, in seconds.
        origin: the time, in units of `time_base`, that counts as the beginning.
        seconds: length of the film; None if it does not say.
        frame_count: None if it cannot be told without reading all of it.
        colour: the matrix is never unspecified: for films that do not say, it is what players take.
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
    colour: Colour
    sounds: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """One picture of a film or an animation.

    Attributes:
        rgb: (height, width, 3), uint8 in [0, 255], upright.
        time: when it is shown, and `duration` for how long, in units of the film's time base from its origin.
        alpha: (height, width), uint8; None: opaque.
    """

    rgb: np.ndarray
    time: int
    duration: int
    alpha: np.ndarray | None = None


class Damage:
    """What could not be read of a film; filled while it is read.

    Attributes:
        packets: pieces that could not be decoded.
        resized: frames of another size than the first, which were scaled to it.
        ends_at: seconds at which reading broke off, or None.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.resized = 0
        self.ends_at: float | None = None

    def describe(self) -> list[str]:
        """Each in one phrase, for the user."""
        phrases = []
        if self.packets:
            phrases.append(f"is damaged: {self.packets} pieces could not be decoded and are left out")
        if self.ends_at is not None:
            phrases.append(f"could be read up to {format_seconds(self.ends_at)} only; the rest is damaged or missing")
        if self.resized:
            phrases.append(f"changes its size: {self.resized} frames were scaled to that of the first")
        return phrases


def format_seconds(seconds: float) -> str:
    """Such as 0:07.5, 12:34 or 1:02:03."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{text}:{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")


def probe_film(path: Path) -> FilmInfo:
    """Read what a film says of itself, and its first frame.

    Raises:
        ImageError: missing, empty, no film, no moving picture, no decoder, no frame that can be decoded.
        SettingError: PyAV is not installed.
    """
    with _open(path) as container:
        stream = _find_stream(container, path)
        first = next(_decode(container, stream, Damage()), None)
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
    colour, remarks = _describe_colour(first)
    if first.interlaced_frame:
        remarks.append("is interlaced; its lines are painted as they are")
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
        colour=colour,
        sounds=tuple(sound.codec_context.name for sound in container.streams.audio if sound.codec_context),
        remarks=tuple(remarks),
    )


def _describe_colour(first: Any) -> tuple[Colour, list[str]]:
    matrix = int(first.colorspace)
    if first.format.is_rgb or matrix == 0:
        colour = Colour(1, 1, 1)
    elif matrix == _UNSPECIFIED:
        # What players take where nothing is said: BT.709 from 720 lines on, BT.601 below.
        high_definition = first.height >= 720 or first.width >= 1280
        colour = Colour(1 if high_definition else 6, int(first.color_primaries), int(first.color_trc))
    else:
        # 10, BT.2020 with constant luminance, is not to be had from FFmpeg's scaler; 9 is its usual form.
        colour = Colour(9 if matrix == 10 else matrix, int(first.color_primaries), int(first.color_trc))
    transfer = _HDR_TRANSFERS.get(colour.transfer)
    if transfer is None:
        return colour, []
    remark = (
        f"is HDR ({transfer}), which the networks do not know: it is painted with its numbers as they are, in 8 bits"
    )
    return colour, [f"{remark}; convert it to SDR first for colours as on screen"]


def read_frames(
    info: FilmInfo,
    damage: Damage,
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    after: int | None = None,
    size: tuple[int, int] | None = None,
) -> Generator[Frame, None, None]:
    """The frames of a film in the order they are shown, each later than the one before.

    Args:
        damage: takes what could not be read; the rest is read all the same.
        start, end: seconds; frames from `start` on and before `end`. None: all.
        after: a time in units of the time base: only the frames that come later. None: all.
        size: (height, width) to scale the frames to. None: their own.
    """
    lowest = info.origin if start is None else info.origin + -(-start // info.time_base)
    lowest = int(lowest if after is None else max(lowest, info.origin + after + 1))
    highest = None if end is None else info.origin + -(-end // info.time_base)
    with _open(info.path) as container:
        stream = _find_stream(container, info.path)
        usual_duration = max(1, round(1 / info.frame_rate / info.time_base))
        last = None
        for frame in _decode_from(container, stream, damage, info, lowest):
            time = frame.pts if frame.pts is not None else frame.dts
            if time is None:
                time = info.origin if last is None else last + usual_duration
            if last is not None and time <= last:
                time = last + 1
            last = time
            if time < lowest and (start is not None or after is not None):
                continue
            if highest is not None and time >= highest:
                return
            yield Frame(_to_rgb(frame, info, damage, size), time - info.origin, frame.duration or usual_duration)
        if info.seconds is not None and last is not None:
            read = float((last + usual_duration - info.origin) * info.time_base)
            # Sound may go on a little longer than the picture.
            if read < info.seconds - max(1.0, 0.01 * info.seconds):
                damage.ends_at = read


def _decode_from(container: Any, stream: Any, damage: Damage, info: FilmInfo, lowest: int) -> Iterator[Any]:
    """Frames from before `lowest` on: by a jump where the film allows it, else from the beginning."""
    from av.error import FFmpegError

    if lowest <= info.origin:
        yield from _decode(container, stream, damage)
        return
    try:
        container.seek(lowest, stream=stream, backward=True)
        frames = _decode(container, stream, Damage())
        first = next(frames, None)
        if first is not None and first.pts is not None and first.pts <= lowest:
            yield first
            yield from frames
            return
    except FFmpegError:
        pass  # a film that cannot be jumped in
    with _open(info.path) as again:
        yield from _decode(again, _find_stream(again, info.path), damage)


def _decode(container: Any, stream: Any, damage: Damage) -> Generator[Any, None, None]:
    """All frames that can be decoded; a piece that cannot is left out."""
    from av.error import EOFError as EndOfFile
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError:
            damage.packets += 1
            packet = None  # nothing more can be had: only what the decoder still holds
        try:
            yield from stream.decode(packet)
        except EndOfFile:
            return
        except FFmpegError:
            damage.packets += 1
        if packet is None:
            return


def _to_rgb(frame: Any, info: FilmInfo, damage: Damage, size: tuple[int, int] | None) -> np.ndarray:
    from av.video.reformatter import ColorRange, Interpolation

    height, width = size or (info.height, info.width)
    if info.rotation % 180:
        height, width = width, height
    own = (info.width, info.height) if info.rotation % 180 else (info.height, info.width)
    if (frame.height, frame.width) != own:
        damage.resized += 1
    scaled = (frame.height, frame.width) != (height, width)
    # Without these two each level comes out one lower, and colour in steps of two pixels.
    accurately = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    rgb = frame.reformat(
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=info.colour.matrix if not frame.format.is_rgb else None,
        dst_color_range=ColorRange.JPEG,
        interpolation=accurately | (Interpolation.BICUBIC if scaled else Interpolation.BILINEAR),
        threads=1,
    ).to_ndarray()
    # A frame that is shown a quarter turn counterclockwise of how it is stored has rotation 90.
    return np.ascontiguousarray(np.rot90(rgb, info.rotation // 90)) if info.rotation else rgb


def open_container(path: Path) -> "InputContainer":
    """Open a film with PyAV, also where its title is not UTF-8; raises what PyAV raises."""
    import av

    # Up to 18 such a title is an error unless asked otherwise; from 19 on it cannot be asked.
    tolerant: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    return av.open(str(path.absolute()), **tolerant)


def _open(path: Path) -> "InputContainer":
    require_film_extra()
    from av.error import FFmpegError

    if path.is_dir():
        raise ImageError(f"{path} is a folder; give the path of a film in it")
    try:
        if path.exists() and path.stat().st_size == 0:
            raise ImageError(f"{path} is empty (0 bytes); copy or download it again")
        container = open_container(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{path} does not exist; check the path") from error
    except PermissionError as error:
        raise ImageError(f"no permission to read {path}; change its permissions") from error
    except FFmpegError as error:
        raise ImageError(
            f"{path} is not a film that can be read, or its index is missing ({error.strerror}); "
            f"copy or download it again, or convert it to mp4"
        ) from error
    return container


def _find_stream(container: Any, path: Path) -> Any:
    """The moving picture; the cover of an album is none."""
    import av
    from av.stream import Disposition

    cover = Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        what = "only sound" if container.streams.audio else "neither film nor sound"
        raise ImageError(f"{path} has no moving picture in it, {what}; give a film")
    stream = max(streams, key=lambda one: 0 if one.codec_context is None else one.width * one.height)
    if stream.codec_context is None:
        raise ImageError(f"{path} is in a codec that PyAV {av.__version__} has no decoder for; convert it to H.264")
    stream.thread_type = "AUTO"
    return stream


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
