"""Several style images as one target, and content that is measured once."""

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.style import gram_matrix

TAPS = {"content_taps": {"relu1_1": 1.0}, "style_taps": {"relu1_1": 1.0, "relu1_2": 1.0}}


def build_loss(network, style_image, *, feature_variance=None, style_weights=None, **settings) -> PerceptualLoss:
    return PerceptualLoss(
        network,
        style_image,
        LossSettings(**settings),
        style_weights=style_weights,
        feature_variance=feature_variance,
    )


@pytest.fixture(scope="module")
def network():
    return build_loss_network("vgg16", taps=["relu1_2"], weights="random")


def random_image(seed: int, height: int = 12, width: int = 16) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scaling", ["gatys", "johnson"])
def test_blend_has_the_gradient_of_the_weighted_sum(network, scaling):
    """The mean of the Gram matrices pulls like the weighted sum of the losses of each style image."""
    settings = {**TAPS, "scaling": scaling, "content_weight": 0.0, "style_strength": 1.0}
    style_images = [random_image(1), random_image(2, 10, 10)]
    picture, photo = random_image(3).unsqueeze(0).requires_grad_(), random_image(4).unsqueeze(0)
    blended = build_loss(network, style_images, style_weights=[3, 1], **settings)
    (gradient,) = torch.autograd.grad(blended(picture, photo)[0], picture)
    each = [build_loss(network, style_image, **settings)(picture, photo)[0] for style_image in style_images]
    (expected,) = torch.autograd.grad(0.75 * each[0] + 0.25 * each[1], picture)
    assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_blend_is_one_canvas(network):
    """The blend of two style images of equal size is the Gram matrix of one canvas that they share."""
    first, second = random_image(1), random_image(2)
    features = [network(image.unsqueeze(0), ["relu1_2"])["relu1_2"] for image in (first, second)]
    loss = build_loss(network, [first, second], **TAPS, scaling="gatys")
    assert torch.allclose(loss.targets.grams["relu1_2"], gram_matrix(torch.cat(features, dim=3)), rtol=1e-5)


def test_content_measured_once_is_the_same(network):
    """The loss against a photo equals the loss against what was measured of it."""
    loss = build_loss(network, random_image(1), **TAPS, scaling="johnson")
    picture, photo = random_image(3).unsqueeze(0), random_image(4).unsqueeze(0)
    assert torch.equal(loss(picture, photo)[0], loss(picture, loss.measure_content(photo))[0])


@pytest.mark.parametrize(
    ("style_images", "weights", "message"),
    [
        ([], None, "no style image was given; give at least one"),
        ([random_image(1)], [1, 2], "style_weights has 2 numbers for 1 style images; give one for each"),
        (
            [random_image(1), random_image(2)],
            [0, 0],
            "style_weights: 1 0, 2 0; each must be a number of at least 0, and one of them more than 0",
        ),
    ],
)
def test_mistakes(network, style_images, weights, message):
    """No style image, too many weights, weights that are all zero."""
    with pytest.raises(SettingError) as caught:
        build_loss(network, style_images, style_weights=weights, **TAPS, scaling="gatys")
    assert str(caught.value) == message
