import errno
import os

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.data.images import load_image, resize, save_image, to_tensor, to_uint8
from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.media.listing import find_images
from nst_fast.media.pictures import read_picture
from nst_fast.media.resizing import size_for_long_side, size_for_short_side

SUFFIXES_WITHOUT_EXTRA = ".avif .bmp .gif .jpeg .jpg .png .tif .tiff .webp"


def gradient(height: int, width: int) -> np.ndarray:
    """Smooth colors without symmetry, which lossy formats keep to within a few levels."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 255 // max(1, height - 1), columns * 255 // max(1, width - 1), (rows + columns) % 256 // 2]
    return np.stack(channels, axis=-1).astype(np.uint8)


def test_all_levels_survive_the_round_trip():
    """Each of the 256 levels becomes level / 255 and comes back as itself, from float32 and from float16."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    image = to_tensor(levels)
    assert image.dtype == torch.float32
    assert image.shape == (3, 16, 16)
    for level in range(256):
        assert image[1, level // 16, level % 16].item() == pytest.approx(level / 255, abs=1e-7)
    assert np.array_equal(to_uint8(image), levels)
    assert np.array_equal(to_uint8(image.half()), levels)


def test_axes_are_channel_row_column():
    """image[channel, row, column] is rgb[row, column, channel], and the image is contiguous in that order."""
    rgb = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    image = to_tensor(rgb)
    assert image.is_contiguous()
    for row, column, channel in np.ndindex(rgb.shape):
        assert image[channel, row, column].item() * 255 == pytest.approx(rgb[row, column, channel], abs=1e-4)


def test_to_uint8_clamps_and_rounds_to_the_nearest():
    """Values are clamped to 0 and 255; 99.4 / 255 gives 99 and 99.6 / 255 gives 100; a gradient is no obstacle."""
    values = torch.tensor([-3.0, 99.4 / 255, 99.6 / 255, 7.0]).expand(3, 1, 4).clone().requires_grad_()
    assert to_uint8(values)[0, :, 0].tolist() == [0, 99, 100, 255]


def test_to_tensor_does_not_share_memory():
    """An array that may not be written to gives a tensor that may, and stays as it is."""
    rgb = np.zeros((1, 1, 3), dtype=np.uint8)
    rgb.flags.writeable = False
    to_tensor(rgb).add_(1)
    assert rgb.max() == 0


def test_wrong_arrays_are_refused():
    """Grey arrays, float arrays, batches and integer tensors are refused with what was given and what is allowed."""
    with pytest.raises(SettingError, match=r"shape \(4, 4\) and dtype uint8; give \(height, width, 3\) of uint8"):
        to_tensor(np.zeros((4, 4), dtype=np.uint8))
    with pytest.raises(SettingError, match=r"shape \(4, 4, 3\) and dtype float64; give"):
        to_tensor(np.zeros((4, 4, 3)))
    with pytest.raises(SettingError, match=r"shape \(1, 3, 4, 4\) and dtype torch.float32; give \(3, height, width\)"):
        to_uint8(torch.zeros(1, 3, 4, 4))
    with pytest.raises(SettingError, match=r"dtype torch.uint8; give \(3, height, width\) of float"):
        to_uint8(torch.zeros(3, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("size", "short", "long"),
    [
        ((480, 640), (256, 341), (192, 256)),
        ((640, 480), (341, 256), (256, 192)),
        ((100, 100), (256, 256), (256, 256)),
        ((1, 4000), (256, 1_024_000), (1, 256)),
    ],
)
def test_sizes_keep_the_aspect(size, short, long):
    """The named side is met exactly, the other follows the aspect to the nearest pixel and never falls below 1."""
    assert size_for_short_side(size[0], size[1], 256) == short
    assert size_for_long_side(size[0], size[1], 256) == long


def test_sides_below_one_are_refused():
    """A side of 0 pixels is refused by each function that takes one."""
    image = torch.zeros(3, 4, 4)
    for call in (
        lambda: size_for_short_side(4, 4, 0),
        lambda: size_for_long_side(4, 4, 0),
        lambda: resize(image, 0, 4),
        lambda: load_image("absent.png", short_side=0),
    ):
        with pytest.raises(SettingError, match="a side of 0 pixels was asked for; give at least 1"):
            call()


def test_resize_agrees_with_pillow():
    """Down and up, for one image and for a batch, resize is Pillow's antialiased bicubic within 2 levels."""
    # Away from black and white, as Pillow also cuts off overshoots between its two passes.
    rgb = np.random.default_rng(1).integers(80, 176, (40, 60, 3), dtype=np.uint8)
    image = to_tensor(rgb)
    for height, width in [(13, 17), (90, 120), (40, 30)]:
        # Pillow's bicubic has the coefficient a = -0.5, as PyTorch's has with antialias.
        expected = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))
        got = resize(image, height, width)
        assert np.abs(to_uint8(got).astype(int) - expected).max() <= 2
        batch = resize(torch.stack([image, image.flip(0)]), height, width)
        assert batch.shape == (2, 3, height, width)
        assert torch.allclose(batch[0], got, atol=1e-6)


def test_resize_stays_in_range():
    """A hard edge, where bicubic overshoots, stays within [0, 1]."""
    image = torch.zeros(3, 8, 8)
    image[:, :, 4:] = 1
    got = resize(image, 21, 21)
    assert got.min() == 0
    assert got.max() == 1


def test_resize_to_the_same_size_changes_nothing():
    """An image of the wanted size comes back bit for bit."""
    image = torch.rand(3, 5, 7)
    assert torch.equal(resize(image, 5, 7), image)


def test_load_image_has_the_short_side_asked_for(tmp_path):
    """short_side is met from a draft, downwards and upwards, and the colors stay near those of the whole picture."""
    path = tmp_path / "a.jpg"
    Image.fromarray(gradient(300, 400)).save(path, quality=100)
    whole = load_image(path)
    assert whole.shape == (3, 300, 400)
    for wanted, size in [(60, (60, 80)), (450, (450, 600))]:
        image = load_image(path, short_side=wanted)
        assert tuple(image.shape[1:]) == size
        assert (image - resize(whole, *size)).abs().mean() < 0.02


def test_load_image_logs_that_it_uses_the_first_frame(tmp_path, caplog):
    """Of an animation it logs the number of frames; about other files it logs nothing."""
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "lime")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.gif")
    assert torch.equal(image, load_image(tmp_path / "a.png"))
    assert caplog.messages == [f"{tmp_path / 'a.gif'} has 2 frames; only the first one is used"]


def test_load_image_shows_white_where_transparent(tmp_path):
    """As tensors have no alpha, a transparent pixel is white whatever color the file hides there."""
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").min() == 1


@pytest.mark.parametrize("suffix", SUFFIXES_WITHOUT_EXTRA.split())
def test_every_suffix_is_written_in_its_format(tmp_path, suffix):
    """Each suffix, in capitals, too, gives a file of that format (told by Pillow) with the colors of the picture."""
    expected = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix[1:], suffix[1:].upper())
    path = tmp_path / f"new{suffix.upper()}"
    save_image(to_tensor(gradient(32, 48)), path)
    with Image.open(path) as image:
        assert image.format == expected
    assert (load_image(path) - to_tensor(gradient(32, 48))).abs().mean() < 0.03
    if suffix in (".png", ".bmp", ".tif", ".tiff"):
        assert np.array_equal(read_picture(path).rgb, gradient(32, 48))


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    """Where the disk fills up, the old picture stays, no other file does, and the message says what to do."""
    path = tmp_path / "a.png"
    save_image(to_tensor(gradient(8, 8)), path)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OutputError) as caught:
        patch.setattr(os, "fsync", fail)
        save_image(torch.zeros(3, 8, 8), path)
    assert str(caught.value) == (
        f"cannot write {path}: the disk is full; free some space or choose a folder on another disk"
    )
    assert np.array_equal(read_picture(path).rgb, gradient(8, 8))
    assert os.listdir(tmp_path) == ["a.png"]


def test_find_images(tmp_path):
    """Pictures are found in all subfolders, by suffix in either case, sorted; hidden ones and other files are not."""
    wanted = ["B.JPG", "a.png", "deep/er/c.WebP", "deep/d.tiff"]
    others = [".a.png.123.tmp.png", ".cache/e.png", "notes.txt", "png", "folder.png/readme.md"]
    for name in wanted + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_images(tmp_path) == [tmp_path / name for name in sorted(wanted)]
    assert find_images(tmp_path / "folder.png") == []
    hidden = tmp_path / ".cache"
    assert find_images(hidden) == [hidden / "e.png"]


def test_find_images_needs_a_folder(tmp_path):
    """A missing folder and a file are refused, each with what to do."""
    (tmp_path / "a.png").touch()
    with pytest.raises(ImageError) as caught:
        find_images(tmp_path / "absent")
    assert str(caught.value) == f"{tmp_path / 'absent'} does not exist; check the path"
    with pytest.raises(ImageError) as caught:
        find_images(tmp_path / "a.png")
    assert str(caught.value) == f"{tmp_path / 'a.png'} is a file; give the folder it lies in"


def test_find_images_does_not_skip_silently(tmp_path, monkeypatch):
    """A subfolder that cannot be listed is an error, not a folder without pictures."""

    def fail(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(ImageError) as caught:
        find_images(tmp_path)
    assert str(caught.value) == f"cannot list the folder {tmp_path} (Permission denied); change its permissions"
