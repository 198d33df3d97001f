import copy
import math

import numpy as np
import pytest
import torch

from nst_fast.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from nst_fast.errors import SettingError
from nst_fast.inference.stylizer import Stylizer
from nst_fast.transform_nets import RealtimeNet
from nst_fast.transform_nets.grain import PERIOD, Grain


def grain_of(height: int, width: int, strength: float = 1.0) -> np.ndarray:
    return Grain(strength)(torch.zeros(1, 3, height, width))[0, 0].numpy()


def test_as_strong_as_asked():
    """Its standard deviation is the strength, its mean nothing, its values spread as a normal distribution's."""
    grain = grain_of(1024, 1024, 0.02)
    assert grain.std() == pytest.approx(0.02, rel=0.03)
    assert abs(grain.mean()) < 0.001
    assert (np.abs(grain) < 0.02).mean() == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.03)


def test_its_waves():
    """Fourier's transform of one period finds 64 waves of 8 to 64 pixels, all alike in strength, in all directions."""
    spectrum = np.abs(np.fft.rfft2(grain_of(PERIOD, PERIOD).astype(np.float64))) / PERIOD**2
    rows, columns = np.nonzero(spectrum > 0.01)
    rows = np.where(rows > PERIOD // 2, rows - PERIOD, rows)
    # rfft2 halves a wave that goes straight down: it appears with both signs.
    heights = spectrum[rows, columns]
    np.testing.assert_allclose(heights, math.sqrt(2 / 64) / 2, rtol=0.01)
    assert len(rows) == 64
    lengths = PERIOD / np.hypot(rows, columns)
    assert lengths.min() >= 7.9 and lengths.max() <= 64.5
    directions = np.sort(np.arctan2(rows, columns) % math.pi)
    assert np.diff(directions, append=directions[0] + math.pi).max() < 0.15
    assert np.square(spectrum[spectrum < 0.01]).sum() < 1e-6, "and nothing else"


def test_each_place_has_its_own():
    """A piece with its origin told is that piece of the whole, and another piece of it is another."""
    grain, photos = Grain(0.1), torch.rand(2, 3, 40, 56)
    whole = grain(torch.zeros(1, 3, 300, 300))
    piece = grain(photos, torch.tensor([130, 201])) - photos
    torch.testing.assert_close(piece, whole[:, :, 130:170, 201:257].expand_as(piece), atol=1e-6, rtol=0)
    assert (grain(photos) - photos - piece).abs().mean() > 0.05


def test_exact_far_from_the_origin():
    """At pixel 100,000 it is what float64 makes of the formula, though float32 could not hold such angles."""
    start = torch.tensor([100_000, 99_000])
    grain = Grain(1.0)
    found = grain(torch.zeros(1, 3, 5, 7), start)[0, 0]
    angle = 2 * math.pi / PERIOD
    waves = grain.row_frequencies[:64], grain.column_frequencies[:64], grain.column_phases[:64]
    down, right, shift = (values.double() * angle for values in waves)
    rows, columns = torch.arange(5).double() + 100_000, torch.arange(7).double() + 99_000
    angles = rows[:, None, None] * down + columns[None, :, None] * right + shift
    torch.testing.assert_close(found.double(), math.sqrt(2 / 64) * angles.cos().sum(2), atol=1e-5, rtol=0)


def test_no_two_places_of_a_wall_are_alike():
    """Without grain a network paints one square of 4 pixels on a bare wall again and again; with it, never twice."""
    torch.manual_seed(0)
    with_grain = RealtimeNet(8, grain=0.02).eval()
    without = RealtimeNet(8).eval()
    without.load_state_dict(with_grain.state_dict())
    wall = np.full((256, 256, 3), 128, np.uint8)
    squares = []
    for network in (without, with_grain):
        painted = Stylizer(network, device="cpu").stylize_pixels(wall)[64:192, 64:192]
        squares.append(painted.reshape(32, 4, 32, 4, 3).swapaxes(1, 2).reshape(1024, -1))
    assert len(np.unique(squares[0], axis=0)) == 1
    assert len(np.unique(squares[1], axis=0)) > 1000


@pytest.mark.parametrize("strength", [-0.1, math.nan, math.inf])
def test_impossible_strengths(strength):
    """A strength that is none is refused with what was given and what is allowed."""
    with pytest.raises(SettingError, match=f"transform_net.grain is {strength}; it must be at least 0, such as 0.016"):
        RealtimeNet(4, grain=strength)


def test_checkpoints_keep_it(tmp_path):
    """A checkpoint paints with the grain that it was saved with; one that says nothing of grain has none."""
    torch.manual_seed(0)
    network = RealtimeNet(4, grain=0.05)
    save_checkpoint(tmp_path / "new.safetensors", network, CheckpointInfo(style={}), dtype=torch.float32)
    old = copy.deepcopy(network)
    del old.arguments["grain"]
    save_checkpoint(tmp_path / "old.safetensors", old, CheckpointInfo(style={}), dtype=torch.float32)
    photo = torch.rand(1, 3, 16, 16)
    assert torch.equal(load_checkpoint(tmp_path / "new.safetensors").network(photo), network(photo))
    bare = RealtimeNet(4)
    bare.load_state_dict(network.state_dict())
    assert torch.equal(load_checkpoint(tmp_path / "old.safetensors").network(photo), bare(photo))
    assert not any("grain" in name for name in network.state_dict())
