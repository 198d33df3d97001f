#!/usr/bin/env python3
"""What L-BFGS on pixels costs beyond the bare forward and backward passes that it asks for.

    python scripts/benchmark_optimize.py [--size 512] [--iterations 500] [--warm-up 3]

Both sides use the same loss and random weights, since the time does not depend on these, and take turns, so that what
else the computer does falls on both. Bare: the loss of one picture and its gradient. Ours: an iteration of
`nst-fast optimize`. The ratio is the time of ours over that of as many bare passes as ours made.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from nst_fast.device import choose_device
from nst_fast.gatys.pixel_optimiser import PixelOptimiser
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS


def time_call(call: Callable[[], object], device: torch.device) -> float:
    """Seconds that one call takes, with all that it leaves to the device."""
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def main() -> None:
    """Measure, in turns, and print one line and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="pixels, side of the square picture (default: 512)")
    parser.add_argument("--iterations", type=int, default=500, help="of L-BFGS (default: 500)")
    parser.add_argument("--warm-up", type=int, default=3, help="untimed calls of each side first (default: 3)")
    parser.add_argument("--device", default=None)
    options = parser.parse_args()
    device = choose_device(options.device)
    generator = torch.Generator().manual_seed(0)
    photo, noise, painting = torch.rand(3, 1, 3, options.size, options.size, generator=generator).to(device)
    loss_network = build_loss_network("vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights="random")
    variance = dict.fromkeys(DEFAULT_CONTENT_TAPS, 1.0)
    loss = PerceptualLoss(loss_network.to(device), painting[0], feature_variance=variance)
    target = loss.measure_content(photo)
    optimiser = PixelOptimiser(noise, lambda picture: loss(picture, target))

    def pass_once() -> None:
        picture = noise.clone().requires_grad_()
        torch.autograd.grad(loss(picture, target)[0], picture)

    for _ in range(options.warm_up):
        pass_once()
        optimiser.take_iteration()
    passes_before = optimiser.evaluations
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(options.iterations):
        ours.append(time_call(optimiser.take_iteration, device))
        bare.append(time_call(pass_once, device))
    passes = optimiser.evaluations - passes_before
    bare_seconds = statistics.fmean(bare) * passes
    ratio = sum(ours) / bare_seconds
    print(
        f"{options.size} px, {device}, {torch.get_num_threads()} threads: {options.iterations} iterations made "
        f"{passes} passes in {sum(ours):.1f} s; bare, these take {bare_seconds:.1f} s; ratio {ratio:.3f}"
    )
    print(json.dumps({"iterations": options.iterations, "passes": passes, "ratio": ratio}))


if __name__ == "__main__":
    main()
