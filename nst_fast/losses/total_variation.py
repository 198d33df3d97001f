"""Total variation: how much an image changes from one pixel to the next."""

import torch
from torch import Tensor

from nst_fast.losses.scaling import check_scaling, in_full_precision


def total_variation(image: Tensor, scaling: str = "relative") -> Tensor:
    """The squared differences of neighboring pixels.

    - `gatys`, `johnson`: their sum over an image (Mahendran and Vedaldi 2015, equation 7, beta = 2, which is what
      Johnson et al. 2016 use);
    - `relative`: their mean, so that one weight means the same at every size.

    Args:
        image: shape (B, 3, H, W), RGB in [0, 1].
        scaling: `relative`, `gatys` or `johnson`.

    Returns:
        (B,), in at least float32; 0 for an image of one pixel.

    Raises:
        SettingError: an unknown scaling.
    """
    check_scaling(scaling)
    with torch.autocast(image.device.type, enabled=False):
        image = in_full_precision(image)
        down = (image[..., 1:, :] - image[..., :-1, :]).square().sum((1, 2, 3))
        across = (image[..., 1:] - image[..., :-1]).square().sum((1, 2, 3))
        if scaling == "relative":
            _, channels, height, width = image.shape
            differences = channels * ((height - 1) * width + height * (width - 1))
            return (down + across) / max(differences, 1)
        return down + across
