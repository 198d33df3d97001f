import multiprocessing
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from nst_fast.data.content_images import ContentImages, list_photos
from nst_fast.data.sampler import Crop, CropSampler, cut_center, cut_crop, iterate_batches
from nst_fast.errors import ImageError


def noise(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8))


def test_a_draw_does_not_depend_on_earlier_ones():
    """The crop of a number is the same drawn alone, in order, backwards or shuffled."""
    straight = CropSampler(7, seed=3)
    expected = [straight.draw(number) for number in range(40)]
    assert [CropSampler(7, seed=3).draw(number) for number in range(40)] == expected
    numbers = random.Random(0).sample(range(40), 40)
    shuffled = CropSampler(7, seed=3)
    assert [shuffled.draw(number) for number in numbers] == [expected[number] for number in numbers]


def test_seeds_give_other_crops():
    """Another seed, also a negative one, gives another order and other places."""
    crops = {seed: [CropSampler(50, seed).draw(number) for number in range(50)] for seed in (-1, 0, 1, 2)}
    orders = {tuple(crop.photo for crop in drawn) for drawn in crops.values()}
    assert len(orders) == 4
    assert len({crop.top for drawn in crops.values() for crop in drawn}) == 200


@pytest.mark.parametrize("photos", [1, 2, 13])
def test_each_epoch_shows_every_photo_once(photos):
    """Each epoch is a permutation of the photos, and the epochs differ."""
    sampler = CropSampler(photos, seed=0)
    epochs = [[sampler.draw(epoch * photos + place).photo for place in range(photos)] for epoch in range(20)]
    assert all(sorted(epoch) == list(range(photos)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == (20 if photos == 13 else photos)


def test_draws_are_even():
    """About half of the crops are flipped, and the fractions fill [0, 1] evenly and independently of one another."""
    crops = [CropSampler(10, seed=1).draw(number) for number in range(4000)]
    values = np.array([[crop.side, crop.top, crop.left, crop.flip] for crop in crops])
    # Four standard deviations of a mean of 4000.
    assert np.abs(values[:, :3].mean(0) - 0.5).max() < 4 * 12**-0.5 / 4000**0.5
    assert abs(values[:, 3].mean() - 0.5) < 4 * 0.5 / 4000**0.5
    assert values.min() >= 0 and values.max() <= 1
    assert np.abs(np.corrcoef(values.T) - np.eye(4)).max() < 4 / 4000**0.5
    assert np.abs(np.corrcoef(values[:-1].T, values[1:].T)[:4, 4:]).max() < 5 / 4000**0.5


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("top", "left"), [(0.0, 0.0), (1.0, 1.0), (0.25, 0.75)])
def test_a_crop_at_native_scale_is_a_slice(top, left, flip):
    """The smallest crop is a slice of the photo divided by 255, mirrored if it says so; it reaches every border."""
    photo = noise(36, 52)
    y, x = round(top * 20), round(left * 36)
    expected = photo.numpy()[:, y : y + 16, x : x + 16].astype(np.float32) / 255
    cut = cut_crop(photo, Crop(0, 0.0, top, left, flip), 16)
    assert cut.dtype == torch.float32
    assert np.array_equal(cut.numpy(), expected[:, :, ::-1] if flip else expected)


def test_the_largest_crop_is_the_whole_short_side():
    """The largest crop of a square photo is all of it: twice as large, its pixels average over two by two."""
    photo = noise(32, 32)
    cut = cut_crop(photo, Crop(0, 1.0, 0.3, 0.7, False), 16)
    # A triangle filter over two pixels each way, as Pillow's: 1/8, 3/8, 3/8, 1/8 away from the borders.
    weights = np.zeros((16, 32))
    for row in range(16):
        for tap, weight in zip(range(2 * row - 1, 2 * row + 3), (1, 3, 3, 1), strict=True):
            if 0 <= tap < 32:
                weights[row, tap] = weight
    weights /= weights.sum(1, keepdims=True)
    expected = np.einsum("yi,cij,xj->cyx", weights, photo.numpy() / 255, weights)
    assert np.abs(cut.numpy() - expected).max() < 1e-5


def test_scales_stay_between_the_photo_and_its_whole():
    """Cut from a ramp of one level a pixel, slopes tell the scale: evenly between 1 and short side / crop size."""
    ramp = torch.arange(96, dtype=torch.uint8).expand(3, 64, 96)
    scales = []
    for number in range(300):
        cut = cut_crop(ramp, CropSampler(1, seed=0).draw(number), 16) * 255
        assert cut.shape == (3, 16, 16)
        scales.append(abs(float(cut[0, 0, 12] - cut[0, 0, 4])) / 8)
    assert min(scales) > 0.99 and max(scales) < 4.01
    assert abs(np.mean(scales) - 2.5) < 4 * 3 * 12**-0.5 / 300**0.5


@pytest.mark.parametrize(("height", "width"), [(9, 20), (20, 9), (1, 1), (16, 16)])
def test_small_photos_are_enlarged(height, width):
    """A photo smaller than the crop gives its full short side, enlarged, within [0, 1]."""
    photo = noise(height, width)
    for number in range(10):
        cut = cut_crop(photo, CropSampler(1, seed=0).draw(number), 16)
        assert cut.shape == (3, 16, 16)
        assert cut.min() >= 0 and cut.max() <= 1 + 1e-6
    white = torch.full((3, height, width), 255, dtype=torch.uint8)
    assert (cut_crop(white, Crop(0, 0.5, 0.5, 0.5, True), 16) - 1).abs().max() < 1e-6


def test_the_center_is_the_middle():
    """For measuring, the middle is cut at the photo's own scale."""
    photo = noise(20, 31)
    assert np.array_equal(cut_center(photo, 10).numpy(), photo.numpy()[:, 5:15, 10:20].astype(np.float32) / 255)


def list_batches(folder, *, workers: int | None, steps: range = range(9), seed: int = 5) -> list:
    """Batches of five crops; `workers` None: out of memory."""
    photos = ContentImages(list_photos(folder), 40)
    if workers is None:
        photos.read_into_memory(1)
    batches = iterate_batches(photos, crop_size=16, batch_size=5, seed=seed, steps=steps, workers=workers or 0)
    return list(batches)


def test_batches_are_the_same_wherever_they_are_cut(photo_folder):
    """From memory, read in this process, and read by two workers: the same batches, bit for bit; so are their tails.

    A batch of five from twelve photos spans two epochs now and then.
    """
    expected = list_batches(photo_folder, workers=None)
    assert len(expected) == 9 and all(batch.shape == (5, 3, 16, 16) for batch in expected)
    assert len({batch.sum().item() for batch in expected}) == 9
    for workers, first in [(None, 1), (None, 4), (0, 0), (0, 4), (2, 0), (2, 7), (0, 9), (2, 9)]:
        batches = list_batches(photo_folder, workers=workers, steps=range(first, 9))
        assert len(batches) == 9 - first
        assert all(torch.equal(batch, other) for batch, other in zip(batches, expected[first:], strict=True))


def test_batches_are_made_of_the_crops_drawn(photo_folder):
    """A batch stacks the crops whose numbers come next, each cut out of its photo."""
    photos = ContentImages(list_photos(photo_folder), 40)
    photos.read_into_memory(1)
    assert photos.in_memory is not None
    batches = list_batches(photo_folder, workers=None)
    for number in range(45):
        crop = CropSampler(12, 5).draw(number)
        cut = cut_crop(photos.in_memory[crop.photo], crop, 16)
        assert torch.equal(cut, batches[number // 5][number % 5])


def test_the_callers_random_numbers_are_untouched(photo_folder):
    """Reading through a loader leaves torch's random state as it was."""
    before = torch.random.get_rng_state()
    for workers in (None, 0, 2):
        list_batches(photo_folder, workers=workers, steps=range(2))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_broken_photo_is_logged_once_for_all_workers(photo_folder, caplog):
    """Two workers meet a broken photo in every epoch; it is logged once by name, and another one is cut instead."""
    (photo_folder / "photo_02.jpg").write_bytes(b"no picture")
    batches = list_batches(photo_folder, workers=2)
    messages = caplog.messages
    assert len(batches) == 9
    assert len(messages) == 1 and messages[0].startswith(f"{photo_folder / 'photo_02.jpg'} is not a picture")


def test_workers_end_when_told(photo_folder):
    """Workers outlive SIGTERM only by seconds, because Python ends leftover workers with it and waits for them."""
    photos = ContentImages(list_photos(photo_folder), 40)
    batches = iterate_batches(photos, crop_size=16, batch_size=5, seed=0, steps=range(100), workers=2)
    for _ in range(2):  # one from each, so that both are past their start
        next(batches)
    children = multiprocessing.active_children()
    assert len(children) == 2
    for child in children:
        child.terminate()
    next(batches)
    for child in children:
        child.join(60)
        assert not child.is_alive()
    batches.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_give_up_in_one_line(photo_folder, workers):
    """Where all photos are broken the error is the one line with the count, without a worker's traceback."""
    for file in list_photos(photo_folder):
        file.write_bytes(b"no picture")
    with pytest.raises(ImageError) as caught:
        list_batches(photo_folder, workers=workers)
    assert str(caught.value).startswith("12 of 12 photos cannot be read (the first: ")
    assert "\n" not in str(caught.value)


UNGUARDED_SCRIPT = """
import sys
from pathlib import Path

from nst_fast.data.content_images import ContentImages, list_photos
from nst_fast.data.sampler import iterate_batches

print("script", flush=True)
photos = ContentImages(list_photos(Path(sys.argv[1])), 40)
batches = iterate_batches(photos, crop_size=16, batch_size=2, seed=0, steps=range(3), workers=2)
print(sum(len(batch) for batch in batches), __spec__, Path(__file__).name)
"""


def test_workers_do_not_run_the_script_that_starts_them(photo_folder, tmp_path):
    """A script that trains without `if __name__ == "__main__"` is not run again in each worker process."""
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED_SCRIPT)
    process = subprocess.run(
        [sys.executable, str(script), str(photo_folder)], capture_output=True, text=True, timeout=280, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == ["script", "6 None script.py"]
