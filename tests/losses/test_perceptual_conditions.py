"""What may differ from image to image of a batch, and style images that have nothing to take from."""

import pytest
import torch
from torch import Tensor

from nst_fast.loss_networks.network import adapt_taps
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.moments import Moments, moment_loss
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.style_targets import stack_targets
from nst_fast.losses.tones import PhotoTones

SETTINGS = LossSettings(content_taps={"relu2_1": 1.0}, style_taps={"relu1_1": 1.0, "relu2_1": 1.0}, grid_weight=30.0)


def images(count: int, seed: int, side: int = 64) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def build_loss(style_image: Tensor, settings: LossSettings = SETTINGS, architecture: str = "vgg16") -> PerceptualLoss:
    taps = [*settings.content_taps, *settings.style_taps]
    network = build_loss_network(architecture, taps=taps, weights="random")
    photos = images(4, seed=9)
    variance = measure_feature_variance(network, [photos], settings.content_taps)
    return PerceptualLoss(network, style_image, settings, feature_variance=variance, photo_tones=PhotoTones(photos))


def test_strengths_weigh_style_and_the_photos_pixels():
    """Strength s counts style and tones s ** 1.5 times, and 50 (1 - s)^2 times the squared difference of pixels."""
    loss = build_loss(images(1, seed=0)[0])
    stylized, photos = images(4, seed=1), images(4, seed=2)
    strengths = torch.tensor([0.0, 0.25, 1.0, 2.0])
    total, _ = loss(stylized, photos, strengths=strengths)
    expected = 0.0
    for image, photo, strength in zip(stylized, photos, strengths.tolist(), strict=True):
        terms = {name: float(term) for name, term in loss(image[None], photo[None])[1].items()}
        pixels = 50 * max(0, 1 - strength) ** 2 * float((image - photo).square().mean())
        share = {0.0: 0.0, 0.25: 1 / 8, 1.0: 1.0, 2.0: 2 * 2**0.5}[strength]
        styled = share * (SETTINGS.style_strength * terms["style"] + terms["tone"] + terms["color"])
        expected += (terms["content"] + styled + 30 * terms["grid"] + pixels) / 4
    assert float(total) == pytest.approx(expected, rel=1e-4)
    plain, _ = loss(stylized, photos)
    at_one, _ = loss(stylized, photos, strengths=torch.ones(4))
    torch.testing.assert_close(at_one, plain, rtol=1e-6, atol=0)


def test_at_strength_0_the_photo_is_the_minimum():
    """At strength 0 the photo itself has no loss but that of its grid, and anything else has more."""
    loss = build_loss(images(1, seed=0)[0])
    photo, nothing = images(1, seed=2), torch.zeros(1)
    total, terms = loss(photo, photo, strengths=nothing)
    assert float(total) == pytest.approx(30 * float(terms["grid"]), rel=1e-6)
    assert loss(1 - photo, photo, strengths=nothing)[0] > total + 1


def test_each_image_may_have_a_style_image_of_its_own():
    """With a target for each image, the batch has the mean of the losses by each style image alone."""
    style_images = images(2, seed=0)
    losses = [build_loss(style_image) for style_image in style_images]
    stylized, photos = images(2, seed=1), images(2, seed=2)
    together, _ = losses[0](stylized, photos, targets=stack_targets([loss.targets for loss in losses]))
    each = [float(loss(stylized[i : i + 1], photos[i : i + 1])[0]) for i, loss in enumerate(losses)]
    assert float(together) == pytest.approx(sum(each) / 2, rel=1e-5)


@pytest.mark.parametrize("factor", [0.25, 3.0])
def test_symmetric_moments(factor):
    """Symmetric, k times too much costs what k times too little does: 2 (k - 1)^2 / (k^2 + 1) for moments
    that are all k times those of the style image; and nothing at all costs as much as anything does."""
    random = torch.Generator().manual_seed(0)
    half = torch.randn(5, 5, generator=random)
    mean, covariance = torch.rand(1, 1, 5, generator=random), (half @ half.T)[None, None]
    target = Moments(torch.ones(1, 1), mean, covariance)
    losses = [
        float(moment_loss(Moments(torch.ones(1, 1), k * mean, k * covariance), target, symmetric=True))
        for k in (factor, 1 / factor, 1e6, 0.0)
    ]
    expected = 2 * (factor - 1) ** 2 / (factor**2 + 1)
    assert losses[:2] == pytest.approx([expected, expected], rel=1e-5)
    assert losses[2:] == pytest.approx([2.0, 2.0], rel=1e-4)


def test_symmetric_terms():
    """Where output and style image have equal moments and tones, the symmetric terms are the plain ones; and where the
    output has no contrast at all they are twice as much."""
    style_image = images(1, seed=0)[0]
    loss = build_loss(style_image)
    near = (style_image + 0.01 * images(1, seed=1)).clamp(0, 1)
    photos = images(1, seed=2)
    plain, symmetric = (loss(near, photos, symmetric=symmetric)[1] for symmetric in (False, True))
    assert float(symmetric["style"]) == pytest.approx(float(plain["style"]), rel=0.05)
    flat = style_image.mean((1, 2), keepdim=True).expand_as(photos)
    plain, symmetric = (loss(flat, photos, symmetric=symmetric)[1] for symmetric in (False, True))
    assert float(symmetric["tone"]) == pytest.approx(2 * float(plain["tone"]), rel=0.1)


@pytest.mark.parametrize("statistic", ["moments", "gram"])
@pytest.mark.parametrize("color", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.7, 0.2, 0.1)])
def test_style_images_of_one_color(statistic, color):
    """A black, a white and a one-colored style image: loss and gradient are finite, for any photo and any output."""
    style_image = torch.tensor(color).view(3, 1, 1).expand(3, 40, 48).contiguous()
    settings = LossSettings(
        content_taps=SETTINGS.content_taps, style_taps=SETTINGS.style_taps, style_statistic=statistic
    )
    loss = build_loss(style_image, settings)
    flat = torch.zeros(1, 3, 64, 64)
    for stylized, photo in ((images(1, seed=1), images(1, seed=2)), (flat, flat), (flat + 1, flat), (flat + 0.5, flat)):
        stylized = stylized.clone().requires_grad_()
        total, terms = loss(stylized, photo, strengths=torch.tensor([0.7]))
        total.backward()
        assert all(term.isfinite() for term in terms.values())
        assert stylized.grad.isfinite().all()


def test_bfloat16_convolutions_change_the_loss_by_less_than_a_percent():
    """With the shipped compact loss network in bfloat16, total, content, style and tone are within 1 %."""
    settings = adapt_taps(LossSettings(grid_weight=30.0), "compact")
    network = build_loss_network("compact", taps=[*settings.content_taps, *settings.style_taps], weights="shipped")
    photos = torch.nn.functional.interpolate(images(4, seed=3, side=12), (96, 96), mode="bilinear")
    variance = measure_feature_variance(network, [photos], settings.content_taps)
    results = []
    for autocast_type in (None, torch.bfloat16):
        network.autocast_type = autocast_type
        loss = PerceptualLoss(
            network, images(1, seed=4, side=96)[0], settings, feature_variance=variance, photo_tones=PhotoTones(photos)
        )
        results.append(loss((photos + 0.1 * images(4, seed=5, side=96)).clamp(0, 1), photos)[1])
    exact, rounded = results
    assert rounded["style"].item() != exact["style"].item()
    for name in ("total", "content", "style", "tone"):
        assert rounded[name].dtype == torch.float32
        assert rounded[name].item() == pytest.approx(exact[name].item(), rel=0.01)
