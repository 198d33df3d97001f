import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.cli import stylize
from nst_fast.cli.stylize_options import parse_options
from nst_fast.errors import CheckpointError, ImageError, NstFastError, OutputError, SettingError
from nst_fast.media.picture_notes import read_note
from nst_fast.media.pictures import read_picture
from nst_fast.stylize.look import Look
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
        "--no-metadata",
        "--strength",
        "--stroke-size",
        "--keep-color",
        "--region",
        "--look",
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
    assert result.stdout.count("default:") == 24


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


def test_looks_are_flags_strings_and_files():
    """Flags, one string, a text file, and a picture that was made with them all give the same picture."""
    make_picture("a.png")
    flags = ["--style", "x.safetensors", "--stroke-size", "2", "--keep-color", "match"]
    text = "stroke_size=2&keep_color=match"
    Path("look.txt").write_text("stroke_size=2\nkeep_color=match\n")
    assert stylize.main(["a.png", "--output", "1.png", *flags]) == 0
    assert stylize.main(["a.png", "--output", "2.png", "--style", "x.safetensors", "--look", text]) == 0
    assert stylize.main(["a.png", "--output", "3.png", "--look", f"style=x.safetensors&{text}"]) == 0
    assert stylize.main(["a.png", "--output", "4.png", "--look", "look.txt", "--style", "x.safetensors"]) == 0
    assert stylize.main(["a.png", "--output", "5.png", "--look", "1.png", "--style", "x.safetensors"]) == 0
    assert stylize.main(["a.png", "--output", "6.png", "--style", "x.safetensors"]) == 0
    pixels = [np.asarray(Image.open(f"{number}.png")) for number in range(1, 7)]
    assert all(np.array_equal(other, pixels[0]) for other in pixels[1:5])
    assert not np.array_equal(pixels[5], pixels[0])
    assert read_note(Path("1.png")) == "nst-fast style=x&stroke_size=2&keep_color=match"


def test_flags_count_more_than_the_look():
    """A flag beside --look replaces what that says."""
    options = parse_options(["a", "--look", "style=wave&strength=0.5&region=person", "--strength", "0.8"])
    assert (options.style, options.look) == ("wave", Look(strength=0.8, region="person"))


def test_metadata_may_be_left_out():
    """--no-metadata writes a picture that does not say how it was made."""
    make_picture("a.png")
    assert stylize.main(["a.png", "--output", "b.png", "--style", "x.safetensors", "--no-metadata"]) == 0
    assert read_note(Path("b.png")) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strength", "3"], "strength is 3.0; give a number from 0 to 2"),
        (
            ["--strength", "0.5"],
            "x was trained without the strength knob; leave strength at 1, or add the knob with "
            "nst-fast train train_only=strength",
        ),
        (["--region", "mask.png"], "mask.png does not exist; check the path"),
        (["--look", "look"], "look 'look' is no file, nor a string such as strength=0.7&stroke_size=2"),
        (["--look", "a.png"], "a.png does not say how it was made; give a photo that this program has made, or a text"),
        (["--look", "bytes.txt"], "look bytes.txt cannot be read; give a text file"),
        (
            ["--look", "long.txt"],
            "look long.txt is too long for a look; give a file such as strength=0.7&stroke_size=2",
        ),
    ],
)
def test_wrong_looks_are_refused(arguments, message):
    """Each mistake is one line, before anything is written."""
    make_picture("a.png")
    Path("bytes.txt").write_bytes(b"\xff\xfe\xff")
    Path("long.txt").write_text("strength=1\n" * 2000)
    with pytest.raises(NstFastError) as caught:
        stylize.main(["a.png", "--output", "b.png", "--style", "x.safetensors", *arguments])
    assert str(caught.value) == message and not Path("b.png").exists()


def test_a_style_is_needed(capsys):
    """Without --style and without one in the look, the command says what is missing."""
    with pytest.raises(SystemExit) as caught:
        stylize.main(["a.png", "--look", "stroke_size=2"])
    assert caught.value.code == 2
    assert "the following arguments are required: --style" in capsys.readouterr().err
