from pathlib import Path

import pytest
import torch
from PIL import Image

from nst_fast.data.content_images import list_photos
from nst_fast.data.held_out import hold_out_photos
from nst_fast.errors import ImageError
from nst_fast.evaluation.judging import judge, list_differences, read_photos
from nst_fast.evaluation.settings import EvaluateSettings
from nst_fast.losses.perceptual import measure_losses


def test_photos_are_those_that_training_holds_out(photo_folder):
    """Of twelve photos it is the one that training never sees: its center, in its own colors."""
    ((name, middle),) = read_photos(photo_folder, 40).items()
    assert [photo_folder / name] == hold_out_photos(list_photos(photo_folder), photo_folder, 64)[1]
    with Image.open(photo_folder / name) as image:
        # 48 x 64 pixels (height x width), scaled to 45 x 60, of which the central 40 are cut.
        reference = image.resize((60, 45)).crop((10, 2, 50, 42))
    difference = middle - torch.tensor(list(reference.tobytes())).view(40, 40, 3).permute(2, 0, 1) / 255
    assert middle.shape == (3, 40, 40) and float(difference.abs().mean()) < 0.02


def test_few_photos_are_all_taken(photo_folder, caplog):
    """If training would hold out none, all are judged; a broken one is named and skipped."""
    folder = photo_folder / "more"
    (folder / "photo_09.jpg").write_bytes(b"no picture")
    assert list(read_photos(folder, 32)) == ["photo_08.jpg", "photo_10.jpg", "photo_11.jpg"]
    assert len(caplog.messages) == 1 and "photo_09.jpg" in caplog.messages[0]


def test_no_photo_can_be_read(tmp_path):
    """A folder with only broken photos is refused in one line."""
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"^none of the 1 photos in '.*' can be read; give another folder$"):
        read_photos(tmp_path, 32)
    with pytest.raises(ImageError, match="does not exist"):
        read_photos(Path(tmp_path / "absent"), 32)


def test_terms_are_those_of_what_is_stylized(network, loss, photos):
    """Photo by photo they equal training's own measurement, and the loss of the images that are kept."""
    judged = judge(network, loss, photos)
    for name, photo in photos.items():
        assert judged.terms[name] == pytest.approx(measure_losses(network.stylize, loss, photo[None]), rel=1e-5)
        total = loss(judged.stylized[name][None], photo[None])[0]
        assert judged.terms[name]["total"] == pytest.approx(float(total), rel=1e-5)


def test_what_differs_from_training_is_named(loss):
    """Only settings that differ from those in the checkpoint are named; what it does not state is not compared."""
    taps = {"content_taps": {"relu1_2": 1.0}, "style_taps": {"relu1_1": 1.0}}
    trained = {"loss_network": "vgg19", "style_strength": 80.0, "scaling": "relative", **taps}
    settings = EvaluateSettings(checkpoint="a", style="a.jpg", content="photos")
    stronger = f"style_strength 80.0, not {loss.settings.style_strength}"
    for stated, expected in (
        ({}, []),
        (trained, [stronger]),
        ({**trained, "loss_network": "vgg16"}, ["loss_network vgg16, not vgg19", stronger]),
        (
            {"style_statistic": "gram", "band_share": 0.2, "tone_weight": 0.0},
            ["style_statistic gram, not moments", "tone_weight 0.0, not 1.0"],
        ),
    ):
        assert list_differences({**stated, "style_short_side": 384, "steps": 5}, settings, loss) == expected
