from pathlib import Path

import numpy as np
import pytest

from nst_fast.cli import export
from nst_fast.errors import OutputError, SettingError
from nst_fast.export import int8
from nst_fast.export.onnx_file import load_onnx
from nst_fast.losses.settings import LossSettings

pytestmark = pytest.mark.usefixtures("folder_with_style")


def test_onnx_by_default_name(capsys):
    """The file is named after the style; its size, its shape and its difference from our own results are printed."""
    assert export.main(["x.safetensors", "--format", "onnx"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("x.onnx: 0.0") and first.endswith("(batch, 3, height, width) float32 in [0, 1]")
    assert second.startswith("largest difference from nst-fast stylize: 0.5")
    with pytest.raises(OutputError, match=r"^x\.onnx exists already; give --overwrite, or another name"):
        export.main(["x.safetensors", "--format", "onnx"])
    assert export.main(["x.safetensors", "--format", "onnx", "--pixels", "--overwrite"]) == 0
    assert "(batch, height, width, 3) uint8" in capsys.readouterr().out


def test_int8_is_judged_by_its_loss(capsys, photo_folder, painting):
    """With photos and the style image the losses of both stand side by side, on photos that were not fitted to."""
    pytest.importorskip("onnx")
    arguments = ["--quantize", "int8", "--photos", str(photo_folder), "--style-image", str(painting)]
    assert export.main(["x.safetensors", "--format", "onnx", *arguments, "--loss-network-weights", "random"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("x.int8.onnx: ") and lines[0].endswith("fitted to 6 photos")
    assert [line.split()[0] for line in lines[2:5]] == ["style", "content", "total"]
    strength = LossSettings().style_strength
    assert lines[5] == f"on 6 other photos; total is content + {strength:g} * style + tone + color, smaller is better"


def test_zero_padding_for_one_size(capsys, monkeypatch, photo_folder, painting):
    """The file takes one image of that size, and the losses with reflection and with zeros stand side by side."""
    monkeypatch.setattr(int8, "_SIZE", 64)  # of the photos that are measured, a matter of time only
    arguments = ["--padding", "zero", "--size", "48x32", "--photos", str(photo_folder), "--style-image", str(painting)]
    assert export.main(["x.safetensors", "--format", "onnx", *arguments, "--loss-network-weights", "random"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("x.onnx: 0.0") and lines[0].endswith("(1, 3, 32, 48) float32 in [0, 1]")
    assert float(lines[1].removeprefix("largest difference from nst-fast stylize: ").split()[0]) <= 0.6
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["style", "reflect"],
        ["content", "reflect"],
        ["total", "reflect"],
    ]
    assert lines[5].startswith("on 6 photos; total is content")
    assert load_onnx(Path("x.onnx"))(np.zeros((1, 3, 32, 48), np.float32)).shape == (1, 3, 32, 48)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--format", "pt2", "--size", "64x64"],
            "--size is for plain --format onnx and coreml, the others take any size; leave it out",
        ),
        (
            ["--format", "pt2", "--padding", "zero"],
            "--padding zero is for plain --format onnx and coreml; leave it out",
        ),
        (
            ["--format", "onnx", "--padding", "zero", "--style-image", "a.jpg"],
            "the losses are measured on photos; give a folder of them with --photos",
        ),
        (
            ["--format", "onnx", "--size", "62x64"],
            "size is 62x64; of a file for one size each side must be a multiple of 4 and at least 8 pixels",
        ),
        (
            ["--format", "coreml", "--pixels"],
            "--format coreml takes and gives images, which are bytes; leave out --pixels",
        ),
        (["--format", "pt2", "--quantize", "int8"], "--quantize is for --format onnx only; leave one of them out"),
        (
            ["--format", "onnx", "--quantize", "int8"],
            "--quantize is fitted to photos like those to be stylized; give a folder with --photos",
        ),
        (
            ["--format", "onnx", "--photos", "p"],
            "--photos and --style-image are for --quantize int8 and --padding zero; leave them out or add one of these",
        ),
    ],
)
def test_what_does_not_go_together(arguments, message):
    """Options that do not go together are refused with what to do."""
    with pytest.raises(SettingError) as caught:
        export.main(["x.safetensors", *arguments])
    assert str(caught.value) == message
