#!/usr/bin/env python3
"""Measures how still stylized films hold: warping error, brightness, and what sticks to the screen.

    python scripts/measure_stability.py [--style wave udnie my.safetensors] [--smoothing 0 0.5 0.9]
                                        [--coherence 0] [--photos FILE ...] [--size 320x240] [--frames 13]
                                        [--noise 2] [--follow-camera] [--films FILE ...] [--film-start 0]
                                        [--film-frames 40] [--json FILE]

docs/reference/stability.md defines the figures. Films are made of photos by motions that are known exactly; with
--films, real ones follow, whose motion OpenCV estimates (DIS optical flow, one of the tools of development). The row
"film itself" is what the same figures say about the unstylized film. All styles and smoothings see the same frames.
With --follow-camera the network follows the camera, as in films: its input noise and its squares move with the scene.
Without it, they stay on the screen. --coherence is that of `nst-fast stylize`, whose default is 0.6.
"""

import argparse
import dataclasses
import itertools
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from nst_fast.cli.numbers import size_in_pixels
from nst_fast.evaluation.motion import MOTIONS, Motion, film_photo
from nst_fast.evaluation.stability import LONG_TERM, SHORT_TERM, Stability, StabilityMeter
from nst_fast.evaluation.warping import Warp, find_trusted
from nst_fast.films.scene_cuts import SceneCuts
from nst_fast.films.source import open_source
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import read_frames
from nst_fast.media.pictures import read_picture
from nst_fast.media.resizing import size_for_long_side
from nst_fast.motion.camera_motion import CameraMotion
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.stylize.stylizer import Stylizer

PROJECT = Path(__file__).resolve().parent.parent
PHOTOS = [PROJECT / "docs" / "examples" / "photos" / f"{name}.jpg" for name in ("china", "flower", "rocket")]

# A frame, whether a scene begins with it, and the warps and masks from earlier frames.
Step = tuple[np.ndarray, bool, dict[int, tuple[Warp, np.ndarray]]]
# (style, smoothing) -> figures; the film itself is ("film itself", None).
Figures = dict[tuple[str, float | None], Stability]
ITSELF = ("film itself", None)


def follow_photo(photo: np.ndarray, motion: Motion, options: argparse.Namespace) -> Iterator[Step]:
    """The frames of one motion over one photo."""
    width, height = options.size
    frames = film_photo(photo, motion, height=height, width=width, frames=options.frames, noise=options.noise)
    for number, frame in enumerate(frames):
        warps = {}
        for apart in (SHORT_TERM, LONG_TERM):
            if apart <= number:
                warp = Warp(motion.flow(number, number - apart, height, width))
                warps[apart] = warp, warp.inside
        yield frame, False, warps


def follow_film(path: Path, options: argparse.Namespace) -> Iterator[Step]:
    """Some frames of a film; no pair lies across a cut."""
    import cv2

    info = open_source(path, start=options.film_start).info  # refuses a start beyond the end
    size = size_for_long_side(info.height, info.width, max(options.size))
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    cuts = SceneCuts()
    grays: list[np.ndarray] = []  # since the last cut
    frames = read_frames(info, ReadErrors(), start=options.film_start, size=size)
    for frame in itertools.islice(frames, options.film_frames):
        cut = cuts.is_cut(frame.rgb)
        if cut:
            grays.clear()
        grays.append(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY))
        warps = {}
        for apart in (SHORT_TERM, LONG_TERM):
            if apart < len(grays):
                pair = grays[-1], grays[-1 - apart]
                # OpenCV's flow goes right and down.
                flow, back = (estimator.calc(*way, None)[..., ::-1] for way in (pair, pair[::-1]))
                warps[apart] = Warp(flow), find_trusted(flow, back)
        yield frame.rgb, cut, warps


def measure(
    steps: Iterator[Step], stylizers: dict[str, Stylizer], options: argparse.Namespace, *, pans: bool
) -> Figures:
    """Stylize one film with everything, frame by frame."""
    tests = {
        (style, smoothing): stylizer.for_frames(smoothing, options.coherence)
        for style, stylizer in stylizers.items()
        for smoothing in options.smoothing
    }
    meter = StabilityMeter(len(tests), pans=pans)
    camera = CameraMotion()
    for frame, cut, warps in steps:
        origin = camera.follow(frame, is_cut=cut) if options.follow_camera else None
        if cut:
            for frame_stylizer in tests.values():
                frame_stylizer.reset()
        meter.add(frame, [frame_stylizer.stylize_pixels(frame, origin) for frame_stylizer in tests.values()], warps)
    return dict(zip([ITSELF, *tests], meter.read(), strict=True))


def average(figures: list[Figures]) -> Figures:
    """Each figure's mean over films; of `stuck` over those that pan."""
    means: Figures = {}
    for key in figures[0]:
        each = [dataclasses.asdict(one[key]) for one in figures]
        values = {name: [one[name] for one in each if one[name] is not None] for name in each[0]}
        means[key] = Stability(**{name: float(np.mean(list_)) if list_ else None for name, list_ in values.items()})
    return means


def format_table(figures: Figures) -> str:
    """One line for each style and smoothing."""
    lines = [
        f"{'style':<30} {'smoothing':>9} {'t-1':>7} {'t-8':>7} {'t-1 relaxed':>12} {'t-8 relaxed':>12} "
        f"{'brightness':>11} {'detail':>7} {'stuck':>7}"
    ]
    for (style, smoothing), one in figures.items():
        stuck = "-" if one.stuck is None else f"{one.stuck:.1%}"
        lines.append(
            f"{style[-30:]:<30} {'-' if smoothing is None else smoothing:>9} {one.short_term:>7.4f} "
            f"{one.long_term:>7.4f} {one.short_term_relaxed:>12.4f} {one.long_term_relaxed:>12.4f} "
            f"{one.brightness:>11.4f} {one.detail:>7.4f} {stuck:>7}"
        )
    return "\n".join(lines)


def format_motions(by_motion: dict[str, Figures], name: str) -> str:
    """One figure of each motion."""
    lines = [f"{'style':<30} {'smoothing':>9} " + " ".join(f"{motion:>13}" for motion in by_motion)]
    for style, smoothing in next(iter(by_motion.values())):
        values = [getattr(figures[style, smoothing], name) for figures in by_motion.values()]
        cells = " ".join(f"{value:>13.4f}" for value in values)
        lines.append(f"{style[-30:]:<30} {'-' if smoothing is None else smoothing:>9} {cells}")
    return "\n".join(lines)


def as_json(figures: Figures) -> list[dict[str, object]]:
    return [
        {"style": style, "smoothing": smoothing, **dataclasses.asdict(one)}
        for (style, smoothing), one in figures.items()
    ]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", nargs="+", metavar="NAME|FILE", help="(default: all shipped styles)")
    parser.add_argument("--smoothing", type=float, nargs="+", default=[0.0, 0.5, 0.9])
    parser.add_argument("--coherence", type=float, default=0.0, help="(default: %(default)s)")
    parser.add_argument("--photos", type=Path, nargs="*", default=PHOTOS, help="(default: three of the examples)")
    parser.add_argument("--size", type=size_in_pixels, default=(320, 240), metavar="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=13, help="of each motion (default: %(default)s)")
    parser.add_argument("--noise", type=float, default=2.0, help="of the sensor, in levels (default: %(default)s)")
    parser.add_argument("--follow-camera", action="store_true", help="move noise and squares with the scene")
    parser.add_argument("--films", type=Path, nargs="*", default=[])
    parser.add_argument(
        "--film-start", type=Fraction, metavar="SECONDS", help="where to begin in each film (default: 0)"
    )
    parser.add_argument("--film-frames", type=int, default=40, help="of each film (default: %(default)s)")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if min(options.frames, options.film_frames) <= LONG_TERM:
        parser.error(f"argument --frames: give more than {LONG_TERM}, since frames are compared that are so far apart")
    options.style = options.style or sorted(list_shipped_checkpoints())
    return options


def main() -> None:
    """Measure, and print one table for synthetic motion, one by motion, and one for each film."""
    options = parse_options()
    stylizers = {style: Stylizer(style, engine=options.engine) for style in options.style}
    result: dict[str, object] = {"size": options.size, "frames": options.frames, "noise": options.noise}
    if options.photos:
        photos = [read_picture(path).rgb for path in options.photos]
        by_motion: dict[str, Figures] = {}
        for motion in MOTIONS:
            pans = motion.shift != (0, 0)
            films = [measure(follow_photo(one, motion, options), stylizers, options, pans=pans) for one in photos]
            by_motion[motion.name] = average(films)
        means = average(list(by_motion.values()))
        width, height = options.size
        print(
            f"synthetic motion: {len(photos)} photos, {len(MOTIONS)} motions, {options.frames} frames of "
            f"{width} x {height}, noise of {options.noise:g} levels; means, colors in [0, 1]"
        )
        print(format_table(means))
        for name in ("short_term", "long_term"):
            print(f"\n{name} by motion")
            print(format_motions(by_motion, name))
        result["synthetic"] = as_json(means)
        result["motions"] = {motion: as_json(figures) for motion, figures in by_motion.items()}
    for path in options.films:
        figures = measure(follow_film(path, options), stylizers, options, pans=False)
        print(f"\n{path.name}: {options.film_frames} frames, {max(options.size)} pixels on the long side")
        print(format_table(figures))
        result[path.name] = as_json(figures)
    print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
