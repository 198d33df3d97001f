"""How much memory an optimization needs, estimated before it starts."""

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator

import torch

from nst_fast.errors import ImageError
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.media.resizing import size_for_short_side
from nst_fast.memory import available_bytes, is_out_of_memory
from nst_fast.optimization.pixel_optimizer import LBFGS_HISTORY

_log = logging.getLogger(__name__)

_FLOAT_BYTES, _INDEX_BYTES = 4, 8
# Both are fitted to the peak memory of a process on the CPU at 256 and 512 pixels (VGG-19). The first: how many times
# the largest activations are held while the gradient is computed (the activations' own gradient, that of the style
# loss, and what convolutions rearrange). The second: what is needed at any size (rearranged weights, workspaces, what
# the allocator keeps).
_LARGEST_AT_ONCE = 6
_FIXED_BYTES = 80 * 2**20


def estimate_bytes(
    loss_network: LossNetwork, taps: Iterable[str], height: int, width: int, *, method: str = "lbfgs"
) -> int:
    """The peak memory of optimizing an image of height x width pixels, in bytes, beyond the program itself.

    The estimate counts the activations that the gradient needs, with the indices that max pooling keeps; several
    buffers as large as the largest activations, while the gradient is computed; the images that the optimizer keeps;
    and a constant.

    Raises:
        SettingError, ImageError: see `LossNetwork`.
    """
    wanted = set(taps)
    deepest = max(i for i, convolution in enumerate(loss_network.convolutions) if convolution.tap in wanted)
    kept = 0.0
    largest = 0.0
    for convolution in loss_network.convolutions[: deepest + 1]:
        positions = (height // convolution.stride) * (width // convolution.stride)
        if convolution.pool_before:
            index = _INDEX_BYTES if loss_network.pooling == "max" else 0
            kept += positions * convolution.in_channels * (_FLOAT_BYTES + index)
        kept += positions * convolution.out_channels * _FLOAT_BYTES
        largest = max(largest, positions * convolution.out_channels * _FLOAT_BYTES)
    image = 3 * height * width * _FLOAT_BYTES
    images = 2 * LBFGS_HISTORY + 12 if method == "lbfgs" else 10
    return int(kept + _LARGEST_AT_ONCE * largest + images * image + _FIXED_BYTES)


def check_fits(needed: int, available: int | None, height: int, width: int, device: str) -> None:
    """Raise ImageError, with a size that would fit, if more bytes are needed than available (None: unknown)."""
    if available is None or needed <= available:
        return
    share = max(available - _FIXED_BYTES, 0) / (needed - _FIXED_BYTES)
    raise ImageError(does_not_fit(height, width, device, share))


def check_memory(
    loss_network: LossNetwork,
    taps: Iterable[str],
    height: int,
    width: int,
    device: torch.device,
    *,
    method: str = "lbfgs",
) -> None:
    """Log how much memory optimizing height x width pixels needs and how much is free.

    Raises:
        ImageError: more is needed than is free; the message names a size that would fit.
    """
    needed = estimate_bytes(loss_network, taps, height, width, method=method)
    available = available_bytes(device)
    free = "" if available is None else f" of {available / 2**30:.1f} GiB free on {device}"
    _log.info("%d x %d pixels need about %.1f GiB%s", width, height, needed / 2**30, free)
    check_fits(needed, available, height, width, str(device))


def does_not_fit(height: int, width: int, device: str, share: float, setting: str = "short_side") -> str:
    """The message for an image that is too large, where a `share` of its pixels would fit.

    Args:
        setting: name of the setting that makes the image smaller.
    """
    short_side = max(1, math.floor(min(height, width) * math.sqrt(share)))
    fitting_height, fitting_width = size_for_short_side(height, width, short_side)
    return (
        f"optimizing {width} x {height} pixels does not fit into the memory of {device}, "
        f"{fitting_width} x {fitting_height} pixels would; set {setting} to {short_side}"
    )


@contextlib.contextmanager
def explain_out_of_memory(height: int, width: int, device: torch.device, setting: str = "short_side") -> Iterator[None]:
    """Turn running out of memory in the block into an ImageError that proposes a smaller value of `setting`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # How much is free is unknown by now; half of the pixels is a size worth trying.
        raise ImageError(does_not_fit(height, width, str(device), 0.5, setting)) from error
