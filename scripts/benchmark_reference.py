"""Our networks against the usual reference, in one run, taking turns.

    python scripts/benchmark_reference.py [--size 640x360] [--seconds 10] [--json FILE]

The reference is the network of Johnson et al. at 32 filters as the common PyTorch example runs it: in eager mode,
contiguous, from a float tensor to a float tensor. Ours go from the bytes of a frame to the bytes of a stylized frame.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from textbook_network import build_textbook_network

from nst_fast.benchmark import (
    Candidate,
    build_random_checkpoint,
    candidate_for,
    describe_computer,
    measure_candidates,
)
from nst_fast.cli.benchmark import format_table
from nst_fast.cli.numbers import size_in_pixels
from nst_fast.stylize.engines.choice import list_engines


def build_reference() -> Candidate:
    """The johnson network of width 32, eager and contiguous."""
    network = build_textbook_network("johnson").eval().requires_grad_(False)

    def build():
        def stylize(pixels: np.ndarray) -> torch.Tensor:
            photo = torch.from_numpy(pixels).permute(2, 0, 1).float().div(255).unsqueeze(0)
            with torch.no_grad():
                return network(photo)

        return stylize

    return Candidate("reference", "johnson 32, eager PyTorch", build, network.description.operations_per_pixel)


def main() -> None:
    """Measure and print each line's speed as a multiple of the reference's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", type=size_in_pixels, default=(640, 360), metavar="WxH", help="in pixels (default: 640x360)"
    )
    parser.add_argument("--seconds", type=float, default=10, help="for each line (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of the network (default: one for each core)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    torch.manual_seed(0)
    candidates = [build_reference()]
    for name in ("johnson", "realtime"):
        checkpoint = build_random_checkpoint(name)
        for engine in list_engines("cpu"):
            if engine != "compile":
                candidates.append(candidate_for(name, checkpoint, device="cpu", engine=engine, threads=options.threads))
    width, height = options.size
    measurements = measure_candidates(candidates, height, width, seconds=options.seconds)
    print(describe_computer())
    print(format_table(measurements))
    print("\ntimes as fast as the reference, by medians:")
    for one in measurements[1:]:
        print(f"  {one.network:<10} {one.engine:<32} {measurements[0].milliseconds_50 / one.milliseconds_50:6.2f}")
    if options.json:
        result = {"computer": describe_computer(), "measurements": [dataclasses.asdict(one) for one in measurements]}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
