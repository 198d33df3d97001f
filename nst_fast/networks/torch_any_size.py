"""A PyTorch network with everything around it: photos of any size, as pixels or floats, to results of that size.

It is one module, so that the torch engine runs, and every export contains, the same conversion, padding and cropping.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst_fast.networks.torch_network import StyleNetwork, stylize_with_statistics
from nst_fast.networks.torch_statistics import RelayedStatistics


class AnySizeNetwork(nn.Module):
    """Stylizes photos of any size.

    Args:
        network: what stylizes.
        pixels: True: images go in and come out as (B, H, W, 3), uint8 in [0, 255], as decoders give and encoders take
            them. False: as (B, 3, H, W), float32 in [0, 1].
    """

    def __init__(self, network: StyleNetwork, *, pixels: bool) -> None:
        super().__init__()
        self.network = network
        self.pixels = pixels

    def forward(
        self,
        images: Tensor,
        given: Tensor | None = None,
        smoothing: float | Tensor = 0.0,
        origin: Tensor | None = None,
        steering: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Stylize; with `given` also return the statistics used, see `stylize_with_statistics`."""
        photos, height, width = self._prepare(images)
        if given is None:
            return self._finish(self.network(photos, None, origin, steering), height, width)
        stylized, used = stylize_with_statistics(self.network, photos, given, smoothing, origin, steering)
        return self._finish(stylized, height, width), used

    def stylize_relayed(
        self,
        images: Tensor,
        statistics: RelayedStatistics,
        origin: Tensor | None = None,
        steering: Tensor | None = None,
    ) -> Tensor:
        """Stylize a frame of a film while others are at work on the frames around it, see `RelayedStatistics`."""
        photos, height, width = self._prepare(images)
        return self._finish(self.network(photos, statistics, origin, steering), height, width)

    def _prepare(self, images: Tensor) -> tuple[Tensor, int, int]:
        height, width = images.shape[1:3] if self.pixels else images.shape[2:4]
        photos = images.permute(0, 3, 1, 2).float() / 255 if self.pixels else images
        return pad_to_stride(photos, self.network.stride, min_side=self.network.min_side), height, width

    def _finish(self, stylized: Tensor, height: int, width: int) -> Tensor:
        if torch.compiler.is_exporting():
            # By index, since an exported program asks of a slice whether it is one, and could not be both.
            for axis, side in ((2, height), (3, width)):
                stylized = stylized.index_select(axis, torch.arange(side, device=stylized.device))
        else:
            stylized = stylized[:, :, :height, :width]
        stylized = stylized.float().clamp(0, 1)
        if not self.pixels:
            return stylized
        return (stylized * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def pad_to_stride(images: Tensor, stride: int, *, min_side: int) -> Tensor:
    """Pad on the right and below until both sides are multiples of `stride` and at least `min_side` pixels.

    Mirrored where there are enough pixels to mirror, so that the statistics of the normalizations stay those of the
    photo; where there are not, the last row or column is repeated.

    Args:
        images: (B, 3, H, W), H, W >= 1.
        min_side: in pixels; a multiple of `stride`.
    """
    if torch.compiler.is_exporting():
        return _mirror_by_index(images, stride, min_side)
    for axis in (-2, -1):
        side = images.shape[axis]
        missing = max(min_side, -(-side // stride) * stride) - side
        if missing:
            padding = (0, 0, 0, missing) if axis == -2 else (0, missing, 0, 0)
            images = functional.pad(images, padding, mode="reflect" if missing < side else "replicate")
    return images


def _mirror_by_index(images: Tensor, stride: int, min_side: int) -> Tensor:
    """`pad_to_stride` for sides of at least `min_side`, without a choice that an exported program could not make."""
    for axis in (2, 3):
        side = images.shape[axis]
        torch._check(side >= min_side)
        positions = torch.arange((side + stride - 1) // stride * stride, device=images.device)
        images = images.index_select(axis, torch.where(positions < side, positions, 2 * (side - 1) - positions))
    return images
