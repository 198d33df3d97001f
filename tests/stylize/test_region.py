from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.errors import ImageError, SettingError
from nst_fast.media.pictures import read_picture
from nst_fast.stylize import region
from nst_fast.stylize.region import find_person, mix_rows, read_mask

PHOTOS = Path(__file__).resolve().parents[2] / "docs" / "examples" / "photos"


def test_a_person_is_found():
    """In a portrait the face is person and the corner behind it is not; a landscape has no person."""
    mask = find_person(read_picture(PHOTOS / "astronaut.jpg").rgb)
    assert mask.shape == (256, 256) and mask.dtype == np.uint8
    assert mask[40:80, 110:130].mean() > 230 and mask[:40, 160:190].mean() < 20
    assert find_person(read_picture(PHOTOS / "china.jpg").rgb).mean() < 20


def test_the_network_says_whose_it_is():
    """The shipped file names its source and license, and is small."""
    onnx = pytest.importorskip("onnx")
    told = {entry.key: entry.value for entry in onnx.load(region.PERSON_NETWORK).metadata_props}
    assert "mediapipe" in told["source"] and told["license"].startswith("Apache-2.0")
    assert region.PERSON_NETWORK.stat().st_size < 500_000


def test_edges_are_soft():
    """Between the two sides of a mask the mixture changes step by step, and a part is that of the whole."""
    stylized, photo = np.full((40, 60, 3), 200, np.uint8), np.full((40, 60, 3), 100, np.uint8)
    mask = np.zeros((4, 6), np.uint8)
    mask[:, 3:] = 255
    whole = mix_rows(stylized, photo, mask, 0, 40)
    assert whole[:, :20].max() == 100 and whole[:, -20:].min() == 200
    steps = np.diff(whole[20, :, 0].astype(int))
    assert steps.min() >= 0 and steps.max() <= 15
    assert np.array_equal(mix_rows(stylized[7:19], photo[7:19], mask, 7, 40), whole[7:19])


def test_masks_are_read(tmp_path):
    """The light and dark of a gray picture, or the transparency of one that has some."""
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    assert np.array_equal(read_mask(tmp_path / "gray.png"), gray)
    cut_out = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    cut_out.putalpha(Image.fromarray(gray))
    cut_out.save(tmp_path / "cut_out.png")
    assert np.array_equal(read_mask(tmp_path / "cut_out.png"), gray)


def test_wrong_masks_are_refused(tmp_path):
    """A missing file, a text, a color picture and an all black mask: one line each."""
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "black.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(SettingError, match=r"black.png' is empty, all black; make it white where the style goes"):
        read_mask(tmp_path / "black.png")
    with pytest.raises(SettingError, match="is a color picture; give a gray one, white where the style goes"):
        read_mask(PHOTOS / "astronaut.jpg")
    for name in ("text.png", "missing.png"):
        with pytest.raises(ImageError):
            read_mask(tmp_path / name)
