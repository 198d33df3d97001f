import logging
import signal

import numpy as np
import pytest
from PIL import Image

from nst_fast.errors import SettingError
from nst_fast.media.pictures import Picture
from nst_fast.networks.registry import describe_network
from nst_fast.networks.torch_network import checkpoint_from_network
from nst_fast.stylize import stylizer as stylizer_module
from nst_fast.stylize.engines.choice import list_engines
from nst_fast.stylize.stylizer import Stylizer
from nst_fast.stylize.tiles import (
    estimate_bytes_per_pixel,
    make_thumbnail,
    split_side,
    stylize_tiles_with_statistics,
)

ENGINES = [name for name in list_engines("cpu") if name != "compile"]


@pytest.fixture
def checkpoint(random_network):
    """Gives the checkpoint of a network, by its name, with random normalizations and input noise."""
    return lambda name, width=4: checkpoint_from_network(random_network(name, width=width, input_noise=0.1))


def picture(height: int, width: int) -> np.ndarray:
    """Noise on a gradient, so that parts have other statistics than the whole."""
    slope = np.linspace(0, 180, width)[None, :, None]
    return (slope + np.random.default_rng(0).integers(0, 70, (height, width, 3))).astype(np.uint8)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["johnson", "realtime"])
def test_no_seams(checkpoint, name, engine):
    """Tiles give what the whole picture gives with the same statistics, within one level, also at odd sizes."""
    given = checkpoint(name)
    engine_in_use, network = Stylizer(given, device="cpu", engine=engine, threads=1)._engine, given.description
    rgb = picture(203, 331)
    ((whole,), statistics) = engine_in_use.stylize_with_statistics(rgb[None], None, 0.0)
    tiled = stylize_tiles_with_statistics(engine_in_use, network, rgb, statistics, window_side=160)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    other = stylize_tiles_with_statistics(engine_in_use, network, rgb, statistics * 1.5, window_side=160)
    assert np.abs(other.astype(int) - whole).max() > 1, "the statistics decide"


@pytest.mark.parametrize(("side", "window"), [(1, 160), (100, 160), (161, 160), (1000, 160), (999, 100), (64, 8)])
def test_tiles_cover_a_side_once(side, window):
    """The tiles of a side follow one another from end to end, and each window reaches far enough and no further."""
    spans = list(split_side(side, window, 30, 4))
    assert [spans[0].start, *(span.end for span in spans)] == [0, *(span.start for span in spans[1:]), side]
    for span in spans:
        assert 0 <= span.window_start <= max(0, span.start - 30) and span.window_start % 4 == 0
        assert min(side, span.end + 30) <= span.window_end <= side


def test_ctrl_c_ends_between_two_tiles(checkpoint, monkeypatch):
    """Ctrl-C while one of many tiles is in work is heeded right after it; the other tiles are not begun."""
    given = checkpoint("realtime")
    stylizer = Stylizer(given, device="cpu", threads=1, tiles="always")
    stylize, calls = stylizer._engine.stylize_with_statistics, []

    def stylize_and_interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == 3:  # the thumbnail, then the second of six tiles
            signal.raise_signal(signal.SIGINT)
        return stylize(*arguments)

    monkeypatch.setattr(stylizer._engine, "stylize_with_statistics", stylize_and_interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            stylizer.stylize_picture(Picture(picture(800, 1700)))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(calls) == 3


def test_a_thumbnail_keeps_the_shape():
    """A large picture is scaled to the long side, a small one stays as it is."""
    assert make_thumbnail(picture(100, 200), 50).shape == (25, 50, 3)
    assert make_thumbnail(picture(300, 2), 50).shape == (50, 1, 3)
    by_pillow = Image.fromarray(picture(600, 401)).resize((27, 40), Image.Resampling.BOX)
    assert np.abs(make_thumbnail(picture(600, 401), 40).astype(int) - np.asarray(by_pillow)).max() < 16
    assert np.array_equal(make_thumbnail(picture(20, 30), 50), picture(20, 30))


def test_picture_files_in_tiles(checkpoint):
    """Asked for, a picture is stylized in tiles, with its alpha and in its size, much as it is stylized at once."""
    at_once, tiled = (Stylizer(checkpoint("realtime"), device="cpu", tiles=tiles) for tiles in ("never", "always"))
    alpha = np.full((70, 90), 7, np.uint8)
    given = Picture(picture(70, 90), alpha)
    stylized = tiled.stylize_picture(given)
    assert np.array_equal(stylized.alpha, alpha)
    assert np.abs(stylized.rgb.astype(int) - at_once.stylize_picture(given).rgb).max() <= 1  # smaller than a thumbnail
    assert tiled.stylize_picture(given, size=45).rgb.shape == (70, 90, 3)


def test_tiles_are_taken_where_memory_is_short(checkpoint, monkeypatch, caplog):
    """By itself it works in tiles where a picture would take more than half of the memory that is left, and says so."""
    given = checkpoint("johnson")
    taken = estimate_bytes_per_pixel(given.description) * 800 * 800
    memory = {"left": 0}
    monkeypatch.setattr(stylizer_module, "available_bytes", lambda _device: memory["left"])
    caplog.set_level(logging.INFO, logger="nst_fast")
    stylizer = Stylizer(given, device="cpu")
    for left, height, width, in_tiles in (
        (int(2 * taken) + 1, 800, 800, False),
        (int(2 * taken) + 1, 800, 801, True),
        (None, 800, 801, False),
        (0, 768, 768, False),  # tiles would be as large
    ):
        memory["left"] = left
        caplog.clear()
        monkeypatch.setattr(stylizer_module, "stylize_in_tiles", lambda _engine, _network, rgb: rgb)
        monkeypatch.setattr(stylizer._engine, "stylize_pixels", lambda pixels: pixels)
        stylizer.stylize_picture(Picture(np.zeros((height, width, 3), np.uint8), None))
        said = [f"stylizing {width} x {height} pixels in tiles, with the statistics of a thumbnail"] * in_tiles
        assert [record.getMessage() for record in caplog.records] == said


def test_memory_is_that_of_the_largest_results():
    """The estimate is five float32 copies of the largest result: for johnson 64 channels, upsampled to all pixels."""
    assert estimate_bytes_per_pixel(describe_network("johnson", width=32)) == 5 * 4 * 64


def test_unknown_tiles(checkpoint):
    """Another word is answered with those that are allowed."""
    with pytest.raises(SettingError) as caught:
        Stylizer(checkpoint("realtime"), device="cpu", tiles="allways")
    assert str(caught.value) == "tiles is 'allways'; allowed: auto, always, never (nearest: always)"
