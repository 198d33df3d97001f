"""The finished film: stylized segments and the sound of the source, joined without encoding any frame again."""

import contextlib
import heapq
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from nst_fast.errors import OutputError
from nst_fast.files.atomic import replace_atomically
from nst_fast.media.film_formats import holds_sound, is_film, sound_encoder
from nst_fast.media.film_info import FilmInfo
from nst_fast.media.film_opening import open_container

_CONTAINER_METADATA = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")
_LAYOUTS_OF_AAC = ("4.0", "5.0", "5.1", "7.1")
_SOUND_BITS_PER_CHANNEL = 96_000


def join_film(
    segments: list[Path], info: FilmInfo, target: Path, *, sound_start: Fraction, sound_end: Fraction | None
) -> list[str]:
    """Write the film; returns what the user should know about its sound, in whole phrases.

    All sound tracks are kept. Sound that the container holds is copied packet by packet, other sound is encoded again.

    Args:
        target: replaced atomically.
        sound_start, sound_end: the part of the source's sound, in seconds of the source's own clock; what sounds at
            `sound_start` is heard at time 0 of the segments. None: to its end.

    Raises:
        OutputError: a full disk, no permission, or something that the container cannot hold.
    """
    from av.error import FFmpegError

    remarks: list[str] = []
    with replace_atomically(target) as temporary:
        try:
            _join(segments, info, temporary, (sound_start, sound_end) if info.sounds else None, remarks)
        except FFmpegError as error:
            if isinstance(error, OSError):
                raise
            if not info.sounds:
                raise OutputError(
                    f"cannot write {target}: {error.strerror}; choose another container, such as .mkv"
                ) from error
            remarks = ["has a damaged sound track, which is left out"]
            _join(segments, info, temporary, None, remarks)
    return remarks


def _join(
    segments: list[Path],
    info: FilmInfo,
    path: Path,
    sound: tuple[Fraction, Fraction | None] | None,
    remarks: list[str],
) -> None:
    """Write all segments to `path`, with the sound from one time to another; None: without sound."""
    import av

    suffix = path.suffix.lower()
    options: dict[str, str] = {}
    if suffix in (".mp4", ".m4v", ".mov"):
        # The index in front, so that a browser can begin before it has all; times exact, see segments.py.
        options = {"movflags": "+faststart", "movie_timescale": str(info.time_base.denominator)}
    # The absolute path, since FFmpeg takes what stands before a colon in a relative one for a protocol.
    with av.open(str(path.absolute()), "w", options=options) as output, contextlib.ExitStack() as stack:
        with av.open(str(segments[0].absolute())) as first:
            video = output.add_stream_from_template(first.streams.video[0], opaque=True)  # no encoder
            video.time_base = info.time_base
        packets = [_read_segments(segments, video)]
        if is_film(info.path.suffix):  # and not an animation, which has neither title nor sound
            source = stack.enter_context(open_container(info.path))
            metadata = {key: value for key, value in source.metadata.items() if key not in _CONTAINER_METADATA}
            output.metadata.update(metadata)
            if sound is not None:
                packets.append(_read_sound(source, output, suffix, *sound, remarks))
        for _, _, packet in heapq.merge(*packets):
            output.mux(packet)


def _read_segments(segments: list[Path], stream: Any) -> Iterator[tuple[float, int, Any]]:
    """The stylized packets, as (seconds, number, packet)."""
    import av

    last: int | None = None
    number = 0
    for segment in segments:
        with av.open(str(segment.absolute())) as container:
            for packet in container.demux(video=0):
                if packet.pts is None or packet.dts is None:
                    continue
                # An encoder that starts again may go back a little in the order of decoding, never in that of showing.
                moved = 0 if last is None else max(0, last + 1 - packet.dts)
                packet.dts += moved
                last = packet.dts
                packet.duration = max(0, (packet.duration or 0) - moved)
                packet.stream = stream
                number += 2
                yield float(packet.dts * packet.time_base), number, packet


def _read_sound(
    source: Any, output: Any, suffix: str, start: Fraction, end: Fraction | None, remarks: list[str]
) -> Iterator[tuple[float, int, Any]]:
    """The sound packets from `start` to `end`, as (seconds, number, packet)."""
    import av
    from av.error import FFmpegError

    tracks: dict[int, _Copied | _Transcoded] = {}
    for stream in source.streams.audio:
        if stream.codec_context is None:
            continue
        name = stream.codec_context.codec.canonical_name
        try:
            if holds_sound(suffix, name):
                tracks[stream.index] = _Copied(stream, output, start)
                continue
            encoder = sound_encoder(suffix)
            tracks[stream.index] = _Transcoded(stream, output, encoder, start)
        except (FFmpegError, ValueError, TypeError):  # damaged: without a rate, a layout, ...
            remarks.append(f"has a damaged sound track in {name}, which is left out")
        else:
            remarks.append(f"has sound in {name}, which {suffix} does not hold; it was encoded again by {encoder}")
    if start > 1:
        source.seek(int(start * av.time_base), backward=True)
    return _merge_tracks(source, tracks, start, end)


def _merge_tracks(
    source: Any, tracks: dict[int, "_Copied | _Transcoded"], start: Fraction, end: Fraction | None
) -> Generator[tuple[float, int, Any], None, None]:
    from av.error import FFmpegError

    number = 1
    packets = source.demux([source.streams[index] for index in tracks])
    seconds = 0.0
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):  # the sound of a broken film ends where it breaks
            break
        if packet.pts is None or packet.pts < 0 <= start - 1:
            continue
        time = packet.pts * Fraction(packet.time_base)
        # The first packets may lie before the beginning, to prime the decoder.
        if (start > 0 and time < start) or (end is not None and time >= end):
            continue
        for ready in tracks[packet.stream_index].take(packet):
            seconds = max(seconds, float(time - start))
            number += 2
            yield seconds, number, ready
    for track in tracks.values():
        for ready in track.finish():
            number += 2
            yield seconds, number, ready


class _Copied:
    """A sound track whose packets are copied as they are."""

    def __init__(self, stream: Any, output: Any, start: Fraction) -> None:
        self._output = output.add_stream_from_template(stream)
        self._output.metadata.update({key: stream.metadata[key] for key in ("language",) if key in stream.metadata})
        self._shift = round(start / stream.time_base)
        self._last: int | None = None

    def take(self, packet: Any) -> list[Any]:
        packet.pts -= self._shift
        if packet.dts is not None:
            packet.dts -= self._shift
            if self._last is not None and packet.dts <= self._last:  # damaged, and no container takes it
                return []
            self._last = packet.dts
        packet.stream = self._output
        return [packet]

    def finish(self) -> list[Any]:
        return []


class _Transcoded:
    """A sound track that is decoded and encoded again."""

    def __init__(self, stream: Any, output: Any, encoder: str, start: Fraction) -> None:
        import av

        self._stream = stream
        layout = "mono" if stream.layout.nb_channels == 1 else "stereo"
        if encoder == "aac" and stream.layout.name in _LAYOUTS_OF_AAC:
            layout = stream.layout.name
        rate = 48_000 if encoder == "libopus" else min(stream.rate, 48_000)
        self._output = output.add_stream(encoder, rate=rate, layout=layout)
        context = self._output.codec_context
        context.bit_rate = _SOUND_BITS_PER_CHANNEL * context.layout.nb_channels
        self._output.metadata.update({key: stream.metadata[key] for key in ("language",) if key in stream.metadata})
        context.open()
        self._resampler = av.AudioResampler(context.format.name, layout, rate, frame_size=context.frame_size or None)
        self._start = start

    def take(self, packet: Any) -> list[Any]:
        from av.error import FFmpegError

        try:
            frames = self._stream.decode(packet)
        except FFmpegError:  # a damaged piece is left out
            return []
        return [ready for frame in frames for ready in self._encode(frame)]

    def finish(self) -> list[Any]:
        frames = self._stream.decode(None)
        ready = [packet for frame in frames for packet in self._encode(frame)]
        return ready + self._encode(None) + list(self._output.encode(None))

    def _encode(self, frame: Any) -> list[Any]:
        if frame is not None and frame.pts is not None:
            frame.pts -= round(self._start / frame.time_base)
        return [packet for part in self._resampler.resample(frame) for packet in self._output.encode(part)]
