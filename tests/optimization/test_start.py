"""Initial images, and sizes from coarse to fine."""

import pytest
import torch

from nst_fast.optimization.run import list_short_sides
from nst_fast.optimization.start import make_start


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
    """The last size is exact, and the first is not below the coarsest."""
    assert list_short_sides(side, coarsest) == sides


def test_starts(photo, style):
    """Content is the photo; noise is seeded and uniform in the range; the style image covers the photo."""
    assert torch.equal(make_start("content", photo, style, 0), photo)
    noise = make_start("noise", photo, style, 0)
    assert torch.equal(noise, make_start("noise", photo, style, 0))
    assert not torch.equal(noise, make_start("noise", photo, style, 1))
    assert abs(float(noise.mean()) - 0.5) < 0.05
    assert abs(float(noise.var()) - 1 / 12) < 0.01
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1).expand(3, 9, 40)
    assert torch.allclose(make_start("style", photo, red, 0), torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand_as(photo))
