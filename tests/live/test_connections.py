"""Connections that say nothing, too little or too slowly: they are dropped, and lock out nobody."""

import contextlib
import socket
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

from nst_fast.live import limits
from nst_fast.live.connections import client_of

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")


@pytest.fixture
def dial(address):
    """Opens a raw connection from an address of this computer, and closes all of them at the end."""
    host, port = address.removeprefix("http://").strip("/").split(":")
    with contextlib.ExitStack() as stack:

        def dial(source: str = "127.0.0.1", say: bytes = b"") -> socket.socket:
            raw = stack.enter_context(socket.create_connection((host, int(port)), source_address=(source, 0)))
            raw.settimeout(10)
            with contextlib.suppress(OSError):
                raw.sendall(say)
            return raw

        yield dial


def head_of(address: str, *lines: str) -> bytes:
    """The head of a request, without the empty line that ends it."""
    host = address.removeprefix("http://").strip("/")
    return "\r\n".join([lines[0], f"Host: {host}", *lines[1:], ""]).encode()


def get_quickly(address: str) -> None:
    """An honest client is answered within 2 seconds."""
    began = time.monotonic()
    with urllib.request.urlopen(address + "api/styles", timeout=10) as answer:
        assert answer.status == 200
    assert time.monotonic() - began < 2


def is_closed(raw: socket.socket, seconds: float) -> bool:
    """Whether the server ends a connection within so long."""
    raw.settimeout(seconds)
    try:
        while raw.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize(
    "say",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /api/stylize HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"],
)
def test_silent_connections_lock_out_nobody(address, dial, say):
    """Two hundred connections that say nothing, or half a request, leave room for an honest client."""
    for _ in range(200):
        dial(say=say)
    for _ in range(5):
        get_quickly(address)


@needs_linux
def test_silent_connections_from_everywhere_lock_out_nobody(address, dial):
    """Neither do four hundred from ten addresses, which reach the limit of all connections together."""
    for number in range(400):
        dial(f"127.0.1.{number % 10}")
    get_quickly(address)


def test_slow_bodies_lock_out_nobody(address, dial):
    """Connections whose bodies come byte by byte count as waiting, however lively they are."""
    head = head_of(address, "POST /api/stylize HTTP/1.1", "Content-Length: 1000000") + b"\r\n"
    trickling = [dial(say=head) for _ in range(limits.MAX_CONNECTIONS_PER_CLIENT)]
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.05):
            for raw in trickling:
                with contextlib.suppress(OSError):
                    raw.send(b"x")

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    for _ in range(5):
        get_quickly(address)
    stop.set()
    thread.join()


def test_a_request_that_does_not_come_is_not_waited_for(address, dial, monkeypatch):
    """Silence, half a head, and half a head after a complete request end by the deadline."""
    monkeypatch.setattr(limits, "REQUEST_HEADER_SECONDS", 0.5)
    half = head_of(address, "GET /api/styles HTTP/1.1")
    again = dial(say=half + b"\r\n")
    assert again.recv(65536).startswith(b"HTTP/1.1 200")
    again.sendall(half)
    for raw in (dial(), dial(say=half), again):
        assert is_closed(raw, 5)


@pytest.mark.parametrize("limit", ["BODY_STALL_SECONDS", "BODY_GRACE_SECONDS"])
def test_a_body_that_does_not_come_is_not_waited_for(address, dial, monkeypatch, limit):
    """A body that stops, and one that comes too slowly, end by their deadlines; an honest one does not."""
    monkeypatch.setattr(limits, limit, 0.5)
    head = head_of(address, "POST /api/stylize HTTP/1.1", "Content-Length: 1000000") + b"\r\n"
    assert is_closed(dial(say=head + b"x"), 5)
    honest = dial(say=head)
    for _ in range(10):
        honest.sendall(bytes(100_000))
        time.sleep(0.2)
    assert honest.recv(65536).startswith(b"HTTP/1.1 422")


def test_a_response_that_is_not_read_is_dropped(address, dial, encode, monkeypatch):
    """A client that asks for a large picture and does not read it loses its connection."""
    monkeypatch.setattr(limits, "WRITE_STALL_SECONDS", 0.5)
    body = encode(np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8))
    head = head_of(address, "POST /api/stylize?format=png HTTP/1.1", f"Content-Length: {len(body)}") + b"\r\n"
    raw = dial()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    raw.settimeout(60)
    raw.sendall(head + body)
    time.sleep(0.1)
    assert raw.recv(100, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")  # waits for the picture
    time.sleep(3)
    received = 0
    with contextlib.suppress(ConnectionResetError):
        while block := raw.recv(1 << 20):
            received += len(block)
    assert received < 10_000_000  # of 12 MB: what the sockets' own buffers held


def test_work_is_not_dropped_for_silence(address, dial, styles, encode, photo, monkeypatch):
    """A request that is complete and in work survives a hundred silent connections."""
    stylizer = styles["wave"].picture_stylizer(tiled=False)
    stylize = stylizer.stylize_picture
    monkeypatch.setattr(
        stylizer, "stylize_picture", lambda *args, **options: time.sleep(1.5) or stylize(*args, **options)
    )
    body = encode(photo)
    raw = dial(say=head_of(address, "POST /api/stylize HTTP/1.1", f"Content-Length: {len(body)}") + b"\r\n" + body)
    time.sleep(0.3)
    for _ in range(100):
        dial()
    assert raw.recv(65536).startswith(b"HTTP/1.1 200")


def test_garbage_is_answered_and_costs_nothing(address, dial):
    """What is no HTTP at all gets status 400, and the next client its page."""
    for garbage in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\r\n" * 50 + b"x y z\r\n\r\n", bytes(100_000)):
        raw = dial(say=garbage + b"\r\n\r\n")
        assert is_closed(raw, 15)
    get_quickly(address)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.168.1.5", "192.168.1.5"),
        ("::ffff:192.168.1.5", "192.168.1.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_who_counts_as_one_client(address, client):
    """An IPv4 address, however it is written, or an IPv6 network of the size that one household gets."""
    assert client_of(address) == client
