"""Films as upright frames with exact times."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from nst_fast.media.film_info import FilmInfo
from nst_fast.media.film_opening import (
    ReadErrors,
    decode_stream,
    explain_film_errors,
    find_video_stream,
    open_film,
)
from nst_fast.media.yuv_image import YuvImage, convert_to_rgb


@dataclass(frozen=True)
class Frame:
    """One picture of a film or an animation.

    Attributes:
        pixels: upright: (height, width, 3), uint8, RGB in [0, 255]; or as the film holds them, where that is enough.
        time: when it is shown, and `duration` for how long, in units of the film's time base from its origin.
        alpha: (height, width), uint8; None: opaque.
    """

    pixels: np.ndarray | YuvImage
    time: int
    duration: int
    alpha: np.ndarray | None = None

    @property
    def rgb(self) -> np.ndarray:
        """(height, width, 3), uint8 in [0, 255], converted anew each time if `pixels` are something else."""
        return self.pixels.to_rgb() if isinstance(self.pixels, YuvImage) else self.pixels


def read_frames(
    info: FilmInfo,
    errors: ReadErrors,
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    after: int | None = None,
    size: tuple[int, int] | None = None,
) -> Generator[Frame, None, None]:
    """The frames of a film in the order they are shown, each later than the one before.

    Args:
        errors: records what could not be read; the rest is read all the same.
        start, end: seconds; frames from `start` on and before `end`. None: all.
        after: a time in units of the time base: only later frames. None: all.
        size: (height, width) to scale the frames to. None: their own.

    Raises:
        ImageError: the film cannot be read at all, or its frames do not fit into memory.
    """
    from av.error import FFmpegError

    lowest = info.origin if start is None else info.origin + -(-start // info.time_base)
    lowest = int(lowest if after is None else max(lowest, info.origin + after + 1))
    highest = None if end is None else info.origin + -(-end // info.time_base)
    with explain_film_errors(info.path), open_film(info.path) as container:
        stream = find_video_stream(container, info.path)
        usual_duration = max(1, round(1 / info.frame_rate / info.time_base))
        last = None
        for frame in _decode_from(container, stream, errors, info, lowest):
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
            try:
                pixels = _read_pixels(frame, info, errors, size)
            except (FFmpegError, ValueError):
                errors.packets += 1
                continue
            yield Frame(pixels, time - info.origin, frame.duration or usual_duration)
        if info.seconds is not None and last is not None:
            read = float((last + usual_duration - info.origin) * info.time_base)
            # Sound may last a little longer than the picture.
            if read < info.seconds - max(1.0, 0.01 * info.seconds):
                errors.ends_at = read


def list_frame_times(info: FilmInfo) -> list[int] | None:
    """The times of all frames in order, in units of the time base from the origin, as the container tells them.

    None if it does not, or gives one time twice.

    Raises:
        ImageError: the film cannot be read.
    """
    with explain_film_errors(info.path), open_film(info.path) as container:
        stream = find_video_stream(container, info.path)
        times = [packet.pts for packet in container.demux(stream) if packet.size]
    if not times or None in times or len(set(times)) < len(times):
        return None
    return sorted(time - info.origin for time in times)


def _decode_from(container: Any, stream: Any, errors: ReadErrors, info: FilmInfo, lowest: int) -> Iterator[Any]:
    """Frames from some time before `lowest` on: by seeking where the film allows it, else from the beginning."""
    from av.error import FFmpegError

    if lowest <= info.origin:
        yield from decode_stream(container, stream, errors)
        return
    try:
        container.seek(lowest, stream=stream, backward=True)
        frames = decode_stream(container, stream, ReadErrors())
        first = next(frames, None)
        if first is not None and first.pts is not None and first.pts <= lowest:
            yield first
            yield from frames
            return
    except FFmpegError:
        pass  # this film cannot be sought in
    with open_film(info.path) as again:
        yield from decode_stream(again, find_video_stream(again, info.path), errors)


def _read_pixels(frame: Any, info: FilmInfo, errors: ReadErrors, size: tuple[int, int] | None) -> np.ndarray | YuvImage:
    from av.video.reformatter import ColorRange

    height, width = size or (info.height, info.width)
    if info.rotation % 180:
        height, width = width, height
    own = (info.width, info.height) if info.rotation % 180 else (info.height, info.width)
    if (frame.height, frame.width) != own:
        errors.resized += 1
    scaled = (frame.height, frame.width) != (height, width)
    if frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG and not scaled and not info.rotation:
        return YuvImage(frame, info.color.matrix)
    matrix = info.color.matrix if not frame.format.is_rgb else None
    rgb = convert_to_rgb(frame, matrix, height, width, "BICUBIC" if scaled else "BILINEAR")
    # A frame that is shown a quarter turn counterclockwise of how it is stored has rotation 90.
    return np.ascontiguousarray(np.rot90(rgb, info.rotation // 90)) if info.rotation else rgb
