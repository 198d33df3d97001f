import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from nst_fast.cli import export, stylize
from nst_fast.cli.file_reports import FileReports, reporting_files
from nst_fast.cli.main import main
from nst_fast.errors import NstFastError


def draw(path: str, size: tuple[int, int] = (14, 10)) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.effect_mandelbrot(size, (-2, -1, 1, 1), 50).convert("RGB").save(path)
    return path


def read_lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def run(folder_with_style, capsys):
    """Runs `stylize --json`; gives the exit status and the objects, and checks that each says how long it took."""

    def run(*arguments: str) -> tuple[int, list[dict]]:
        capsys.readouterr()
        common = ["--style", "x.safetensors", "--device", "cpu", "--engine", "onnxruntime", "--json"]
        status = stylize.main([*arguments, *common])
        reports = read_lines(capsys.readouterr().out)
        assert all(report.pop("seconds") >= 0 for report in reports)
        return status, reports

    return run


def test_a_folder(run):
    """One object for each file: written with its size, failed with the reason, skipped the next time."""
    draw("photos/a.jpg")
    draw("photos/deep/c.png", (9, 11))
    Path("photos/b.jpg").write_bytes(b"")
    a = {"path": "o/a.jpg", "status": "written", "width": 14, "height": 10, "source": "photos/a.jpg"}
    b = {
        "path": "o/b.jpg",
        "status": "failed",
        "source": "photos/b.jpg",
        "error": "photos/b.jpg is empty (0 bytes); copy or download it again",
    }
    c = {"path": "o/deep/c.png", "status": "written", "width": 9, "height": 11, "source": "photos/deep/c.png"}
    assert run("photos", "--output", "o") == (1, [a, b, c])
    assert run("photos", "--output", "o") == (1, [{**a, "status": "skipped"}, {**c, "status": "skipped"}, b])


def test_films_and_animations(run):
    """Films and animated pictures have a size, too; a broken film says why it failed."""
    av = pytest.importorskip("av")
    frames = [Image.new("RGB", (16, 12), color) for color in ("red", "blue")]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    with av.open("b.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame.resize((32, 16)))))
        container.mux(stream.encode())
    Path("c.mp4").write_bytes(b"no film")
    status, reports = run("a.gif", "b.mp4", "c.mp4", "--output", "o")
    assert status == 1
    assert [(one["path"], one["status"], one.get("width"), one.get("height")) for one in reports] == [
        ("o/a.gif", "written", 16, 12),
        ("o/b.mp4", "written", 32, 16),
        ("o/c.mp4", "failed", None, None),
    ]
    assert reports[2]["error"].startswith("c.mp4 is not a film that can be read")
    status, (preview,) = run("b.mp4", "--preview", "0", "--output", "p")
    assert (status, preview["path"], preview["width"]) == (0, "p/b.preview.png", 32)


def test_a_pipe_and_a_kept_style(run, monkeypatch):
    """A picture from a pipe has - as its source; what --save-style writes is one more file."""
    draw("a.png")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path("a.png").read_bytes())))
    written = {"path": "b.png", "status": "written", "width": 14, "height": 10, "source": "-"}
    assert run("-", "--output", "b.png") == (0, [written])
    arguments = ["a.png", "--style-image", "a.png", "--save-style", "s.safetensors", "--json", "--output", "c.png"]
    result = subprocess.run([sys.executable, "-m", "nst_fast.cli.main", "stylize", *arguments], capture_output=True)
    paths = [report["path"] for report in read_lines(result.stdout.decode())]
    assert paths == ["s.safetensors", "c.png"]
    assert result.stderr.decode().startswith("stylized 1, ")


def test_a_mistake_leaves_standard_output_empty(run, capsys):
    """An error that ends the command is a line on standard error and exit status 2."""
    assert main(["stylize", "absent.jpg", "--style", "x.safetensors", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("nst-fast: error: absent.jpg does not exist")


def test_an_export(folder_with_style, capsys):
    """`export --json` reports its file; what it says to people goes to standard error."""
    assert export.main(["x.safetensors", "--format", "onnx", "--json"]) == 0
    captured = capsys.readouterr()
    (report,) = read_lines(captured.out)
    assert report.pop("seconds") > 0 and report == {"path": "x.onnx", "status": "written"}
    assert "largest difference" in captured.err


@pytest.mark.parametrize("verb", ["train", "optimize", "evaluate", "reconstruct"])
def test_every_experiment(verb, tmp_path, monkeypatch, capsys):
    """Each verb of Hydra reports its outputs: written, skipped where they stay as they were, failed with the reason."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["nst-fast"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    arguments = {
        "train": ["style=wave.jpg", "content=photos", "preset=quick"],
        "optimize": ["content=photo.jpg", "style=wave.jpg"],
        "evaluate": ["checkpoint=wave", "style=wave.jpg", "content=photos"],
        "reconstruct": ["content=photo.jpg", "style=wave.jpg"],
    }[verb]
    function = {"train": "training", "optimize": "optimization", "evaluate": "evaluation"}.get(verb, "reconstruction")
    module = __import__(f"nst_fast.cli.{verb}", fromlist=["main"])
    paths: list[Path] = []
    writes = True

    def work(settings, swept):
        sys.stdout.write("for people\n")
        paths[:] = module.list_outputs(settings, swept)
        for path in paths if writes else []:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(9))

    monkeypatch.setattr(f"nst_fast.cli.{verb}.run_{function}", work)
    for status in ("written", "skipped"):
        writes = status == "written"
        assert main([verb, *arguments, "--json"]) == 0
        captured = capsys.readouterr()
        reports = read_lines(captured.out)
        assert [(report["path"], report["status"]) for report in reports] == [(str(path), status) for path in paths]
        assert paths and "for people" in captured.err

    def fail(settings, swept):
        raise NstFastError("the cup is empty; fill it")

    monkeypatch.setattr(f"nst_fast.cli.{verb}.run_{function}", fail)
    assert main([verb, *arguments, "--json"]) == 2
    captured = capsys.readouterr()
    assert {(one["status"], one["error"]) for one in read_lines(captured.out)} == {
        ("failed", "the cup is empty; fill it")
    }
    assert captured.err == "nst-fast: error: the cup is empty; fill it\n"


def test_a_sweep_reports_each_run(tmp_path, monkeypatch, capsys):
    """With -m there is an object for the output of each run, under its own name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["nst-fast"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    from nst_fast.cli import optimize

    def work(settings, swept):
        for path in optimize.list_outputs(settings, swept):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    monkeypatch.setattr("nst_fast.cli.optimize.run_optimization", work)
    assert main(["optimize", "-m", "content=a.jpg", "style=b.jpg", "style_strength=8,16", "--json"]) == 0
    names = [Path(report["path"]).name for report in read_lines(capsys.readouterr().out)]
    assert names == ["a-b-style_strength=8.png", "a-b-style_strength=16.png"]


def test_seconds_add_up():
    """The seconds of all files together are the time that passed; a file that was skipped took none."""
    stream = io.StringIO()
    began = time.perf_counter()
    reports = FileReports(stream)
    reports.add("a", "skipped", source="a")
    for name in ("b", "c"):
        time.sleep(0.05)
        reports.add(name, "failed", source=name, error="?")
    seconds = [report["seconds"] for report in read_lines(stream.getvalue())]
    assert seconds[0] == 0 and seconds[1] >= 0.05 and seconds[2] >= 0.05
    assert sum(seconds) == pytest.approx(time.perf_counter() - began, abs=0.02)
    assert reports.counts == {"skipped": 1, "failed": 2}


def test_names_of_arbitrary_bytes_survive():
    """A name that is not UTF-8 comes back as the same bytes, and every line is ASCII."""
    stream = io.StringIO()
    FileReports(stream).add(Path("a\udcff\n.png"), "failed", error="?")
    assert stream.getvalue().isascii() and stream.getvalue().count("\n") == 1
    assert os.fsencode(read_lines(stream.getvalue())[0]["path"]) == b"a\xff\n.png"


def test_without_json_nothing_changes(capsys):
    """Without --json, prints go where they went, and files are only counted."""
    with reporting_files(as_json=False) as reports:
        sys.stdout.write("hello\n")
        reports.add("a", "written", source="b")
    captured = capsys.readouterr()
    assert (captured.out, captured.err, reports.counts["written"]) == ("hello\n", "", 1)
