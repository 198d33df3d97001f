import pytest

from nst_fast.cli import export
from nst_fast.errors import OutputError, SettingError
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
    assert lines[5] == f"on 6 other photos; total is content + {strength:g} * style + tone, smaller is better"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--format", "onnx", "--size", "64x64"],
            "--size is for --format coreml only, the others take images of any size; leave it out",
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
            "--photos and --style-image are for --quantize only; leave them out or add --quantize int8",
        ),
    ],
)
def test_what_does_not_go_together(arguments, message):
    """Options that do not go together are refused with what to do."""
    with pytest.raises(SettingError) as caught:
        export.main(["x.safetensors", *arguments])
    assert str(caught.value) == message
