"""The finished film: painted segments and the sound of the source, joined without encoding a picture again."""

import heapq
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from nst_fast.atomic_files import replace_atomically
from nst_fast.inference.film_formats import holds_sound, sound_encoder
from nst_fast.inference.film_reader import FilmInfo, open_container

_CONTAINER_METADATA = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")
_LAYOUTS_OF_AAC = ("4.0", "5.0", "5.1", "7.1")
_SOUND_BITS_PER_CHANNEL = 96_000


def join_film(
    segments: list[Path], info: FilmInfo, target: Path, *, sound_start: Fraction, sound_end: Fraction | None
) -> list[str]:
    """Write the film; returns what the user should know of its sound, in whole phrases.

    Sound that the container takes is copied packet by packet, other sound is encoded anew; all tracks go along.

    Args:
        target: replaced atomically.
        sound_start, sound_end: the part of the source's sound, in seconds of the source's own clock; what is at
            `sound_start` is heard with time 0 of the segments. None: to its end.

    Raises:
        OutputError: a full disk, no permission.
    """
    import av

    suffix = target.suffix.lower()
    options: dict[str, str] = {}
    if suffix in (".mp4", ".m4v", ".mov"):
        # The index in front, so that a browser can begin before it has all; times exact, see film_segments.
        options = {"movflags": "+faststart", "movie_timescale": str(info.time_base.denominator)}
    remarks: list[str] = []
    with replace_atomically(target) as temporary, av.open(str(temporary), "w", options=options) as output:
        with av.open(str(segments[0])) as first:
            video = output.add_stream_from_template(first.streams.video[0], opaque=True)  # no encoder
            video.time_base = info.time_base
        packets = [_read_segments(segments, video)]
        # Also where there is no sound: the title and the like are copied from it.
        with open_container(info.path) as source:
            metadata = {key: value for key, value in source.metadata.items() if key not in _CONTAINER_METADATA}
            output.metadata.update(metadata)
            if info.sounds:
                packets.append(_read_sound(source, output, suffix, sound_start, sound_end, remarks))
            for _, _, packet in heapq.merge(*packets):
                output.mux(packet)
    return remarks


def _read_segments(segments: list[Path], stream: Any) -> Iterator[tuple[float, int, Any]]:
    """The painted packets, as (seconds, number, packet)."""
    import av

    last: int | None = None
    number = 0
    for segment in segments:
        with av.open(str(segment)) as container:
            for packet in container.demux(video=0):
                if packet.pts is None or packet.dts is None:
                    continue
                # An encoder that begins anew may go back a little in the order of decoding, never of showing.
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

    tracks: dict[int, _Copied | _Transcoded] = {}
    for stream in source.streams.audio:
        if stream.codec_context is None:
            continue
        name = stream.codec_context.codec.canonical_name
        if holds_sound(suffix, name):
            tracks[stream.index] = _Copied(stream, output, start)
        else:
            encoder = sound_encoder(suffix)
            tracks[stream.index] = _Transcoded(stream, output, encoder, start)
            remarks.append(f"has sound in {name}, which {suffix} does not hold; it was encoded anew by {encoder}")
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
        except (StopIteration, FFmpegError):  # a broken film: its sound ends where it breaks
            break
        if packet.pts is None or packet.pts < 0 <= start - 1:
            continue
        time = packet.pts * Fraction(packet.time_base)
        # The first packets may lie before the beginning: they prime the decoder.
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
    """A sound track whose packets go over as they are."""

    def __init__(self, stream: Any, output: Any, start: Fraction) -> None:
        self._output = output.add_stream_from_template(stream)
        self._output.metadata.update({key: stream.metadata[key] for key in ("language",) if key in stream.metadata})
        self._shift = round(start / stream.time_base)

    def take(self, packet: Any) -> list[Any]:
        packet.pts -= self._shift
        if packet.dts is not None:
            packet.dts -= self._shift
        packet.stream = self._output
        return [packet]

    def finish(self) -> list[Any]:
        return []


class _Transcoded:
    """A sound track that is decoded and encoded anew."""

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
        except FFmpegError:  # a piece that is damaged is left out
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
