"""Means and covariances, over an image and within its bands of tone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_fast.losses.moments import (
    Moments,
    _WeightedMoments,
    measure_moments,
    measure_windows,
    mix_moments,
    moment_loss,
    split_counts,
)
from nst_fast.losses.style import gram_matrix


def random_features(*shape: int, seed: int) -> Tensor:
    """Signed numbers around 3, in float64."""
    return 3 + torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_bands(batch: int, height: int, width: int, seed: int = 1) -> Tensor:
    """Three weights for each position, adding up to 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, height, width, generator=generator, dtype=torch.float64).softmax(1)


def numpy_moments(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NumPy's weighted mean and covariance of (C, H, W)."""
    values, weights = features.reshape(len(features), -1), weights.ravel()
    return np.average(values, 1, weights), np.cov(values, ddof=0, aweights=weights)


def test_each_band_is_numpys():
    """In each band of each image, mean and covariance are those of NumPy with the band's weights."""
    features, bands = random_features(2, 4, 5, 6, seed=0), random_bands(2, 5, 6)
    moments = measure_moments(features, bands)
    np.testing.assert_allclose(moments.shares, bands.mean((2, 3)), rtol=1e-12)
    for image in range(2):
        for band in range(3):
            mean, covariance = numpy_moments(features[image].numpy(), bands[image, band].numpy())
            np.testing.assert_allclose(moments.means[image, band], mean, rtol=1e-12)
            np.testing.assert_allclose(moments.covariances[image, band], covariance, rtol=1e-10, atol=1e-12)


def test_all_bands_together_are_the_whole():
    """Put together, the bands have the moments of the whole, and with them its Gram matrix."""
    features = random_features(2, 4, 5, 6, seed=0)
    whole, together = measure_moments(features), measure_moments(features, random_bands(2, 5, 6)).over_all()
    torch.testing.assert_close(together, whole, rtol=1e-10, atol=1e-12)
    gram = whole.covariances[:, 0] + torch.einsum("bc,bd->bcd", whole.means[:, 0], whole.means[:, 0])
    torch.testing.assert_close(gram, gram_matrix(features), rtol=1e-10, atol=1e-12)


def test_a_great_mean_hides_nothing():
    """In float32, a deviation of 0.1 around a mean of 1,000 is found to a thousandth."""
    noise = 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    exact = measure_moments(noise.double())
    found = measure_moments(1000 + noise)
    assert (found.covariances - exact.covariances).norm() < 1e-2 * exact.covariances.norm()


def test_a_mixture_is_a_canvas_of_all():
    """Mixed moments are those of one image in which each of the others covers its share."""
    first, second = random_features(1, 3, 4, 9, seed=2), 2 * random_features(1, 3, 4, 3, seed=3)
    bands = random_bands(1, 4, 9, seed=4), random_bands(1, 4, 3, seed=5)
    each = [measure_moments(features, band) for features, band in zip((first, second), bands, strict=True)]
    canvas = measure_moments(torch.cat([first, second], 3), torch.cat(bands, 3))
    torch.testing.assert_close(mix_moments(each, [0.75, 0.25]), canvas, rtol=1e-10, atol=1e-12)


def test_gradient():
    """The gradient that is written by hand agrees with finite differences, and so does that of the loss."""
    features = random_features(2, 3, 3, 4, seed=6).requires_grad_()
    weights = random_bands(2, 3, 4).flatten(2)
    values = features.detach().flatten(2).mT.contiguous().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: _WeightedMoments.apply(x, weights), (values,))
    target = measure_moments(random_features(1, 3, 6, 5, seed=7), random_bands(1, 6, 5, seed=8))
    bands = random_bands(2, 3, 4)
    assert torch.autograd.gradcheck(lambda x: moment_loss(measure_moments(x, bands), target), (features,))


def test_loss_is_the_formula():
    """The loss is its formula in docs/experiments/style-loss.md, written as a loop over the bands."""
    features, style = random_features(2, 3, 5, 5, seed=9), random_features(1, 3, 7, 4, seed=10)
    bands, style_bands = random_bands(2, 5, 5), random_bands(1, 7, 4, seed=11)
    loss = moment_loss(measure_moments(features, bands), measure_moments(style, style_bands))
    whole_mean, whole_covariance = numpy_moments(style[0].numpy(), np.ones((7, 4)))
    for image in range(2):
        expected = 0.0
        for band in range(3):
            mean, covariance = numpy_moments(features[image].numpy(), bands[image, band].numpy())
            style_mean, style_covariance = numpy_moments(style[0].numpy(), style_bands[0, band].numpy())
            of_mean = ((mean - style_mean) ** 2).sum() / (whole_mean**2).sum()
            of_covariance = ((covariance - style_covariance) ** 2).sum() / (whole_covariance**2).sum()
            expected += float(bands[image, band].mean()) * (of_mean + of_covariance) / 2
        assert loss[image].item() == pytest.approx(expected, rel=1e-10)


def test_of_nothing_everything_is_missing():
    """Without any activation the loss is 1; with those of the style image it is 0."""
    style = measure_moments(random_features(1, 4, 6, 6, seed=12))
    assert moment_loss(measure_moments(torch.zeros(1, 4, 6, 6).double()), style).item() == pytest.approx(1, rel=1e-12)
    assert moment_loss(style, style).item() == 0


def test_an_empty_band_does_no_harm():
    """A band to which nothing belongs has finite moments and gradients, and does not count."""
    bands = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    bands[:, 1] = 1
    features = random_features(1, 3, 4, 4, seed=13).requires_grad_()
    target = measure_moments(random_features(1, 3, 4, 4, seed=14), random_bands(1, 4, 4))
    loss = moment_loss(measure_moments(features, bands), target)
    (gradient,) = torch.autograd.grad(loss.sum(), features)
    middle = Moments(*(part[:, 1:2] for part in target))
    scale = target.over_all()
    alone = measure_moments(features.detach())
    of_mean = (alone.means - middle.means).square().sum() / scale.means.square().sum()
    of_covariance = (alone.covariances - middle.covariances).square().sum() / scale.covariances.square().sum()
    assert loss.item() == pytest.approx((of_mean + of_covariance).item() / 2, rel=1e-10)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Under autocast, and with half precision activations of 300, all is float32 and within rounding exact."""
    features, bands = (300 * torch.rand(1, 8, 32, 32)).to(dtype), random_bands(1, 32, 32).float()
    exact = measure_moments(features.double(), bands.double())
    with torch.autocast("cpu", dtype):
        moments = measure_moments(features, bands)
        whole = moments.over_all()
    assert {part.dtype for part in (*moments, *whole)} == {torch.float32}
    for found, wanted in zip((*moments, *whole), (*exact, *exact.over_all()), strict=True):
        assert (found - wanted).norm() < 1e-4 * wanted.norm()


def test_windows_are_parts_of_the_image():
    """Each window has NumPy's moments of its part, row by row, and an equal share; what is left over does not count."""
    features = random_features(2, 3, 7, 11, seed=4)
    moments = measure_windows(features, 2, 3)
    assert moments.means.shape == (2, 6, 3) and moments.covariances.shape == (2, 6, 3, 3)
    torch.testing.assert_close(moments.shares, torch.full((2, 6), 1 / 6, dtype=torch.float64))
    for image in range(2):
        for window in range(6):
            top, left = 3 * (window // 3), 3 * (window % 3)
            part = features[image, :, top : top + 3, left : left + 3].numpy()
            mean, covariance = numpy_moments(part, np.ones(9))
            np.testing.assert_allclose(moments.means[image, window], mean, rtol=1e-12)
            np.testing.assert_allclose(moments.covariances[image, window], covariance, rtol=1e-10, atol=1e-12)


def test_windows_notice_bare_walls():
    """An image of which one half is bare has the moments of the style image on the whole, but not in its windows."""
    painted = random_features(1, 3, 24, 24, seed=5) - 3
    bare = torch.cat([painted * 2**0.5, torch.zeros_like(painted)], 3)
    target = measure_moments(torch.cat([painted, painted], 3))
    assert moment_loss(measure_moments(bare), target).item() < 0.3
    assert moment_loss(measure_windows(bare, 1, 2), target).item() > 0.5
    assert moment_loss(measure_windows(torch.cat([painted, painted], 3), 1, 2), target).item() < 1e-20


@pytest.mark.parametrize(
    ("height", "width", "stride", "counts"),
    [(192, 192, 4, (2, 2)), (192, 192, 8, (1, 1)), (300, 500, 2, (3, 5)), (96, 96, 1, (1, 1)), (40, 400, 1, (1, 4))],
)
def test_windows_of_about_96_pixels(height, width, stride, counts):
    """Windows have 96 pixels, give or take a half; a tap whose windows have less than 24 positions a side has none."""
    images, features = torch.empty(1, 3, height, width), torch.empty(1, 8, height // stride, width // stride)
    assert split_counts(images, features) == counts
