import json
import math

import numpy as np
import pytest
import safetensors.numpy
import torch

from nst_fast.networks.checkpoint import load_checkpoint, save_checkpoint
from nst_fast.networks.checkpoint_header import METADATA_KEY
from nst_fast.networks.input_noise import PERIOD
from nst_fast.networks.torch_layers import InputNoise
from nst_fast.networks.torch_network import build_network, checkpoint_from_network, load_network
from nst_fast.stylize.stylizer import Stylizer


def noise_of(height: int, width: int, strength: float = 1.0) -> np.ndarray:
    return InputNoise(strength)(torch.zeros(1, 3, height, width))[0, 0].numpy()


def test_as_strong_as_asked():
    """Its standard deviation is the strength, its mean nothing, its values spread as a normal distribution's."""
    input_noise = noise_of(1024, 1024, 0.02)
    assert input_noise.std() == pytest.approx(0.02, rel=0.03)
    assert abs(input_noise.mean()) < 0.001
    assert (np.abs(input_noise) < 0.02).mean() == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.03)


def test_its_waves():
    """Fourier's transform of one period finds 64 waves of 8 to 64 pixels, all alike in strength, in all directions."""
    spectrum = np.abs(np.fft.rfft2(noise_of(PERIOD, PERIOD).astype(np.float64))) / PERIOD**2
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
    """A piece whose origin is given has the noise of that piece of the whole, and another piece has another."""
    input_noise, photos = InputNoise(0.1), torch.rand(2, 3, 40, 56)
    whole = input_noise(torch.zeros(1, 3, 300, 300))
    piece = input_noise(photos, torch.tensor([130, 201])) - photos
    torch.testing.assert_close(piece, whole[:, :, 130:170, 201:257].expand_as(piece), atol=1e-6, rtol=0)
    assert (input_noise(photos) - photos - piece).abs().mean() > 0.05


def test_exact_far_from_the_origin():
    """At pixel 100,000 it is what float64 makes of the formula, though float32 could not hold such angles."""
    start = torch.tensor([100_000, 99_000])
    input_noise = InputNoise(1.0)
    found = input_noise(torch.zeros(1, 3, 5, 7), start)[0, 0]
    angle = 2 * math.pi / PERIOD
    waves = input_noise.row_frequencies[:64], input_noise.column_frequencies[:64], input_noise.column_phases[:64]
    down, right, shift = (values.double() * angle for values in waves)
    rows, columns = torch.arange(5).double() + 100_000, torch.arange(7).double() + 99_000
    angles = rows[:, None, None] * down + columns[None, :, None] * right + shift
    torch.testing.assert_close(found.double(), math.sqrt(2 / 64) * angles.cos().sum(2), atol=1e-5, rtol=0)


def test_no_two_places_of_a_wall_are_alike():
    """Without input noise a network repeats one square of 4 pixels all over a bare wall; with it, it never does."""
    torch.manual_seed(0)
    with_noise = build_network("realtime", width=8, input_noise=0.02)
    without = build_network("realtime", width=8)
    without.load_state_dict(with_noise.state_dict())
    wall = np.full((256, 256, 3), 128, np.uint8)
    squares = []
    for network in (without, with_noise):
        stylizer = Stylizer(checkpoint_from_network(network), device="cpu")
        stylized = stylizer.stylize_pixels(wall)[64:192, 64:192]
        squares.append(stylized.reshape(32, 4, 32, 4, 3).swapaxes(1, 2).reshape(1024, -1))
    assert len(np.unique(squares[0], axis=0)) == 1
    assert len(np.unique(squares[1], axis=0)) > 1000


def test_checkpoints_keep_it(tmp_path):
    """A checkpoint stylizes with the input noise that it was saved with; one that says nothing of it has none."""
    torch.manual_seed(0)
    network = build_network("realtime", width=4, input_noise=0.05)
    checkpoint, photo = checkpoint_from_network(network), torch.rand(1, 3, 16, 16)
    save_checkpoint(tmp_path / "new.safetensors", checkpoint, dtype="fp32")
    header = {"format_version": 1, "transform_net": {"name": "realtime", "width": 4}}
    safetensors.numpy.save_file(
        dict(checkpoint.weights), tmp_path / "old.safetensors", {METADATA_KEY: json.dumps(header)}
    )
    assert torch.equal(load_network(tmp_path / "new.safetensors")(photo), network(photo))
    bare = build_network("realtime", width=4)
    bare.load_state_dict(network.state_dict())
    assert torch.equal(load_network(tmp_path / "old.safetensors")(photo), bare(photo))
    assert load_checkpoint(tmp_path / "old.safetensors").description.input_noise == 0
    assert not any("noise" in name for name in network.state_dict())


def test_the_strength_is_one_number():
    """An input noise of 0 and one of 0.0 make the same network, also for the digest of a checkpoint."""
    torch.manual_seed(0)
    network = build_network("realtime", width=4, input_noise=0)
    other = build_network("realtime", width=4)
    other.load_state_dict(network.state_dict())
    assert checkpoint_from_network(network).digest == checkpoint_from_network(other).digest
