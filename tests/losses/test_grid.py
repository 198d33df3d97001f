import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from nst_fast.losses.grid import grid_power


def wave(height: int, width: int, down: float, across: float, phase: float = 0.0) -> torch.Tensor:
    """A gray picture of cos(2 pi (down y + across x) + phase), of one batch, in float64."""
    rows, columns = torch.arange(height).double()[:, None], torch.arange(width).double()[None, :]
    return (2 * math.pi * (down * rows + across * columns) + phase).cos().expand(1, 3, height, width)


def test_against_numpys_fourier_transform():
    """In one window it is the power that NumPy finds at the multiples of a quarter, but the mean."""
    image = torch.rand(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    window = np.hanning(65)[:64]  # periodic, as torch's
    windowed = image.numpy() * window[:, None] * window
    powers = np.abs(np.fft.fft2(windowed) / window.sum() ** 2)[..., ::16, ::16] ** 2
    expected = (powers.sum((-2, -1)) - powers[..., 0, 0]).sum(1)
    assert grid_power(image).tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("down", "across"), [(0.25, 0), (0, 0.25), (0.25, 0.25), (0.25, 0.5), (0.5, 0)])
@pytest.mark.parametrize("phase", [0.0, 0.7, 2.0])
def test_it_is_the_variance_of_a_lattice(down, across, phase):
    """Lines and dots that repeat every four pixels count with their whole variance, wherever they begin."""
    image = 0.1 * wave(160, 96, down, across, phase)
    assert grid_power(image).item() == pytest.approx(3 * image[0, 0].square().mean().item(), rel=1e-6)


@pytest.mark.parametrize(("down", "across"), [(0, 0), (0.2, 0), (0.125, 0.125), (0.3, 0.25), (1 / 3, 0)])
def test_other_waves_do_not_count(down, across):
    """A flat picture, and lines of five, eight or three pixels: next to nothing."""
    assert grid_power(0.1 * wave(160, 96, down, across)).item() < 1e-6


def test_strokes_do_not_count_and_their_lattice_does():
    """Smooth noise is left alone; sampled at every fourth pixel and repeated, it is not."""
    noise = torch.rand(4, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    strokes = functional.avg_pool2d(noise, 9, 1, 4)
    dotted = strokes.clone()
    dotted[..., ::4, ::4] += 0.2
    assert (grid_power(strokes) < 1e-2 * strokes.var()).all()
    assert (grid_power(dotted) > grid_power(strokes) + 1e-3).all()


def test_small_pictures():
    """Less than a window has none, and a gradient of nothing."""
    image = torch.rand(1, 3, 63, 200, requires_grad=True)
    power = grid_power(image)
    (gradient,) = torch.autograd.grad(power, image)
    assert power == 0 and not gradient.any()
