import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_fast.errors import ImageError
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.content import content_loss, measure_feature_variance, weigh_detail


def random_features(*shape: int, seed: int) -> Tensor:
    """Signed numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sum_of_squares(features: Tensor, target: Tensor) -> float:
    """sum (F - P)^2 over one picture of shape (C, H, W), number by number."""
    ours, theirs = features.numpy(), target.numpy()
    return sum((ours[place] - theirs[place]) ** 2 for place in itertools.product(*map(range, ours.shape)))


@pytest.mark.parametrize(
    ("scaling", "scale"),
    [("gatys", 1 / 2), ("johnson", 1 / (3 * 4 * 5)), ("relative", 1 / (3 * 4 * 5 * 0.7))],
)
def test_value(scaling, scale):
    """For each image each scaling is its formula, written as a loop over channels and positions."""
    features, target = random_features(2, 3, 4, 5, seed=0), random_features(2, 3, 4, 5, seed=1)
    expected = [scale * sum_of_squares(ours, theirs) for ours, theirs in zip(features, target, strict=True)]
    loss = content_loss(features, target, scaling, feature_variance=0.7)
    assert loss.tolist() == pytest.approx(expected, rel=1e-12)


def test_weights():
    """Each place counts by its weight."""
    features, target = random_features(1, 3, 4, 5, seed=0), random_features(1, 3, 4, 5, seed=1)
    weights = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    weights[..., 2, 3] = 0.5
    expected = 0.5 * ((features - target)[..., 2, 3] ** 2).sum().item() / (3 * 4 * 5 * 0.7)
    loss = content_loss(features, target, "relative", feature_variance=0.7, weights=weights)
    assert loss.tolist() == pytest.approx([expected], rel=1e-12)


def test_detail_counts_and_flat_places_hardly():
    """The weight is 1 - focus where a photo is flat, near its most amid strong detail, and 1 at the average detail."""
    strong = 100 * random_features(1, 8, 40, 80, seed=0)
    target = torch.where(torch.arange(80) < 40, 3.0, strong)
    weights = weigh_detail(target, 1.0, 0.95)
    assert weights.shape == (1, 1, 40, 80)
    np.testing.assert_allclose(weights[..., :36], 0.05, rtol=1e-6)
    np.testing.assert_allclose(weights[..., 44:], 0.05 + 0.95 * 1.4, rtol=1e-3)
    # Over five positions the stripes have a mean of 1/5 or -1/5, from which they deviate by 4/5.
    stripes = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(40).expand(1, 8, 40, 80)
    middle = weigh_detail(stripes, 2 * 0.8**2, 0.95)[..., 10:30, 10:70]
    np.testing.assert_allclose(middle, 1, rtol=1e-9)
    assert torch.equal(weigh_detail(target, 1.0, 0.0), torch.ones_like(weights))


def test_derivative_of_gatys():
    """The gradient is the published one (Gatys et al. 2016, equation 2): F - P where F > 0, else 0."""
    before_relu = random_features(1, 3, 4, 5, seed=2).requires_grad_()
    target = random_features(1, 3, 4, 5, seed=3).relu()
    features = before_relu.relu()
    content_loss(features, target, "gatys").backward()
    expected = np.zeros((1, 3, 4, 5))
    for place in itertools.product(*map(range, expected.shape)):
        if features[place] > 0:
            expected[place] = features[place].item() - target[place].item()
    assert 0.3 < (expected == 0).mean() < 0.7
    np.testing.assert_allclose(before_relu.grad.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Features in half precision, also under autocast, give a float32 loss of their exact values, without overflow."""
    features, target = (300 * torch.rand(1, 8, 16, 16)).to(dtype), torch.zeros(1, 8, 16, 16, dtype=dtype)
    expected = features.double().square().sum().item() / 2
    assert expected > torch.finfo(torch.float16).max
    with torch.autocast("cpu", dtype):
        loss = content_loss(features, target, "gatys")
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_feature_variance_is_that_of_torch():
    """The variance of a tap is torch.var of each channel over all positions of all photos, averaged over channels."""
    network = build_loss_network("vgg16", taps=["relu2_1", "relu1_2"], weights="random")
    batches = [torch.rand(count, 3, 16, 24, generator=torch.Generator().manual_seed(count)) for count in (3, 2, 1)]
    variances = measure_feature_variance(network, iter(batches), ["relu2_1", "relu1_2"])
    assert sorted(variances) == ["relu1_2", "relu2_1"]
    for tap, variance in variances.items():
        activations = torch.cat([network(batch, [tap])[tap] for batch in batches]).double()
        each = [activations[:, channel].var(correction=0) for channel in range(activations.shape[1])]
        assert variance == pytest.approx(torch.stack(each).mean().item(), rel=1e-9)


def test_variance_around_a_great_mean():
    """A variance of 1 around a mean of a thousand is found, which sums in float32 would lose."""

    def network(images: Tensor, taps: list[str]) -> dict[str, Tensor]:
        return dict.fromkeys(taps, images + 1000)

    noise = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    variance = measure_feature_variance(network, noise.split(2), ["relu1_1"])["relu1_1"]
    assert variance == pytest.approx(1, abs=0.02)


def test_relative_is_1_for_the_average():
    """A picture whose activations are everywhere the average of all photos has a relative content loss of 1."""
    photos = random_features(5, 4, 8, 8, seed=6) * torch.tensor([1.0, 2, 3, 4]).view(1, 4, 1, 1)

    def network(images: Tensor, taps: list[str]) -> dict[str, Tensor]:
        return dict.fromkeys(taps, images)

    variance = measure_feature_variance(network, [photos], ["relu1_1"])["relu1_1"]
    average = photos.mean((0, 2, 3), keepdim=True).expand_as(photos)
    assert content_loss(average, photos, "relative", variance).mean().item() == pytest.approx(1, rel=1e-9)


def test_variance_is_positive():
    """Channels that never vary give the smallest positive number instead of 0, by which nothing can be divided."""

    def network(images: Tensor, taps: list[str]) -> dict[str, Tensor]:
        return dict.fromkeys(taps, torch.zeros_like(images))

    assert 0 < measure_feature_variance(network, [torch.rand(1, 3, 4, 4)], ["relu1_1"])["relu1_1"] < 1e-37


def test_no_photos():
    """Without a photo there is no variance, and the error says so."""
    with pytest.raises(ImageError) as caught:
        measure_feature_variance(torch.nn.Identity(), [], ["relu1_1"])
    assert str(caught.value) == "there is no photo to measure the feature variance on; give at least one"
