"""No output may be one of the inputs, by whatever name."""

import os
from pathlib import Path

import pytest

from nst_fast.errors import SettingError
from nst_fast.files.overwrites import check_overwrites, is_same_file


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"precious")
    return path


def test_another_file_passes(tmp_path, photo):
    """An output beside the input, new or not, overwrites no input; an input that does not exist is not checked."""
    (tmp_path / "old.png").write_bytes(b"")
    check_overwrites([photo, tmp_path / "absent.jpg"], [tmp_path / "new.png", tmp_path / "old.png"])


@pytest.mark.parametrize("kind", ["same", "relative", "symbolic link", "hard link", "through a folder"])
def test_every_name_of_the_input_is_refused(tmp_path, photo, kind, monkeypatch):
    """The output is refused if it is the input under any of its names."""
    output = tmp_path / "output.jpg"
    if kind == "same":
        output = photo
    elif kind == "relative":
        monkeypatch.chdir(tmp_path)
        output = Path("photo.jpg")
    elif kind == "symbolic link":
        output.symlink_to(photo)
    elif kind == "hard link":
        os.link(photo, output)
    else:
        (tmp_path / "linked").symlink_to(tmp_path)
        output = tmp_path / "linked" / "photo.jpg"
    with pytest.raises(SettingError) as caught:
        check_overwrites([photo], [tmp_path / "other.png", output])
    assert str(caught.value) == f"writing '{output}' would overwrite the input '{photo}'; choose another output"


def test_an_input_that_is_a_link_is_followed(tmp_path, photo):
    """The file behind a link that was given as an input is protected, too."""
    link = tmp_path / "link.jpg"
    link.symlink_to(photo)
    with pytest.raises(SettingError, match="would overwrite the input"):
        check_overwrites([link], [photo])


def test_an_input_inside_an_output_folder_is_refused(tmp_path):
    """A frame of an earlier run cannot be the photo of a run that writes into the same folder."""
    frame = tmp_path / "a.run" / "frames" / "frame_000010.png"
    frame.parent.mkdir(parents=True)
    frame.write_bytes(b"")
    with pytest.raises(SettingError, match=r"the input '.*' lies in '.*a\.run', which will be written to; choose"):
        check_overwrites([frame], [tmp_path / "a.run"])
    check_overwrites([frame], [tmp_path / "a.png"])


def test_same_file(tmp_path, photo):
    """Two names of one folder are the same; what does not exist is the same as nothing."""
    (tmp_path / "linked").symlink_to(tmp_path)
    assert is_same_file(tmp_path, tmp_path / "linked")
    assert not is_same_file(photo, tmp_path)
    assert not is_same_file(tmp_path / "absent", tmp_path / "absent")
