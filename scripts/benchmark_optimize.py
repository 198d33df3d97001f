#!/usr/bin/env python3
"""Measures what L-BFGS on pixels costs beyond the forward and backward passes that it needs.

    python scripts/benchmark_optimize.py [--size 512] [--iterations 6] [--device cpu]

Both sides use the same loss with random weights, on which the time does not depend, and take turns. Bare: the loss of
one image and its gradient. Ours: an iteration of `nst-fast optimize`, divided by its number of passes. Medians.

The arithmetic of L-BFGS itself grows until its history is full, which takes more iterations than are run here. So the
script also measures it alone: with a full history and a loss that costs next to nothing, at the same size.

On a CPU the script measures the CPU time of this process, so that other programs do not distort the result.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.losses.tones import PhotoTones
from nst_fast.optimization.pixel_optimizer import LBFGS_HISTORY, Loss, PixelOptimizer
from nst_fast.runs.device import choose_device


def time_call(call: Callable[[], object], device: torch.device) -> float:
    """Duration of one call in seconds, including the work that it leaves to the device."""
    if device.type == "cpu":
        began = time.process_time()
        call()
        return time.process_time() - began
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def make_pass(loss: Loss, image: Tensor) -> Callable[[], object]:
    """A function that does one forward and backward pass of the loss, and nothing else."""

    def pass_once() -> object:
        leaf = image.clone().requires_grad_()
        return torch.autograd.grad(loss(leaf)[0], leaf)

    return pass_once


def time_side_by_side(loss: Loss, start: Tensor, iterations: int, warm_up: int) -> tuple[list[float], list[float], int]:
    """Seconds per pass of each iteration, seconds of each bare pass, and the number of passes in the iterations."""
    optimizer = PixelOptimizer(start, loss)
    pass_once = make_pass(loss, start)
    for _ in range(warm_up):
        optimizer.take_iteration()
    ours, bare = [], []
    first = optimizer.evaluations
    for _ in range(iterations):
        before = optimizer.evaluations
        seconds = time_call(optimizer.take_iteration, start.device)
        ours.append(seconds / (optimizer.evaluations - before))
        bare.append(time_call(pass_once, start.device))
    return ours, bare, optimizer.evaluations - first


def time_own_arithmetic(start: Tensor, iterations: int) -> float:
    """Seconds of one iteration with a full history, without its passes."""
    goal = torch.rand_like(start)
    stiffness = torch.rand_like(start) + 0.1

    def bowl(image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        total = (stiffness * (image - goal).square()).sum() + (image - goal).pow(4).sum()
        return total, {"total": total.detach()}

    ours, bare, passes = time_side_by_side(bowl, start, iterations, LBFGS_HISTORY + 2)
    return (statistics.median(ours) - statistics.median(bare)) * passes / iterations


def main() -> None:
    """Measure, and print one line and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="side of the square image in pixels (default: 512)")
    parser.add_argument("--iterations", type=int, default=6, help="L-BFGS iterations (default: 6)")
    parser.add_argument("--warm-up", type=int, default=1, help="untimed iterations before (default: 1)")
    parser.add_argument("--device", default=None)
    options = parser.parse_args()
    device = choose_device(options.device)
    torch.manual_seed(0)
    photo, noise, style = torch.rand(3, 1, 3, options.size, options.size).to(device)
    loss_network = build_loss_network("vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights="random")
    variance = dict.fromkeys(DEFAULT_CONTENT_TAPS, 1.0)
    tones = PhotoTones(photo)
    loss = PerceptualLoss(loss_network.to(device), style[0], feature_variance=variance, photo_tones=tones)
    target = loss.measure_content(photo)

    own = time_own_arithmetic(noise, 15)
    ours, bare, passes = time_side_by_side(
        lambda image: loss(image, target), noise, options.iterations, options.warm_up
    )
    pass_seconds = statistics.median(bare)
    measured = statistics.median(ours) / pass_seconds
    with_full_history = 1 + own / (pass_seconds * passes / options.iterations)
    print(
        f"{options.size} px, {device}, {torch.get_num_threads()} threads: {options.iterations} iterations made "
        f"{passes} passes of {pass_seconds:.2f} s; an iteration takes {measured:.3f} times its passes. L-BFGS's own "
        f"arithmetic with a full history takes {1000 * own:.0f} ms, which makes {with_full_history:.3f}"
    )
    print(json.dumps({"measured": measured, "with_full_history": with_full_history, "passes": passes}))


if __name__ == "__main__":
    main()
