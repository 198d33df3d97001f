import numpy as np
import pytest

from nst_fast.evaluation.warping import Warp, find_trusted, weigh_cubic

IMAGE = np.random.default_rng(0).random((12, 15, 3), dtype=np.float32)


def constant_flow(down: float, right: float, height: int = 12, width: int = 15) -> np.ndarray:
    return np.full((height, width, 2), (down, right), np.float32)


def test_whole_pixels_are_moved_exactly():
    """A flow of (2, -3) takes each pixel from two rows below and three columns to the left."""
    warp = Warp(constant_flow(2, -3))
    assert np.array_equal(warp(IMAGE)[:10, 3:], IMAGE[2:, :12])
    expected = np.zeros((12, 15), bool)
    expected[:10, 3:] = True
    assert np.array_equal(warp.inside, expected)


def test_parabolas_are_exact_between_pixels():
    """Bicubic interpolation gives back a parabola at any position, away from the borders."""
    rows, columns = np.mgrid[0:12, 0:15].astype(np.float64)

    def parabola(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return (0.02 * y**2 - 0.01 * x**2 + 0.03 * x * y + 0.1 * y)[..., None].astype(np.float32)

    moved = Warp(constant_flow(0.3, 0.85))(parabola(rows, columns))
    assert moved[1:-2, 1:-2] == pytest.approx(parabola(rows + 0.3, columns + 0.85)[1:-2, 1:-2], abs=1e-4)


def test_the_weights_are_those_of_the_published_kernel():
    """Keys's kernel, written as he writes it, by distance, at any fraction; together they are 1."""

    def kernel(distance: float) -> float:
        if distance < 1:
            return 1.5 * distance**3 - 2.5 * distance**2 + 1
        return -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2

    for fraction in (0.0, 0.25, 0.5, 0.9):
        weights = weigh_cubic(np.array(fraction))
        assert weights == pytest.approx([kernel(abs(fraction - place)) for place in (-1, 0, 1, 2)], abs=1e-6)
        assert weights.sum() == pytest.approx(1)


def test_a_flow_that_comes_back_is_trusted():
    """A pan is trusted wherever the earlier frame shows it, and nowhere else."""
    flow = constant_flow(0, 4)
    assert np.array_equal(find_trusted(flow, -flow), Warp(flow).inside)


def test_what_is_hidden_and_the_edges_of_motions_are_not_trusted():
    """A flow whose way back ends elsewhere is not trusted, nor the border between two motions."""
    flow = constant_flow(0, 0)
    back = constant_flow(0, 0)
    back[4:8, 5:9] = (0, 3)
    trusted = find_trusted(flow, back)
    assert not trusted[4:8, 5:9].any()
    assert trusted[:3].all() and trusted[9:].all()
    moving = constant_flow(0, 0, 12, 30)
    moving[:, 15:] = (0, 1)
    trusted = find_trusted(moving, -moving)
    assert not trusted[:, 14:16].any()
    assert trusted[:, :12].all() and trusted[:, 18:28].all()
