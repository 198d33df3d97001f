"""Images compared together with the ones before them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.colors import list_colors
from nst_fast.losses.moments import measure_moments, moment_loss
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.recent_style import Company, RecentStyle, StyleStatistics
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.tones import PhotoTones

STYLE_TAPS = {"relu1_1": 2.0, "relu2_1": 1.0}


def images(count: int, seed: int, side: int = 32) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


STYLE_IMAGE = images(1, 5, 48)


def build_loss(**settings: float) -> PerceptualLoss:
    settings = {"window_share": 0.0, "tone_weight": 0.0, "style_strength": 5.0, **settings}
    return PerceptualLoss(
        build_loss_network("vgg16", taps=["relu2_1"], weights="random"),
        STYLE_IMAGE[0],
        LossSettings(content_taps={"relu2_1": 1.0}, style_taps=STYLE_TAPS, **settings),
        feature_variance={"relu2_1": 1.0},
        photo_tones=PhotoTones(images(4, 9, 48)),
    )


def measure(loss: PerceptualLoss, stylized: Tensor, photos: Tensor) -> StyleStatistics:
    """The statistics of each image, with all its colors."""
    _, _, measured = loss.compare_among(stylized, photos, RecentStyle(loss.targets, in_bands=True, share=0.5).recall())
    return StyleStatistics(measured.moments, list_colors(stylized.detach()))


def test_an_image_and_its_company_are_one_canvas():
    """Moments and colors of an image and its company are those of both side by side, each as large as its share."""
    features = [torch.randn(1, 4, 6, width, generator=torch.Generator().manual_seed(width)) for width in (5, 15)]
    bands = [torch.rand_like(one[:, :3].expand(-1, 3, -1, -1)).softmax(1) for one in features]
    colors = [torch.rand(1, count, 3, generator=torch.Generator().manual_seed(count)) for count in (30, 90)]
    (mine, others), (mine_colors, their_colors) = map(measure_moments, features, bands), colors
    company = Company(StyleStatistics({"tap": others}, their_colors), 0.25)
    expected = measure_moments(torch.cat(features, 3), torch.cat(bands, 3))
    torch.testing.assert_close(company.add_moments("tap", mine), expected, rtol=1e-4, atol=1e-5)
    together = company.add_colors(mine_colors)[0].numpy()
    everything = torch.cat(colors, 1)[0].numpy()
    np.testing.assert_array_equal(np.sort(together, 0), np.sort(everything, 0))


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_in_its_own_company_an_image_is_compared_as_if_alone(share):
    """Where the others are as it is, neither a term nor a gradient differs from those of the image by itself."""
    loss = build_loss(tone_weight=1.0)
    photos, stylized = images(1, 1), images(1, 2).requires_grad_()
    company = Company(measure(loss, stylized, photos), share)
    alone, terms = loss(stylized, photos)
    (expected,) = torch.autograd.grad(alone, stylized)
    among, same_terms, _ = loss.compare_among(stylized, photos, company)
    (gradient,) = torch.autograd.grad(among, stylized)
    torch.testing.assert_close(among, alone, rtol=1e-4, atol=0)
    for name, term in terms.items():
        torch.testing.assert_close(same_terms[name], term, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=2e-4 * float(expected.abs().max()))


def test_what_one_image_lacks_its_company_may_have():
    """A dark image is far from the style by itself, and near it among others that are light enough in its place."""
    loss = build_loss(band_share=0.0)
    photos = images(1, 1, 48)[:, :, :24]
    colors = list_colors(STYLE_IMAGE)[0]
    ordered = colors[colors.mean(1).argsort()].T
    squares = (half.reshape(1, 3, 12, 24) for half in ordered.chunk(2, 1))
    dark, light = (half.repeat_interleave(2, 2).repeat_interleave(2, 3) for half in squares)
    _, alone = loss(dark, photos)
    _, among, _ = loss.compare_among(dark, photos, Company(measure(loss, light, photos), 0.5))
    assert alone["color"] > 0.2
    assert among["color"] < 0.01 * alone["color"]


def test_another_strength_is_compared_by_itself():
    """Of an image stylized at another strength than 1, the loss is the same with company and without."""
    loss = build_loss()
    photos, stylized, strengths = images(2, 1), images(2, 2), torch.tensor([0.5, 2.0])
    company = Company(measure(loss, images(1, 3), images(1, 3)), 0.25)
    alone, _ = loss(stylized, photos, strengths=strengths)
    among, _, _ = loss.compare_among(stylized, photos, company, strengths=strengths)
    torch.testing.assert_close(among, alone)
    ones = torch.ones(2)
    assert abs(loss.compare_among(stylized, photos, company, strengths=ones)[0] - alone) > 0.1


def test_the_memory_begins_as_the_style_image():
    """Before the first image, what is remembered has no style loss, and no color loss."""
    loss = build_loss()
    recent = RecentStyle(loss.targets, in_bands=True, share=0.25)
    remembered = recent.recall().statistics
    for tap in STYLE_TAPS:
        assert moment_loss(remembered.moments[tap], loss.targets.moments[tap]).item() == 0
    assert remembered.colors.shape == (1, 16 * 1024, 3)
    np.testing.assert_allclose(remembered.colors[0].mean(0), STYLE_IMAGE.mean((0, 2, 3)), atol=2e-3)


def test_the_memory_becomes_what_it_sees():
    """Each image counts a sixteenth of the memory, and images that do not count change nothing."""
    loss = build_loss()
    recent = RecentStyle(loss.targets, in_bands=True, share=0.25)
    stylized, photos = images(2, 2), images(2, 1)
    measured = loss.compare_among(stylized, photos, recent.recall())[2]
    before = {name: values.clone() for name, values in recent.state_dict().items()}
    recent.remember(measured, torch.tensor([False, False]))
    for name, values in recent.state_dict().items():
        torch.testing.assert_close(values, before[name], rtol=1e-5, atol=1e-7)
    recent.remember(measured, torch.tensor([False, True]))
    first = recent.recall().statistics.moments["relu1_1"].over_all()
    means = [one.over_all().means[0, 0] for one in (loss.targets.moments["relu1_1"], measured.moments["relu1_1"])]
    of_second = measured.moments["relu1_1"].over_all().means[1, 0]
    torch.testing.assert_close(first.means[0, 0], means[0] * 15 / 16 + of_second / 16, rtol=1e-4, atol=1e-6)
    for _ in range(200):
        recent.remember(measured, torch.tensor([True, False]))
    last = recent.recall().statistics
    torch.testing.assert_close(last.moments["relu1_1"].over_all().means[0, 0], means[1], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(last.colors, measured.colors[:1].repeat(1, 16, 1))
