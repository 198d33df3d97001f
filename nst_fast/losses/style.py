"""The style loss: how far the Gram matrices of the stylized image are from those of the style image."""

import torch
from torch import Tensor

from nst_fast.losses.scaling import check_scaling, in_full_precision


def gram_matrix(features: Tensor) -> Tensor:
    """The Gram matrix divided by the number of positions: G_ij = 1/(H*W) * sum_k F_ik F_jk.

    Gatys et al. 2016 (equation 3) do not divide. We always do, so that style image and stylized image may differ in
    size. `style_loss` restores each paper's constants.

    Args:
        features: shape (B, C, H, W).

    Returns:
        Shape (B, C, C), symmetric, in at least float32, also under autocast.
    """
    with torch.autocast(features.device.type, enabled=False):
        flat = in_full_precision(features).flatten(2)
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_loss(features: Tensor, target_gram: Tensor, scaling: str = "relative") -> Tensor:
    """The style loss of one tap by Gram matrices.

    With G and A the Gram matrices of the stylized image and of the style image, each divided by its own number of
    positions:

    - `gatys`: 1/(4 C^2) * sum (G - A)^2, which is equation 4 of Gatys et al. 2016 where both have one size;
    - `johnson`: sum (G/C - A/C)^2 (Johnson et al. 2016, equations 3 and 4);
    - `relative`: sum (G - A)^2 / sum A^2: the missing share of the style image's squared Gram norm.

    Args:
        features: shape (B, C, H, W), of the stylized images.
        target_gram: shape (C, C) or (B, C, C), from `gram_matrix` of the style image's features.
        scaling: `relative`, `gatys` or `johnson`.

    Raises:
        SettingError: an unknown scaling.

    Returns:
        (B,), in at least float32.
    """
    check_scaling(scaling)
    with torch.autocast(features.device.type, enabled=False):
        gram = gram_matrix(features)
        target_gram = target_gram.to(gram.dtype)
        missing = (gram - target_gram).square().sum((1, 2))
        channels = features.shape[1]
        if scaling == "gatys":
            return missing / (4 * channels**2)
        if scaling == "johnson":
            return missing / channels**2
        return missing / target_gram.square().sum((-2, -1))
