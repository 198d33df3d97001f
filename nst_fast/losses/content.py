"""The content loss: how far the activations of the stylized image are from those of the photo."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nst_fast.errors import ImageError
from nst_fast.losses.scaling import check_scaling, in_full_precision

# In units of the variance over photos: the average detail of photos, and that at which half of the weight is reached.
_AVERAGE_DETAIL, _HALF_DETAIL = 0.5, 0.2


def content_loss(
    features: Tensor,
    target: Tensor,
    scaling: str = "relative",
    feature_variance: float = 1.0,
    weights: Tensor | None = None,
) -> Tensor:
    """The content loss of one tap.

    With F the features and P the target, both (C, H, W):

    - `gatys`: 1/2 * sum (F - P)^2 (Gatys et al. 2016, equation 1);
    - `johnson`: 1/(C*H*W) * sum (F - P)^2 (Johnson et al. 2016, equation 2);
    - `relative`: as `johnson`, divided by `feature_variance`. An image whose activations are everywhere the average of
      all photos has a loss of 1. The variance belongs to the loss network and the tap, never to one photo: a flat sky
      would blow the loss up.

    Args:
        features: shape (B, C, H, W), of the stylized images.
        target: the same shape, of the photos.
        scaling: `relative`, `gatys` or `johnson`.
        feature_variance: from `measure_feature_variance`; only `relative` uses it.
        weights: (B, 1, H, W), from `weigh_detail`: how much each place counts; None: all the same.

    Raises:
        SettingError: an unknown scaling.

    Returns:
        (B,), in at least float32.
    """
    check_scaling(scaling)
    with torch.autocast(features.device.type, enabled=False):
        squares = (in_full_precision(features) - in_full_precision(target)).square()
        if weights is not None:
            squares = squares * weights
        if scaling == "gatys":
            return 0.5 * squares.sum((1, 2, 3))
        mean_square = squares.mean((1, 2, 3))
        return mean_square / feature_variance if scaling == "relative" else mean_square


@torch.no_grad()
def weigh_detail(target: Tensor, feature_variance: float, focus: float) -> Tensor:
    """How much each place of a photo counts for its content: a face much, a flat sky little.

    The detail d is the squared distance of the activations from their mean over 5x5 positions, averaged over channels
    and over 5x5 positions, in units of the variance over photos, where it is about 1/2. The weight is

        1 - focus + focus * 7/5 * d / (d + 1/5)

    which is 1 where d is 1/2, and 1 - focus where the photo is flat. So strokes cost little where they hide nothing.

    Args:
        target: (B, C, H, W), activations of the photos.
        feature_variance: of this tap, from `measure_feature_variance`.
        focus: 0, all places count the same, to 1, a flat place does not count.

    Returns:
        (B, 1, H, W), in at least float32.
    """
    with torch.autocast(target.device.type, enabled=False):
        target = in_full_precision(target)
        deviation = (target - _average_around(target)).square().mean(1, keepdim=True)
        detail = _average_around(deviation) / feature_variance
        slope = (_AVERAGE_DETAIL + _HALF_DETAIL) / _AVERAGE_DETAIL
        return 1 - focus + focus * slope * detail / (detail + _HALF_DETAIL)


def _average_around(values: Tensor) -> Tensor:
    """The mean over 5x5 positions, fewer at the border."""
    return avg_pool2d(values, 5, stride=1, padding=2, count_include_pad=False)


@torch.no_grad()
def measure_feature_variance(
    loss_network: torch.nn.Module, photos: Iterable[Tensor], taps: Iterable[str]
) -> Mapping[str, float]:
    """The variance of each tap's activations over natural photos, around each channel's mean, averaged over channels.

    Args:
        loss_network: called as `loss_network(images, taps)`.
        photos: batches of shape (B, 3, H, W), RGB in [0, 1], on the loss network's device; every position counts the
            same.
        taps: their names.

    Returns:
        For each tap a positive number.

    Raises:
        ImageError: there is no photo.
    """
    taps = list(taps)
    count = dict.fromkeys(taps, 0)
    total: dict[str, Tensor] = {}
    total_of_squares: dict[str, Tensor] = {}
    for batch in photos:
        for tap, features in loss_network(batch, taps).items():
            # Sums over a hundred thousand positions: float64 keeps their difference exact.
            features = features.transpose(0, 1).flatten(1).cpu().double()
            count[tap] += features.shape[1]
            total[tap] = total.get(tap, 0) + features.sum(1)
            total_of_squares[tap] = total_of_squares.get(tap, 0) + features.square().sum(1)
    if not total:
        raise ImageError("there is no photo to measure the feature variance on; give at least one")
    variances = {}
    for tap in taps:
        variance = total_of_squares[tap] / count[tap] - (total[tap] / count[tap]).square()
        variances[tap] = max(float(variance.mean()), torch.finfo(torch.float32).tiny)
    return variances
