import dataclasses
import html
import re
import subprocess
import sys
from base64 import b64decode

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.errors import ImageError, SettingError
from nst_fast.media.pictures import Picture, decode_picture, read_picture
from nst_fast.networks.checkpoint import CheckpointInfo
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer


def photo(height: int = 21, width: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_arrays_come_back_as_they_were_given(torch_stylizer):
    """uint8 gives what `stylize_pixels` gives; floats the same in [0, 1], in their own type, alone and in batches."""
    pixels = np.stack([photo(seed=seed) for seed in range(2)])
    expected = torch_stylizer.stylize_pixels(pixels)
    for given, wanted in ((pixels, expected), (pixels[0], expected[0])):
        assert np.array_equal(torch_stylizer(given), wanted) and torch_stylizer(given).dtype == np.uint8
        for dtype in (np.float16, np.float32, np.float64):
            stylized = torch_stylizer((given / 255).astype(dtype))
            assert stylized.dtype == dtype and stylized.shape == given.shape
            assert np.abs(stylized.astype(float) * 255 - wanted).max() < (0.13 if dtype == np.float16 else 1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors_come_back_as_they_were_given(torch_stylizer, dtype):
    """A tensor has its channels first and keeps type, shape and device; gradients do not pass."""
    pixels = np.stack([photo(seed=seed) for seed in range(2)])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    images = images if dtype == torch.uint8 else (images / 255).to(dtype).requires_grad_()
    levels = images.detach().double() * (1 if dtype == torch.uint8 else 255)
    expected = torch_stylizer.stylize_pixels(levels.round().byte().permute(0, 2, 3, 1).contiguous().numpy())
    for given, wanted in ((images, expected), (images[0], expected[0])):
        stylized = torch_stylizer(given)
        assert (stylized.dtype, stylized.shape, stylized.device) == (dtype, given.shape, given.device)
        assert stylized.is_contiguous() and not stylized.requires_grad
        back = stylized.double().movedim(-3, -1).numpy() * (1 if dtype == torch.uint8 else 255)
        assert np.abs(back - wanted).max() <= (0.5 if dtype == torch.bfloat16 else 0.13)


def test_paths_and_pil_images_give_pil_images(torch_stylizer, tmp_path):
    """A file, as a text or a path, and the image that PIL opens from it give the same; the array of it, too."""
    path = tmp_path / "a.png"
    Image.fromarray(photo()).save(path)
    expected = torch_stylizer.stylize_pixels(photo())
    with Image.open(path) as opened:
        for given in (path, str(path), opened):
            stylized = torch_stylizer(given)
            assert isinstance(stylized, Image.Image) and stylized.mode == "RGB"
            assert np.array_equal(np.asarray(stylized), expected)
    picture = torch_stylizer(read_picture(path))
    assert isinstance(picture, Picture) and np.array_equal(picture.rgb, expected)


def test_pil_images_of_every_mode(torch_stylizer):
    """Gray, palette, CMYK and 16 bits become RGB; alpha stays; an EXIF rotation is applied, as for a file."""
    image = Image.fromarray(photo())
    for mode in ("L", "P", "1", "CMYK", "I;16"):
        stylized = torch_stylizer(image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode))
        assert (stylized.mode, stylized.size) == ("RGB", image.size)
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    stylized = torch_stylizer(image)
    assert stylized.mode == "RGBA" and np.array_equal(np.asarray(stylized)[..., 3], np.asarray(alpha))
    image.getexif()[0x0112] = 6
    assert torch_stylizer(image).size == image.size[::-1]


def test_the_size_counts_for_every_kind(torch_stylizer):
    """`size` does what it does for pictures, also for each image of a batch."""
    pixels = np.stack([photo(seed=seed) for seed in range(2)])
    expected = [torch_stylizer.stylize_picture(Picture(rgb), size=16).rgb for rgb in pixels]
    assert np.array_equal(torch_stylizer(pixels, size=16), np.stack(expected))
    assert np.array_equal(torch_stylizer(pixels[1], size=16), expected[1])
    assert np.array_equal(np.asarray(torch_stylizer(Image.fromarray(pixels[0]), size=16)), expected[0])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            ["a.jpg"],
            "a list cannot be stylized; give a path, a PIL image, a NumPy array (height, width, 3) or a PyTorch tensor "
            "(3, height, width)",
        ),
        (
            np.zeros((3, 8, 8), np.uint8),
            "the array has shape (3, 8, 8) and type uint8; give (height, width, 3) or (batch, height, width, 3), with "
            "whole numbers from 0 to 255 in uint8 or floats from 0 to 1",
        ),
        (np.zeros((8, 8), np.uint8), "the array has shape (8, 8) and type uint8; give (height, width, 3)"),
        (np.zeros((8, 8, 3), np.int32), "the array has shape (8, 8, 3) and type int32; give (height, width, 3)"),
        (np.zeros((0, 8, 3), np.uint8), "the array has shape (0, 8, 3) and type uint8; give (height, width, 3)"),
        (
            torch.zeros(8, 9, 3),
            "the tensor has shape (8, 9, 3) and type torch.float32; give (3, height, width) or (batch, 3, height, "
            "width), with",
        ),
        (torch.zeros(8), "the tensor has shape (8,) and type torch.float32; give (3, height, width)"),
        (
            np.full((8, 8, 3), 255.0),
            "the array has values from 255 to 255; give floats from 0 to 1, or whole numbers from 0 to 255 in uint8",
        ),
        (torch.full((3, 8, 8), torch.nan), "the tensor has values from nan to nan; give floats from 0 to 1"),
    ],
)
def test_what_cannot_be_stylized(torch_stylizer, image, message):
    """One line says what was given and what is allowed."""
    with pytest.raises(SettingError) as caught:
        torch_stylizer(image)
    assert str(caught.value).startswith(message)


def test_files_and_images_that_cannot_be_read(torch_stylizer, tmp_path):
    """A missing file, a PIL image of no fixed range, and one whose file is cut short are errors of the program."""
    with pytest.raises(ImageError, match=r"absent\.jpg does not exist; check the path"):
        torch_stylizer("absent.jpg")
    with pytest.raises(ImageError, match=r"^the image has mode F, whose range is not fixed; convert it to RGB$"):
        torch_stylizer(Image.new("F", (8, 8)))
    path = tmp_path / "a.png"
    Image.fromarray(photo()).save(path)
    path.write_bytes(path.read_bytes()[:500])
    with Image.open(path) as cut, pytest.raises(ImageError, match=r"^the image is damaged or cut short"):
        torch_stylizer(cut)


def test_rounding_beyond_the_range_is_allowed(torch_stylizer):
    """What resizing leaves a thousandth beyond 0 and 1 counts as 0 and 1."""
    floats = np.where(photo() > 127, 1.0, 0.0)
    assert np.array_equal(torch_stylizer(floats * 1.001 - 0.0005), torch_stylizer(floats))


def test_no_torch_without_tensors(tmp_path):
    """Paths, PIL images and arrays are stylized without an import of PyTorch."""
    Image.fromarray(photo()).save(tmp_path / "a.png")
    code = (
        "import sys, numpy, PIL.Image; from nst_fast import Stylizer; s = Stylizer('wave', engine='onnxruntime');"
        "image = s('a.png'); s(image); s(numpy.asarray(image)); s._repr_html_(); print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_what_a_notebook_shows(torch_stylizer):
    """Name, network, knobs and engine as text, escaped, and the sample photo in the style; a Picture shows itself."""
    info = CheckpointInfo(style={"name": "<b>", "title": "Waves & more", "artist": "Hokusai"})
    checkpoint = dataclasses.replace(torch_stylizer.checkpoint, info=info)
    stylizer = Stylizer(checkpoint, device="cpu", engine="torch", look=Look(stroke_size=2, keep_color="match"))
    shown = stylizer._repr_html_()
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", shown)]
    assert cells[0] == "<b> (Waves & more, Hokusai)" and "<b>" not in shown
    assert re.fullmatch(r"realtime, [\d,]+ weights", cells[1])
    assert cells[2:] == ["stroke_size=2&keep_color=match", "torch on cpu in fp32"]
    (data,) = re.findall(r"data:image/jpeg;base64,([^']+)'", shown)
    assert decode_picture(b64decode(data)).rgb.shape == (160, 240, 3) and len(data) < 40_000
    assert np.array_equal(decode_picture(Picture(photo())._repr_png_()).rgb, photo())
