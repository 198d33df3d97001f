#!/usr/bin/env python3
"""Measures films from one H.264 file to another, at several sizes, beside the network alone and what bounds both.

    python scripts/benchmark_films.py [--style wave] [--size 640x360 1280x720 1920x1080 3840x2160] [--engine auto]
                                      [--precision fp32 bf16] [--stroke-size 1 3] [--coherence 0 0.6]
                                      [--threads N] [--turns 3]

The films are generated: a moving pattern with noise, at 30 frames a second. For each size, precision, stroke size and
coherence, in turns, it prints frames a second from file to file and of the network alone (with smoothed statistics, as
for films), as medians, and their ratio. Core ms are milliseconds of processor time for a frame, over all cores; other
programs slow down everything, but hardly change these. Decoding and encoding are measured alone too, with the
conversion to RGB and back that films need at stroke size 1. The yardstick is the textbook network, which the common
PyTorch example runs (see benchmark_reference.py): a frame of 640x360, in the same run.

The last table is the roofline: operations and bytes of the network for each frame, what one core can do of both at most
(a large matrix product, a large copy), and the share of that which the network alone reaches. Bytes count each
convolution's input and result once, as if everything else were free.
"""

import argparse
import dataclasses
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from nst_fast.benchmark import describe_computer
from nst_fast.cli.numbers import size_in_pixels
from nst_fast.films.carried import Carried
from nst_fast.films.film import DEFAULT_COHERENCE, DEFAULT_SMOOTHING, FilmSettings, stylize_film
from nst_fast.films.pipeline import FilmProgress
from nst_fast.films.segments import write_segments
from nst_fast.films.source import probe_source
from nst_fast.films.work_folder import WorkFolder
from nst_fast.media.film_formats import choose_encoding
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import Frame, read_frames
from nst_fast.networks.description import Conv, NetworkDescription, PixelUnshuffle, SmoothUpsampleConv, Upsample
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer

SIZES = [(640, 360), (1280, 720), (1920, 1080), (3840, 2160)]
WARM_UP_FRAMES = 3


@dataclasses.dataclass(frozen=True)
class Row:
    """Medians of one way to stylize a film: frames a second, and milliseconds of processor time a frame."""

    width: int
    height: int
    precision: str
    stroke_size: float
    coherence: float
    engine: str
    file_to_file: float
    network_alone: float
    share: float
    film_core_ms: float
    network_core_ms: float
    decoding_core_ms: float
    encoding_core_ms: float


def make_film(path: Path, width: int, height: int, frames: int) -> None:
    """Write a film that is neither still nor noise."""
    import av

    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    noise = generator.normal(0, 4, (height, width, 1)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"preset": "superfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            waves = [128 + 90 * np.sin(rows / (17 + 5 * c) + columns / (29 - 4 * c) + number / 9) for c in range(3)]
            rgb = (np.stack(waves, axis=-1) + np.roll(noise, number, axis=1)).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode())


def read_clocks() -> np.ndarray:
    """Seconds on the wall, and of processor time of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def time_film(stylizer: Stylizer, film: Path, target: Path, coherence: float) -> np.ndarray:
    """Seconds a frame by both clocks, from the first stylized frame to the finished file."""
    began: list[np.ndarray] = []

    def watch(progress: FilmProgress) -> bool:
        began[:] = began or [read_clocks()]
        return True

    frames = stylize_film(stylizer, film, target, FilmSettings(coherence=coherence), watch=watch).frames
    return (read_clocks() - began[0]) / (frames - 1)


def time_network(stylizer: Stylizer, frames: list[Frame]) -> np.ndarray:
    """Seconds a frame of the network alone by both clocks, on the same frames, at the size that it gets."""
    frame_stylizer = stylizer.for_frames(DEFAULT_SMOOTHING)
    given = [np.ascontiguousarray(frame_stylizer.finisher.shrink(frame.rgb)) for frame in frames]
    repeated = itertools.islice(itertools.cycle(given), len(frames) + WARM_UP_FRAMES)
    stylized = frame_stylizer.stylize_frames((FilmFrame(pixels, False) for pixels in repeated), finish=False)
    times = [read_clocks() for _ in stylized]
    return (times[-1] - times[WARM_UP_FRAMES - 1]) / (len(times) - WARM_UP_FRAMES)


def time_steps(film: Path, stylized: list[Frame]) -> tuple[float, float]:
    """Milliseconds of processor time a frame of decoding and of encoding, conversion between YUV and RGB included."""
    info = probe_source(film)
    began = time.process_time()
    count = sum(len(frame.rgb) > 0 for frame in itertools.islice(read_frames(info, ReadErrors()), len(stylized)))
    decoding = (time.process_time() - began) / count
    pairs = ((frame, Carried()) for frame in stylized)
    with tempfile.TemporaryDirectory() as scratch:
        folder = WorkFolder(Path(scratch, "film.mp4"), {})
        folder.resume()
        began = time.process_time()
        for _ in write_segments(folder, pairs, info, choose_encoding(".mp4"), lambda: False):
            pass
        encoding = (time.process_time() - began) / len(stylized)
    return 1e3 * decoding, 1e3 * encoding


def build_yardstick() -> Callable[[], np.ndarray]:
    """A function that gives the seconds by both clocks for a frame of 640x360 by the textbook network."""
    from benchmark_reference import build_reference

    stylize = build_reference().build()
    pixels = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    stylize(pixels)

    def measure() -> np.ndarray:
        began = read_clocks()
        stylize(pixels)
        return read_clocks() - began

    return measure


def measure_size(
    size: tuple[int, int],
    stylizers: dict[tuple[str, float], Stylizer],
    yardstick: Callable[[], np.ndarray],
    options: argparse.Namespace,
) -> tuple[list[Row], list[np.ndarray]]:
    """All ways to stylize a film of one size, in turns; and the yardstick between the turns, in seconds."""
    width, height = size
    yardsticks: list[np.ndarray] = []
    runs: dict[tuple[str, float, float], list[np.ndarray]] = {
        (*key, coherence): [] for key in stylizers for coherence in options.coherence
    }
    with tempfile.TemporaryDirectory() as scratch:
        film, target = Path(scratch, "film.mp4"), Path(scratch, "stylized.mp4")
        # As many frames as a film of 640x360 that makes 30 a second has in this time, and fewer of larger ones.
        count = max(8, round(30 * options.seconds * 640 * 360 / (width * height)))
        make_film(film, width, height, count)
        frames = list(itertools.islice(read_frames(probe_source(film), ReadErrors()), min(count, 30)))
        steps: list[tuple[float, float]] = []
        for turn in range(options.turns + 1):
            for key in runs:
                stylizer = stylizers[key[:2]]
                pair = np.stack([time_film(stylizer, film, target, key[2]), time_network(stylizer, frames)])
                if turn:  # the first is for warming up
                    runs[key].append(pair)
            if turn:
                yardsticks.append(yardstick())
                written = itertools.islice(read_frames(probe_source(target), ReadErrors()), len(frames))
                stylized = [dataclasses.replace(frame, pixels=frame.rgb) for frame in written]
                steps.append(time_steps(film, stylized))
    decoding, encoding = (statistics.median(values) for values in zip(*steps, strict=True))
    rows = []
    for (precision, stroke_size, coherence), pairs in runs.items():
        (film_wall, film_core), (network_wall, network_core) = np.median(pairs, axis=0).tolist()
        share = statistics.median(float(pair[1, 0] / pair[0, 0]) for pair in pairs)
        speeds = 1 / film_wall, 1 / network_wall, share
        work = 1e3 * film_core, 1e3 * network_core, decoding, encoding
        engine = stylizers[precision, stroke_size].engine
        rows.append(Row(width, height, precision, stroke_size, coherence, engine, *speeds, *work))
    return rows, yardsticks


def count_bytes(network: NetworkDescription) -> float:
    """The bytes that the convolutions read and write for each pixel of a frame, as floats of 4 bytes."""
    values = 0.0

    def follow(layer, channels: int, positions: float) -> tuple[int, float]:
        nonlocal values
        before = channels * positions
        match layer:
            case Conv():
                channels, positions = layer.out_channels, positions / layer.stride**2
                values += before + channels * positions
            case SmoothUpsampleConv():
                channels, positions = layer.out_channels, positions * 4
                values += before + channels * positions
            case PixelUnshuffle():
                channels, positions = channels * layer.factor**2, positions / layer.factor**2
            case Upsample():
                positions *= layer.factor**2
            case _:
                for _, part in getattr(layer, "layers", ()):
                    channels, positions = follow(part, channels, positions)
        return channels, positions

    follow(network.body, 3, 1.0)
    return 4 * values


def measure_processor() -> tuple[float, float]:
    """The most that one core does: fp32 operations a second, and bytes a second read and written."""
    import torch

    matrix = torch.rand(1536, 1536)
    first, second = torch.rand(64 * 2**20), torch.empty(64 * 2**20)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    products, copies = [], []
    for _ in range(6):
        began = time.process_time()
        matrix @ matrix
        products.append(time.process_time() - began)
        began = time.process_time()
        second.copy_(first)
        copies.append(time.process_time() - began)
    torch.set_num_threads(threads)
    return 2 * 1536**3 / min(products), 2 * 4 * first.numel() / min(copies)


def format_rows(rows: list[Row], yardstick: tuple[float, float]) -> str:
    lines = [
        f"{'':>54} {'frames/s: file':>14} {'network':>8} {'':>6} {'core ms: film':>13} {'network':>8} "
        f"{'decoding':>9} {'encoding':>9}",
        f"{'size':>10} {'precision':>9} {'stroke size':>11} {'coherence':>9} {'engine':>11} {'to file':>14} "
        f"{'alone':>8} {'share':>6}",
    ]
    for row in rows:
        lines.append(
            f"{f'{row.width}x{row.height}':>10} {row.precision:>9} {row.stroke_size:>11g} {row.coherence:>9g} "
            f"{row.engine:>11} {row.file_to_file:>14.1f} {row.network_alone:>8.1f} {row.share:>6.0%} "
            f"{row.film_core_ms:>13.1f} {row.network_core_ms:>8.1f} {row.decoding_core_ms:>9.1f} "
            f"{row.encoding_core_ms:>9.1f}"
        )
    lines.append(
        f"medians; the textbook network takes {yardstick[0]:.0f} ms, {yardstick[1]:.0f} core ms, for a frame of 640x360"
    )
    return "\n".join(lines)


def format_roofline(rows: list[Row], network: NetworkDescription, processor: tuple[float, float]) -> str:
    operations, bytes_ = network.operations_per_pixel, count_bytes(network)
    lines = [
        f"one core: {processor[0] / 1e9:.0f} billion operations/s in fp32, {processor[1] / 1e9:.1f} GB/s; "
        f"the network: {operations:.0f} operations and {bytes_:.0f} bytes a pixel",
        f"{'size':>10} {'operations 1e9':>15} {'MB':>8} {'operations ms':>14} {'bytes ms':>9} {'network core ms':>16} "
        f"{'of the limit':>13}",
    ]
    whole = {(row.width, row.height): row for row in rows if row.precision == "fp32" and row.stroke_size == 1}
    for (width, height), row in whole.items():
        pixels = width * height
        limits = [1e3 * pixels * each / most for each, most in zip((operations, bytes_), processor, strict=True)]
        lines.append(
            f"{f'{width}x{height}':>10} {operations * pixels / 1e9:>15.1f} {bytes_ * pixels / 1e6:>8.0f} "
            f"{limits[0]:>14.1f} {limits[1]:>9.1f} {row.network_core_ms:>16.1f} "
            f"{max(limits) / row.network_core_ms:>13.0%}"
        )
    return "\n".join(lines)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="wave", help="a shipped style or a checkpoint file (default: wave)")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", nargs="+", default=["fp32"], metavar="TYPE")
    parser.add_argument("--stroke-size", type=float, nargs="+", default=[1.0], metavar="X")
    parser.add_argument("--coherence", type=float, nargs="+", default=[DEFAULT_COHERENCE], metavar="X")
    parser.add_argument("--threads", type=int, help="of the network (default: one for each core)")
    parser.add_argument("--size", type=size_in_pixels, nargs="+", default=SIZES, metavar="WIDTHxHEIGHT")
    parser.add_argument("--seconds", type=float, default=5, help="of film at 640x360 (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure in turns, and print the results."""
    options = parse_options()
    print(", ".join(f"{name} {value}" for name, value in describe_computer().items()))
    yardstick = build_yardstick()
    stylizers = {
        (precision, stroke_size): Stylizer(
            options.style,
            engine=options.engine,
            precision=precision,
            threads=options.threads,
            look=Look(stroke_size=stroke_size),
        )
        for precision in options.precision
        for stroke_size in options.stroke_size
    }
    rows: list[Row] = []
    yardsticks: list[np.ndarray] = []
    for size in options.size:
        more = measure_size(size, stylizers, yardstick, options)
        rows += more[0]
        yardsticks += more[1]
    processor = measure_processor()
    yardstick_wall, yardstick_core = (1e3 * np.median(yardsticks, axis=0)).tolist()
    network = next(iter(stylizers.values())).checkpoint.description
    print(format_rows(rows, (yardstick_wall, yardstick_core)))
    print("\n" + format_roofline(rows, network, processor))
    result = {
        "rows": [dataclasses.asdict(row) for row in rows],
        "yardstick_ms": yardstick_wall,
        "yardstick_core_ms": yardstick_core,
        "operations_per_second": processor[0],
        "bytes_per_second": processor[1],
        "operations_per_pixel": network.operations_per_pixel,
        "bytes_per_pixel": count_bytes(network),
    }
    print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
