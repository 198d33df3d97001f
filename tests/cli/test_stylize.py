import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from nst_fast.cli import stylize
from nst_fast.errors import CheckpointError, ImageError, OutputError, SettingError
from nst_fast.media.pictures import read_picture
from nst_fast.stylize.stylizer import Stylizer

pytestmark = pytest.mark.usefixtures("folder_with_style")


def make_picture(name: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_mandelbrot((14, 10), (-2, -1, 1, 1), 50).convert("RGB").save(path)
    return name


def run(*arguments: str) -> int:
    return stylize.main([*arguments, "--style", "x.safetensors", "--device", "cpu"])


def usage_error(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        stylize.main(list(arguments))
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_a_picture_is_stylized_to_the_default_folder(capsys):
    """One picture goes to stylized/STYLE under its name, and one line says how many, how long and where."""
    assert run(make_picture("a.jpg")) == 0
    output = capsys.readouterr()
    assert output.out.startswith("stylized 1, skipped 0, failed 0 in ")
    assert re.search(r" s with (openvino|onnxruntime|torch) on cpu in fp32 -> stylized/x\n$", output.out)
    assert output.err == ""
    assert read_picture("stylized/x/a.jpg").rgb.shape == (10, 14, 3)


def test_a_file_as_output(capsys):
    """--output card.png is that file, and the line names it; again it is skipped, and with --overwrite stylized."""
    make_picture("a.jpg")
    assert run("a.jpg", "--output", "card.png") == 0
    assert capsys.readouterr().out.endswith(" -> card.png\n")
    before = Path("card.png").stat().st_mtime_ns
    assert run("a.jpg", "--output", "card.png") == 0
    hint = "(they exist; --overwrite replaces them)"
    assert capsys.readouterr().out.startswith(f"stylized 0, skipped 1 {hint}, failed 0 in ")
    assert Path("card.png").stat().st_mtime_ns == before
    assert run("a.jpg", "--output", "card.png", "--overwrite") == 0
    assert Path("card.png").stat().st_mtime_ns > before


@pytest.mark.parametrize(
    "name", ["-x.jpg", "--x.jpg", "IMG (1).jpg", "été.jpg", "a,b=c.jpg", "[1]*?.jpg", "%s {0}.jpg"]
)
def test_ordinary_names_work_as_they_are(name, capsys):
    """Names with a leading dash, spaces, brackets, commas or accents need no quoting beyond the shell's."""
    make_picture(name)
    assert run(name, "--output", "o") == 0
    assert Path("o", name).is_file()
    assert stylize.main(["--style", "x.safetensors", "--device", "cpu", "--output", "-o.png", "--", name]) == 0
    assert Path("-o.png").is_file()


def test_a_name_that_is_not_utf8_can_be_stylized_and_told(capsys):
    """A file name of arbitrary bytes works, and is shown with what is not UTF-8 replaced."""
    make_picture("a.png")
    source = Path("a\udcff.png")
    Path("a.png").rename(source)
    assert run(str(source), "--output", "b\udcff.png") == 0
    assert capsys.readouterr().out.endswith("-> b�.png\n")


def test_inputs_and_options_may_be_mixed():
    """Inputs may stand before, between and behind options."""
    arguments = [make_picture("a.jpg"), "--style", "x.safetensors", make_picture("b.jpg"), "--device", "cpu"]
    assert stylize.main([*arguments, make_picture("c.jpg")]) == 0
    assert len(list(Path("stylized/x").iterdir())) == 3


def test_options_reach_the_work():
    """--size, --format and --quality do what a direct call does: another item, suffix and size of file."""
    make_picture("a.png")
    assert run("a.png", "--output", "plain", "--format", "png") == 0
    assert run("a.png", "--output", "sized", "--size", "40", "--engine", "torch") == 0
    expected = Stylizer("x.safetensors", device="cpu").stylize_picture(read_picture("a.png"), size=40)
    assert (read_picture("sized/a.png").rgb == expected.rgb).all()
    assert (read_picture("plain/a.png").rgb != expected.rgb).any()
    assert run("a.png", "--output", "low", "--format", "jpg", "--quality", "5", "--precision", "bf16") == 0
    assert run("a.png", "--output", "high", "--format", "jpg") == 0
    assert Path("low/a.jpg").stat().st_size < Path("high/a.jpg").stat().st_size


def test_broken_pictures_give_exit_status_1(capsys):
    """A broken picture is told once, by name, the others are stylized, and the exit status is 1."""
    for name in ("photos/a.jpg", "photos/deep/b.jpg", "photos/c.jpg"):
        make_picture(name)
    Path("photos/c.jpg").write_bytes(b"")
    assert run("photos", "--output", "o") == 1
    output = capsys.readouterr()
    assert output.out.startswith("stylized 2, skipped 0, failed 1 in ")
    told = [line for line in output.err.splitlines() if "c.jpg" in line]
    assert told == ["nst-fast: failed: photos/c.jpg is empty (0 bytes); copy or download it again"]
    assert Path("o/deep/b.jpg").is_file()


def test_mistakes_are_errors_of_the_program(monkeypatch):
    """What the user can fix is raised as the program's own error, whose text the dispatcher prints."""
    make_picture("a.jpg")
    Path("file").write_text("")
    monkeypatch.setattr(
        "nst_fast.networks.checkpoint_header.list_shipped_checkpoints", lambda: {"wave": Path("wave.safetensors")}
    )
    with pytest.raises(CheckpointError, match="'wafe' is neither a file nor a shipped style; shipped: wave"):
        stylize.main(["a.jpg", "--style", "wafe"])
    with pytest.raises(ImageError, match=r"^b\.jpg does not exist; check the path$"):
        run("a.jpg", "b.jpg")
    with pytest.raises(SettingError, match="would be overwritten"):
        run("a.jpg", "--output", ".")
    with pytest.raises(OutputError, match=r"^cannot write file/a\.jpg: a part of this path is a file"):
        run("a.jpg", "--output", "file")
    with pytest.raises(SettingError, match="device 'tpu' is not available; this computer has: "):
        stylize.main(["a.jpg", "--style", "x.safetensors", "--device", "tpu"])


def test_wrong_usage_exits_with_2(capsys):
    """Missing and impossible arguments are told by argparse, with the allowed values, and exit status 2."""
    assert usage_error(capsys, "a.jpg").endswith("the following arguments are required: --style")
    assert usage_error(capsys, "--style", "x").endswith("the following arguments are required: INPUT")
    assert usage_error(capsys, "", "--style", "x").endswith(
        "an empty text is no path; give the name of a file or folder"
    )
    for option, highest in (("--size", 100_000), ("--quality", 100)):
        for value in ("0", "-5", "many", "1.5", str(highest + 1)):
            message = usage_error(capsys, "a.jpg", "--style", "x", option, value)
            assert message.endswith(
                f"argument {option}: {value!r} is not allowed; give a whole number from 1 to {highest}"
            )


def test_ctrl_c_is_one_line_and_130(capsys, monkeypatch):
    """An interrupt gives one line, exit status 130 and whole files only."""
    make_picture("photos/a.jpg")
    make_picture("photos/b.jpg")
    stylize_picture = Stylizer.stylize_picture

    def interrupt_the_second(self, picture, *, size=None):
        if Path("o/a.jpg").exists():
            raise KeyboardInterrupt
        return stylize_picture(self, picture, size=size)

    monkeypatch.setattr(Stylizer, "stylize_picture", interrupt_the_second)
    run("photos/a.jpg", "--output", "o")
    capsys.readouterr()
    assert run("photos", "--output", "o") == 130
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "nst-fast: interrupted; run the same command again to resume\n")
    assert [path.name for path in Path("o").iterdir()] == ["a.jpg"]


def test_help_is_quick_and_complete(capsys):
    """--help names each option with its default, and comes without waiting for torch."""
    code = "import sys; from nst_fast.cli import stylize; stylize.main(['--help'])"
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - started < 5  # loosely: 0.1 s when nothing else runs
    assert "torch" not in result.stderr and "numpy" not in result.stderr
    options = [
        "--style",
        "--output",
        "--size",
        "--format",
        "--quality",
        "--overwrite",
        "--device",
        "--precision",
        "--engine",
    ]
    films = [
        "--on",
        "--workers",
        "--shard",
        "--start",
        "--end",
        "--preview",
        "--smoothing",
        "--codec",
        "--crf",
        "--effort",
    ]
    for option in options + films:
        assert option in result.stdout
    assert result.stdout.count("default:") == 18


def test_a_single_photo_does_not_wait_for_openvino(capsys):
    """Where OpenVINO is the fastest engine, folders get it, and a single photo ONNX Runtime, unless asked otherwise."""
    pytest.importorskip("openvino")
    make_picture("a.jpg")
    make_picture("folder/b.jpg")
    for arguments, engine in (
        (["a.jpg"], "onnxruntime"),
        (["folder"], "openvino"),
        (["a.jpg", "--engine", "openvino", "--overwrite"], "openvino"),
    ):
        assert run(*arguments, "--device", "cpu") == 0
        assert f" s with {engine} on cpu in fp32 -> " in capsys.readouterr().out


def test_the_engine_can_be_chosen(capsys):
    """--engine and --threads choose the backend, and the last line names it; an unknown one is refused."""
    make_picture("a.jpg")
    assert run("a.jpg", "--engine", "torch", "--threads", "1") == 0
    assert " s with torch on cpu in fp32, 1 thread -> stylized/x\n" in capsys.readouterr().out
    with pytest.raises(SettingError, match=r"engine 'torhc' is unknown; allowed: auto, .* \(nearest: torch\)"):
        run("a.jpg", "--engine", "torhc")
