"""Tiny films made on the spot, and a stylizer that changes nothing, so that what comes out can be compared."""

from collections.abc import Callable, Generator, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.finishing import Finisher
from nst_fast.stylize.look import Look
from nst_fast.stylize.smoothing import Past

av = pytest.importorskip("av")
Interpolation = av.video.reformatter.Interpolation


class Untouched:
    """Stands in for a Stylizer: frames come out as they went in, and it records what it was given.

    Attributes:
        shapes: of each frame.
        resets: numbers of the frames before which it was told of a cut.
        origins: of each frame of a film.
    """

    def __init__(self) -> None:
        self.fingerprint = "0" * 64
        self.device = "cpu"
        self.shapes: list[tuple[int, ...]] = []
        self.resets: list[int] = []
        self.origins: list[tuple[int, int] | None] = []
        self.smoothing: float | None = None
        self.coherence: float | None = None
        self.finisher = Finisher(Look(), None)

    def for_frames(self, smoothing: float, coherence: float) -> "Untouched":
        self.smoothing, self.coherence = smoothing, coherence
        return self

    def stylize_frames(
        self, frames: Iterable[FilmFrame], past: Past | None = None, *, finish: bool = True, ahead: bool = False
    ) -> Generator[tuple[np.ndarray, Past], None, None]:
        for rgb, is_cut, origin in frames:
            if is_cut:
                self.resets.append(len(self.shapes))
            self.origins.append(origin)
            yield self.stylize_pixels(rgb), Past()

    def stylize_pixels(self, rgb: np.ndarray) -> np.ndarray:
        self.shapes.append(rgb.shape)
        return rgb.copy()

    def stylize_picture(self, picture, *, size=None):
        return picture


@pytest.fixture
def untouched() -> Untouched:
    return Untouched()


def draw_frame(number: int, height: int, width: int) -> np.ndarray:
    """A soft gradient with a bar that moves on by three columns a frame."""
    rows, columns = np.mgrid[0:height, 0:width]
    frame = np.stack([40 + rows * 2, 90 + columns, np.full_like(rows, 120)], axis=-1).clip(0, 255).astype(np.uint8)
    left = number * 3 % max(1, width - 4)
    frame[:, left : left + 4] = (230, 220, 60)
    return frame


@pytest.fixture
def make_film() -> Callable[..., Path]:
    """Gives a function that writes a film: see its arguments."""

    def make(
        path: str | Path,
        frames: int | list[np.ndarray] = 12,
        *,
        size: tuple[int, int] = (48, 64),
        times: list[int] | None = None,
        rate: Fraction = Fraction(30000, 1001),
        time_base: Fraction | None = None,
        codec: str = "libx264",
        pixel_format: str = "yuv420p",
        color: tuple[int, int, int, int] = (1, 1, 1, 1),
        rotation: int = 0,
        aspect: Fraction = Fraction(1),
        sound: str | None = None,
        sound_seconds: float = 1.0,
        options: dict[str, str] | None = None,
    ) -> Path:
        drawn = [draw_frame(number, *size) for number in range(frames)] if isinstance(frames, int) else frames
        time_base = time_base or 1 / rate
        times = times if times is not None else [round(n / rate / time_base) for n in range(len(drawn))]
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate)
            stream.height, stream.width = drawn[0].shape[:2]
            stream.pix_fmt = pixel_format
            stream.time_base = stream.codec_context.time_base = time_base
            context = stream.codec_context
            context.options = {"crf": "4", "preset": "superfast"} if options is None else options
            context.sample_aspect_ratio = aspect
            context.colorspace, context.color_primaries, context.color_trc, context.color_range = color
            if rotation:
                stream.set_display_rotation(rotation)
            voice = None if sound is None else container.add_stream(sound, rate=48000, layout="stereo")
            if voice is not None:
                _encode_tone(container, voice, sound_seconds)
            for time, rgb in zip(times, drawn, strict=True):
                frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
                    format=pixel_format,
                    dst_colorspace=5 if color[0] == 2 else color[0],
                    dst_color_range=color[3],
                    interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
                )
                frame.pts, frame.time_base = time, time_base
                frame.duration = round(1 / rate / time_base)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return Path(path)

    return make


def _encode_tone(container, stream, seconds: float) -> None:
    samples = np.sin(np.arange(int(48000 * seconds)) * 0.05).astype(np.float32) * 0.3
    resampler = av.AudioResampler(stream.format.name, "stereo", 48000, frame_size=stream.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    for part in [*resampler.resample(frame), *resampler.resample(None), None]:
        container.mux(stream.encode(part))


@pytest.fixture
def read_film() -> Callable[..., dict]:
    """Gives a function that reads all of a film with PyAV alone: times in seconds, pixels, sound packets, stream."""

    def read(path: str | Path) -> dict:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            facts = {
                "rate": stream.average_rate,
                "codec": context.codec.canonical_name,
                "pixel_format": context.pix_fmt,
                "color": (context.colorspace, context.color_primaries, context.color_trc, context.color_range),
                "aspect": stream.sample_aspect_ratio,
                "seconds": float(stream.duration * stream.time_base) if stream.duration else None,
                "sounds": [sound.codec_context.codec.canonical_name for sound in container.streams.audio],
                "metadata": dict(container.metadata),
            }
            frames = list(container.decode(stream))
            facts["times"] = [frame.pts * frame.time_base for frame in frames]
            exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
            facts["pixels"] = [frame.reformat(format="rgb24", interpolation=exact).to_ndarray() for frame in frames]
        with av.open(str(path)) as container:
            facts["sound"] = []
            if container.streams.audio:
                packets = [packet for packet in container.demux(audio=0) if packet.size]
                facts["sound"] = [(packet.pts * packet.time_base, bytes(packet)) for packet in packets]
        return facts

    return read


class CountedFrames:
    """Counts the stylized frames that are in memory.

    Attributes:
        most: at a time, since the last reset.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.alive = self.most = 0

    def count(self, rgb: np.ndarray) -> np.ndarray:
        """A copy that counts as long as it lives."""
        frames = self

        class Counted(np.ndarray):
            def __array_finalize__(self, source) -> None:
                frames.alive += 1
                frames.most = max(frames.most, frames.alive)

            def __del__(self) -> None:
                frames.alive -= 1

        return rgb.copy().view(Counted)


@pytest.fixture
def frames_in_memory(untouched) -> CountedFrames:
    """Counts the frames that `untouched` gives back."""
    counted = CountedFrames()
    untouched.stylize_pixels = counted.count
    return counted
