from pathlib import Path

import numpy as np
import pytest

from nst_fast.errors import ImageError
from nst_fast.media.opening import IMAGE_SUFFIXES
from nst_fast.media.picture_notes import read_note
from nst_fast.media.pictures import Picture, encode_picture, read_picture, write_picture

NOTE = "nst-fast style=gro%C3%9Fes%20Bild&strength=0.7"
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_a_note_comes_back(suffix, tmp_path):
    """Every format but BMP keeps the note, and the pixels are those of a file without it."""
    for name, note in (("with", NOTE), ("without", None)):
        write_picture(tmp_path / f"{name}{suffix}", Picture(PIXELS), note=note)
    assert read_note(tmp_path / f"with{suffix}") == (None if suffix == ".bmp" else NOTE)
    assert read_note(tmp_path / f"without{suffix}") is None
    pictures = [read_picture(tmp_path / f"{name}{suffix}").rgb for name in ("with", "without")]
    assert np.array_equal(*pictures)


def test_bytes_carry_it_too(tmp_path):
    """What a server sends has the note as well."""
    (tmp_path / "a.webp").write_bytes(encode_picture(Picture(PIXELS), ".webp", note=NOTE))
    assert read_note(tmp_path / "a.webp") == NOTE


def test_what_is_no_picture_has_no_note():
    """A missing file is an error, not an empty note."""
    with pytest.raises(ImageError):
        read_note(Path("missing.png"))
