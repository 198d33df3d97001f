"""ComfyUI's images and masks as the pixels that nst_fast takes, and back."""

import numpy as np
import torch

from nst_fast.errors import SettingError


def to_pixels(images: torch.Tensor) -> np.ndarray:
    """(B, H, W, 3 or 4), float in [0, 1], to (B, H, W, 3), uint8; transparency is left out."""
    return (images[..., :3].float() * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def to_images(pixels: list[np.ndarray]) -> torch.Tensor:
    """Pictures of one size, (H, W, 3), uint8, to (B, H, W, 3), float32 in [0, 1]."""
    return torch.from_numpy(np.stack(pixels)).float() / 255


def spread_masks(mask: torch.Tensor | None, count: int) -> list[np.ndarray | None]:
    """A mask for each of `count` images, (h, w), uint8, 255 where the style goes; None for each without a mask.

    Args:
        mask: (h, w) or (1 or count, h, w), float in [0, 1].

    Raises:
        SettingError: another number of masks.
    """
    if mask is None:
        return [None] * count
    masks = mask if mask.ndim == 3 else mask[None]
    if len(masks) not in (1, count):
        raise SettingError(f"there are {len(masks)} masks for {count} images; give one mask, or one for each image")
    levels = list((masks.float() * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy())
    return levels * count if len(levels) == 1 else levels
