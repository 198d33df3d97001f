"""The verb `reconstruct`, by its arguments."""

import pytest
from PIL import Image

from nst_fast.cli.main import main
from nst_fast.reconstruction.receptive_fields import list_receptive_fields


def test_a_sheet_of_random_weights(compose_train, photo_folder, painting, tmp_path, capsys):
    """The command writes the sheet where it says, and prints the loss that is left of each image."""
    arguments = ["loss_network=vgg16", "loss_network.weights=random", "short_side=20", "iterations=2"]
    arguments += ["content_taps=[relu1_1,relu2_1]", "style_taps=[relu1_2]"]
    photo = photo_folder / "photo_01.jpg"
    assert main(["reconstruct", f"content={photo}", f"style={painting}", *arguments]) == 0
    out = capsys.readouterr().out
    assert "wrote stylized/reconstructions-painting-photo_01.png, and each image alone into" in out
    for name in ("content-relu1_1", "content-relu2_1", "style-relu1_2"):
        assert f"{name} " in out
    with Image.open("stylized/reconstructions-painting-photo_01.png") as sheet:
        assert sheet.width > 3 * 27


def test_the_table(compose_train, photo_folder, capsys):
    """Every tap has a line, with the sizes for the given photo; no weights are needed."""
    photo = photo_folder / "photo_01.jpg"
    assert main(["reconstruct", "--receptive-fields", f"content={photo}", "short_side=34"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "vgg19, for an image of 45 x 34 pixels"
    assert lines[3].split() == ["relu1_1", "3", "x", "3", "px", "1", "px", "45", "x", "34", "64"]
    assert lines[-1].split() == ["relu5_4", "252", "x", "252", "px", "16", "px", "2", "x", "2", "512"]
    assert [line.split()[0] for line in lines[3:]] == [field.tap for field in list_receptive_fields("vgg19", 34, 34)]


def test_the_table_of_a_small_image(compose_train, capsys):
    """Taps for which the image is too small say so."""
    assert main(["reconstruct", "--receptive-fields", "loss_network=vgg16", "short_side=10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "vgg16, for an image of 10 x 10 pixels"
    assert lines[-1].split() == ["relu5_3", "196", "x", "196", "px", "16", "px", "none", "512"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["short_side=20"], "neither content nor style is set; give a photo, a style image, or both"),
        (["content=absent.jpg"], "absent.jpg"),
        (["--receptive-field"], "'--receptive-field' is not an option of nst-fast reconstruct; write settings"),
        (
            ["content=a.jpg", "itrations=3"],
            "'itrations' is not a setting (nearest: iterations); see nst-fast reconstruct --help",
        ),
        (["content=a.jpg", "iterations=many"], "iterations: Value 'many' of type 'str' could not be converted"),
    ],
)
def test_mistakes(compose_train, capsys, arguments, message):
    """Each is one line on standard error, with exit status 2."""
    assert main(["reconstruct", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
