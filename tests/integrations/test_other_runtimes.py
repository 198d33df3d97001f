"""The examples of docs/guide/other-runtimes.md, run as a reader would run them."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.export.onnx_file import export_onnx
from nst_fast.networks.checkpoint import load_checkpoint
from nst_fast.stylize.stylizer import Stylizer

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "guide" / "other-runtimes.md").read_text(encoding="utf-8")
PHOTO = PROJECT / "docs" / "examples" / "photos" / "chelsea.jpg"


def find_example(language: str) -> str:
    """The block of the page in this language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return block


@pytest.fixture
def photo(tmp_path) -> np.ndarray:
    """A folder with wave.onnx, photo.png and photo.ppm; the photo's pixels."""
    with Image.open(PHOTO) as image:
        small = image.convert("RGB").resize((150, 101))
    for name in ("photo.png", "photo.ppm"):
        small.save(tmp_path / name)
    export_onnx(load_checkpoint("wave"), tmp_path / "wave.onnx", pixels=True)
    return np.asarray(small)


def run(*command: str, folder: Path) -> None:
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def assert_same(output: Path, photo: np.ndarray) -> None:
    stylized = np.asarray(Image.open(output)).astype(int)
    assert np.abs(stylized - Stylizer("wave", engine="onnxruntime").stylize_pixels(photo)).max() <= 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
def test_cpp(tmp_path, photo):
    """The C++ example compiles with what OpenVINO's Python package holds, and gives what Stylizer gives."""
    pytest.importorskip("openvino")
    spec = importlib.util.find_spec("openvino")
    assert spec is not None and spec.submodule_search_locations
    openvino = Path(spec.submodule_search_locations[0])
    (tmp_path / "stylize.cpp").write_text(find_example("cpp"))
    (library,) = (openvino / "libs").glob("libopenvino.so.*")
    options = ["-I", str(openvino / "include"), str(library), f"-Wl,-rpath,{openvino / 'libs'}"]
    run("g++", "-std=c++17", "stylize.cpp", *options, "-o", "stylize", folder=tmp_path)
    run("./stylize", "wave.onnx", "photo.ppm", "stylized.ppm", folder=tmp_path)
    assert_same(tmp_path / "stylized.ppm", photo)


@pytest.mark.network
@pytest.mark.skipif(shutil.which("npm") is None, reason="no Node.js here")
def test_javascript(tmp_path, photo):
    """The JavaScript example runs in Node.js, and gives what Stylizer gives."""
    (tmp_path / "stylize.mjs").write_text(find_example("js"))
    run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "onnxruntime-node", "sharp", folder=tmp_path)
    run("node", "stylize.mjs", "wave.onnx", "photo.png", "stylized.png", folder=tmp_path)
    assert_same(tmp_path / "stylized.png", photo)
