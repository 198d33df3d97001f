import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.cli import stylize
from nst_fast.errors import SettingError
from nst_fast.media.pictures import read_picture
from nst_fast.stylize.engines import choice

pytestmark = pytest.mark.usefixtures("folder_with_style")

av = pytest.importorskip("av")


def make_film(name: str, frames: int = 10, size: tuple[int, int] = (32, 48)) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    with av.open(name, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"preset": "ultrafast"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            rgb = np.full((*size, 3), 5 * number % 200, np.uint8)
            rgb[:, number % size[1]] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode())
    return name


def make_picture(name: str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.effect_mandelbrot((14, 10), (-2, -1, 1, 1), 50).convert("RGB").save(name)
    return name


def count_frames(name: str) -> int:
    with av.open(name) as container:
        return sum(1 for _ in container.decode(video=0))


COMMON = ["--style", "x.safetensors", "--device", "cpu", "--engine", "torch"]


def run(*arguments: str) -> int:
    return stylize.main([*arguments, *COMMON])


def test_a_film_is_stylized_to_the_default_folder(capsys):
    """One film goes to stylized/STYLE under its name, and counts as one output; again it is skipped."""
    assert run(make_film("a.mp4")) == 0
    output = capsys.readouterr()
    assert output.out.startswith("stylized 1, skipped 0, failed 0 in ")
    assert count_frames("stylized/x/a.mp4") == 10
    assert os.listdir("stylized/x") == ["a.mp4"]
    assert run("a.mp4") == 0
    assert capsys.readouterr().out.startswith("stylized 0, skipped 1 (they exist; --overwrite replaces them), failed 0")


@pytest.mark.parametrize(("quick", "expected"), [(True, "bf16"), (False, "fp32")])
def test_films_alone_are_made_in_bf16_where_that_is_quick(capsys, monkeypatch, quick, expected):
    """With OpenVINO, films alone are made in bf16 where the processor is quick at it; photos, or on request, not."""
    pytest.importorskip("openvino")
    monkeypatch.setattr(choice, "has_fast_bfloat16", lambda: quick)
    film, photo = make_film("a.mp4", frames=3), make_picture("b.png")
    for inputs, precision in (([film], expected), ([photo], "fp32"), ([film, photo], "fp32")):
        for options, used in (([], precision), (["--precision", "fp32"], "fp32")):
            assert stylize.main([*inputs, *COMMON[:4], "--engine", "openvino", "--overwrite", *options]) == 0
            assert f"openvino on cpu in {used}" in capsys.readouterr().out


def test_a_folder_of_pictures_films_and_broken_films(capsys):
    """All that can be stylized is, each by its kind; what cannot is told by name, and the exit status is 1."""
    make_picture("holiday/a.jpg")
    make_film("holiday/b.mkv")
    make_film("holiday/deep/c.avi")
    Path("holiday/d.mp4").write_bytes(b"not a film")
    assert run("holiday", "--output", "o") == 1
    output = capsys.readouterr()
    assert output.out.startswith("stylized 3, skipped 0, failed 1 in ")
    assert re.search(r"(^|\n)nst-fast: failed: holiday/d\.mp4 is not a film that can be read", output.err)
    assert sorted(str(path.relative_to("o")) for path in Path("o").rglob("*.*")) == ["a.jpg", "b.mkv", "deep/c.mp4"]


def test_progress_is_told_in_frames(capsys, monkeypatch):
    """On a terminal a bar tells frames, frames a second and the time left."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert run(make_film("a.mp4", 40)) == 0
    bar = capsys.readouterr().err.split("\r")[-1]
    assert re.search(r"a\.mp4: 100%.* 40/40 \[\d\d:\d\d<\d\d:\d\d, .* frames/s\]", bar)


def test_film_options_reach_the_work(capsys):
    """A part, a size, a codec and an output of another kind do what they say."""
    make_film("a.mp4", 30)
    assert run("a.mp4", "--start", "0:00.5", "--end", "0.9", "--output", "b.webm", "--size", "24") == 0
    assert count_frames("b.webm") == 12
    make_film("c.mp4", 3, size=(64, 96))
    assert run("c.mp4", "--codec", "h265", "--crf", "40", "--effort", "medium", "--output", "c.mkv") == 0
    with av.open("c.mkv") as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == "hevc"
    assert run("a.mp4", "--format", "mov", "--output", "o") == 0
    assert Path("o/a.mov").is_file()


def test_a_preview_is_one_picture(capsys):
    """--preview stylizes one frame beside where the film would be, and says how long the film would take."""
    make_film("a.mp4", 30)
    assert run("a.mp4", "--preview", "0.5") == 0
    assert re.fullmatch(
        r"stylized one frame in \d+\.\d\d s; 30 frames take about \d:\d\d -> stylized/x/a\.preview\.png\n",
        capsys.readouterr().out,
    )
    assert read_picture("stylized/x/a.preview.png").rgb.shape == (32, 48, 3)
    assert os.listdir("stylized/x") == ["a.preview.png"]


def test_mistakes_are_told_before_anything_is_stylized(monkeypatch):
    """A codec that the container cannot hold, an end before the start, a preview of a photo: one line, no work."""
    make_picture("a.jpg")
    make_film("b.mp4")
    with pytest.raises(SettingError, match=r"^a \.webm file cannot hold h264"):
        run("a.jpg", "b.mp4", "--format", "webm", "--codec", "h264")
    with pytest.raises(
        SettingError, match=r"^start 0:05 is not before end 0:02; give an earlier start or a later end$"
    ):
        run("b.mp4", "--start", "5", "--end", "2")
    with pytest.raises(SettingError, match=r"^a preview shows one frame of one film, but the input is 1 files"):
        run("a.jpg", "--preview", "1")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "av" else find_spec(name))
    with pytest.raises(SettingError, match=r"install the extra: pip install 'nst-fast\[film\]'$"):
        run("b.mp4")
    assert not Path("stylized").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--start", "soon", "'soon' is no time; give seconds, such as 12.5, or 1:30 or 1:02:03"),
        ("--smoothing", "1", "'1' is not allowed; give a number from 0 to below 1, such as 0.9"),
        ("--shard", "5/4", "'5/4' is no share; give one of N, such as 1/4, 2/4, 3/4 or 4/4"),
        ("--frame-rate", "0", "'0' is no frame rate; give a number from 1 to 1000, such as 24 or 30000/1001"),
        ("--crf", "64", "'64' is not allowed; give a whole number from 0 to 63"),
    ],
)
def test_wrong_values_are_refused(capsys, option, value, message):
    """Each option says what it takes."""
    with pytest.raises(SystemExit):
        run("a.mp4", option, value)
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"argument {option}: {message}")


def test_how_long_a_film_takes_is_said_first(capsys):
    """Before a film of a hundred frames: its length and time, and the time with larger strokes; not with these."""
    make_film("a.mp4", 100)
    size, time_taken = r"a\.mp4: 100 frames of 48 x 32 take about", r"\d+:\d\d \(\d+\.\d frames/s\)"
    assert run("a.mp4") == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert re.fullmatch(rf"nst-fast: {size} {time_taken}(; with --stroke-size 2 about {time_taken})?", line)
    assert run("a.mp4", "--stroke-size", "2", "--overwrite") == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert re.fullmatch(rf"nst-fast: {size} {time_taken}", line)
    assert run("a.mp4", "--overwrite", "--end", "1") == 0
    assert "take about" not in capsys.readouterr().err


def test_numbered_pictures_in_and_out(capsys):
    """A film becomes numbered pictures, these become pictures of another style, and a film of the rate asked for."""
    make_film("a.mp4", 12)
    assert run("a.mp4", "--output", "frames/%03d.png") == 0
    assert sorted(os.listdir("frames")) == [f"{number:03}.png" for number in range(1, 13)]
    assert run("frames/%03d.png") == 0
    assert sorted(os.listdir("stylized/x/frames")) == sorted(os.listdir("frames"))
    assert run("frames/%03d.png") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("stylized 0, skipped 1")
    assert run("frames/%03d.png", "--output", "b.mp4", "--frame-rate", "24000/1001") == 0
    with av.open("b.mp4") as container:
        assert container.streams.video[0].average_rate == Fraction(24000, 1001)
    assert run("frames/%03d.png", "--preview", "0.1") == 0
    assert Path("stylized/x/frames/frames.preview.png").is_file()


def test_several_processes_make_one_film(capsys):
    """--workers stylizes the film in processes of their own, and it counts as one output with all its frames."""
    make_film("a.mp4", 20)
    assert stylize.main(["a.mp4", "--style", "x.safetensors", "--engine", "onnxruntime", "--workers", "2"]) == 0
    assert capsys.readouterr().out.startswith("stylized 1, skipped 0, failed 0 in ")
    assert count_frames("stylized/x/a.mp4") == 20
    assert os.listdir("stylized/x") == ["a.mp4"]


def test_ctrl_c_leaves_a_playable_film_and_the_same_command_resumes():
    """Ctrl-C while a film is stylized: one line, exit status 130, a playable part; then the rest is stylized."""
    make_film("a.mp4", 100, size=(64, 96))
    code = "import sys; from nst_fast.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "stylize", "a.mp4", *COMMON, "--output", "o"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(Path("o").rglob("*.tmp.mp4")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert (process.returncode, output) == (130, "")
    last = errors.strip().splitlines()[-1]
    assert "\r" not in last
    match = re.fullmatch(
        r"nst-fast: interrupted; o/a\.partial\.mp4 holds the first (\d+) frames; run the same command again to resume",
        last,
    )
    assert match, errors
    assert 1 <= count_frames("o/a.partial.mp4") == int(match[1]) < 100
    assert not Path("o/a.mp4").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert count_frames("o/a.mp4") == 100


def test_a_preview_never_replaces_a_file():
    """A second preview, or one beside a picture of the user's with its name, gets a name of its own."""
    make_film("a.mp4", 30)
    Path("stylized/x").mkdir(parents=True)
    Path("stylized/x/a.preview.png").write_bytes(b"mine")
    assert run("a.mp4", "--preview", "0.5") == 0
    assert sorted(os.listdir("stylized/x")) == ["a.preview-2.png", "a.preview.png"]
    assert Path("stylized/x/a.preview.png").read_bytes() == b"mine"


def test_a_film_that_another_process_finished_is_not_stylized_again(capsys, monkeypatch):
    """A film that came to be after the plan was made counts as taken, and stays as it is."""
    from nst_fast.batch.plan import plan_batch

    def plan_then_finish(*arguments, **keywords):
        plan = plan_batch(*arguments, **keywords)
        Path("stylized/x").mkdir(parents=True)
        Path("stylized/x/a.mp4").write_bytes(b"finished by another process")
        return plan

    monkeypatch.setattr("nst_fast.batch.plan.plan_batch", plan_then_finish)
    assert run(make_film("a.mp4")) == 0
    assert capsys.readouterr().out.startswith("stylized 0, skipped 0, taken by other processes 1, failed 0")
    assert Path("stylized/x/a.mp4").read_bytes() == b"finished by another process"


def test_leftovers_of_killed_processes_go_even_where_nothing_is_left_to_do():
    """A claim, a temporary file and a work folder that were left beside finished films are removed by the next run."""
    from nst_fast.files.leftovers import name_temporary
    from nst_fast.files.names import name_beside

    assert run(make_film("a.mp4")) == 0
    target = Path("stylized/x/a.mp4")
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    temporary = name_temporary(target)
    temporary.with_name(temporary.name.replace(f"-{os.getpid()}-", f"-{gone.stdout.strip()}-")).write_bytes(b"half")
    name_beside(target, "claim").touch()
    work = name_beside(target, "stylizing")
    work.mkdir()
    (work / "job.json").touch()
    os.utime(work / "job.json", (1, 1))
    code = "import sys; from nst_fast.cli.main import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", code, "stylize", "a.mp4", *COMMON], check=True, capture_output=True)
    assert os.listdir("stylized/x") == ["a.mp4"]
