import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.cli import sheet
from nst_fast.errors import CheckpointError, ImageError, OutputError, SettingError
from nst_fast.figures.sheets import GAP
from nst_fast.media.pictures import read_picture
from nst_fast.stylize.stylizer import Stylizer


@pytest.fixture(autouse=True)
def shipped(folder_with_style, monkeypatch):
    """Two small networks in place of the shipped styles."""
    styles = {"one": Path("x.safetensors").absolute(), "two": Path("x.safetensors").absolute()}
    monkeypatch.setattr("nst_fast.networks.checkpoint_header.list_shipped_checkpoints", lambda: styles)


def draw(name: str, size: tuple[int, int] = (60, 40)) -> str:
    Image.effect_mandelbrot(size, (-2, -1, 1, 1), 50).convert("RGB").save(name)
    return name


def test_every_style_is_on_the_sheet(monkeypatch, capsys):
    """The photo comes first, then each shipped style and each given one, with the pixels that Stylizer gives."""
    draw("a.png")
    drawn = []
    arrange = sheet.arrange
    monkeypatch.setattr("nst_fast.cli.sheet.arrange", lambda cells: drawn.extend(cells) or arrange(cells))
    assert sheet.main(["a.png", "--style", "x.safetensors", "one"]) == 0
    assert capsys.readouterr().out.startswith("3 styles in ")
    photo = read_picture("a.png").rgb
    stylized = Stylizer("x.safetensors", engine="onnxruntime").stylize_pixels(photo)
    assert [label for label, _ in drawn] == ["photo", "one", "two", "x.safetensors"]
    assert np.array_equal(drawn[0][1], photo)
    assert all(np.array_equal(pixels, stylized) for _, pixels in drawn[1:])
    with Image.open("stylized/a-styles.jpg") as written:
        assert written.size == (2 * (60 + GAP) + GAP, 2 * (40 + 35 + GAP) + GAP)


def test_a_large_photo_is_worked_on_small(capsys):
    """The styles work at --size; transparent areas are white."""
    image = Image.new("RGBA", (400, 200), (9, 9, 9, 0))
    image.save("a.png")
    assert sheet.main(["--size", "100", "a.png", "-o", "b.png"]) == 0
    pixels = read_picture("b.png").rgb
    assert pixels.shape == (2 * (50 + 35 + GAP) + GAP, 2 * (100 + GAP) + GAP, 3)
    assert (pixels[GAP + 35 : GAP + 85, GAP : GAP + 100] == 255).all()


@pytest.mark.parametrize(
    ("count", "height", "width", "columns"),
    [(15, 427, 640, 4), (15, 640, 427, 6), (2, 427, 640, 2), (15, 80, 640, 2), (1, 64, 64, 1), (40, 427, 640, 6)],
)
def test_the_arrangement_suits_a_screen(count, height, width, columns):
    """As many columns as come closest to a screen's shape, at most six, and never wider than 1920 pixels."""
    cells = [(str(number), np.zeros((height, width, 3), np.uint8)) for number in range(count)]
    rows = sheet.arrange(cells)
    assert [label for row in rows for label, _ in row] == [label for label, _ in cells]
    assert max(map(len, rows)) == columns and {len(row) for row in rows[:-1]} <= {columns}
    cell_height, cell_width = rows[0][0][1].shape[:2]
    assert columns * (cell_width + GAP) + GAP <= 1920
    assert cell_width == width or columns * (cell_width + 1 + GAP) + GAP > 1920
    assert abs(cell_height - height * cell_width / width) <= 0.5


def test_json_and_overwriting(capsys):
    """--json reports the one file; an existing one is kept unless --overwrite is given."""
    draw("a.png")
    for arguments in ([], ["--overwrite"]):
        assert sheet.main(["a.png", "--json", *arguments]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["path"], report["status"], report["width"]) == ("stylized/a-styles.jpg", "written", 138)
    with pytest.raises(OutputError, match=r"^stylized/a-styles\.jpg exists already; give --overwrite"):
        sheet.main(["a.png"])


def test_mistakes(capsys):
    """Each is one line, and nothing is written."""
    draw("a.png")
    with pytest.raises(ImageError, match=r"^absent\.png does not exist; check the path$"):
        sheet.main(["absent.png"])
    with pytest.raises(CheckpointError, match="'y' is neither a file nor a shipped style"):
        sheet.main(["a.png", "--style", "y"])
    with pytest.raises(SettingError, match=r"writing 'a\.png' would overwrite the input"):
        sheet.main(["a.png", "-o", "a.png", "--overwrite"])
    with pytest.raises(OutputError, match=r"the suffix '\.txt' is not one of"):
        sheet.main(["a.png", "-o", "b.txt"])
    with pytest.raises(SystemExit):
        sheet.main(["a.png", "--size", "9"])
    assert "'9' is not allowed; give a whole number from 32 to 4096" in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", "x.safetensors"]


def test_labels_may_be_larger():
    """Larger labels make room for themselves."""
    from nst_fast.figures.sheets import draw_sheet

    cell = ("label", np.zeros((50, 90, 3), np.uint8))
    heights = [draw_sheet([[cell]], font_pixels=pixels).shape[0] for pixels in (14, 22)]
    assert heights == [50 + 22 + 2 * GAP, 50 + 35 + 2 * GAP]
