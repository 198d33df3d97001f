"""`nst-fast stylize` in the style of any image, and in blends."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.cli import stylize
from nst_fast.errors import OutputError, SettingError
from nst_fast.media.pictures import read_picture
from nst_fast.stylize.style_image import predict_style
from nst_fast.stylize.stylizer import Stylizer


@pytest.fixture
def photo(photo_folder: Path) -> Path:
    """One photo."""
    return photo_folder / "photo_00.jpg"


def run(*arguments: str | Path) -> int:
    """The command on the processor."""
    return stylize.main([*map(str, arguments), "--device", "cpu", "--engine", "onnxruntime"])


def test_a_style_image_equals_its_prediction(photo: Path, painting: Path, tmp_path: Path) -> None:
    """--style-image, --style with an image, and Python's predict_style give the same bytes."""
    assert run(photo, "--style-image", painting, "--output", tmp_path / "a.png") == 0
    assert run(photo, "--style", painting, "--output", tmp_path / "b.png") == 0
    expected = Stylizer(predict_style(painting), device="cpu", engine="onnxruntime").stylize_picture(
        read_picture(photo)
    )
    for name in ("a.png", "b.png"):
        assert np.array_equal(read_picture(tmp_path / name).rgb, expected.rgb)


def test_the_default_folder_is_named_after_the_style_image(
    photo: Path, painting: Path, tmp_path: Path, monkeypatch
) -> None:
    """Without --output the result is in stylized/NAME OF THE IMAGE."""
    monkeypatch.chdir(tmp_path)
    assert run(photo, "--style-image", painting) == 0
    assert Path("stylized", painting.stem, photo.name).is_file()


def test_a_saved_style_stylizes_alike(photo: Path, painting: Path, tmp_path: Path) -> None:
    """--save-style writes a few kB that stylize as the style image did, to within two levels of fp16."""
    saved = tmp_path / "mine.safetensors"
    run(photo, "--style-image", painting, "--save-style", saved, "--output", tmp_path / "a.png")
    assert saved.stat().st_size < 10_000
    run(photo, "--style", saved, "--output", tmp_path / "b.png")
    a, b = (read_picture(tmp_path / name).rgb.astype(int) for name in ("a.png", "b.png"))
    assert np.abs(a - b).max() <= 2
    with pytest.raises(OutputError, match=r"mine.safetensors exists; give another name, or --overwrite$"):
        run(photo, "--style-image", painting, "--save-style", saved, "--output", tmp_path / "c.png")


def test_a_blend_of_two_images(photo: Path, painting: Path, tmp_path: Path) -> None:
    """A blend lies between its styles: nearer to each than they are to each other."""
    other = tmp_path / "other.png"
    Image.effect_mandelbrot((90, 80), (-2, -1, 1, 1), 60).convert("RGB").save(other)
    results = []
    for name, style in (("a", painting), ("b", other), ("ab", f"{painting}:1,{other}:1")):
        run(photo, "--style", style, "--output", tmp_path / f"{name}.png")
        results.append(read_picture(tmp_path / f"{name}.png").rgb.astype(float))
    a, b, both = results
    apart = np.abs(a - b).mean()
    assert np.abs(a - both).mean() < apart
    assert np.abs(b - both).mean() < apart


def test_refusals(photo: Path, painting: Path, tmp_path: Path, capsys) -> None:
    """Two styles, a missing style image, and a style that cannot be kept are each told in one line."""
    for arguments, line in (
        (("--style", "wave", "--style-image", painting), "--style and --style-image name two styles"),
        (("--style-image", tmp_path / "none.jpg"), "none.jpg is no file; give an image"),
    ):
        with pytest.raises(SystemExit) as caught:
            run(photo, *arguments)
        assert caught.value.code == 2
        assert line in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(SettingError, match=r"must end in \.safetensors$"):
        run(photo, "--style-image", painting, "--save-style", tmp_path / "a.jpg")
    with pytest.raises(SettingError, match=r"^--save-style keeps a style image or a blend"):
        run(photo, "--style", "wave_johnson", "--save-style", tmp_path / "a.safetensors")
