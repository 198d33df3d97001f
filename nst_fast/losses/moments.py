"""Moments: the mean and the covariance of a tap's activations, over an image and within its bands of tone.

A Gram matrix is the covariance plus the outer product of the mean with itself, and the mean is most of it: 0.4 to 0.9
of the squared norm for paintings. So a network that gets the average activation right has nearly satisfied a Gram loss.
Here mean and covariance count by themselves, each relative to its own norm. See docs/experiments/style-loss.md.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nst_fast.losses.scaling import in_full_precision

# Windows have about this side, in pixels of the image; and at least so many positions of a tap along a side, since the
# covariance of fewer positions than channels says little.
_WINDOW = 96
_LEAST_POSITIONS = 24
# The share of an image that a band has at least, where its moments are divided by it.
_LEAST_SHARE = 1e-3


class Moments(NamedTuple):
    """The moments of activations with C channels, in K bands.

    Attributes:
        shares: (B, K): of the positions, that belong to each band; they add up to 1.
        means: (B, K, C).
        covariances: (B, K, C, C).
    """

    shares: Tensor
    means: Tensor
    covariances: Tensor

    def over_all(self) -> "Moments":
        """The moments of all bands together, as one band."""
        with torch.autocast(self.means.device.type, enabled=False):
            mean = torch.einsum("bk,bkc->bc", self.shares, self.means)
            between = self.means - mean[:, None]
            covariance = torch.einsum("bk,bkcd->bcd", self.shares, self.covariances)
            covariance = covariance + torch.einsum("bk,bkc,bkd->bcd", self.shares, between, between)
            return Moments(self.shares.sum(1, keepdim=True), mean[:, None], covariance[:, None])


def measure_moments(features: Tensor, bands: Tensor | None = None) -> Moments:
    """The moments of activations.

    Args:
        features: (B, C, H, W).
        bands: (B, K, H, W): how much each position belongs to each band, see `weigh_bands`. None: one band of all.
    """
    with torch.autocast(features.device.type, enabled=False):
        # Positions first, as channels-last features lie in memory: (B, N, C).
        flat = in_full_precision(features).flatten(2).mT
        if bands is None:
            weights = flat.new_full((len(flat), 1, flat.shape[1]), 1 / flat.shape[1])
        else:
            weights = bands.flatten(2) / flat.shape[1]
        shares = weights.sum(2)
        weights = weights / shares.clamp(min=_LEAST_SHARE)[:, :, None]
        # Around the image's own mean, since differences of large numbers cancel. Where it lies makes no difference.
        mean = flat.detach().mean(1, keepdim=True)
        between, second = _WeightedMoments.apply(flat - mean, weights)
        total = weights.sum(2)[:, :, None, None]  # less than 1 in a band that hardly exists
        covariances = second - (2 - total) * torch.einsum("bkc,bkd->bkcd", between, between)
        return Moments(shares, between + mean * total[..., 0], covariances)


def split_counts(images: Tensor, features: Tensor) -> tuple[int, int]:
    """Into how many windows, down and across, the activations of images are split; (1, 1): not at all.

    Args:
        images: (B, 3, H, W).
        features: (B, C, h, w), their activations.
    """
    counts = [max(1, round(side / _WINDOW)) for side in images.shape[2:]]
    positions = min(side // count for side, count in zip(features.shape[2:], counts, strict=True))
    return (counts[0], counts[1]) if positions >= _LEAST_POSITIONS else (1, 1)


def measure_windows(features: Tensor, down: int, across: int) -> Moments:
    """The moments of each window of an image, as if it were a band; rows and columns that are left over do not count.

    Args:
        features: (B, C, H, W).
        down, across: how many windows.
    """
    height, width = features.shape[2] // down, features.shape[3] // across
    inner = features[:, :, : height * down, : width * across]
    windows = inner.unflatten(2, (down, height)).unflatten(4, (across, width)).permute(0, 2, 4, 1, 3, 5)
    moments = measure_moments(windows.flatten(0, 2))
    count = down * across
    of_windows = (part.unflatten(0, (-1, count)).squeeze(2) for part in moments)
    shares, means, covariances = of_windows
    return Moments(shares / count, means, covariances)


class _WeightedMoments(torch.autograd.Function):
    """sum_n w[b,k,n] x[b,n,c] and sum_n w[b,k,n] x[b,n,c] x[b,n,d], with no gradient towards w.

    By itself, autograd keeps a weighted copy of the activations for each band, and takes twice as long.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(values, weights)
        second = torch.stack([(values * weight[:, :, None]).mT @ values for weight in weights.unbind(1)], 1)
        return weights @ values, second

    @staticmethod
    def backward(ctx: Any, of_first: Tensor, of_second: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, weights = ctx.saved_tensors
        gradient = weights.mT @ of_first
        for band, weight in enumerate(weights.unbind(1)):
            both = of_second[:, band] + of_second[:, band].mT
            gradient.addcmul_(values @ both, weight[:, :, None])
        return gradient, None


def mix_moments(moments: Sequence[Moments], shares: Sequence[float | Tensor]) -> Moments:
    """The moments of one canvas on which each of several images covers its share; the shares add up to 1."""
    of_all = sum(one.shares * share for one, share in zip(moments, shares, strict=True))
    assert isinstance(of_all, Tensor)
    parts = [one.shares * share / of_all.clamp(min=_LEAST_SHARE) for one, share in zip(moments, shares, strict=True)]
    mean = sum(one.means * part[..., None] for one, part in zip(moments, parts, strict=True))
    assert isinstance(mean, Tensor)
    covariance = sum(
        (one.covariances + torch.einsum("bkc,bkd->bkcd", one.means - mean, one.means - mean)) * part[..., None, None]
        for one, part in zip(moments, parts, strict=True)
    )
    assert isinstance(covariance, Tensor)
    return Moments(of_all, mean, covariance)


def moment_loss(moments: Moments, target: Moments, *, symmetric: bool = False) -> Tensor:
    """The style loss of one tap: half the relative error of the mean, half that of the covariance.

    In several bands, with p the share of a band in the stylized image, m and C its mean and covariance there, m' and C'
    those of the same band of the style image, and M and S those of the *whole* style image, so that a quiet band weighs
    little:

        sum over the bands of p (1/2 |m - m'|^2 / |M|^2 + 1/2 |C - C'|^2 / |S|^2)

    Args:
        moments: of the stylized images.
        target: of the style images: one for all, or one for each.
        symmetric: True: |M|^2 and |S|^2 are each the mean of that of the style image and that of the stylized one, so
            that k times too much costs as much as k times too little, and neither more than 2. By the style image's
            alone, too little costs 1/2 at most and too much has no bound: what has to guess, as a predictor of styles
            has, then learns to give too little.

    Returns:
        (B,).
    """
    mean_norm, covariance_norm = _squared_norms(target.over_all())
    if symmetric:
        norms = _squared_norms(moments.over_all())
        mean_norm, covariance_norm = (mean_norm + norms[0]) / 2, (covariance_norm + norms[1]) / 2
    # A style image of one color has no covariance.
    mean_norm, covariance_norm = mean_norm.clamp(min=1e-6), covariance_norm.clamp(min=1e-6)
    mean_error = (moments.means - target.means).square().sum(2) / mean_norm
    covariance_error = (moments.covariances - target.covariances).square().sum((2, 3)) / covariance_norm
    return (moments.shares * (mean_error + covariance_error) / 2).sum(1)


def _squared_norms(whole: Moments) -> tuple[Tensor, Tensor]:
    """Of the mean and of the covariance in each band, (B, 1) where there is one."""
    return whole.means.square().sum(2), whole.covariances.square().sum((2, 3))
