"""The command `nst-fast live`: its options, what it says, and how it ends."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from nst_fast.cli import live
from nst_fast.errors import CheckpointError, SettingError


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


def test_a_port_that_is_taken_is_explained():
    """One line says which port, and what to give."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=rf"cannot listen on 127\.0\.0\.1, port {port} .*give another --port"):
            live.main(["--port", str(port), "--no-browser"])


def test_mistakes_are_found_before_the_page_opens():
    """A style that is none, and a device that is not there."""
    with pytest.raises(CheckpointError, match="neither a file nor a shipped style"):
        live.main(["--style", "waev", "--no-browser"])
    with pytest.raises(SettingError, match="device 'cuda:99' is not available"):
        live.main(["--device", "cuda:99", "--no-browser"])


@pytest.mark.parametrize("port", ["-1", "65536", "x", ""])
def test_ports_are_checked(port, capsys):
    """What is no port is named."""
    with pytest.raises(SystemExit):
        live.main([f"--port={port}"])
    assert "is no port; give a whole number" in capsys.readouterr().err


def test_a_missing_extra_is_named(monkeypatch):
    """Without the extra, one line says how to install it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"install nst-fast\[live\]"):
        live.main([])
