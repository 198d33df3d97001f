"""The command `nst-fast live`: its options, what it says, and how it ends."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
from PIL import Image

from nst_fast.cli import live
from nst_fast.errors import CheckpointError, ImageError, SettingError


def test_the_server_starts_says_where_and_ends_by_ctrl_c(tmp_path):
    """The printed address answers; Ctrl-C ends the command with status 0 and no traceback."""
    command = [sys.executable, "-m", "nst_fast.cli.main", "live", "--style", "wave", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address, line
        with urllib.request.urlopen(address[0], timeout=200) as answer:
            assert b"<title>nst-fast live</title>" in answer.read()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=200)
    assert (process.returncode, rest, errors) == (0, "stopped\n", "")


def test_ctrl_c_does_not_wait_for_a_large_picture(tmp_path):
    """With 36 megapixels in work the command ends within 5 seconds, with status 0 and without a traceback."""
    buffer = io.BytesIO()
    Image.effect_noise((6000, 6000), 80).convert("RGB").save(buffer, "JPEG", quality=60)
    command = [sys.executable, "-m", "nst_fast.cli.main", "live", "--style", "wave", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        answers = []

        def upload() -> None:
            try:
                urllib.request.urlopen(address + "api/stylize", buffer.getvalue(), timeout=200).close()
                answers.append(200)
            except urllib.error.HTTPError as error:
                answers.append(error.code)

        thread = threading.Thread(target=upload)
        thread.start()
        time.sleep(3)  # decoded by then, and in work
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=200)
        assert time.monotonic() - began < 5
        thread.join()
    assert (process.returncode, rest, errors) == (0, "stopped\n", "")
    assert answers == [503]


def test_beyond_this_computer_a_token_is_asked_for(tmp_path):
    """`--host 0.0.0.0` prints an address with a random token; only with it the page opens."""
    command = [sys.executable, "-m", "nst_fast.cli.main", "live", "--style", "wave", "--port", "0", "--no-browser"]
    command += ["--host", "0.0.0.0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address, token = re.search(r"(http://127\.0\.0\.1:\d+/)\?token=(\S{32})", process.stdout.readline()).groups()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address, timeout=200)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(f"{address}?token={token}", timeout=200) as answer:
            assert answer.url == address and b"<title>nst-fast live</title>" in answer.read()
        assert browser.open(address + "api/styles", timeout=200).status == 200
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=200)
    assert process.returncode == 0 and "stopped" in rest
    assert "without --tls-cert the network can read along" in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--token", "short"], r"--token has 5 characters; give 12 to 200"),
        (["--tls-key", "key.pem"], r"--tls-key needs --tls-cert"),
        (["--json"], r"--json needs --export-site"),
        (["--camera", "/dev/null/none", "--virtual-camera", "15x16"], r"--virtual-camera 15x16; give two even sides"),
        (["--tls-cert", "absent.pem"], r"absent.pem does not exist"),
        (["--export-site", "site"], r"add --fetch-runtime"),
        (["--fetch-runtime", "absent.tgz"], r"absent.tgz cannot be read"),
    ],
)
def test_mistakes_name_the_flags(arguments, words, tmp_path, monkeypatch):
    """Errors of the library name its parameters; the command names its own flags."""
    monkeypatch.setenv("NST_FAST_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=words):
        live.main([*arguments, "--no-browser"])


def test_a_port_that_is_taken_is_explained():
    """One line says which port, and what to give."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=rf"cannot listen on 127\.0\.0\.1, port {port} .*give another --port"):
            live.main(["--port", str(port), "--no-browser"])


def test_mistakes_are_found_before_the_page_opens(tmp_path):
    """A style that is none, a device that is not there, and photos that are not."""
    with pytest.raises(CheckpointError, match="neither a file nor a shipped style"):
        live.main(["--style", "waev", "--no-browser"])
    with pytest.raises(SettingError, match="device 'cuda:99' is not available"):
        live.main(["--device", "cuda:99", "--no-browser"])
    with pytest.raises(ImageError, match="absent does not exist"):
        live.main(["--photos", str(tmp_path / "absent"), "--no-browser"])
    with pytest.raises(SettingError, match=r"^--photos '.*' holds no images; give a folder of photos"):
        live.main(["--photos", str(tmp_path), "--no-browser"])


@pytest.mark.parametrize("port", ["-1", "65536", "x", ""])
def test_ports_are_checked(port, capsys):
    """What is no port is named."""
    with pytest.raises(SystemExit):
        live.main([f"--port={port}"])
    assert "is not a port; give a whole number" in capsys.readouterr().err


def test_a_missing_extra_is_named(monkeypatch):
    """Without the extra, one line says how to install it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"install nst-fast\[live\]"):
        live.main([])


@pytest.mark.parametrize("text", ["", "1280", "1280x", "1280x720@", "1280 x 720", "axb", "1280x720@-1"])
def test_formats_of_a_virtual_camera_are_checked(text, capsys):
    """What is no format is named."""
    with pytest.raises(SystemExit):
        live.main([f"--virtual-camera={text}"])
    assert "is no format; give WIDTHxHEIGHT" in capsys.readouterr().err


def test_the_format_of_a_virtual_camera_is_read():
    """Size and rate, each with its default."""
    parse = live.build_parser().parse_args
    assert parse([]).virtual_camera is None and parse([]).camera is None
    assert parse(["--virtual-camera", "--camera"]).virtual_camera == (1280, 720, 30)
    assert parse(["--camera"]).camera == "" and parse(["--camera", "/dev/video2"]).camera == "/dev/video2"
    assert parse(["--virtual-camera", "640x480"]).virtual_camera == (640, 480, 30)
    assert parse(["--virtual-camera", "640x480@12.5"]).virtual_camera == (640, 480, 12.5)


def test_an_export_reports_each_file_as_json(tmp_path, monkeypatch, capsys):
    """One object for each file on standard output, and nothing else there."""

    def export_site(folder, styles, report):
        folder.mkdir()
        for name in ("index.html", "styles.json"):
            (folder / name).write_text("")
            report(folder / name)

    monkeypatch.setattr("nst_fast.live.site.export_site", export_site)
    assert live.main(["--style", "wave", "--export-site", str(tmp_path / "site"), "--json"]) == 0
    output = capsys.readouterr()
    reports = [json.loads(line) for line in output.out.splitlines()]
    assert [report["path"] for report in reports] == [
        str(tmp_path / "site" / name) for name in ("index.html", "styles.json")
    ]
    assert {report["status"] for report in reports} == {"written"}
    assert "put it on any web host" in output.err


def test_the_stream_is_named_at_the_start(tmp_path, monkeypatch):
    """With a camera and a virtual camera the command says what to enter in OBS, and what to choose in a call."""
    pytest.importorskip("av")
    (tmp_path / "sitecustomize.py").write_text(
        "import nst_fast.live.camera as camera, nst_fast.live.virtual_camera as virtual\n"
        "camera.find_device = lambda given: camera.Device('testsrc=size=64x48:rate=5,realtime', 'lavfi')\n"
        "class Output:\n"
        "    device = 'Fake Camera'\n"
        "    def send(self, frame): pass\n"
        "    def close(self): pass\n"
        "virtual.open_output = lambda *format: Output()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("NST_FAST_CACHE", str(tmp_path / "cache"))
    command = [sys.executable, "-m", "nst_fast.cli.main", "live", "--style", "wave", "--port", "0", "--no-browser"]
    command += ["--camera", "--virtual-camera"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        assert process.stdout.readline() == f"for OBS: {address}obs\n"
        assert process.stdout.readline() == "for calls: choose the camera Fake Camera\n"
        with urllib.request.urlopen(address + "obs", timeout=200) as answer:
            assert b"<canvas" in answer.read()
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=200)
    assert (process.returncode, rest, errors) == (0, "stopped\n", "")
    assert json.loads((tmp_path / "cache" / "camera.json").read_text())["style"] == "wave"
