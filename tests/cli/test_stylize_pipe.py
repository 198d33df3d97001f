import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from nst_fast.cli import stylize
from nst_fast.cli.stylize_options import PIPE
from nst_fast.cli.stylize_pipe import _read, read_all
from nst_fast.errors import ImageError, SettingError
from nst_fast.media.picture_notes import read_note
from nst_fast.media.pictures import decode_picture, read_picture
from nst_fast.stylize.stylizer import Stylizer

pytestmark = pytest.mark.usefixtures("folder_with_style")

COMMAND = f"{sys.executable} -m nst_fast.cli.main stylize - --style x.safetensors --device cpu --engine onnxruntime"


def encode(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def draw(mode: str = "RGB") -> Image.Image:
    return Image.effect_mandelbrot((14, 10), (-2, -1, 1, 1), 50).convert(mode)


@pytest.fixture
def run(monkeypatch, capfdbinary):
    """Runs the command with bytes on standard input; gives the exit status, standard output and standard error."""

    def run(data: bytes, *arguments: str, style: tuple[str, ...] = ("--style", "x.safetensors")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = stylize.main([*style, "--device", "cpu", "--engine", "onnxruntime", *arguments])
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return status, captured.out, captured.err.decode()

    return run


def test_a_pipe_gives_the_bytes_of_a_file(run):
    """The picture on standard output is, byte for byte, the file that the same photo gives, and nothing else."""
    Path("a.png").write_bytes(encode(draw()))
    assert run(b"", "a.png", "--output", "b.png")[0] == 0
    status, out, err = run(Path("a.png").read_bytes(), "-")
    assert (status, err) == (0, "")
    assert out == Path("b.png").read_bytes()
    assert run(b"", "a.png", "--output", "-") == (0, out, "")
    assert run(Path("a.png").read_bytes(), "-", "-o", "-") == (0, out, "")
    assert run(Path("a.png").read_bytes(), "--", "-")[1] == out


def test_the_format_of_standard_output(run):
    """PNG, with alpha, unless --format says otherwise; --quality and --no-metadata count as for files."""
    rgba = draw("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    data = encode(rgba)
    _, out, _ = run(data, "-")
    image = Image.open(io.BytesIO(out))
    assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (14, 10))
    assert np.array_equal(np.asarray(image)[..., 3], np.asarray(rgba)[..., 3])
    sizes = []
    for quality in ("5", "95"):
        _, out, _ = run(data, "-", "--format", "jpg", "--quality", quality, "--no-metadata")
        image = Image.open(io.BytesIO(out))
        assert image.format == "JPEG" and "comment" not in image.info
        sizes.append(len(out))
    assert sizes[0] < sizes[1]


def test_color_profile_and_rotation_count_as_for_files(run):
    """A photo with an embedded profile and an EXIF rotation gives the pixels that the same file gives."""
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    data = encode(draw(), "JPEG", exif=exif, icc_profile=profile)
    Path("a.jpg").write_bytes(data)
    _, out, _ = run(data, "-", "--size", "20")
    expected = Stylizer("x.safetensors", device="cpu", engine="onnxruntime").stylize_picture(
        read_picture("a.jpg"), size=20
    )
    assert decode_picture(out).rgb.shape == (14, 10, 3)
    assert np.array_equal(decode_picture(out).rgb, expected.rgb)


def test_from_a_pipe_to_a_file(run):
    """With - as the input, --output may name a file; it is summed up as usual, and skipped where it exists."""
    data = encode(draw())
    status, out, err = run(data, "-", "--output", "b.jpg")
    assert status == 0 and out.startswith(b"stylized 1, skipped 0, failed 0 in ") and out.endswith(b"-> b.jpg\n")
    assert (err, read_note(Path("b.jpg"))) == ("", "nst-fast style=x")
    before = Path("b.jpg").stat().st_mtime_ns
    assert run(data, "-", "--output", "b.jpg")[1].startswith(b"stylized 0, skipped 1 ")
    assert Path("b.jpg").stat().st_mtime_ns == before
    assert run(data, "-", "--output", "b.jpg", "--overwrite")[1].startswith(b"stylized 1, ")


def test_a_style_image_works_too(run):
    """--style-image FILE with a picture from a pipe gives what it gives with the file."""
    Path("painting.png").write_bytes(encode(draw().rotate(90)))
    Path("a.png").write_bytes(encode(draw()))
    style = ("--style-image", "painting.png")
    run(b"", "a.png", "--output", "b.png", style=style)
    assert run(Path("a.png").read_bytes(), "-", style=style)[1] == Path("b.png").read_bytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "standard input is empty (0 bytes); copy or download it again"),
        (b"no picture", "standard input is not a picture that can be read; give one of "),
        (encode(draw())[:80], "standard input is damaged or cut short"),
    ],
)
def test_broken_input_is_one_line(run, data, message):
    """What cannot be read is told in one line, gives exit status 1 as a broken file does, and no output."""
    status, out, err = run(data, "-")
    assert (status, out) == (1, b"")
    assert err.startswith(f"nst-fast: failed: {message}") and err.count("\n") == 1


def test_too_many_pixels_are_refused(run, monkeypatch):
    """The limit on pixels is that of files."""
    monkeypatch.setattr("nst_fast.media.pictures.decode_picture.__kwdefaults__", {"name": "", "max_pixels": 100})
    status, out, err = run(encode(draw()), "-")
    assert (status, out) == (1, b"")
    assert "standard input claims 140 pixels (14 x 10), more than the limit of 100; scale it down first" in err


def test_endless_input_is_refused():
    """A stream without end stops filling the memory at the limit; one up to the limit is read whole."""

    class Zeros(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    assert read_all(io.BytesIO(b"x" * 5_000_000), 5_000_000) == b"x" * 5_000_000
    with pytest.raises(ImageError, match=r"^standard input holds more than 5 MB; give the picture as a file$"):
        read_all(Zeros(), 5_000_000)  # pyright: ignore[reportArgumentType]


def test_a_stream_that_cannot_be_read():
    """A folder as standard input, as in `nst-fast stylize - < folder`, is an error of the program."""

    class Folder(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))

    with pytest.raises(ImageError, match=r"^standard input cannot be read \(Is a directory\); check where it comes"):
        read_all(Folder())  # pyright: ignore[reportArgumentType]


def test_an_animation_is_told(run):
    """Of an animation the first frame is stylized, and standard error says so."""
    frames = [draw(), draw().rotate(180)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    status, out, err = run(data, "-")
    assert (status, err) == (0, "nst-fast: standard input has 2 frames; the first one was stylized\n")
    assert decode_picture(out).frame_count == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "a.png"], "a pipe holds one picture; give one input"),
        (["-", "--json"], "--json and the picture cannot both go to standard output"),
        (["-", "--shard", "1/2"], "--shard needs a folder; leave it out"),
        (["-", "--preview", "1"], "--preview needs a film; leave it out"),
        (["-", "--save-style", "s.safetensors"], "--save-style needs a file as input and output; leave it out"),
        (["-", "--on", "ray"], "a picture from or to a pipe is stylized here; leave out --on"),
    ],
)
def test_what_does_not_go_with_a_pipe(run, capfdbinary, arguments, message):
    """Each is refused by argparse with exit status 2."""
    with pytest.raises(SystemExit) as caught:
        run(b"", *arguments)
    assert caught.value.code == 2 and message in capfdbinary.readouterr().err.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-", "--output", "folder"],
            "output 'folder' is a folder; give the name of a file for what comes from a pipe",
        ),
        (["-", "--output", "b.png", "--format", "jpg"], "output 'b.png' and format 'jpg' differ; leave out the format"),
        (["-", "--format", "mp4"], "a picture from or to a pipe cannot be written as '.mp4'; give one of avif, "),
        (["folder", "--output", "-"], "folder is a folder, and only one picture can go to standard output"),
        (["a.mp4", "--output", "-"], "a.mp4 is a film, and only one picture can go to standard output"),
    ],
)
def test_mistakes_are_errors_of_the_program(run, arguments, message):
    """Each mistake is one line."""
    Path("folder").mkdir()
    Path("a.mp4").touch()
    with pytest.raises(SettingError) as caught:
        run(b"", *arguments)
    assert str(caught.value).startswith(message)


def test_terminals_are_not_for_pictures(run, monkeypatch):
    """Nobody reads a picture from a terminal, and nobody types one."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(SettingError, match=r"^the picture would go to the terminal; redirect it, as in > card\.png"):
        run(b"", "-")
    monkeypatch.undo()
    terminal, other_end = os.openpty()
    with open(other_end, "rb", buffering=0) as stream:
        monkeypatch.setattr("nst_fast.cli.stylize_pipe.sys.stdin", stream)
        with pytest.raises(SettingError, match=r"^standard input is the terminal; redirect a picture into it"):
            _read(PIPE)
    os.close(terminal)


def test_standard_output_that_is_full():
    """A full disk behind standard output is one line; a reader that has gone is not worth a word."""
    Path("a.png").write_bytes(encode(draw()))
    result = subprocess.run(f"{COMMAND} < a.png > /dev/full", shell=True, capture_output=True, text=True)
    message = "cannot write standard output (No space left on device); check where it goes, or give output a file"
    assert (result.returncode, result.stderr) == (2, f"nst-fast: error: {message}\n")
    result = subprocess.run(f"{COMMAND} < a.png | true", shell=True, capture_output=True, text=True)
    assert result.stderr == ""


def test_the_real_command_in_a_pipeline():
    """Two commands in a row, through the system's pipes: the second reads what the first has written."""
    Path("a.png").write_bytes(encode(draw()))
    result = subprocess.run(f"{COMMAND} < a.png | {COMMAND} --format webp", shell=True, capture_output=True)
    assert (result.returncode, result.stderr) == (0, b"")
    assert decode_picture(result.stdout).rgb.shape == (10, 14, 3)
