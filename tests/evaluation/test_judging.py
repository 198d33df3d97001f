from pathlib import Path

import pytest
import torch
from PIL import Image

from nst_fast.checkpoint import Checkpoint, CheckpointInfo
from nst_fast.data.content_images import hold_out_photos, list_photos
from nst_fast.errors import ImageError
from nst_fast.evaluation.judging import judge, list_differences, read_photos
from nst_fast.evaluation.plan import EvaluationPlan
from nst_fast.inference.stylizer import Stylizer
from nst_fast.losses.perceptual import measure_losses
from nst_fast.transform_nets import build_transform_net


def test_photos_are_those_that_training_keeps_out(photo_folder):
    """Of a folder of twelve photos the one that training never sees: its middle, in its own colours."""
    ((name, middle),) = read_photos(photo_folder, 40, print).items()
    assert [photo_folder / name] == hold_out_photos(list_photos(photo_folder), photo_folder, 64)[1]
    with Image.open(photo_folder / name) as image:
        # 48 x 64 pixels (height x width) brought down to 45 x 60, of which the middle 40 are cut.
        reference = image.resize((60, 45)).crop((10, 2, 50, 42))
    difference = middle - torch.tensor(list(reference.tobytes())).view(40, 40, 3).permute(2, 0, 1) / 255
    assert middle.shape == (3, 40, 40) and float(difference.abs().mean()) < 0.02


def test_few_photos_are_all_taken(photo_folder):
    """Where training would keep out none, each is judged on; a broken one is named and left out."""
    folder = photo_folder / "more"
    (folder / "photo_09.jpg").write_bytes(b"no picture")
    said = []
    assert list(read_photos(folder, 32, said.append)) == ["photo_08.jpg", "photo_10.jpg", "photo_11.jpg"]
    assert len(said) == 1 and "photo_09.jpg" in said[0]


def test_no_photo_can_be_read(tmp_path):
    """A folder of broken photos alone is refused in one line."""
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"^none of the 1 photos of '.*' can be read; give another folder$"):
        read_photos(tmp_path, 32, lambda line: None)
    with pytest.raises(ImageError, match="does not exist"):
        read_photos(Path(tmp_path / "absent"), 32, print)


def test_terms_are_those_of_what_is_painted(stylizer, loss, photos):
    """They are what training's own measurement finds, photo by photo, and what the loss says of the kept pictures."""
    judged = judge(stylizer, loss, photos)
    for name, photo in photos.items():
        assert judged.terms[name] == pytest.approx(measure_losses(stylizer.stylize, loss, photo[None]), rel=1e-5)
        total = loss(judged.painted[name][None], photo[None])[0]
        assert judged.terms[name]["total"] == pytest.approx(float(total), rel=1e-5)


def test_what_differs_from_training_is_named(loss):
    """Only that in which the loss is another than the checkpoint says; nothing where it says nothing."""
    taps = {"content_taps": {"relu1_2": 1.0}, "style_taps": {"relu1_1": 1.0}}
    trained = {"loss_network": "vgg19", "style_strength": 80.0, "normalisation": "relative", **taps}
    for said, expected in (
        ({}, []),
        (trained, ["style_strength 80.0, not 20.0"]),
        ({**trained, "loss_network": "vgg16"}, ["loss_network vgg16, not vgg19", "style_strength 80.0, not 20.0"]),
    ):
        info = CheckpointInfo(style={}, loss=said, training={"style_short_side": 384, "steps": 5})
        network = Stylizer(Checkpoint(build_transform_net("realtime", width=4), info), device="cpu")
        assert list_differences(network, EvaluationPlan(), loss) == expected
