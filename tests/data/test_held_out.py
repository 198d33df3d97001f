"""Photos that are held out: which, and how they are read."""

import random

import pytest
import torch

from nst_fast.data.content_images import ContentImages, list_photos, read_photo
from nst_fast.data.held_out import cut_samples, hold_out_photos, read_held_out
from nst_fast.data.sampler import cut_center


def make_names(tmp_path, count: int) -> list:
    """Paths of photos in ten folders of different sizes; the files need not exist."""
    return [tmp_path / f"folder_{int(number**0.5) % 10}" / f"IMG_{number:04}.jpg" for number in range(count)]


@pytest.mark.parametrize(
    ("photos", "asked", "held_out"), [(9, 64, 0), (10, 64, 1), (200, 64, 20), (1000, 64, 64), (50, 0, 0)]
)
def test_at_most_a_tenth_is_held_out(tmp_path, photos, asked, held_out):
    """As many as asked for are held out but never more than a tenth; every photo is on exactly one side, in order."""
    files = make_names(tmp_path, photos)
    kept, out = hold_out_photos(files, tmp_path, asked)
    assert len(out) == held_out
    assert kept == [file for file in files if file not in out]
    assert sorted(kept + out) == sorted(files)


def test_held_out_photos_do_not_depend_on_order_or_place(tmp_path):
    """The same photos are held out, in the same order, whatever the order of the files and wherever the folder is."""
    files = make_names(tmp_path, 300)
    _, out = hold_out_photos(files, tmp_path, 16)
    shuffled = random.Random(0).sample(files, len(files))
    assert hold_out_photos(shuffled, tmp_path, 16)[1] == out
    moved = make_names(tmp_path / "elsewhere", 300)
    names = [file.relative_to(tmp_path / "elsewhere") for file in hold_out_photos(moved, tmp_path / "elsewhere", 16)[1]]
    assert names == [file.relative_to(tmp_path) for file in out]


def test_held_out_photos_are_spread(tmp_path):
    """They come from all parts of the folder: about as many from its first half as from its second."""
    files = make_names(tmp_path, 2000)
    _, out = hold_out_photos(files, tmp_path, 100)
    assert 30 <= sum(files.index(file) < 1000 for file in out) <= 70  # four standard deviations
    assert len({file.parent for file in out}) == 10


def test_an_added_photo_changes_at_most_one(tmp_path):
    """A photo that is added later replaces at most one of those held out, so that hardly any moves into training."""
    files = make_names(tmp_path, 300)
    _, before = hold_out_photos(files, tmp_path, 16)
    changed = 0
    for number in range(100):
        _, after = hold_out_photos([*files, tmp_path / f"new_{number}.jpg"], tmp_path, 16)
        assert len(set(after) - set(before)) <= 1
        changed += set(after) != set(before)
    assert changed <= 20


def test_held_out_photos_are_read_at_one_size(photo_folder, caplog):
    """Each is the middle square, by default 256 pixels of a photo of 288; a broken photo is logged and skipped."""
    files = list_photos(photo_folder)[:3]
    files[1].write_bytes(b"no image")
    photos = read_held_out(files)
    assert photos.shape == (2, 3, 256, 256)
    assert torch.equal(photos[1], cut_center(read_photo(files[2], 288), 256))
    assert [message.split(" ")[0] for message in caplog.messages] == [str(files[1])]
    assert read_held_out(files, 32).shape == (2, 3, 32, 32)
    assert torch.equal(read_held_out(files, 32)[0], cut_center(read_photo(files[0], 36), 32))
    assert read_held_out([], 32).shape == (0, 3, 32, 32)


def test_samples_look_like_held_out_photos(photo_folder):
    """The first photos to train on are cut the same way, and at most as many as there are."""
    files = list_photos(photo_folder)
    photos = ContentImages(files, 288)
    assert torch.equal(cut_samples(photos, 2), read_held_out(files[:2]))
    assert len(cut_samples(photos, 100)) == 12
