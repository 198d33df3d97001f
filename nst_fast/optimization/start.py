"""The image that an optimization starts from."""

import torch
from torch import Tensor

from nst_fast.data.images import resize


def make_start(start: str, content: Tensor, style: Tensor, seed: int) -> Tensor:
    """The initial image, of the size of the photo.

    Args:
        start: `content`: the photo itself; `noise`: every value drawn uniformly from [0, 1]; `style`: the center of
            the style image, scaled to cover the photo.
        content: the photo, shape (3, H, W), RGB in [0, 1].
        style: the style image, shape (3, H', W'), RGB in [0, 1].
        seed: random seed of the noise, which is drawn on the CPU, so that it is the same on every device.

    Returns:
        Shape (3, H, W), in [0, 1], on the device of `content`.
    """
    if start == "noise":
        return torch.rand(content.shape, generator=torch.Generator().manual_seed(seed)).to(content.device)
    if start == "content":
        return content.clone()
    height, width = content.shape[1:]
    scale = max(height / style.shape[1], width / style.shape[2])
    covering = resize(style, max(height, round(style.shape[1] * scale)), max(width, round(style.shape[2] * scale)))
    top, left = (covering.shape[1] - height) // 2, (covering.shape[2] - width) // 2
    return covering[:, top : top + height, left : left + width].to(content.device).clone()
