"""What memory an optimisation takes, known before it starts."""

import math
from collections.abc import Callable, Iterable

import torch

from nst_fast.errors import ImageError
from nst_fast.gatys.pixel_optimiser import LBFGS_HISTORY
from nst_fast.images import size_for_short_side
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.memory import available_bytes

_FLOAT, _INDEX = 4, 8
# Both fitted to the peak of a process on the CPU at 256 and 512 pixels (VGG-19): how many of the largest activations
# there are while the gradient is computed (its own, those of the style, and what convolutions rearrange), and what
# there is at any size (rearranged weights, workspaces, what the allocator keeps).
_LARGEST_AT_ONCE = 6
_FIXED = 80 * 2**20


def estimate_bytes(
    loss_network: LossNetwork, taps: Iterable[str], height: int, width: int, *, method: str = "lbfgs"
) -> int:
    """The most memory that optimising a picture of height x width takes at one time, in bytes, beside the program.

    That is: the activations that the gradient needs, with the positions that max pooling keeps; while the gradient
    is computed, several as large as the largest of them; the optimiser's pictures; and a little at any size.

    Raises:
        SettingError, ImageError: as the loss network does.
    """
    wanted = set(taps)
    deepest = max(i for i, convolution in enumerate(loss_network.convolutions) if convolution.tap in wanted)
    kept = 0.0
    largest = 0.0
    for convolution in loss_network.convolutions[: deepest + 1]:
        positions = (height // convolution.stride) * (width // convolution.stride)
        if convolution.pool_before:
            index = _INDEX if loss_network.pooling == "max" else 0
            kept += positions * convolution.in_channels * (_FLOAT + index)
        kept += positions * convolution.out_channels * _FLOAT
        largest = max(largest, positions * convolution.out_channels * _FLOAT)
    picture = 3 * height * width * _FLOAT
    pictures = 2 * LBFGS_HISTORY + 12 if method == "lbfgs" else 10
    return int(kept + _LARGEST_AT_ONCE * largest + pictures * picture + _FIXED)


def check_fits(needed: int, available: int | None, height: int, width: int, device: str) -> None:
    """Raises ImageError, with the size that would fit, if `needed` bytes are more than there are."""
    if available is None or needed <= available:
        return
    share = max(available - _FIXED, 0) / (needed - _FIXED)
    raise ImageError(does_not_fit(height, width, device, share))


def say_and_check_memory(
    loss_network: LossNetwork,
    taps: Iterable[str],
    height: int,
    width: int,
    device: torch.device,
    say: Callable[[str], None],
    *,
    method: str = "lbfgs",
) -> None:
    """Say what optimising height x width pixels will take, and what is free.

    Raises:
        ImageError: more than there is; with the size that would fit.
    """
    needed = estimate_bytes(loss_network, taps, height, width, method=method)
    available = available_bytes(device)
    free = "" if available is None else f" of {available / 2**30:.1f} GiB free on {device}"
    say(f"{width} x {height} pixels will take about {needed / 2**30:.1f} GiB{free}")
    check_fits(needed, available, height, width, str(device))


def does_not_fit(height: int, width: int, device: str, share: float, key: str = "short_side") -> str:
    """The message that a picture is too large, where `share` of its pixels would fit; `key` is the setting to give."""
    short_side = max(1, math.floor(min(height, width) * math.sqrt(share)))
    fitting_height, fitting_width = size_for_short_side(height, width, short_side)
    return (
        f"optimising {width} x {height} pixels does not fit the memory of {device}; "
        f"{fitting_width} x {fitting_height} would: give {key}={short_side}"
    )
