"""What each knob costs: the time for a frame with it, beside the same network without, taking turns.

    python scripts/benchmark_knobs.py [--engine openvino] [--rounds 60] [--cpu-time] [--photo FILE] [--json FILE]

At 640x360 strength, color and region, and at 1280x720 the stroke size. Frames go through `Stylizer.for_frames` with
smoothing, as those of a film do. The strength is that of an adjustable network with random weights, against the same
network without the knob; the others are the shipped style udnie against itself.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from nst_fast.benchmark import build_random_checkpoint, describe_computer
from nst_fast.media.pictures import read_picture
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo
from nst_fast.networks.description import STEERING, leave_photo_out
from nst_fast.networks.registry import describe_network
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer

PHOTO = Path(__file__).resolve().parents[1] / "docs" / "examples" / "photos" / "astronaut.jpg"
SMOOTHING = 0.9
KNOBS = ("keep_color=luminance", "keep_color=match", "region=person", "keep_color=match&region=person")
STROKE_SIZES = ("stroke_size=2", "stroke_size=3", "stroke_size=4")

Step = Callable[[np.ndarray], np.ndarray]


def build_adjustable_checkpoint() -> Checkpoint:
    """The realtime network with the strength knob and random weights; from strength 1 on, as after training, the photo
    does not go around it."""
    description = describe_network("realtime", input_noise=0.016, adjustable=True)
    random = np.random.default_rng(0)
    weights = {
        name: (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in description.list_parameters().items()
    }
    leave_photo_out(weights[STEERING])
    return Checkpoint(description, weights, CheckpointInfo(style={"name": "adjustable"}))


def build_step(style: str | Checkpoint, look: str, engine: str) -> Step:
    """What stylizes the next frame of a film."""
    stylizer = Stylizer(style, device="cpu", engine=engine, look=Look.parse(look))
    return stylizer.for_frames(SMOOTHING).stylize_pixels


def measure(steps: dict[str, Step], frame: np.ndarray, rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """The median milliseconds of each step, all of them taking turns."""
    for step in steps.values():
        for _ in range(4):
            step(frame)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began = clock()
            step(frame)
            times[name].append(1000 * (clock() - began))
    return {name: statistics.median(own) for name, own in times.items()}


def report(title: str, milliseconds: dict[str, float]) -> None:
    """Print each step beside the first one."""
    print(f"\n{title}")
    (_, plain), *_ = milliseconds.items()
    for name, own in milliseconds.items():
        print(f"  {name:<34} {own:7.1f} ms  {100 * (own / plain - 1):+6.1f} %  {plain / own:5.2f} times as fast")


def main() -> None:
    """Measure, print, and perhaps write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="openvino", help="openvino, onnxruntime or torch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=60, help="of turns (default: %(default)s)")
    parser.add_argument("--cpu-time", action="store_true", help="count processor time instead of time")
    parser.add_argument("--photo", type=Path, default=PHOTO, help="that all frames show (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    photo = Image.fromarray(read_picture(options.photo).rgb)
    frames = {size: np.asarray(photo.resize(size)) for size in ((640, 360), (1280, 720))}
    clock = time.process_time if options.cpu_time else time.perf_counter
    results: dict[str, dict[str, float]] = {}

    def run(title: str, steps: dict[str, Step], size: tuple[int, int]) -> None:
        results[title] = measure(steps, frames[size], options.rounds, clock)
        report(title, results[title])

    print(describe_computer())
    strength = {
        "without the knob": build_step(build_random_checkpoint("realtime"), "", options.engine),
        "strength=1": build_step(build_adjustable_checkpoint(), "", options.engine),
        "strength=0.7": build_step(build_adjustable_checkpoint(), "strength=0.7", options.engine),
    }
    run(f"strength, {options.engine}, 640x360", strength, (640, 360))
    knobs = {look or "none": build_step("udnie", look, options.engine) for look in ("", *KNOBS)}
    run(f"color and region, {options.engine}, 640x360", knobs, (640, 360))
    strokes = {look or "none": build_step("udnie", look, options.engine) for look in ("", *STROKE_SIZES)}
    run(f"stroke size, {options.engine}, 1280x720", strokes, (1280, 720))
    if options.json:
        result = {"computer": describe_computer(), "engine": options.engine, "milliseconds": results}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
