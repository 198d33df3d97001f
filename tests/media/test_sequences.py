from pathlib import Path

import pytest

from nst_fast.errors import ImageError
from nst_fast.media.sequences import find_numbers, is_sequence, list_numbers, name_in_sequence


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("frames/%05d.png", True),
        ("%d.jpg", True),
        ("shot_%04d_v2.TIF", True),
        ("%05d.mp4", False),
        ("100%.png", False),
        ("%d_%d.png", False),
        ("%5d.png", False),
        ("%05d/a.png", False),
        ("a.png", False),
    ],
)
def test_what_names_a_sequence(name, expected):
    """One %d or %05d in the name of a picture, and nothing else."""
    assert is_sequence(Path(name)) is expected


@pytest.mark.parametrize("name", ["%05d.png", "a%d.png", "a_%03d_b.png", "%09d.png"])
@pytest.mark.parametrize("number", [0, 7, 12345, 1234567])
def test_numbers_are_written_as_printf_writes_them(name, number):
    """Python's own % operator gives the same names."""
    assert name_in_sequence(Path("x", name), number) == Path("x", name % number)


def test_only_the_pictures_of_the_sequence_are_found(tmp_path):
    """In order of their numbers, without files of other names or other numbers of digits; gaps are left out."""
    for name in ("f.0010.png", "f.0002.png", "f.12345.png", "f.7.png", "f.0003.jpg", "g.0004.png", "f.0005.png.bak"):
        (tmp_path / name).touch()
    assert list_numbers(tmp_path / "f.%04d.png") == [2, 10, 12345]
    assert list_numbers(tmp_path / "f.%d.png") == [7, 12345]
    assert list_numbers(tmp_path / "missing" / "%d.png") == []


def test_a_sequence_without_pictures_is_refused(tmp_path):
    """The message names the first picture that was looked for."""
    with pytest.raises(ImageError) as caught:
        find_numbers(tmp_path / "%05d.png")
    assert str(caught.value) == (
        f"there is no picture {tmp_path / '%05d.png'}, such as {tmp_path / '00001.png'}; "
        "check the path and the number of digits"
    )
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match=r"cannot list the folder .*file .*; check the path and its permissions"):
        find_numbers(tmp_path / "file" / "%05d.png")
