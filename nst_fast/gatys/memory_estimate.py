"""What memory an optimisation takes, known before it starts."""

import math
from collections.abc import Callable, Iterable

import torch

from nst_fast.errors import ImageError
from nst_fast.gatys.pixel_optimiser import LBFGS_HISTORY
from nst_fast.images import size_for_short_side
from nst_fast.loss_networks.vgg import VGG
from nst_fast.memory import available_bytes

_FLOAT, _INDEX = 4, 8


def estimate_bytes(loss_network: VGG, taps: Iterable[str], height: int, width: int, *, method: str = "lbfgs") -> int:
    """The most memory that optimising a picture of height x width takes at one time, in bytes, beside the program.

    That is: the activations that the gradient needs, with the positions that max pooling keeps; while the gradient
    is computed, the two largest of its own and what a convolution rearranges; and the optimiser's pictures.

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
    return int(kept + 4 * largest + pictures * picture)


def check_fits(needed: int, available: int | None, height: int, width: int, device: str) -> None:
    """Raises ImageError, with the size that would fit, if `needed` bytes are more than there are."""
    if available is None or needed <= available:
        return
    raise ImageError(does_not_fit(height, width, device, available / needed))


def say_and_check_memory(
    loss_network: VGG,
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


def does_not_fit(height: int, width: int, device: str, share: float) -> str:
    """The message that a picture is too large, where `share` of its pixels would fit."""
    short_side = max(1, math.floor(min(height, width) * math.sqrt(share)))
    fitting_height, fitting_width = size_for_short_side(height, width, short_side)
    return (
        f"optimising {width} x {height} pixels does not fit the memory of {device}; "
        f"{fitting_width} x {fitting_height} would: give short_side={short_side}"
    )
