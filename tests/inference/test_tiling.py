import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.errors import SettingError
from nst_fast.images import Picture
from nst_fast.inference import stylizer as stylizer_module
from nst_fast.inference.engines.choice import list_engines
from nst_fast.inference.stylizer import Stylizer
from nst_fast.inference.tiling import (
    estimate_bytes_per_pixel,
    make_thumbnail,
    measure_receptive_radius,
    paint_tiles_with_statistics,
    split_side,
)
from nst_fast.transform_nets import JohnsonNet, RealtimeNet
from nst_fast.transform_nets.statistics import InstanceNorm, blank_statistics, paint_with_statistics

ENGINES = [name for name in list_engines(torch.device("cpu")) if name != "compile"]


def build_network(kind, width: int = 4):
    torch.manual_seed(0)
    network = kind(width=width, grain=0.1).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
    return network


def picture(height: int, width: int) -> np.ndarray:
    """Noise on a gradient, so that parts have other statistics than the whole."""
    slope = np.linspace(0, 180, width)[None, :, None]
    return (slope + np.random.default_rng(0).integers(0, 70, (height, width, 3))).astype(np.uint8)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [JohnsonNet, RealtimeNet])
def test_no_seams(kind, engine):
    """Tiles give what the whole picture gives with the same statistics, within one level, also at odd sizes."""
    stylizer = Stylizer(build_network(kind), device="cpu", engine=engine, threads=1)
    rgb = picture(203, 331)
    ((whole,), statistics) = stylizer._engine.paint_pixels_with_statistics(rgb[None], None, 1.0)
    tiled = paint_tiles_with_statistics(stylizer._engine, stylizer.network, rgb, statistics, window_side=160)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    small = paint_tiles_with_statistics(stylizer._engine, stylizer.network, rgb, statistics * 1.5, window_side=160)
    assert np.abs(small.astype(int) - whole).max() > 1, "the statistics decide"


@pytest.mark.parametrize("kind", [JohnsonNet, RealtimeNet])
def test_the_radius_is_that_of_the_network(kind):
    """Changing a pixel changes something as far away as the radius, and nothing further."""
    network = build_network(kind, width=8)
    radius = measure_receptive_radius(network)
    photo = torch.rand(1, 3, 256, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    network = network.double()
    _, statistics = paint_with_statistics(network, photo, blank_statistics(network), 1.0)
    reach = []
    for place in range(4):
        other = photo.clone()
        other[..., 128 + place, 128 + place] += 10
        first, second = (paint_with_statistics(network, one, statistics, 0.0)[0] for one in (photo, other))
        changed = (first != second).any(1)[0].nonzero() - 128 - place
        reach.append(int(changed.abs().max()))
    assert max(reach) == radius


@pytest.mark.parametrize(("side", "window"), [(1, 160), (100, 160), (161, 160), (1000, 160), (999, 100), (64, 8)])
def test_tiles_cover_a_side_once(side, window):
    """The tiles of a side follow one another from end to end, and each window reaches far enough and no further."""
    spans = list(split_side(side, window, 30, 4))
    assert [spans[0].start, *(span.end for span in spans)] == [0, *(span.start for span in spans[1:]), side]
    for span in spans:
        assert 0 <= span.window_start <= max(0, span.start - 30) and span.window_start % 4 == 0
        assert min(side, span.end + 30) <= span.window_end <= side


def test_a_thumbnail_keeps_the_shape():
    """A large picture is scaled to the long side, a small one stays as it is."""
    assert make_thumbnail(picture(100, 200), 50).shape == (25, 50, 3)
    assert make_thumbnail(picture(300, 2), 50).shape == (50, 1, 3)
    by_pillow = Image.fromarray(picture(600, 401)).resize((27, 40), Image.Resampling.BOX)
    assert np.abs(make_thumbnail(picture(600, 401), 40).astype(int) - np.asarray(by_pillow)).max() < 16
    assert np.array_equal(make_thumbnail(picture(20, 30), 50), picture(20, 30))


def test_picture_files_in_tiles():
    """Asked for, a picture is painted in tiles, with its alpha and in its size, much as it is painted at once."""
    network = build_network(RealtimeNet)
    at_once, tiled = (Stylizer(network, device="cpu", tiles=tiles) for tiles in ("never", "always"))
    alpha = np.full((70, 90), 7, np.uint8)
    given = Picture(picture(70, 90), alpha)
    painted = tiled.stylize_picture(given)
    assert np.array_equal(painted.alpha, alpha)
    assert np.abs(painted.rgb.astype(int) - at_once.stylize_picture(given).rgb).max() <= 1  # smaller than a thumbnail
    assert tiled.stylize_picture(given, size=45).rgb.shape == (70, 90, 3)


def test_tiles_are_taken_where_memory_is_short(monkeypatch):
    """By itself it paints in tiles what would take more than half of the memory that is left, and nothing less."""
    stylizer = Stylizer(build_network(JohnsonNet), device="cpu")
    taken = estimate_bytes_per_pixel(stylizer.network) * 1000 * 1000
    monkeypatch.setattr(stylizer_module, "available_bytes", lambda _device: int(2 * taken) + 1)
    assert not stylizer.paints_in_tiles(1000, 1000)
    assert stylizer.paints_in_tiles(1000, 1001)
    monkeypatch.setattr(stylizer_module, "available_bytes", lambda _device: None)
    assert not stylizer.paints_in_tiles(10**6, 10**6)


def test_unknown_tiles():
    """Another word is answered with those that are allowed."""
    with pytest.raises(SettingError) as caught:
        Stylizer(build_network(RealtimeNet), device="cpu", tiles="allways")
    assert str(caught.value) == "tiles is 'allways'; allowed: auto, always, never (nearest: always)"
