"""Painted frames on disk, encoded in segments that are each whole: what a film that is cut off goes on from."""

import contextlib
import itertools
import json
import os
import shutil
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from nst_fast.atomic_files import replace_atomically
from nst_fast.errors import OutputError, SettingError
from nst_fast.inference.film_formats import ENCODERS, Encoding
from nst_fast.inference.film_reader import FilmInfo, Frame

# As often as x264 puts a key frame anyway, so that the segments cost nothing; this is what a power cut loses at most.
_FRAMES_PER_SEGMENT = 250


class SegmentFolder:
    """The hidden folder beside a film in the making.

    Args:
        target: the film that it will be.
        job: what decides the pixels, as JSON holds it; segments of another job are thrown away.
        time_base: the unit of the film's times, in seconds.
    """

    def __init__(self, target: Path, job: dict[str, Any], time_base: Fraction) -> None:
        self.path = target.with_name(f".{target.name[:80]}.painting")
        self._job = json.dumps(job, sort_keys=True)
        self._time_base = time_base

    def prepare(self) -> int | None:
        """Make the folder; the time of the last frame that is there of the same job, or None.

        Raises:
            OutputError: the folder cannot be made.
        """
        note = self.path / "job.json"
        with contextlib.suppress(OSError, ValueError):
            if note.read_text(encoding="utf-8") == self._job:
                return self._last_time()
        self.remove()
        with replace_atomically(note) as temporary:
            temporary.write_text(self._job, encoding="utf-8")
        return None

    def list_segments(self) -> list[Path]:
        """The whole segments, in order."""
        return sorted(path for path in self.path.glob("*.mp4") if path.stem.isdecimal())

    def next_segment(self) -> Path:
        """The name of the segment after the last one."""
        segments = self.list_segments()
        return self.path / f"{int(segments[-1].stem) + 1 if segments else 0:06}.mp4"

    def remove(self) -> None:
        """Remove the folder with all that is in it, if it is there."""
        shutil.rmtree(self.path, ignore_errors=True)

    def count_frames(self) -> int:
        """Frames in all whole segments."""
        return sum(len(self._list_times(segment)) for segment in self.list_segments())

    def measure_end(self) -> int | None:
        """When the last painted frame ends, in units of the film's time base; None: there is none."""
        segments = self.list_segments()
        if not segments:
            return None
        packets = self._list_times(segments[-1])
        # The container counts durations in the order of decoding; `_write_segment` sees to it that their sum is right.
        (_, first_decoded, _), (_, last_decoded, duration) = packets[0], packets[-1]
        return min(time for time, _, _ in packets) + last_decoded - first_decoded + duration

    def _last_time(self) -> int | None:
        segments = self.list_segments()
        return max(time for time, _, _ in self._list_times(segments[-1])) if segments else None

    def _list_times(self, segment: Path) -> list[tuple[int, int, int]]:
        """When each frame is shown, decoded, and for how long, in the order of decoding and the film's time base."""
        import av

        with av.open(str(segment)) as container:
            stream = container.streams.video[0]
            # The container may divide the unit further.
            scale = Fraction(stream.time_base or self._time_base) / self._time_base
            return [
                (int(packet.pts * scale), int(packet.dts * scale), int((packet.duration or 0) * scale))
                for packet in container.demux(stream)
                if packet.pts is not None and packet.dts is not None
            ]


def check_encoder(encoding: Encoding, info: FilmInfo) -> None:
    """Raises SettingError where the film is too small for the encoder, or this PyAV lacks it."""
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
            f"codec {encoding.codec!r} needs {ENCODERS[encoding.codec].name}, which this PyAV has not; "
            f"there are: {', '.join(there) or 'none'}"
        )
    if encoding.codec == "av1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it has no other way to be told


def write_segments(
    folder: SegmentFolder, frames: Iterator[Frame], info: FilmInfo, encoding: Encoding
) -> Generator[int, None, None]:
    """Encode frames into segments; yields the time of each frame once it is handed to the encoder.

    When `frames` end, the last segment is finished, however short. Closing this generator drops the last segment.

    Args:
        frames: at any size; they are scaled to that of `info`.

    Raises:
        OutputError: a full disk, or an encoder that cannot do this size.
    """
    while (first := next(frames, None)) is not None:
        rest = itertools.islice(frames, _FRAMES_PER_SEGMENT - 1)
        path = folder.next_segment()
        with replace_atomically(path) as temporary:
            yield from _write_segment(temporary, itertools.chain([first], rest), info, encoding)


def _write_segment(
    path: Path, frames: Iterator[Frame], info: FilmInfo, encoding: Encoding
) -> Generator[int, None, None]:
    import av

    # The unit of edit lists; with its default, milliseconds, a film that begins late would be off by up to one.
    options = {"movie_timescale": str(info.time_base.denominator)}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = _add_stream(container, info, encoding)
        with _explained_encoder_errors(info, encoding), _usual_priority():
            stream.codec_context.open()
        first = end = first_decoded = None
        packets: list[Any] = []  # the last one waits until it is known to be the last
        for frame in frames:
            first = frame.time if first is None else first
            end = frame.time + frame.duration
            with _explained_encoder_errors(info, encoding):
                packets += stream.encode(_to_yuv(frame, info, stream.pix_fmt))
            if packets and first_decoded is None:
                first_decoded = packets[0].dts
            while len(packets) > 1:
                container.mux(packets.pop(0))
            yield frame.time
        packets += stream.encode()
        if first is not None and end is not None:
            decoded = packets[0].dts if first_decoded is None else first_decoded
            # A film's length is counted in the order of decoding, in which another frame than the last is the last.
            packets[-1].duration = end - first - (packets[-1].dts - decoded)
        container.mux(packets)


def _add_stream(container: Any, info: FilmInfo, encoding: Encoding) -> Any:
    encoder = ENCODERS[encoding.codec]
    stream = container.add_stream(encoder.name, rate=info.frame_rate)
    stream.width, stream.height = info.width, info.height
    # At half the resolution of colour most encoders take even sizes only.
    halved = encoder.odd_sizes or (info.width % 2 == 0 and info.height % 2 == 0)
    stream.pix_fmt = "yuv420p" if halved else "yuv444p"
    stream.time_base = info.time_base
    context = stream.codec_context
    context.time_base = info.time_base
    context.framerate = info.frame_rate
    context.sample_aspect_ratio = info.pixel_aspect
    context.options = {"crf": str(encoding.crf), **encoder.efforts[encoding.effort]}
    context.bit_rate = 0  # else the factor is not what decides
    context.thread_count = 0
    context.colorspace = info.colour.matrix
    context.color_primaries = info.colour.primaries
    context.color_trc = info.colour.transfer
    context.color_range = 1  # limited, which is what players expect
    return stream


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
    """SVT-AV1, where root runs it, makes every thread of its own and the caller's a real-time one: nothing else gets
    a core any more, not even what paints the next frame. This makes them usual ones again."""
    yield
    if not hasattr(os, "sched_setscheduler") or not os.path.isdir("/proc/self/task"):
        return
    for thread in map(int, os.listdir("/proc/self/task")):
        with contextlib.suppress(OSError):  # it may have ended
            if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _to_yuv(frame: Frame, info: FilmInfo, pixel_format: str) -> Any:
    """Convert by the matrix that the film is tagged with; with another one its colours would shift."""
    import av
    from av.video.reformatter import ColorRange, Interpolation

    rgb = av.VideoFrame.from_ndarray(frame.rgb, format="rgb24")
    scaled = frame.rgb.shape[:2] != (info.height, info.width)
    yuv = rgb.reformat(
        width=info.width,
        height=info.height,
        format=pixel_format,
        dst_colorspace=info.colour.matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.ACCURATE_RND | (Interpolation.BICUBIC if scaled else Interpolation.BILINEAR),
        threads=1,
    )
    yuv.pts, yuv.duration, yuv.time_base = frame.time, frame.duration, info.time_base
    return yuv
