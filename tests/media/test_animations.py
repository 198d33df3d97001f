from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.errors import ImageError, OutputError
from nst_fast.media.animation_writing import write_animation
from nst_fast.media.animations import is_animated, probe_animation, read_animation
from nst_fast.media.pictures import Picture

DURATIONS = [40, 100, 70]


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Each test starts in an empty folder."""
    monkeypatch.chdir(tmp_path)


def make_pictures(alpha: bool = False) -> list[Picture]:
    pictures = []
    for number in range(3):
        rgb = np.full((12, 16, 3), (200, 40 + 60 * number, 30), np.uint8)
        rgb[:, 4 * number : 4 * number + 4] = (10, 20, 220)
        # No rectangle: what is opaque within one is stored without alpha, which Pillow takes for a file without.
        mask = np.where(np.add.outer(np.arange(12), np.arange(16)) < 12 + 2 * number, 255, 0).astype(np.uint8)
        pictures.append(Picture(rgb, mask if alpha else None))
    return pictures


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("loop", [0, 3])
def test_frames_durations_alpha_and_loops_come_back(suffix, alpha, loop):
    """What is written is read again: pixels as well as the format holds them, durations, transparency and loops."""
    path = Path("a" + suffix)
    pictures = make_pictures(alpha)
    assert write_animation(path, zip(pictures, DURATIONS, strict=True), loop=loop) == 3
    info = probe_animation(path)
    assert (info.height, info.width, info.frame_count, info.milliseconds) == (12, 16, 3, 210)
    assert info.loop == loop
    read = list(read_animation(path))
    assert [milliseconds for _, milliseconds in read] == DURATIONS
    for (ours, _), theirs in zip(read, pictures, strict=True):
        seen = np.ones((12, 16), bool) if theirs.alpha is None else theirs.alpha > 0
        assert np.abs(ours.rgb.astype(int) - theirs.rgb)[seen].mean() < 12
        if alpha:
            assert np.array_equal(ours.alpha, theirs.alpha)


def test_animations_are_told_from_still_pictures():
    """A GIF of three frames is animated, one of one frame is not; nor is what cannot be read."""
    write_animation(Path("animated.gif"), zip(make_pictures(), DURATIONS, strict=True))
    Image.new("RGB", (4, 4)).save("still.gif")
    Path("broken.gif").write_bytes(b"GIF89a")
    assert [is_animated(Path(name)) for name in ("animated.gif", "still.gif", "broken.gif", "no.gif")] == [
        True,
        False,
        False,
        False,
    ]


def test_frames_without_a_duration_last_a_tenth_of_a_second():
    """As in browsers, a duration of 0 or 10 ms is one of 100."""
    frames = [Image.fromarray(picture.rgb) for picture in make_pictures()]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:], duration=[0, 10, 20])
    assert [milliseconds for _, milliseconds in read_animation(Path("a.gif"))] == [100, 100, 20]


def test_equal_frames_last_as_long_as_both():
    """Pillow joins frames that are equal; the time they take stays."""
    picture = make_pictures()[0]
    write_animation(Path("a.gif"), [(picture, 40), (picture, 60), (make_pictures()[1], 100)])
    assert probe_animation(Path("a.gif")).milliseconds == 200


def test_broken_animations_are_one_line():
    """A GIF that ends within a later frame is an error that names the frame; no frame at all cannot be written."""
    write_animation(Path("a.gif"), zip(make_pictures(), DURATIONS, strict=True))
    data = Path("a.gif").read_bytes()
    Path("b.gif").write_bytes(data[: len(data) - 40])
    with pytest.raises(ImageError, match=r"^b\.gif is damaged at frame \d \(.*\); copy or download it again$"):
        list(read_animation(Path("b.gif")))
    with pytest.raises(OutputError, match=r"^cannot write c\.gif: there is no frame$"):
        write_animation(Path("c.gif"), [])
