"""Ranks, tone curves, bands and the tone loss."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_fast.errors import ImageError
from nst_fast.losses.tones import (
    PhotoTones,
    interpolate_curve,
    measure_tone_curve,
    measure_tones,
    rank_style_tones,
    tone_loss,
    weigh_bands,
)


def images(count: int, height: int = 64, width: int = 64, seed: int = 0) -> Tensor:
    """Smooth noise of various brightness."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, height // 8, width // 8, generator=generator)
    brightness = torch.linspace(0.3, 1, count).view(-1, 1, 1, 1)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") * brightness


def paint_in_tones(tones: Tensor) -> Tensor:
    """A gray image with these tones: (B, 1, h, w) to (B, 3, 4h, 4w)."""
    return tones.repeat_interleave(4, 2).repeat_interleave(4, 3).expand(-1, 3, -1, -1)


def test_tones_are_luminance_in_squares():
    """A tone is the luminance of ITU-R BT.601 of a square of four pixels; what is left over is dropped."""
    image = images(1, 24, 32)[:, :, :22, :31]
    pixels = np.tensordot([0.299, 0.587, 0.114], image[0].numpy(), 1)
    expected = pixels[:20, :28].reshape(5, 4, 7, 4).mean((1, 3))
    np.testing.assert_allclose(measure_tones(image)[0, 0], expected, rtol=1e-5)
    assert measure_tones(image[:, :, :2, :9]).shape == (1, 1, 1, 2)


def test_curve_is_numpys_quantiles():
    """A tone curve has NumPy's quantiles, nearly: strictly increasing, by a ten-thousandth at most."""
    tones = measure_tones(images(3))
    curve = measure_tone_curve(tones)
    expected = np.quantile(tones.numpy(), np.linspace(0, 1, 65), method="nearest")
    np.testing.assert_allclose(curve, expected, atol=2e-4)
    assert (curve.diff() > 0).all()
    assert (measure_tone_curve(torch.full((4, 4), 0.5)).diff() > 0).all()


def test_interpolation_is_numpys():
    """Between its points and beyond its ends a curve is numpy.interp; each image may have a curve of its own."""
    generator = torch.Generator().manual_seed(0)
    starts, ends = (torch.rand(2, 9, generator=generator).sort(1).values for _ in range(2))
    values = 3 * torch.rand(2, 1, 5, 6, generator=generator) - 1
    found = interpolate_curve(values, starts, ends)
    for one in range(2):
        expected = np.interp(values[one], starts[one], ends[one])
        np.testing.assert_allclose(found[one], expected, rtol=1e-4, atol=1e-6)


def test_ranks_are_spread_evenly():
    """Over the photos that they were measured on, ranks have the quantiles of a uniform distribution."""
    photos = images(8)
    ranks = PhotoTones(photos).rank(photos)
    assert ranks.shape == (8, 1, 16, 16)
    np.testing.assert_allclose(np.quantile(ranks.numpy(), np.linspace(0, 1, 21)), np.linspace(0, 1, 21), atol=0.02)


def test_transport_is_monotone():
    """Within a photo, what is lighter never gets a darker tone; nor does a photo that is lighter as a whole."""
    photos = images(8)
    tones = PhotoTones(photos)
    _, curve = rank_style_tones(images(1, seed=3))
    for photo in photos:
        order = measure_tones(photo[None]).flatten().argsort()
        wanted = interpolate_curve(tones.rank(photo[None]), torch.linspace(0, 1, 65), curve)
        assert (wanted.flatten()[order].diff() >= -1e-6).all()
    darker, lighter = tones.rank(photos[:1] * 0.5), tones.rank(photos[:1] * 0.5 + 0.4)
    assert (lighter >= darker).all()


def test_a_flat_photo_has_one_rank():
    """A photo of one color has one rank, in the middle if it has the median tone; nothing is stretched."""
    photos = images(8)
    tones = PhotoTones(photos)
    middle = float(measure_tones(photos).median())
    (rank,) = tones.rank(torch.full((1, 3, 32, 32), middle)).unique().tolist()
    assert rank == pytest.approx(0.5, abs=0.05)
    assert tones.rank(torch.zeros(1, 3, 32, 32)).max() < 0.3 and tones.rank(torch.ones(1, 3, 32, 32)).min() > 0.7


def test_loss_of_the_wanted_tones_is_0_and_that_of_the_mean_1():
    """An image in the tones that the ranks ask for has no loss; one in the style's mean tone has a loss of 1.

    The second holds where a tone is wider than the 32 pixels over which tones are compared.
    """
    photos = images(8)
    ranks = PhotoTones(photos).rank(photos)
    _, curve = rank_style_tones(images(1, 96, 80, seed=3))
    wanted = interpolate_curve(ranks, torch.linspace(0, 1, 65), curve)
    np.testing.assert_allclose(tone_loss(paint_in_tones(wanted), ranks, curve), 0, atol=1e-9)
    all_ranks = torch.linspace(0, 1, 65).repeat_interleave(32).expand(1, 1, 8, -1)
    mean = tone_loss(torch.full((1, 3, 32, 65 * 128), float(curve.mean())), all_ranks, curve)
    assert mean.item() == pytest.approx(1, rel=0.02)
    inverted = interpolate_curve(1 - ranks, torch.linspace(0, 1, 65), curve)
    assert tone_loss(paint_in_tones(inverted), ranks, curve).mean() > 1


def test_strokes_are_free_and_regions_are_not():
    """Light and dark strokes of the wanted mean cost nothing; a region of 32 pixels that is too light by as much does.

    The loss is written out: 2x2 means over 32x32 pixels, 16 pixels apart, of which one is all in the light region.
    """
    ranks, curve = torch.full((1, 1, 12, 12), 0.5), torch.linspace(0.2, 0.8, 65)[None]
    strokes = 0.5 + 0.2 * (-1.0) ** torch.arange(12).add(torch.arange(12)[:, None])
    np.testing.assert_allclose(tone_loss(paint_in_tones(strokes[None, None]), ranks, curve), 0, atol=1e-9)
    region = torch.full((1, 1, 12, 12), 0.5)
    region[..., :8, :8] = 0.7
    errors = 0.2 * np.array([[1, 1 / 2], [1 / 2, 1 / 4]])
    expected = (errors**2).mean() / float(curve.var(correction=0))
    assert tone_loss(paint_in_tones(region), ranks, curve).item() == pytest.approx(expected, rel=1e-4)


def test_gradient_reaches_the_stylized_image_alone():
    """The gradient agrees with finite differences; the ranks come from the photo and have none."""
    ranks = torch.rand(1, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    curve = torch.linspace(0.1, 0.9, 65, dtype=torch.float64)[None]
    image = images(1, 8, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tone_loss(x, ranks, curve), (image,))


def test_bands():
    """Dark, middle and light: the weights of each place add up to 1, and each band is full at its own center."""
    ranks = torch.linspace(0, 1, 60).view(1, 1, 1, 60)
    bands = weigh_bands(ranks, 1, 60)
    torch.testing.assert_close(bands.sum(1), torch.ones(1, 1, 60))
    np.testing.assert_allclose(bands.mean((0, 2, 3)), [1 / 3] * 3, atol=0.01)
    for band, center in enumerate((1 / 6, 1 / 2, 5 / 6)):
        weights = weigh_bands(torch.full((1, 1, 2, 2), center), 4, 6)
        assert weights.shape == (1, 3, 4, 6)
        np.testing.assert_allclose(weights.mean((0, 2, 3)), np.eye(3)[band], atol=1e-6)


def test_bands_of_a_style_image_are_thirds():
    """By its own ranks, a style image is a third dark, a third middle and a third light."""
    ranks, curve = rank_style_tones(images(1, 96, 80, seed=3))
    assert curve.shape == (1, 65)
    np.testing.assert_allclose(weigh_bands(ranks, 24, 20).mean((0, 2, 3)), [1 / 3] * 3, atol=0.01)


def test_no_photo():
    """Without a photo there are no tones, and the error says so."""
    with pytest.raises(ImageError) as caught:
        PhotoTones(torch.empty(0, 3, 8, 8))
    assert str(caught.value) == "there is no photo to measure tones on; give at least one"
