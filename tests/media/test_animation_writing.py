import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.errors import OutputError
from nst_fast.media.animation_writing import write_animation
from nst_fast.media.animations import probe_animation, read_animation
from nst_fast.media.pictures import Picture


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Each test starts in an empty folder."""
    monkeypatch.chdir(tmp_path)


def draw(count: int, side: int = 24) -> Iterator[tuple[Picture, int]]:
    rows, columns = np.mgrid[0:side, 0:side]
    for number in range(count):
        rgb = np.stack([rows * 255 // side, columns * 255 // side, np.full_like(rows, number * 40 % 256)], axis=-1)
        yield Picture(rgb.astype(np.uint8)), 40


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize("loop", [None, 0, 5])
def test_pillow_reads_what_is_written(suffix, loop):
    """By Pillow alone: each frame is the still picture that Pillow would write of it, with durations and loops."""
    path = Path("a" + suffix)
    pictures = list(draw(4))
    write_animation(path, pictures, loop=loop)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 4
        assert image.info.get("loop") == {(".webp", None): 1, (".gif", None): None}.get((suffix, loop), loop)
        for number, (picture, milliseconds) in enumerate(pictures):
            image.seek(number)
            frame = np.asarray(image.convert("RGB")).astype(int)
            assert image.info["duration"] == milliseconds
            assert np.abs(frame - picture.rgb).mean() < 6


@pytest.mark.parametrize("colors", [1, 2, 3, 200])
def test_palettes_of_every_length(colors):
    """A GIF frame of one color, of two or of many has the pixels that it should."""
    levels = (np.arange(256) % colors * 255 // max(1, colors - 1)).astype(np.uint8).reshape(16, 16)
    rgb = np.repeat(levels[..., None], 3, axis=2)
    write_animation(Path("a.gif"), [(Picture(rgb), 50), (Picture(255 - rgb), 50)])
    read = [picture.rgb.astype(int) for picture, _ in read_animation(Path("a.gif"))]
    assert np.abs(read[0] - rgb).max() <= 2 and np.abs(read[1] - (255 - rgb)).max() <= 2


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_memory_does_not_grow_with_the_frames(suffix):
    """Ten times as many frames take no more memory while they are written."""
    peaks = []
    for count in (10, 100):
        tracemalloc.start()
        assert write_animation(Path("a" + suffix), draw(count, 128)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert probe_animation(Path("a" + suffix)).frame_count == 100


def test_frames_that_the_format_cannot_hold_are_refused():
    """A WebP of 20,000 pixels on a side is one line, and leaves no file."""
    with pytest.raises(OutputError, match=r"^cannot write a\.webp: 20000 x 1 pixels, .* at most 16383 on a side"):
        write_animation(Path("a.webp"), [(Picture(np.zeros((1, 20_000, 3), np.uint8)), 40)])
    assert list(Path().iterdir()) == []
