"""Sizes from coarse to fine, first pictures, and the estimate of memory."""

import subprocess
import sys

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.gatys.memory_estimate import check_fits, estimate_bytes
from nst_fast.gatys.plan import Plan, list_short_sides
from nst_fast.gatys.start import make_start


@pytest.mark.parametrize(
    ("side", "coarsest", "sides"),
    [
        (512, None, [512]),
        (512, 128, [128, 181, 256, 362, 512]),
        (512, 200, [256, 362, 512]),
        (512, 512, [512]),
        (100, 900, [100]),
    ],
)
def test_sizes_grow_by_the_square_root_of_two(side, coarsest, sides):
    """The last is exact, the first not below the coarsest."""
    assert list_short_sides(side, coarsest) == sides


def test_starts(photo, style):
    """Content is the photo; noise is seeded and fills the range evenly; the painting covers the photo."""
    assert torch.equal(make_start("content", photo, style, 0), photo)
    noise = make_start("noise", photo, style, 0)
    assert torch.equal(noise, make_start("noise", photo, style, 0))
    assert not torch.equal(noise, make_start("noise", photo, style, 1))
    assert abs(float(noise.mean()) - 0.5) < 0.05
    assert abs(float(noise.var()) - 1 / 12) < 0.01
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1).expand(3, 9, 40)
    assert torch.allclose(make_start("style", photo, red, 0), torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand_as(photo))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": "nois"}, "start 'nois' is unknown; allowed: content, noise, style (nearest: noise)"),
        ({"iterations": 0}, "iterations is 0; it must be at least 1"),
        ({"short_side": 0}, "short_side is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"seed": 2**63}, f"seed is {2**63}; it must be less than {2**63}"),
    ],
)
def test_mistakes(settings, message):
    """Each is named with what is allowed."""
    with pytest.raises(SettingError) as caught:
        Plan(**settings)
    assert str(caught.value) == message


def test_memory_grows_with_the_pixels(loss_network):
    """Four times the pixels take four times the memory, beside what any size takes; what does not fit is told a size
    that does."""
    nothing = estimate_bytes(loss_network, ["relu2_1"], 0, 0)
    small = estimate_bytes(loss_network, ["relu2_1"], 64, 64)
    large = estimate_bytes(loss_network, ["relu2_1"], 128, 128)
    assert large - nothing == 4 * (small - nothing)
    check_fits(large, None, 128, 128, "cpu")
    check_fits(large, large, 128, 128, "cpu")
    with pytest.raises(Exception, match="64 x 64 would: give short_side=64"):
        check_fits(large, small, 128, 128, "cpu")


MEASURE_MEMORY = """
import resource, sys
import torch
from nst_fast.gatys.memory_estimate import estimate_bytes
from nst_fast.gatys.pixel_optimiser import PixelOptimiser
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

torch.set_num_threads(1)
taps = [*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS]
network = build_loss_network("vgg19", taps=taps, weights="random")

def optimise(size, iterations):
    photo, noise, painting, goal = torch.rand(4, 1, 3, size, size)
    loss = PerceptualLoss(network, painting[0], feature_variance=dict.fromkeys(DEFAULT_CONTENT_TAPS, 1.0))
    target = loss.measure_content(photo)
    weight = torch.rand_like(goal) + 0.1

    def cheap(picture):  # fills the history
        total = (weight * (picture - goal).square()).sum() + (picture - goal).pow(4).sum()
        return total, {"total": total.detach()}

    optimiser = PixelOptimiser(noise, cheap)
    for _ in range(iterations):
        optimiser.take_iteration()
    optimiser._loss = lambda picture: loss(picture, target)
    optimiser._evaluate()
    optimiser.take_iteration()

optimise(32, 2)  # imports and first calls
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = int(sys.argv[1])
optimise(size, 24)
print(estimate_bytes(network, taps, size, size), 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("size", [256, 512])
def test_the_estimate_is_what_a_process_takes(size):
    """The peak of a process that optimises, beyond what it took before, is within a sixth of the estimate."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_MEMORY, str(size)], capture_output=True, text=True, check=True
    )
    estimated, taken = map(float, done.stdout.split())
    assert taken == pytest.approx(estimated, rel=1 / 6)
