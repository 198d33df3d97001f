#!/usr/bin/env python3
"""Measures how much a stylized film flickers, with and without temporal smoothing.

    python scripts/measure_flicker.py [FILM] [--style wave] [--smoothing 0 0.5 0.9 0.97] [--size 320] [--seconds 5]

Prints two figures in levels of 255, for the original film and for each smoothing (nst_fast/evaluation/flicker.py).
still: mean change from frame to frame of the pixels that stand still in the original; pumping: how much they change
together. Without a FILM it generates one: a still landscape that a large bright disc crosses.
"""

import argparse
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from nst_fast.evaluation.flicker import FlickerMeter
from nst_fast.films.scene_cuts import SceneCuts
from nst_fast.films.source import probe_source
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import read_frames
from nst_fast.media.resizing import size_for_long_side
from nst_fast.stylize.stylizer import Stylizer


def read_film(options: argparse.Namespace) -> tuple[Iterator[np.ndarray], tuple[int, int]]:
    """The frames of the film, and their height and width."""
    info = probe_source(options.film)
    size = size_for_long_side(info.height, info.width, options.size)
    frames = read_frames(info, ReadErrors(), end=Fraction(options.seconds), size=size)
    return (frame.rgb for frame in frames), size


def draw_film(options: argparse.Namespace) -> tuple[Iterator[np.ndarray], tuple[int, int]]:
    """A landscape of soft hills with noise, crossed by a bright disc half as high as the frame."""
    height, width = options.size * 9 // 16, options.size
    rows, columns = np.mgrid[0:height, 0:width]
    hills = [110 + 60 * np.sin(columns / width * (7 + 3 * c) + rows / height * 5) for c in range(3)]
    landscape = np.stack(hills, axis=-1) + np.random.default_rng(0).normal(0, 12, (height, width, 3))
    count = round(30 * options.seconds)

    def draw() -> Iterator[np.ndarray]:
        for number in range(count):
            middle = width * (1.6 * number / count - 0.3)
            inside = (columns - middle) ** 2 + (rows - height / 2) ** 2 < (height / 4) ** 2
            frame = np.where(inside[..., None], (250, 240, 225), landscape)
            yield frame.clip(0, 255).astype(np.uint8)

    return draw(), (height, width)


def main() -> None:
    """Stylize the film with each smoothing, in turns frame by frame, and print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path, nargs="?")
    parser.add_argument("--style", default="wave")
    parser.add_argument("--smoothing", type=float, nargs="+", default=[0.0, 0.5, 0.9, 0.97])
    parser.add_argument("--size", type=int, default=320, help="long side in pixels (default: 320)")
    parser.add_argument(
        "--seconds", type=float, default=5, help="length of the part to measure, from the start (default: 5)"
    )
    parser.add_argument("--engine", default="auto")
    options = parser.parse_args()
    frames, size = (read_film if options.film else draw_film)(options)
    stylizer = Stylizer(options.style, engine=options.engine)
    tests = {smoothing: (stylizer.for_frames(smoothing), FlickerMeter()) for smoothing in options.smoothing}
    cuts, count = SceneCuts(), 0
    for rgb in frames:
        cut = cuts.is_cut(rgb)
        for frame_stylizer, meter in tests.values():
            if cut:
                frame_stylizer.reset()
            meter.add(rgb, frame_stylizer.stylize_pixels(rgb))
        count += 1
    meters = {smoothing: meter for smoothing, (_, meter) in tests.items()}
    film, _ = next(iter(meters.values())).read()
    share = next(iter(meters.values())).still_share
    print(f"{count} frames of {size[1]} x {size[0]}, {share:.0%} of the pixels stand still; in levels of 255")
    print(f"{'smoothing':>12} {'still':>8} {'pumping':>8}")
    print(f"{'original':>12} {film.still:>8.2f} {film.pumping:>8.3f}")
    stylized = {smoothing: meter.read()[1] for smoothing, meter in meters.items()}
    for smoothing, flicker in stylized.items():
        print(f"{smoothing:>12} {flicker.still:>8.2f} {flicker.pumping:>8.3f}")
    result = {str(smoothing): vars(flicker) for smoothing, flicker in stylized.items()}
    print(json.dumps({"film": vars(film), "stylized": result}))


if __name__ == "__main__":
    main()
