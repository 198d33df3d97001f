#!/usr/bin/env python3
"""What L-BFGS on pixels costs beyond the bare forward and backward passes that it asks for.

    python scripts/benchmark_optimize.py [--size 512] [--iterations 6] [--device cpu]

Both sides use the same loss and random weights, since the time does not depend on these, and take turns. Bare: the
loss of one picture and its gradient. Ours: an iteration of `nst-fast optimize`, divided by the passes that it made.
Medians.

L-BFGS's own arithmetic grows until its history is full, which takes more iterations than are run here. So it is
measured alone, too: with a full history and a loss that costs next to nothing, at the same size.

On a CPU the seconds are those that this process was given, so that what else the computer does falls on neither side.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from nst_fast.device import choose_device
from nst_fast.gatys.pixel_optimiser import LBFGS_HISTORY, Loss, PixelOptimiser
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS


def time_call(call: Callable[[], object], device: torch.device) -> float:
    """Seconds that one call takes, with all that it leaves to the device."""
    if device.type == "cpu":
        began = time.process_time()
        call()
        return time.process_time() - began
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def make_pass(loss: Loss, picture: Tensor) -> Callable[[], object]:
    """One forward and backward pass of the loss, and nothing else."""

    def pass_once() -> object:
        leaf = picture.clone().requires_grad_()
        return torch.autograd.grad(loss(leaf)[0], leaf)

    return pass_once


def time_side_by_side(
    loss: Loss, start: Tensor, iterations: int, warm_up: int
) -> tuple[list[float], list[float], int]:
    """Seconds of each iteration for one of its passes, seconds of each bare pass, and the number of passes made."""
    optimiser = PixelOptimiser(start, loss)
    pass_once = make_pass(loss, start)
    for _ in range(warm_up):
        optimiser.take_iteration()
    ours, bare = [], []
    first = optimiser.evaluations
    for _ in range(iterations):
        before = optimiser.evaluations
        seconds = time_call(optimiser.take_iteration, start.device)
        ours.append(seconds / (optimiser.evaluations - before))
        bare.append(time_call(pass_once, start.device))
    return ours, bare, optimiser.evaluations - first


def time_own_arithmetic(start: Tensor, iterations: int) -> float:
    """Seconds of one iteration with a full history, without those of its passes."""
    goal = torch.rand_like(start)
    stiffness = torch.rand_like(start) + 0.1

    def bowl(picture: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        total = (stiffness * (picture - goal).square()).sum() + (picture - goal).pow(4).sum()
        return total, {"total": total.detach()}

    ours, bare, passes = time_side_by_side(bowl, start, iterations, LBFGS_HISTORY + 2)
    return (statistics.median(ours) - statistics.median(bare)) * passes / iterations


def main() -> None:
    """Measure, and print one line and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="pixels, side of the square picture (default: 512)")
    parser.add_argument("--iterations", type=int, default=6, help="of L-BFGS (default: 6)")
    parser.add_argument("--warm-up", type=int, default=1, help="untimed iterations first (default: 1)")
    parser.add_argument("--device", default=None)
    options = parser.parse_args()
    device = choose_device(options.device)
    torch.manual_seed(0)
    photo, noise, painting = torch.rand(3, 1, 3, options.size, options.size).to(device)
    loss_network = build_loss_network("vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights="random")
    variance = dict.fromkeys(DEFAULT_CONTENT_TAPS, 1.0)
    loss = PerceptualLoss(loss_network.to(device), painting[0], feature_variance=variance)
    target = loss.measure_content(photo)

    own = time_own_arithmetic(noise, 15)
    ours, bare, passes = time_side_by_side(
        lambda picture: loss(picture, target), noise, options.iterations, options.warm_up
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
