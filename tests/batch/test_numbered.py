"""Numbered pictures as inputs and outputs of a batch."""

from pathlib import Path

import pytest
from PIL import Image

from nst_fast.batch.plan import BatchItem, BatchPlan, plan_batch
from nst_fast.errors import ImageError, SettingError
from nst_fast.files.names import name_beside


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Each test starts in a folder with frames/0001.png to frames/0003.png."""
    monkeypatch.chdir(tmp_path)
    make_pictures(*(f"frames/{number:04}.png" for number in (1, 2, 3)))


def make_pictures(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(name)


def plan(source: str, output: str | None = None, **options) -> BatchPlan:
    return plan_batch([Path(source)], None if output is None else Path(output), style_name="x", **options)


@pytest.mark.parametrize(
    ("output", "image_format", "target"),
    [
        (None, None, "stylized/x/frames/%04d.png"),
        ("art", None, "art/frames/%04d.png"),
        ("art", "jpg", "art/frames/%04d.jpg"),
        ("art", "mp4", "art/frames.mp4"),
        ("art", "gif", "art/frames.gif"),
        ("art/a_%d.webp", None, "art/a_%d.webp"),
        ("film.mkv", None, "film.mkv"),
        ("moving.gif", None, "moving.gif"),
    ],
)
def test_what_numbered_pictures_become(output, image_format, target):
    """By default numbered pictures of the same names in a folder of the same name; else what the output says."""
    made = plan("frames/%04d.png", output, image_format=image_format)
    assert made.items == [BatchItem(Path("frames/%04d.png"), Path(target), animated=True)]


def test_a_film_becomes_numbered_pictures_and_a_still_picture_does_not():
    """Pictures as the output of one film are planned; one still picture cannot become many."""
    Path("a.mp4").touch()
    assert plan("a.mp4", "art/%05d.png").items == [BatchItem(Path("a.mp4"), Path("art/%05d.png"), animated=True)]
    with pytest.raises(SettingError) as caught:
        plan("frames/0001.png", "art/%05d.png")
    assert str(caught.value) == (
        "frames/0001.png is a still picture and cannot become %05d.png; give an output such as .png"
    )
    with pytest.raises(SettingError, match=r"is a film and cannot become a\.png; .*or numbered pictures such as %05d"):
        plan("frames/%04d.png", "a.png")


def test_all_pictures_make_a_finished_job():
    """Skipped are numbered pictures of which all exist, not those of which one is missing."""
    make_pictures("art/frames/0001.png", "art/frames/0002.png")
    assert not plan("frames/%04d.png", "art").skipped
    make_pictures("art/frames/0003.png")
    assert plan("frames/%04d.png", "art").skipped and not plan("frames/%04d.png", "art").items
    assert plan("frames/%04d.png", "art", overwrite=True).items


def test_a_film_is_finished_when_its_hidden_folder_is_gone():
    """Pictures of a film count as finished unless a note of the job lies beside them."""
    Path("a.mp4").touch()
    assert plan("a.mp4", "art/%d.png").items
    make_pictures("art/1.png")
    assert plan("a.mp4", "art/%d.png").skipped
    name_beside(Path("art/%d.png"), "stylizing").mkdir()
    assert plan("a.mp4", "art/%d.png").items


def test_pictures_are_not_written_over_themselves():
    """A target with the names of the source is refused, by whatever way it is given."""
    for output in ("frames/%04d.png", "art/../frames/%04d.png"):
        Path("art").mkdir(exist_ok=True)
        with pytest.raises(SettingError, match="is an input and would be overwritten; give another output"):
            plan("frames/%04d.png", output)
    assert plan("frames/%04d.png", "frames/%05d.png").items


def test_a_file_with_such_a_name_is_a_file():
    """A picture that is really called %04d.png is a photo; without it and without numbers there is nothing."""
    with pytest.raises(ImageError, match=r"there is no picture other/%04d\.png, such as other/0001\.png"):
        plan("other/%04d.png", "art")
    make_pictures("other/%04d.png")
    assert plan("other/%04d.png", "art").items == [BatchItem(Path("other/%04d.png"), Path("art/%04d.png"))]
