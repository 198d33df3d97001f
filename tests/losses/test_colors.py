"""The palette of a style image, and how far other images are from it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_fast.losses.colors import Palette, compare_colors, list_colors, measure_palette, mix_palettes, stack_palettes


def color_loss(stylized: Tensor, palette: Palette) -> Tensor:
    return compare_colors(list_colors(stylized), palette)


def paint(colors: np.ndarray, side: int = 64, seed: int = 0) -> Tensor:
    """An image of squares of 2x2 pixels, whose colors are drawn from rows of (N, 3): (1, 3, side, side)."""
    drawn = colors[np.random.default_rng(seed).integers(len(colors), size=(side // 2, side // 2))]
    return torch.from_numpy(drawn.repeat(2, 0).repeat(2, 1).transpose(2, 0, 1).astype(np.float32))[None]


def draw_colors(*deviations: float, seed: int = 1) -> np.ndarray:
    """Colors around gray that deviate by so much along light, red to blue, and green."""
    axes = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
    return 0.5 + np.random.default_rng(seed).normal(size=(4000, 3)) * deviations @ axes


COLORS = draw_colors(0.15, 0.1, 0.06)


def test_same_colors_elsewhere_cost_nothing():
    """Where the colors are does not count: the style image itself has no loss, turned or not; other samples hardly."""
    style = paint(COLORS)
    palette = measure_palette(style)
    assert color_loss(style, palette).item() == pytest.approx(0, abs=1e-9)
    assert color_loss(style.flip(3).mT, palette).item() == pytest.approx(0, abs=1e-9)
    assert color_loss(paint(COLORS, side=128, seed=5), palette).item() < 0.005


def test_the_mean_color_costs_1():
    """An image of one color, the palette's mean, has a loss of about 1."""
    palette = measure_palette(paint(COLORS))
    flat = palette.mean[0].view(1, 3, 1, 1).expand(1, 3, 32, 32)
    assert color_loss(flat, palette).item() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("axis", range(3))
def test_every_axis_counts_the_same(axis):
    """Without light, red to blue or green, the same is missing, however much of it the style image has.

    A direction of which the share s lies on that axis keeps a deviation of √(1 - s²). Of the 13 directions, s² is 1 of
    one, 1/2 of four, 1/3 of four, and 0 of four.
    """
    deviations = [0.15, 0.1, 0.06]
    deviations[axis] = 0.0
    loss = color_loss(paint(draw_colors(*deviations), side=256), measure_palette(paint(COLORS, side=256)))
    shares = np.repeat([1, 1 / 2, 1 / 3, 0], [1, 4, 4, 4])
    assert loss.item() == pytest.approx(np.mean((1 - np.sqrt(1 - shares)) ** 2), rel=0.12)


def test_one_direction_by_hand():
    """With colors on the gray axis, the loss is the mean squared difference of sorted values in their deviations.

    Each direction is scaled by its share of that axis; over all 13 the squares of these shares average to 1/3.
    """
    values, others = np.random.default_rng(0).uniform(0.2, 0.8, (2, 32, 32))
    style, other = (
        torch.from_numpy(image.repeat(2, 0).repeat(2, 1)).float().expand(1, 3, 64, 64) for image in (values, others)
    )
    in_ranks = [np.sort(image.ravel()).reshape(64, -1).mean(1) for image in (values, others)]
    expected = ((in_ranks[0] - in_ranks[1]) ** 2).mean() / values.var() / 3
    assert color_loss(other, measure_palette(style)).item() == pytest.approx(expected, rel=1e-3)


def test_a_gray_style_image_is_no_amplifier():
    """Colors of hardly any deviation count in units of 0.03: noise on a gray style image costs little."""
    palette = measure_palette(torch.full((1, 3, 32, 32), 0.5))
    noise = 0.003 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert color_loss(0.5 + noise, palette).item() < 0.01


def test_mixed():
    """A mixture is the palette of a canvas of which each style image covers its share."""
    dark, light = paint(COLORS * 0.5), paint(0.5 + COLORS * 0.5, seed=2)
    canvas = torch.cat([dark, dark, dark, light], dim=3)
    mixed = mix_palettes([measure_palette(dark), measure_palette(light)], [0.75, 0.25])
    assert color_loss(canvas, mixed).item() < 1e-3
    assert color_loss(torch.cat([dark, light], dim=3), mixed).item() > 0.05


def test_stacked():
    """Each image of a batch is compared with its own palette, as if alone."""
    styles = [paint(COLORS), paint(COLORS[:, ::-1], side=32)]
    palettes = [measure_palette(style) for style in styles]
    stylized = torch.cat([paint(draw_colors(0.1, 0.1, 0.1), seed=seed) for seed in (3, 4)])
    alone = [color_loss(one[None], palette).item() for one, palette in zip(stylized, palettes, strict=True)]
    assert color_loss(stylized, stack_palettes(palettes)).tolist() == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Autocast changes nothing: products of colors are not rounded."""
    style, other = paint(COLORS), paint(draw_colors(0.1, 0.1, 0.1), seed=3)
    exact = color_loss(other, measure_palette(style))
    with torch.autocast("cpu", dtype):
        assert torch.equal(color_loss(other, measure_palette(style)), exact)


def test_gradient():
    """The gradient agrees with finite differences."""
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    palette = measure_palette(paint(COLORS).double())
    assert torch.autograd.gradcheck(lambda x: color_loss(x, palette), (image,))
