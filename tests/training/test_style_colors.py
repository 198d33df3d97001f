"""`color=match`: the style image in the colors of the photos."""

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.data.images import load_image
from nst_fast.errors import ImageError, SettingError
from nst_fast.media.pictures import Picture, read_picture
from nst_fast.stylize.style_image import predict_style
from nst_fast.training.preparation import find_inputs
from nst_fast.training.settings import TrainSettings
from nst_fast.training.style_colors import match_to_photos


@pytest.fixture
def soft_photos(tmp_path):
    """Six photos of 60 x 80 pixels in dull colors, some lighter than others."""
    folder = tmp_path / "soft"
    folder.mkdir()
    random = np.random.default_rng(5)
    for number in range(6):
        spots = random.integers(60 + 10 * number, 130 + 10 * number, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(spots).resize((80, 60), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def soft_painting(tmp_path):
    """A style image of 400 x 500 pixels in light, strong colors."""
    spots = np.random.default_rng(6).integers(90, 230, (5, 6, 3), dtype=np.uint8)
    path = tmp_path / "soft_painting.png"
    Image.fromarray(spots).resize((500, 400), Image.Resampling.BICUBIC).save(path)
    return path


def colors_of(*paths) -> np.ndarray:
    """All colors of files, (3, pixels)."""
    return np.concatenate([np.asarray(Image.open(path)).reshape(-1, 3) for path in paths]).T.astype(float)


def test_the_style_image_takes_the_colors_of_the_photos(soft_photos, soft_painting):
    """Its mean and covariance are those that NumPy gives for all pixels of all photos together."""
    files = sorted(soft_photos.iterdir())
    photos = colors_of(*files)
    matched = match_to_photos(read_picture(soft_painting), files).rgb.reshape(-1, 3).T.astype(float)
    assert np.allclose(matched.mean(1), photos.mean(1), atol=1)
    assert np.abs(np.cov(matched) - np.cov(photos)).max() < 0.05 * np.trace(np.cov(photos))
    before = colors_of(soft_painting)
    assert np.abs(before.mean(1) - photos.mean(1)).max() > 20, "else there was nothing to match"


def test_training_works_with_the_matched_image(soft_photos, soft_painting):
    """The style image of the loss, and the one that the predictor reads, are the matched one; the setting counts."""
    settings = TrainSettings(style=soft_painting, content=soft_photos, color="match", style_short_side=200)
    inputs, plain = (find_inputs(TrainSettings(**{**vars(settings), "color": color})) for color in ("match", None))
    matched = match_to_photos(read_picture(soft_painting), sorted(soft_photos.iterdir()))
    assert inputs.style_image.shape == plain.style_image.shape == (3, 200, 250)
    mean = inputs.style_image.mean((1, 2)) * 255
    assert np.allclose(mean, colors_of(*soft_photos.iterdir()).mean(1), atol=1.5)
    assert torch.equal(plain.style_image, load_image(soft_painting, short_side=200))
    for found, image in ((inputs, matched), (plain, read_picture(soft_painting))):
        expected = predict_style(Picture(image.rgb)).weights["steering"]
        assert found.initial is not None
        assert np.allclose(found.initial.network.steering.detach(), expected, atol=1e-5)
    assert inputs.identity["style"] != plain.identity["style"]


def test_a_style_image_of_one_color_is_matched_too(soft_photos):
    """There is nothing to spread: it gets the mean color of the photos."""
    matched = match_to_photos(Picture(np.full((20, 30, 3), 7, np.uint8)), sorted(soft_photos.iterdir()))
    mean = colors_of(*soft_photos.iterdir()).mean(1)
    assert np.allclose(matched.rgb, mean, atol=1.5)


def test_broken_photos_are_passed_over(soft_photos, soft_painting):
    """The next one counts in their place; if all are broken, the error says so."""
    files = sorted(soft_photos.iterdir())
    whole = match_to_photos(read_picture(soft_painting), files[1:3]).rgb
    files[0].write_bytes(b"broken")
    assert np.abs(match_to_photos(read_picture(soft_painting), [files[1], files[2]]).rgb - whole).max() == 0
    match_to_photos(read_picture(soft_painting), files[:3])
    with pytest.raises(ImageError, match="1 of 1 photos cannot be read"):
        match_to_photos(read_picture(soft_painting), files[:1])


def test_other_ways_of_color_are_refused():
    """The message says what there is."""
    with pytest.raises(SettingError, match="color 'mach' is unknown; allowed: match \\(nearest: match\\)"):
        TrainSettings(style="a.jpg", content="photos", color="mach")
