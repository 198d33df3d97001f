"""The temporal loss: strokes follow what moves, and nothing else changes."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nst_fast.losses.temporal import Motion, draw_motion, film_next_frame, move, temporal_loss


def photos(count: int = 2, side: int = 72, seed: int = 0) -> Tensor:
    """Smooth noise."""
    noise = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
    return functional.avg_pool2d(noise, 5, 1, 2, count_include_pad=False)


def uniform_motion(down: float, across: float, count: int = 2, side: int = 72) -> Motion:
    shift = torch.tensor([float(down), float(across)])
    return Motion(shift.expand(count, side, side, 2), shift.round().long().expand(count, 2))


@pytest.mark.parametrize(("down", "across"), [(0, 0), (3, -2), (-9, 7)])
def test_whole_pixels_move_exactly(down, across):
    """By whole pixels an image is moved as torch.roll moves it, away from the border."""
    image = photos()
    moved = move(image, uniform_motion(down, across))
    rolled = image.roll((-down, -across), (2, 3))
    torch.testing.assert_close(moved[:, :, 12:-12, 12:-12], rolled[:, :, 12:-12, 12:-12], rtol=0, atol=1e-5)


def test_parts_of_pixels_move_between():
    """By parts of pixels a smooth wave is moved to where its formula has it."""
    places = torch.arange(72.0)
    wave = 0.5 + 0.3 * torch.sin(0.2 * places[:, None] + 0.1 * places[None, :])
    moved = move(wave.expand(1, 3, -1, -1), uniform_motion(0.5, -1.25, 1))
    expected = 0.5 + 0.3 * torch.sin(0.2 * (places[:, None] + 0.5) + 0.1 * (places[None, :] - 1.25))
    torch.testing.assert_close(moved[0, 0, 4:-4, 4:-4], expected[4:-4, 4:-4], rtol=0, atol=2e-3)


def test_motions_are_of_two_kinds():
    """Half of the motions are one shift by whole pixels of at most 9; the others bend, by no more than 18 in all."""
    motion = draw_motion(torch.empty(400, 3, 40, 48), torch.Generator().manual_seed(0))
    sources = motion.sources
    assert sources.shape == (400, 40, 48, 2) and sources.dtype == torch.float32
    spread = sources.flatten(1, 2).std(1).amax(1)
    whole = sources[spread == 0]
    assert torch.equal(motion.camera[spread == 0], whole[:, 0, 0].long())
    assert 160 < len(whole) < 240
    assert (whole == whole.round()).all() and whole.abs().max() == 9
    assert (whole[:, 0, 0] % 4).any(1).float().mean() > 0.8  # hardly any is a multiple of the stride
    assert spread[spread > 0].min() > 0.3 and sources.abs().max() < 18


def test_same_seed_same_film():
    """Motion and noise depend on their generators alone."""
    frames = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(7)
        motion = draw_motion(photos(), generator)
        frames.append(film_next_frame(photos(), motion, generator))
    assert torch.equal(*frames)


def test_noise_is_that_of_a_camera():
    """The second frame is the moved first one with a deviation of two levels of 255, within [0, 1]."""
    image = 0.3 + 0.4 * photos(4)
    motion = draw_motion(image, torch.Generator().manual_seed(0))
    noise = film_next_frame(image, motion, torch.Generator().manual_seed(1)) - move(image, motion)
    assert 255 * noise.std().item() == pytest.approx(2, rel=0.05)
    assert 255 * noise.mean().abs().item() < 0.05
    black = film_next_frame(torch.zeros(1, 3, 40, 40), uniform_motion(0, 0, 1, 40), torch.Generator())
    assert black.min() == 0 and 0 < black.max() < 0.1


class Sharpen(nn.Module):
    """Commutes with shifts by whole pixels."""

    def forward(self, image: Tensor) -> Tensor:
        return image + 2 * (image - functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False))


def film(network: nn.Module, motion: Motion, noise: bool = False) -> Tensor:
    """The temporal loss of a network on a film of two frames."""
    first = photos()
    second = film_next_frame(first, motion, torch.Generator().manual_seed(3)) if noise else move(first, motion)
    return temporal_loss(network(first), network(second), motion)


def test_what_follows_the_motion_has_no_loss():
    """A network that commutes with shifts has no loss on a shifted film, and with noise that of the noise."""
    motion = uniform_motion(5, -3)
    assert film(Sharpen(), motion).max() < 1e-5
    # The mean absolute value of normal noise is its deviation times sqrt(2 / pi).
    expected = 2 / 255 * (2 / torch.pi) ** 0.5
    assert film(nn.Identity(), motion, noise=True).mean().item() == pytest.approx(expected, rel=0.05)


def test_what_stays_on_the_screen_has_a_loss():
    """A pattern that is fixed to the pixels costs what it changes along the motion; by its period, that is nothing."""
    stripes = 0.1 * ((torch.arange(72) // 2) % 2).float()

    class Screen(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image + stripes

    assert film(Screen(), uniform_motion(0, 2)).mean().item() == pytest.approx(0.1, rel=1e-3)
    assert film(Screen(), uniform_motion(0, 4)).mean().item() < 1e-5


def test_only_the_inside_counts():
    """What comes in at the border is no loss, and an image without an inside has none, with a gradient of nothing."""
    first = photos()
    second = first.clone()
    second[:, :, :18] = second[:, :, -18:] = second[..., :18] = second[..., -18:] = 0
    assert temporal_loss(first, second, uniform_motion(0, 0)).max() < 1e-6
    small = photos(2, 36).requires_grad_()
    loss = temporal_loss(small, 1 - small, uniform_motion(0, 0, 2, 36))
    (gradient,) = torch.autograd.grad(loss.sum(), small)
    assert loss.tolist() == [0, 0] and not gradient.any()
    assert temporal_loss(photos(2, 37), 1 - photos(2, 37), uniform_motion(0, 0, 2, 37)).min() > 0


def test_half_precision():
    """Frames in bfloat16, under autocast, give a float32 loss of their exact values."""
    first, second, motion = photos().bfloat16(), photos(seed=1).bfloat16(), uniform_motion(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        loss = temporal_loss(first, second, motion)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, temporal_loss(first.float(), second.float(), motion))
