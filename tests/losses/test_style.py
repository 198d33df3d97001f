import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.style import gram_matrix, style_loss


def random_features(*shape: int, seed: int) -> Tensor:
    """Signed numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loop_gram(features: Tensor) -> np.ndarray:
    """sum_k F_ik F_jk of one picture of shape (C, H, W), number by number, divided by nothing."""
    numbers = features.numpy()
    channels, height, width = numbers.shape
    gram = np.zeros((channels, channels))
    for i, j, row, column in itertools.product(range(channels), range(channels), range(height), range(width)):
        gram[i, j] += numbers[i, row, column] * numbers[j, row, column]
    return gram


def test_gram_matrix():
    """The Gram matrix is the loop over all pairs of channels and all positions, over the number of positions."""
    features = random_features(2, 3, 4, 5, seed=0)
    expected = np.stack([loop_gram(one) / 20 for one in features])
    np.testing.assert_allclose(gram_matrix(features).numpy(), expected, rtol=1e-12)


def test_gram_matrices_of_different_sizes_compare():
    """A texture has nearly the Gram matrix of its larger self, and exactly that of itself repeated side by side."""
    features = random_features(1, 4, 6, 6, seed=1)
    repeated = features.repeat(1, 1, 3, 2)
    torch.testing.assert_close(gram_matrix(repeated), gram_matrix(features), rtol=1e-12, atol=0)
    assert style_loss(repeated, gram_matrix(features)[0]).item() < 1e-20
    network = build_loss_network("vgg16", taps=["relu2_1"], weights="random")
    stripes = 0.5 + 0.5 * torch.sin(0.9 * torch.arange(160.0))
    pictures = [stripes[:side].expand(1, 3, side, side) for side in (80, 160)]
    small, large = (gram_matrix(network(picture, ["relu2_1"])["relu2_1"]) for picture in pictures)
    assert (small - large).norm() / large.norm() < 0.05


def loop_gatys(features: Tensor, painting: Tensor) -> float:
    """Equation 4 of Gatys et al. 2016 as printed: E = 1/(4 N^2 M^2) sum (G - A)^2, for two pictures of one size."""
    channels, positions = features.shape[0], features[0].numel()
    return ((loop_gram(features) - loop_gram(painting)) ** 2).sum() / (4 * channels**2 * positions**2)


def loop_johnson(features: Tensor, painting: Tensor) -> float:
    """Equations 3 and 4 of Johnson et al. 2016 as printed: each Gram matrix over C H W, squared Frobenius norm."""
    grams = [loop_gram(one) / one.numel() for one in (features, painting)]
    return ((grams[0] - grams[1]) ** 2).sum()


def loop_relative(features: Tensor, painting: Tensor) -> float:
    """The share of the painting's squared Gram norm that is missing."""
    grams = [loop_gram(one) / one[0].numel() for one in (features, painting)]
    return ((grams[0] - grams[1]) ** 2).sum() / (grams[1] ** 2).sum()


@pytest.mark.parametrize(
    ("scaling", "formula", "painting_size"),
    [
        ("gatys", loop_gatys, (4, 5)),
        ("johnson", loop_johnson, (4, 5)),
        ("johnson", loop_johnson, (7, 3)),
        ("relative", loop_relative, (4, 5)),
        ("relative", loop_relative, (7, 3)),
    ],
)
def test_value(scaling, formula, painting_size):
    """For each image each scaling is its published formula over loops."""
    features, painting = random_features(2, 3, 4, 5, seed=2), random_features(3, *painting_size, seed=3)
    expected = [formula(one, painting) for one in features]
    loss = style_loss(features, gram_matrix(painting.unsqueeze(0))[0], scaling)
    assert loss.tolist() == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("scaling", ["gatys", "johnson", "relative"])
def test_one_painting_for_each_picture(scaling):
    """With a target for each picture each has the loss that it has alone with its own."""
    features, paintings = random_features(3, 4, 5, 5, seed=4), random_features(3, 4, 5, 5, seed=5)
    paintings *= torch.tensor([1.0, 3, 9]).view(3, 1, 1, 1)
    targets = gram_matrix(paintings)
    each = [style_loss(features[i : i + 1], targets[i], scaling).item() for i in range(3)]
    assert style_loss(features, targets, scaling).tolist() == pytest.approx(each, rel=1e-12)


def test_derivative_of_gatys():
    """The gradient is the published one (Gatys et al. 2016, equation 6).

    1/(N^2 M^2) (F^T (G - A))_ji where F_ij > 0, else 0; with respect to what the ReLU gives, and so to what it gets.
    """
    before_relu = random_features(1, 3, 4, 5, seed=6).requires_grad_()
    features = before_relu.relu()
    painting = random_features(1, 3, 4, 5, seed=7).relu()
    style_loss(features, gram_matrix(painting)[0], "gatys").backward()

    flat = features.detach()[0].reshape(3, 20).numpy()
    difference = loop_gram(features.detach()[0]) - loop_gram(painting[0])
    expected = (flat.T @ difference).T / (3**2 * 20**2)
    expected[flat <= 0] = 0
    assert 0.3 < (expected == 0).mean() < 0.7
    np.testing.assert_allclose(before_relu.grad.reshape(3, 20).numpy(), expected, rtol=1e-11, atol=1e-18)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Under autocast, activations of 300 in 64 channels of 64 x 64 give an exact Gram matrix in float32.

    Each entry is a sum of 3.7e8, where float16 ends at 65504.
    """
    features = torch.full((1, 64, 64, 64), 300.0, dtype=dtype)
    with torch.autocast("cpu", dtype):
        gram = gram_matrix(features)
        loss = style_loss(features, gram[0] / 2)
    assert gram.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(gram, torch.full((1, 64, 64), 300.0**2), rtol=1e-6, atol=0)
    assert loss.item() == pytest.approx(1, rel=1e-5)


def test_autocast_changes_nothing():
    """Of float32 activations autocast rounds nothing: the loss and its gradient are the same bits with and without."""
    features = random_features(1, 8, 16, 16, seed=8).float()
    painting = gram_matrix(random_features(1, 8, 16, 16, seed=9).float())[0]
    results = []
    for enabled in (False, True):
        stylized = features.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = style_loss(stylized, painting)
        loss.backward()
        results.append((loss.detach(), stylized.grad))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


def test_relative_does_not_know_the_scale():
    """If the loss network's activations were 7 times as large, the relative style loss would be the same."""
    features, painting = random_features(1, 5, 6, 6, seed=10), random_features(1, 5, 9, 4, seed=11)
    loss = style_loss(features, gram_matrix(painting)[0])
    scaled = style_loss(7 * features, gram_matrix(7 * painting)[0])
    assert scaled.item() == pytest.approx(loss.item(), rel=1e-12)


def test_relative_of_nothing():
    """Where the picture's activations are all zero, everything of the painting is missing: exactly 1."""
    painting = gram_matrix(random_features(1, 5, 9, 4, seed=12))[0]
    nothing = torch.zeros(2, 5, 6, 6, dtype=torch.float64)
    assert style_loss(nothing, painting).tolist() == pytest.approx([1, 1], rel=1e-15)
