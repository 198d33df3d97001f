"""The style loss: how far the Gram matrices of the painted picture are from those of the painting."""

import torch
from torch import Tensor

from nst_fast.losses.normalisation import check_normalisation, in_full_precision


def gram_matrix(features: Tensor) -> Tensor:
    """The Gram matrix divided by the number of positions: G_ij = 1/(H*W) * sum_k F_ik F_jk.

    Gatys et al. 2016 (equation 3) do not divide; we always do, so that the painting and the picture may differ in
    size. `style_loss` puts each paper's constants back.

    Args:
        features: shape (B, C, H, W).

    Returns:
        Shape (B, C, C), symmetric, in at least float32, also under autocast.
    """
    with torch.autocast(features.device.type, enabled=False):
        flat = in_full_precision(features).flatten(2)
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_loss(features: Tensor, target_gram: Tensor, normalisation: str = "relative") -> Tensor:
    """The style loss of one tap, averaged over the batch.

    With G and A the Gram matrices (each divided by its own number of positions) of the picture and of the painting:

    - `gatys`: 1/(4 C^2) * sum (G - A)^2, which is equation 4 of Gatys et al. 2016 where both are of one size;
    - `johnson`: sum (G/C - A/C)^2 (Johnson et al. 2016, equations 3 and 4);
    - `relative`: sum (G - A)^2 / sum A^2: the share of the painting's squared Gram norm that is missing.

    Args:
        features: shape (B, C, H, W), of the painted pictures.
        target_gram: shape (C, C) or (B, C, C), from `gram_matrix` of the painting's features.

    Returns:
        A scalar in at least float32.
    """
    check_normalisation(normalisation)
    with torch.autocast(features.device.type, enabled=False):
        gram = gram_matrix(features)
        target_gram = target_gram.to(gram.dtype)
        missing = (gram - target_gram).square().sum((1, 2))
        channels = features.shape[1]
        if normalisation == "gatys":
            return missing.mean() / (4 * channels**2)
        if normalisation == "johnson":
            return missing.mean() / channels**2
        return (missing / target_gram.square().sum((-2, -1))).mean()
