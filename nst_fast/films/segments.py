"""Stylized frames encoded into segments, each a whole file that an interrupted job can resume after."""

import contextlib
import itertools
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.files.atomic import replace_atomically
from nst_fast.films.carried import Carried
from nst_fast.films.work_folder import WorkFolder
from nst_fast.media.film_formats import ENCODERS, Encoding
from nst_fast.media.film_info import FilmInfo
from nst_fast.media.film_reader import Frame
from nst_fast.media.yuv_image import YuvImage

# As often as x264 puts a key frame anyway, so that segments cost nothing. A power cut loses at most one of them.
_FRAMES_PER_SEGMENT = 250


def check_encoder(encoding: Encoding, info: FilmInfo) -> None:
    """Raise SettingError if the film is too small for the encoder, or this PyAV lacks the encoder."""
    import av

    least_side = ENCODERS[encoding.codec].least_side
    if min(info.width, info.height) < least_side:
        raise SettingError(
            f"{info.path} has {info.width} x {info.height} pixels, and {encoding.codec} needs {least_side} on each "
            f"side; choose the codec h264 or vp9"
        )
    if ENCODERS[encoding.codec].name not in av.codecs_available:
        there = [codec for codec, encoder in ENCODERS.items() if encoder.name in av.codecs_available]
        raise SettingError(
            f"codec {encoding.codec!r} needs {ENCODERS[encoding.codec].name}, which this PyAV lacks; "
            f"it has: {', '.join(there) or 'none'}"
        )
    if encoding.codec == "av1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it takes no other setting


def write_segments(
    folder: WorkFolder,
    frames: Iterator[tuple[Frame, Carried]],
    info: FilmInfo,
    encoding: Encoding,
    is_stopped: Callable[[], bool],
) -> Generator[int, None, None]:
    """Encode frames into segments; yields the time of each frame once it has gone to the encoder.

    When `frames` end, the last segment is finished, however short. Closing this generator drops the last segment.

    Args:
        frames: of any size, each with what it leaves for the next; they are scaled to the size of `info`.
        is_stopped: whether `frames` ended before the film did. Then the last segment is cut short, and a later run
            makes it again, so that its segments are those of a run that was never stopped.

    Raises:
        OutputError: a full disk, or an encoder that cannot encode this size.
    """
    while (first := next(frames, None)) is not None:
        rest = itertools.islice(frames, _FRAMES_PER_SEGMENT - 1)
        path, count, last = folder.next_path(), 0, first
        with (
            replace_atomically(path) as temporary,
            _explained_frame_times(info),
            contextlib.closing(_write_segment(temporary, itertools.chain([first], rest), info, encoding)) as encoded,
        ):
            for last in encoded:
                count += 1
                yield last[0].time
        frame, carried = last
        cut = is_stopped() and count < _FRAMES_PER_SEGMENT
        folder.add(path, carried, frames=count, last_time=frame.time, end=frame.time + frame.duration, cut=cut)


def _write_segment(
    path: Path, frames: Iterator[tuple[Frame, Carried]], info: FilmInfo, encoding: Encoding
) -> Generator[tuple[Frame, Carried], None, None]:
    """Encode one segment; yields each frame, with what it leaves, once it has gone to the encoder."""
    import av

    # The unit of edit lists. With the default, milliseconds, a film that begins late would be off by up to one.
    options = {"movie_timescale": str(info.time_base.denominator)}
    with av.open(str(path.absolute()), "w", format="mp4", options=options) as container:
        stream = _add_stream(container, info, encoding)
        with _explained_encoder_errors(info, encoding), _usual_priority():
            stream.codec_context.open()
        first = end = first_decoded = None
        packets: list[Any] = []  # the last one waits until it is known to be the last
        for frame, carried in frames:
            first = frame.time if first is None else first
            end = frame.time + frame.duration
            with _explained_encoder_errors(info, encoding):
                packets += stream.encode(_to_yuv(frame, info, stream.pix_fmt))
            if packets and first_decoded is None:
                first_decoded = packets[0].dts
            while len(packets) > 1:
                container.mux(packets.pop(0))
            yield frame, carried
        packets += stream.encode()
        if first is not None and end is not None:
            decoded = packets[0].dts if first_decoded is None else first_decoded
            # The container counts a film's length in the order of decoding, in which another frame may be the last.
            packets[-1].duration = end - first - (packets[-1].dts - decoded)
        container.mux(packets)


def _add_stream(container: Any, info: FilmInfo, encoding: Encoding) -> Any:
    encoder = ENCODERS[encoding.codec]
    stream = container.add_stream(encoder.name, rate=info.frame_rate)
    stream.width, stream.height = info.width, info.height
    # At half the resolution of color most encoders take even sizes only.
    halved = encoder.odd_sizes or (info.width % 2 == 0 and info.height % 2 == 0)
    stream.pix_fmt = "yuv420p" if halved else "yuv444p"
    stream.time_base = info.time_base
    context = stream.codec_context
    context.time_base = info.time_base
    context.framerate = info.frame_rate
    context.sample_aspect_ratio = info.pixel_aspect
    context.options = {"crf": str(encoding.crf), **encoder.efforts[encoding.effort]}
    context.bit_rate = 0  # otherwise it overrides the factor
    context.thread_count = 0
    context.colorspace = info.color.matrix
    context.color_primaries = info.color.primaries
    context.color_trc = info.color.transfer
    context.color_range = 1  # limited, which is what players expect
    return stream


@contextlib.contextmanager
def _explained_frame_times(info: FilmInfo) -> Iterator[None]:
    """A damaged film may claim that its frames are years apart, which no container takes."""
    from av.error import FFmpegError

    try:
        yield
    except (FFmpegError, OverflowError) as error:
        if isinstance(error, OSError):
            raise
        raise ImageError(f"{info.path} is damaged: its frame times make no sense; convert it first") from error


@contextlib.contextmanager
def _explained_encoder_errors(info: FilmInfo, encoding: Encoding) -> Iterator[None]:
    from av.error import ArgumentError, ExternalError

    try:
        yield
    except (ExternalError, ArgumentError) as error:
        raise OutputError(
            f"{encoding.codec} cannot be written at {info.width} x {info.height} pixels "
            f"({error.strerror}); choose another codec"
        ) from error


@contextlib.contextmanager
def _usual_priority() -> Iterator[None]:
    """Undo what SVT-AV1 does when root runs it: it makes its threads and the caller's real-time ones, so that nothing
    else gets a core any more, not even the network."""
    yield
    if not hasattr(os, "sched_setscheduler") or not os.path.isdir("/proc/self/task"):
        return
    for thread in map(int, os.listdir("/proc/self/task")):
        with contextlib.suppress(OSError):  # the thread may have ended
            if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _to_yuv(frame: Frame, info: FilmInfo, pixel_format: str) -> Any:
    """Convert by the matrix that the film is tagged with; by another one its colors would shift."""
    import av
    from av.video.reformatter import ColorRange, Interpolation

    if isinstance(frame.pixels, YuvImage):
        yuv = frame.pixels.frame.reformat(format=pixel_format)
    else:
        scaled = frame.pixels.shape[:2] != (info.height, info.width)
        yuv = av.VideoFrame.from_ndarray(frame.pixels, format="rgb24").reformat(
            width=info.width,
            height=info.height,
            format=pixel_format,
            dst_colorspace=info.color.matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.ACCURATE_RND | (Interpolation.BICUBIC if scaled else Interpolation.BILINEAR),
            threads=1,
        )
    yuv.pts, yuv.duration, yuv.time_base = frame.time, frame.duration, info.time_base
    return yuv
