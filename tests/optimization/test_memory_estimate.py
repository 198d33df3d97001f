"""The estimate of the memory that an optimization needs."""

import subprocess
import sys

import pytest

from nst_fast.errors import ImageError
from nst_fast.optimization.memory_estimate import check_fits, estimate_bytes


def test_memory_grows_with_the_pixels(loss_network):
    """Four times the pixels need four times the memory, beside a constant; the error names a size that would fit."""
    nothing = estimate_bytes(loss_network, ["relu2_1"], 0, 0)
    small = estimate_bytes(loss_network, ["relu2_1"], 64, 64)
    large = estimate_bytes(loss_network, ["relu2_1"], 128, 128)
    assert large - nothing == 4 * (small - nothing)
    check_fits(large, None, 128, 128, "cpu")
    check_fits(large, large, 128, 128, "cpu")
    with pytest.raises(ImageError, match="64 x 64 pixels would; set short_side to 64"):
        check_fits(large, small, 128, 128, "cpu")


MEASURE_MEMORY = """
import resource, sys
import torch
from nst_fast.optimization.memory_estimate import estimate_bytes
from nst_fast.optimization.pixel_optimizer import PixelOptimizer
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.losses.tones import PhotoTones

torch.set_num_threads(1)
taps = [*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS]
network = build_loss_network("vgg19", taps=taps, weights="random")

def optimize(size, iterations):
    photo, noise, style, goal = torch.rand(4, 1, 3, size, size)
    variance = dict.fromkeys(DEFAULT_CONTENT_TAPS, 1.0)
    loss = PerceptualLoss(network, style[0], feature_variance=variance, photo_tones=PhotoTones(photo))
    target = loss.measure_content(photo)
    weight = torch.rand_like(goal) + 0.1

    def cheap(image):  # fills the history
        total = (weight * (image - goal).square()).sum() + (image - goal).pow(4).sum()
        return total, {"total": total.detach()}

    optimizer = PixelOptimizer(noise, cheap)
    for _ in range(iterations):
        optimizer.take_iteration()
    optimizer._loss = lambda image: loss(image, target)
    optimizer._evaluate()
    optimizer.take_iteration()

optimize(32, 2)  # imports and first calls
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = int(sys.argv[1])
optimize(size, 24)
print(estimate_bytes(network, taps, size, size), 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("size", [256, 512])
def test_the_estimate_is_what_a_process_needs(size):
    """The peak memory of a process that optimizes, beyond what it used before, is within a sixth of the estimate."""
    done = subprocess.run([sys.executable, "-c", MEASURE_MEMORY, str(size)], capture_output=True, text=True, check=True)
    estimated, taken = map(float, done.stdout.split())
    assert taken == pytest.approx(estimated, rel=1 / 6)
