"""The half that stylizes needs neither PyTorch nor the other packages of training: not installed, and not imported."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# What the extra `train` brings, and `onnx`, which only int8 files need.
UNNEEDED = ("torch", "torchvision", "hydra", "omegaconf", "tensorboard", "yaml", "onnx")

# Runs `nst-fast` with the arguments of the process. With NST_FAST_TEST_BLOCKED the packages cannot be imported, as if
# they were not installed; in either case the last line on standard error lists those that were.
SCRIPT = f"""
import importlib.machinery, json, os, sys
UNNEEDED = {UNNEEDED!r}

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in UNNEEDED:
            raise ModuleNotFoundError(f"no module named {{name!r}} in this test", name=name)

if os.environ.get("NST_FAST_TEST_BLOCKED"):
    import importlib.util
    find_spec = importlib.util.find_spec
    importlib.util.find_spec = lambda name, package=None: None if name in UNNEEDED else find_spec(name, package)
    sys.meta_path.insert(0, Blocked())
status = 1
try:
    if sys.argv[1] == "build-live":
        import nst_fast.cli.live
        from nst_fast.live.gallery import list_styles
        from nst_fast.live.server import build_app
        styles = list_styles(["wave"])
        assert next(iter(styles.values())).stylizer.device == "cpu"
        app = build_app(styles, port=8765)
        app.state.pool.stop()
        status = 0
    else:
        from nst_fast.cli.main import main
        status = main(sys.argv[1:])
finally:
    print("IMPORTED " + json.dumps(sorted(set(UNNEEDED) & set(sys.modules))), file=sys.stderr, flush=True)
sys.exit(status)
"""


def has_gpu() -> bool:
    from nst_fast.stylize.engines.choice import _may_have_gpu

    return _may_have_gpu()


@pytest.fixture(params=["missing", "installed"])
def run(request, tmp_path, monkeypatch):
    """Runs the command in an empty folder, where PyTorch is missing or installed but not to be imported."""
    if request.param == "installed" and has_gpu():
        pytest.skip("where there is a GPU, PyTorch is asked for it")
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "NST_FAST_TEST_BLOCKED": "1" if request.param == "missing" else ""}

    def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        process = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, env=environment, timeout=200
        )
        assert process.returncode == status, process.stderr
        *_, last = process.stderr.splitlines()
        assert last == "IMPORTED []", process.stderr
        return process

    return run


def draw(height: int = 24, width: int = 32, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_help_and_styles(run):
    """The list of verbs, the help of each verb of this half, and the list of styles."""
    run("--help")
    for verb in ("stylize", "styles", "sheet", "export", "benchmark", "live", "completion"):
        assert f"nst-fast {verb}" in run(verb, "--help").stdout
    assert "wave" in run("styles").stdout
    assert {style["name"] for style in json.loads(run("styles", "--json").stdout)} >= {"wave", "udnie"}


def test_photos(run, tmp_path):
    """A photo, a folder of photos, and a photo in tiles are stylized."""
    draw().save(tmp_path / "photo.png")
    (tmp_path / "photos").mkdir()
    for number in range(3):
        draw(seed=number).save(tmp_path / "photos" / f"{number}.jpg")
    run("stylize", "photo.png", "--style", "wave")
    run("stylize", "photos", "--style", "wave", "--size", "20")
    run("stylize", "photo.png", "--style", "udnie", "--tiles", "always", "--output", "tiled.png")
    stylized = sorted(path.relative_to(tmp_path / "stylized").as_posix() for path in tmp_path.rglob("stylized/**/*.*"))
    assert stylized == ["wave/0.jpg", "wave/1.jpg", "wave/2.jpg", "wave/photo.png"]
    for name in ("stylized/wave/photo.png", "tiled.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (32, 24)
            assert np.asarray(image).std() > 1


def test_a_sheet(run, tmp_path):
    """A sheet of every style is made."""
    draw().save(tmp_path / "photo.png")
    run("sheet", "photo.png", "-o", "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width > 4 * 32


def test_an_animation(run, tmp_path):
    """An animated GIF is stylized frame by frame, with smoothing."""
    frames = [draw(seed=number) for number in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=40)
    run("stylize", "a.gif", "--style", "wave", "--output", "b.gif", "--smoothing", "0.5")
    with Image.open(tmp_path / "b.gif") as animation:
        assert (animation.n_frames, animation.size) == (3, (32, 24))


def write_film(path: Path, frames: int) -> None:
    av = pytest.importorskip("av")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            for packet in stream.encode(av.VideoFrame.from_image(draw(48, 64, number))):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def test_a_film(run, tmp_path):
    """A short film is stylized with smoothing."""
    write_film(tmp_path / "film.mp4", 6)
    run("stylize", "film.mp4", "--style", "wave", "--smoothing", "0.8", "--output", "b.mp4")
    av = pytest.importorskip("av")
    with av.open(tmp_path / "b.mp4") as film:
        assert len(list(film.decode(video=0))) == 6


def test_an_export(run, tmp_path):
    """A network becomes an ONNX file."""
    process = run("export", "wave", "--format", "onnx", "--pixels")
    assert process.stdout.startswith("wave.onnx: ")
    assert (tmp_path / "wave.onnx").stat().st_size > 100_000


def test_a_benchmark(run):
    """The engines that are asked for are measured, with both networks."""
    engines = [name for name in ("openvino", "onnxruntime") if importlib.util.find_spec(name)]
    process = run("benchmark", "--seconds", "0.1", "--size", "32x24", "--engine", *engines)
    assert process.stdout.count("realtime") == process.stdout.count("johnson") == len(engines)


def test_the_live_page(run):
    """The server of the live page is built, with a style that is loaded."""
    pytest.importorskip("starlette")
    run("build-live")


def run_without_torch(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NST_FAST_TEST_BLOCKED": "1"}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=200)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "style_image=a.jpg"], "install 'nst-fast[train]'"),
        (["optimize", "photo=a.jpg"], "install 'nst-fast[train]'"),
        (["stylize", "photo.png", "--style", "wave", "--engine", "torch"], "install the extra nst-fast[train]"),
        (["stylize", "photo.png", "--style", "wave", "--device", "cuda:7"], "device 'cuda:7' is not available"),
        (["stylize", "photo.png", "--style", "wave", "--precision", "fp16"], "precision 'fp16'"),
        (["export", "wave", "--format", "pt2"], "install nst-fast[train]"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_needs_torch_says_so(tmp_path, arguments, message):
    """Where PyTorch is missing, whatever needs it ends in one line that says what to install or to give."""
    draw().save(tmp_path / "photo.png")
    process = run_without_torch(tmp_path, *arguments)
    *errors, imported = process.stderr.splitlines()
    assert process.returncode == 2 and imported == "IMPORTED []", process.stderr
    assert len(errors) == 1 and errors[0].startswith("nst-fast: error: ") and message in errors[0]


def test_a_completion(tmp_path):
    """Where the extra is missing, the script for a shell is printed without the settings of training."""
    process = run_without_torch(tmp_path, "completion", "bash")
    assert process.returncode == 0 and process.stderr == "IMPORTED []\n"
    assert "_nst_fast_style_or_file" in process.stdout and "style_strength" not in process.stdout


def test_a_benchmark_of_all_engines_leaves_out_pytorch(tmp_path):
    """Where PyTorch is missing, a benchmark without further words measures the engines that are there."""
    process = run_without_torch(tmp_path, "benchmark", "--seconds", "0.1", "--size", "32x24", "--network", "realtime")
    assert process.returncode == 0, process.stderr
    assert " on cpu in fp32 " in process.stdout
    assert "torch on cpu" not in process.stdout and "compile on cpu" not in process.stdout
