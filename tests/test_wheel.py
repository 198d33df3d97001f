"""The program as users install it: a wheel in a fresh environment without extras, far from the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
UNWANTED = ("torch", "torchvision", "hydra", "omegaconf", "tensorboard", "yaml", "onnx", "av")

pytestmark = [pytest.mark.network, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of a fresh environment with our wheel and what it brings."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    pip = [folder / "environment" / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    (wheel,) = folder.glob("nst_fast-*.whl")
    subprocess.run([*pip, "install", wheel], check=True)
    return folder / "environment" / "bin"


def run(folder: Path, *command: str | Path) -> str:
    """What a command prints, run in an empty home and folder."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    variables["HOME"] = str(folder)
    result = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_an_empty_folder_is_enough(environment, tmp_path):
    """A photo and a folder are stylized, styles are listed and a network is exported, without a checkout or PyTorch."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    assert "wave" in run(tmp_path, environment / "nst-fast", "styles")
    run(tmp_path, environment / "nst-fast", "stylize", "photo.png", "--style", "wave")
    with Image.open(tmp_path / "stylized" / "wave" / "photo.png") as stylized:
        assert stylized.size == (64, 48)
        assert np.abs(np.asarray(stylized).astype(int) - pixels).mean() > 5
    run(tmp_path, environment / "nst-fast", "export", "wave", "--format", "onnx")
    assert (tmp_path / "wave.onnx").is_file()


def test_nothing_heavy_comes_along(environment, tmp_path):
    """None of the packages of the extras is installed, and what is installed takes at most 250 MB."""
    code = f"import importlib.util; print(*[name for name in {UNWANTED} if importlib.util.find_spec(name)])"
    assert run(tmp_path, environment / "python", "-c", code).split() == []
    (packages,) = environment.parent.glob("lib/python*/site-packages")
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    assert size < 250e6


def test_what_needs_an_extra_says_so(environment, tmp_path):
    """Each verb and option whose extra is missing ends in one line that names the extra."""
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    wanted = {
        ("train", "style=photo.png", "content=."): "nst-fast[train]",
        ("optimize", "style=photo.png", "content=photo.png"): "nst-fast[train]",
        ("live",): "nst-fast[live]",
        ("stylize", "photo.png", "--style", "wave", "--engine", "torch"): "nst-fast[train]",
        ("stylize", "photo.png", "--style", "wave", "--engine", "openvino"): "nst-fast[openvino]",
        ("export", "wave", "--format", "pt2"): "nst-fast[train]",
    }
    for arguments, extra in wanted.items():
        command = [environment / "nst-fast", *arguments]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert line.startswith("nst-fast: error: ") and extra in line


def test_types_reach_the_user(environment, tmp_path):
    """The wheel carries the marker that tells type checkers to read its types, and knows its own version."""
    code = (
        "import nst_fast, pathlib; marker = pathlib.Path(nst_fast.__file__).parent / 'py.typed';"
        "print(nst_fast.__version__, marker.is_file())"
    )
    assert run(tmp_path, environment / "python", "-c", code).split()[1] == "True"
