#!/usr/bin/env python3
"""Measure films, from one H.264 file to another: frames a second, each step alone, and memory by the film's length.

    python scripts/benchmark_film.py [--style wave] [--engine openvino torch] [--threads N]
                                     [--size 640x360] [--frames 300] [--lengths 10 180] [--json FILE]

The film is generated: a moving pattern with noise, at 30 frames a second. The engines take turns. For each engine the
script prints the speed from file to file, the speed of the network alone (with smoothed statistics, as for films), and
their ratio. Decoding and encoding are measured alone too, since they bound the ratio: on two cores that share the work
evenly, frames a second cannot exceed 1 / (network + (decoding + encoding) / 2), each in seconds a frame. With
--threads 1 the network has one core, decoding and encoding the other. With --lengths, a process of its own stylizes a
film of each length, and its peak memory is printed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from nst_fast.films.film import stylize_film
from nst_fast.films.pipeline import FilmProgress
from nst_fast.films.segments import write_segments
from nst_fast.films.source import probe_source
from nst_fast.films.work_folder import WorkFolder
from nst_fast.media.film_formats import choose_encoding
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import Frame, read_frames
from nst_fast.stylize.stylizer import Stylizer

_PEAK = """
import resource, sys
from pathlib import Path
from nst_fast.films.film import stylize_film
from nst_fast.stylize.stylizer import Stylizer
stylizer = Stylizer(sys.argv[1], engine=sys.argv[2])
stylize_film(stylizer, Path(sys.argv[3]), Path(sys.argv[4]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def make_film(path: Path, width: int, height: int, frames: int) -> None:
    """Write a film that is neither still nor noise."""
    import av

    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width]
    noise = generator.normal(0, 4, (height, width, 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"preset": "superfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            waves = [128 + 90 * np.sin(rows / (17 + 5 * c) + columns / (29 - 4 * c) + number / 9) for c in range(3)]
            rgb = (np.stack(waves, axis=-1) + np.roll(noise, number, axis=1)).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode())


def time_film(stylizer: Stylizer, film: Path, target: Path) -> float:
    """Frames a second, from the first stylized frame to the finished file."""
    began: list[float] = []

    def watch(progress: FilmProgress) -> bool:
        began[:] = began or [time.perf_counter()]
        return True

    frames = stylize_film(stylizer, film, target, watch=watch).frames
    return (frames - 1) / (time.perf_counter() - began[0])


def time_network(stylizer: Stylizer, frames: list[Frame]) -> float:
    """Frames a second of the network alone, on the same frames."""
    pixels = [(frame.rgb, False) for frame in frames]
    times = [time.perf_counter() for _ in stylizer.for_frames(0.9).stylize_frames(pixels)]
    return (len(times) - 4) / (times[-1] - times[3])


def time_steps(film: Path, stylizer: Stylizer, count: int) -> dict[str, float]:
    """Milliseconds a frame of decoding alone and of encoding alone."""
    info = probe_source(film)
    began = time.perf_counter()
    frames = [frame for frame, _ in zip(read_frames(info, ReadErrors()), range(count), strict=False)]
    decoding = time.perf_counter() - began
    stylized = [Frame(stylizer.stylize_pixels(frame.rgb), frame.time, frame.duration) for frame in frames]
    with tempfile.TemporaryDirectory() as scratch:
        folder = WorkFolder(Path(scratch, "film.mp4"), {})
        folder.resume()
        began = time.perf_counter()
        for _ in write_segments(folder, iter(stylized), info, choose_encoding(".mp4")):
            pass
        encoding = time.perf_counter() - began
    return {"decoding_ms": 1e3 * decoding / len(frames), "encoding_ms": 1e3 * encoding / len(frames)}


def measure_memory(style: str, engine: str, film: Path, target: Path) -> int:
    """Peak resident bytes of a process that stylizes the film."""
    command = [sys.executable, "-c", _PEAK, style, engine, str(film), str(target)]
    kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
    return 1024 * int(kilobytes)


def main() -> None:
    """Measure in turns, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="wave", help="a shipped style or a checkpoint file (default: wave)")
    parser.add_argument("--engine", nargs="+", default=["openvino", "onnxruntime", "torch"])
    parser.add_argument("--threads", type=int, help="of the network (default: one for each core)")
    parser.add_argument("--size", default="640x360", metavar="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=300, help="(default: 300)")
    parser.add_argument("--turns", type=int, default=3, help="(default: 3)")
    parser.add_argument("--lengths", type=int, nargs="*", default=[], metavar="SECONDS")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    result: dict[str, object] = {"size": options.size, "frames": options.frames}
    with tempfile.TemporaryDirectory() as scratch:
        film, target = Path(scratch, "film.mp4"), Path(scratch, "stylized.mp4")
        make_film(film, width, height, options.frames)
        stylizers = {
            engine: Stylizer(options.style, engine=engine, threads=options.threads) for engine in options.engine
        }
        frames = [frame for frame, _ in zip(read_frames(probe_source(film), ReadErrors()), range(60), strict=False)]
        runs: dict[str, list[tuple[float, float]]] = {engine: [] for engine in stylizers}
        for turn in range(options.turns + 1):
            for engine, stylizer in stylizers.items():
                pair = time_film(stylizer, film, target), time_network(stylizer, frames)
                if turn:  # the first is for warming up
                    runs[engine].append(pair)
        steps = time_steps(film, next(iter(stylizers.values())), 120)
        print(f"decoding alone {steps['decoding_ms']:.1f} ms a frame, encoding alone {steps['encoding_ms']:.1f} ms")
        result["steps"] = steps
        print(f"{'engine':<14} {'file to file':>13} {'network alone':>14} {'share':>7}   frames/s, medians")
        for engine, pairs in runs.items():
            whole, alone = (statistics.median(values) for values in zip(*pairs, strict=True))
            share = statistics.median(pair[0] / pair[1] for pair in pairs)
            print(f"{engine:<14} {whole:>13.1f} {alone:>14.1f} {share:>7.0%}")
            result[engine] = {"frames_per_second": whole, "alone": alone, "share": share}
        for seconds in options.lengths:
            make_film(film, width, height, 30 * seconds)
            peak = measure_memory(options.style, options.engine[0], film, target)
            print(f"{seconds} s of film: peak memory {peak / 1e6:.0f} MB")
            result[f"peak_bytes_{seconds}_s"] = peak
    print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
