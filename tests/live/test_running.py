"""Addresses, certificates, and an end that does not wait."""

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
import websockets.sync.client

from nst_fast.errors import SettingError
from nst_fast.live import limits
from nst_fast.live.running import (
    address_of,
    check_certificate,
    is_local,
    network_address_of,
    open_listener,
    running_in_thread,
)
from nst_fast.live.server import build_app

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def https(styles, certificate):
    """The address of a server with TLS."""
    listener = open_listener("127.0.0.1", 0)
    app = build_app(styles, port=listener.getsockname()[1])
    with running_in_thread(app, listener, certificate=certificate[0], key=certificate[1]):
        yield address_of(listener, https=True)


@needs_openssl
def test_everything_works_over_tls(https, certificate, photo, encode):
    """The page, a picture and frames; http at the same port is no way in."""
    trust = ssl.create_default_context(cafile=certificate[0])
    with urllib.request.urlopen(https, context=trust, timeout=10) as answer:
        assert b"<title>nst-fast live</title>" in answer.read()
    with urllib.request.urlopen(https + "api/stylize", encode(photo), context=trust, timeout=30) as answer:
        assert answer.read().startswith(b"\xff\xd8\xff")
    origin = https.removesuffix("/")
    with websockets.sync.client.connect(
        https.replace("http", "ws") + "api/frames", ssl=trust, compression=None, origin=origin
    ) as connection:
        connection.send(bytes(4) + encode(photo))
        assert connection.recv(timeout=30)[:4] == bytes(4)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(https.replace("https", "http"), timeout=10)


@needs_openssl
def test_silent_handshakes_lock_out_nobody(styles, certificate, monkeypatch):
    """Connections that never begin TLS are dropped soon, and others are served meanwhile."""
    monkeypatch.setattr(limits, "TLS_HANDSHAKE_SECONDS", 1.0)
    listener = open_listener("127.0.0.1", 0)
    app, address = build_app(styles, port=listener.getsockname()[1]), listener.getsockname()
    trust = ssl.create_default_context(cafile=certificate[0])
    with running_in_thread(app, listener, certificate=certificate[0], key=certificate[1]):
        silent = [socket.create_connection(address[:2]) for _ in range(200)]
        with urllib.request.urlopen(address_of(listener, https=True), context=trust, timeout=2) as answer:
            assert answer.status == 200
        for raw in silent:
            raw.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                assert raw.recv(10) == b""
            raw.close()


@needs_openssl
def test_a_certificate_is_checked_before_the_server_starts(certificate, tmp_path):
    """Missing files, other files, a key of another certificate and a key with a password are told apart."""
    certificate, key = certificate
    check_certificate(certificate, key)
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    check_certificate(both, None)
    with pytest.raises(SettingError, match=r"absent.pem does not exist"):
        check_certificate(tmp_path / "absent.pem", key)
    with pytest.raises(SettingError, match="are no certificate and its key"):
        check_certificate(certificate, certificate)
    locked = tmp_path / "locked.pem"
    command = f"openssl rsa -aes256 -passout pass:secret -in {key} -out {locked}"
    subprocess.run(command.split(), check=True, capture_output=True)
    with pytest.raises(SettingError, match="has a password"):
        check_certificate(certificate, locked)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((host, True) for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.1.5", "studio")),
    ],
)
def test_which_addresses_are_local(host, local):
    """Loopback addresses are; a name that could mean anything is not."""
    assert is_local(host) is local


def test_addresses_name_the_port_and_the_token():
    """What is printed can be opened: a token is quoted, and listening everywhere is no address."""
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert address_of(listener) == f"http://127.0.0.1:{port}/"
        assert address_of(listener, https=True, token="a&b") == f"https://127.0.0.1:{port}/?token=a%26b"
        assert network_address_of(listener) is None
    with open_listener("0.0.0.0", 0) as listener:
        port = listener.getsockname()[1]
        assert address_of(listener) == f"http://127.0.0.1:{port}/"
        elsewhere = network_address_of(listener, token="x")
        assert elsewhere is None or (elsewhere.endswith(f":{port}/?token=x") and "0.0.0.0" not in elsewhere)


def test_the_end_answers_whoever_waits(styles, photo, encode, monkeypatch):
    """A client whose picture is in work is told that the server stops, and the server does not wait for the work."""
    gate, entered, answers = threading.Event(), threading.Event(), []
    stylizer = styles["wave"].picture_stylizer(tiled=False)
    monkeypatch.setattr(stylizer, "stylize_picture", lambda *args, **options: entered.set() or gate.wait(30))
    listener = open_listener("127.0.0.1", 0)
    app, address = build_app(styles, port=listener.getsockname()[1]), address_of(listener)

    def upload() -> None:
        try:
            urllib.request.urlopen(address + "api/stylize", encode(photo), timeout=30).close()
        except urllib.error.HTTPError as error:
            answers.append((error.code, error.read()))

    with running_in_thread(app, listener):
        thread = threading.Thread(target=upload)
        thread.start()
        assert entered.wait(30)
        began = time.monotonic()
    thread.join(10)
    assert time.monotonic() - began < 2
    assert answers == [(503, b"the server is stopping\n")]
    gate.set()
    assert app.state.pool.wait(5)


def test_the_server_imports_no_training():
    """The page works where PyTorch, Hydra and TensorBoard are not installed."""
    code = """if True:
        import sys
        for name in ("torch", "torchvision", "hydra", "omegaconf", "tensorboard"):
            sys.modules[name] = None  # importing it fails
        import nst_fast.cli.live
        from nst_fast.live.gallery import list_styles
        from nst_fast.live import running, server, site
        styles = list_styles(["wave"])
        server.build_app(styles, port=8765)
        assert styles["wave"].thumbnail and styles["wave"].onnx
        assert styles["wave"].picture_stylizer(tiled=True)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_what_is_cut_off_at_the_end_goes_unlogged():
    """Requests that Ctrl-C cuts off leave no traceback; any other error of the server is still logged."""
    from nst_fast.live.running import _is_no_cancellation

    def record(message: str, error: BaseException | None) -> logging.LogRecord:
        exc_info = None if error is None else (type(error), error, None)
        return logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, message, (), exc_info)

    assert not _is_no_cancellation(record("Exception in ASGI application", asyncio.CancelledError()))
    assert not _is_no_cancellation(record("Cancel 3 running task(s), timeout graceful shutdown exceeded", None))
    assert _is_no_cancellation(record("Exception in ASGI application", ValueError()))
    assert _is_no_cancellation(record("Invalid HTTP request received.", None))
