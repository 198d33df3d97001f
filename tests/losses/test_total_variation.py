import itertools

import pytest
import torch
from torch import Tensor

from nst_fast.losses.total_variation import total_variation


def random_image(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def loop_total_variation(image: Tensor) -> tuple[float, int]:
    """The sum of squared differences to the neighbor below and to the right, and how many there are."""
    numbers = image.numpy()
    channels, height, width = numbers.shape
    total, count = 0.0, 0
    for channel, row, column in itertools.product(range(channels), range(height), range(width)):
        for below, right in ((row + 1, column), (row, column + 1)):
            if below < height and right < width:
                total += (numbers[channel, below, right] - numbers[channel, row, column]) ** 2
                count += 1
    return total, count


@pytest.mark.parametrize("size", [(5, 7), (1, 6), (6, 1), (2, 2)])
def test_value(size):
    """The papers take the sum over a picture, `relative` the mean over its differences."""
    images = random_image(2, 3, *size)
    sums, counts = zip(*(loop_total_variation(image) for image in images), strict=True)
    for scaling in ("gatys", "johnson"):
        assert total_variation(images, scaling).tolist() == pytest.approx(sums, rel=1e-12)
    expected = [total / count for total, count in zip(sums, counts, strict=True)]
    assert total_variation(images).tolist() == pytest.approx(expected, rel=1e-12)


def test_one_pixel():
    """A picture of one pixel has no neighbors and no total variation."""
    for scaling in ("relative", "gatys", "johnson"):
        assert total_variation(torch.rand(1, 3, 1, 1), scaling).item() == 0


def test_relative_does_not_know_the_size():
    """A pattern repeated over four times the area keeps its relative total variation within 2 %."""
    tile = random_image(1, 3, 16, 16)
    small, large = tile.repeat(1, 1, 4, 4), tile.repeat(1, 1, 8, 8)
    assert total_variation(large).item() == pytest.approx(total_variation(small).item(), rel=0.02)
    assert total_variation(large, "gatys").item() > 3.9 * total_variation(small, "gatys").item()


def test_gradient_is_that_of_differences():
    """Autograd agrees with finite differences."""
    image = random_image(1, 3, 4, 5).requires_grad_()
    for scaling in ("relative", "gatys"):
        assert torch.autograd.gradcheck(lambda x, name=scaling: total_variation(x, name), (image,))


def test_half_precision():
    """A float16 checkerboard whose sum overflows float16 gives its exact sum in float32, also under autocast."""
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    image = ((rows + columns) % 2).expand(1, 3, -1, -1).half()
    with torch.autocast("cpu", torch.float16):
        loss = total_variation(image, "gatys")
    assert loss.dtype == torch.float32
    assert loss.item() == 3 * 2 * 255 * 256
