"""PyTorch itself: always there, on every device."""

import numpy as np
import torch
from torch import Tensor

from nst_fast.transform_nets import TransformNet
from nst_fast.transform_nets.painter import Painter
from nst_fast.transform_nets.statistics import blank_statistics


class TorchEngine:
    """Runs a network by PyTorch.

    Args:
        network: in evaluation mode, on the device to paint on.
        number_type: of the convolutions: torch.float32, or bfloat16 or float16 by autocast.
    """

    def __init__(self, network: TransformNet, device: torch.device, number_type: torch.dtype) -> None:
        self._device = device
        self._number_type = number_type
        self._image_painter = Painter(network, pixels=False)
        self._pixel_painter = Painter(network, pixels=True)

    def paint_images(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), float in [0, 1], on any device, to the same shape, float32, on the engine's device."""
        with torch.inference_mode(), self._autocast():
            return self._image_painter(images.to(self._device, torch.float32))

    def paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """(B, H, W, 3), uint8, to the same."""
        with torch.inference_mode(), self._autocast():
            return self._pixel_painter(self._upload(pixels)).cpu().numpy()

    def paint_pixels_with_statistics(
        self, pixels: np.ndarray, given: np.ndarray | None, share: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paint as `paint_pixels`, see `paint_with_statistics`; `given` may be None where `share` is 1."""
        with torch.inference_mode(), self._autocast():
            if given is None:
                statistics = blank_statistics(self._pixel_painter.network)
            else:
                statistics = torch.from_numpy(given).to(self._device)
            painted, used = self._pixel_painter(self._upload(pixels), statistics, share)
            return painted.cpu().numpy(), used.float().cpu().numpy()

    def _upload(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(self._device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._number_type, enabled=self._number_type != torch.float32)
