#!/usr/bin/env python3
"""Measures long films: several processes against one, and memory by length.

    python scripts/benchmark_film_jobs.py --workers 2 4 [--size 320x180] [--stroke-size 1] [--precision auto]
                                          [--frames 1000] [--style wave] [--turns 2]
    python scripts/benchmark_film_jobs.py --lengths 5 20 80 [--size 160x90] [--engine openvino]

With --workers, the same film is stylized in turns by one process on all cores and by each number of workers; it prints
frames a second from file to file, the start of the processes included, milliseconds of processor time a frame, and, as
a yardstick, what the textbook network takes for a frame of 640x360 (see benchmark_reference.py).

With --lengths, a process of its own stylizes a film of each length in seconds, and its peak memory is printed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmark_films import build_yardstick, make_film

from nst_fast.cli.numbers import size_in_pixels
from nst_fast.films.film import FilmSettings, stylize_film
from nst_fast.stylize.look import Look
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


def compare_workers(options: argparse.Namespace, film: Path, target: Path) -> None:
    """One process and several, in turns."""
    make_film(film, *options.size, options.frames)
    look = Look(stroke_size=options.stroke_size)
    stylizer = Stylizer(options.style, engine=options.engine, precision=options.precision, look=look)
    yardstick = build_yardstick()
    for _ in range(options.turns):
        for workers in (None, *options.workers):
            wall, core = time.perf_counter(), sum(os.times()[:4])
            stylize_film(stylizer, film, target, FilmSettings(workers=workers))
            wall, core = time.perf_counter() - wall, sum(os.times()[:4]) - core
            name = "one process" if workers is None else f"{workers} workers"
            print(
                f"{name:>12}: {options.frames / wall:.1f} frames/s, {1e3 * core / options.frames:.0f} core ms; "
                f"the textbook network {1e3 * yardstick()[0]:.0f} ms",
                flush=True,
            )


def measure_memory(options: argparse.Namespace, film: Path, target: Path) -> None:
    """The peak resident memory of a process for each length."""
    for seconds in options.lengths:
        make_film(film, *options.size, 30 * seconds)
        command = [sys.executable, "-c", _PEAK, options.style, options.engine, str(film), str(target)]
        kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
        print(f"{seconds} s of film: peak memory {1024 * int(kilobytes) / 1e6:.0f} MB")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="*", default=[], metavar="N")
    parser.add_argument("--lengths", type=int, nargs="*", default=[], metavar="SECONDS")
    parser.add_argument("--style", default="wave", help="a shipped style or a checkpoint file (default: wave)")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto", help="with --workers (default: %(default)s, as films have it)")
    parser.add_argument("--stroke-size", type=float, default=1.0, metavar="X", help="with --workers (default: 1)")
    parser.add_argument("--size", type=size_in_pixels, default=(320, 180), metavar="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=1000, help="with --workers (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=2, help="with --workers (default: %(default)s)")
    options = parser.parse_args()
    if not options.workers and not options.lengths:
        parser.error("give --workers or --lengths")
    with tempfile.TemporaryDirectory() as scratch:
        film, target = Path(scratch, "film.mp4"), Path(scratch, "stylized.mp4")
        if options.workers:
            compare_workers(options, film, target)
        measure_memory(options, film, target)


if __name__ == "__main__":
    main()
