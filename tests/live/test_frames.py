"""Frames over the WebSocket: the latest wins, garbage is explained, and nothing grows."""

import asyncio
import contextlib
import json
import socket
import threading
import time

import numpy as np
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nst_fast.inference.steady import SteadyStylizer
from nst_fast.live.frames import LatestFrame


def connect(address: str, **options):
    """A client that is no browser."""
    return websockets.sync.client.connect(address.replace("http", "ws") + "api/paint", compression=None, **options)


def number(value: int) -> bytes:
    """As frames begin."""
    return value.to_bytes(4)


def test_a_frame_comes_back_painted(address, styles, photo, encode, decode):
    """It carries its number, and is what the network makes of the frame, as near as JPEG allows."""
    frame = encode(photo)
    with connect(address) as connection:
        connection.send(number(7) + frame)
        answer = connection.recv(timeout=30)
        assert answer[:4] == number(7)
        expected = styles["wave"].stylizer.stylize_pixels(decode(frame))
        assert np.abs(decode(answer[4:]).astype(int) - expected).mean() < 4


def test_the_style_is_switched(address, styles, photo, encode, decode):
    """Frames after the message are painted in the new style; an unknown one is refused, and the old one goes on."""
    frame, (first, second) = encode(photo), styles
    with connect(address) as connection:
        connection.send(json.dumps({"style": second}))
        connection.send(json.dumps({"style": "none such"}))
        assert "style 'none such' is unknown" in json.loads(connection.recv(timeout=30))["error"]
        connection.send(number(1) + frame)
        painted = decode(connection.recv(timeout=30)[4:]).astype(int)
    distances = [
        np.abs(painted - styles[name].stylizer.stylize_pixels(decode(frame))).mean() for name in (second, first)
    ]
    assert distances[0] < 4 < distances[1]


def test_garbage_is_explained_and_the_next_frame_painted(address, photo, encode):
    """Whatever comes instead of a frame is answered by one error, with the number if it had one."""
    garbage = [b"", b"abc", number(9) + b"garbage", number(9) + encode(photo)[:-99], "[]", "{", '{"a": 1}', "[" * 999]
    garbage += [json.dumps({"steadiness": value}) for value in (2, -1, "much", True, None)] + ["x" * 2000]
    with connect(address) as connection:
        for message in garbage:
            connection.send(message)
            answer = json.loads(connection.recv(timeout=30))
            assert answer["error"] and answer["frame"] == (9 if message[:4] == number(9) else None)
        connection.send(number(10) + encode(photo))
        assert connection.recv(timeout=30)[:4] == number(10)


def test_a_frame_of_too_many_pixels_is_refused(address, encode):
    """A small file of many pixels is refused before it is decoded."""
    with connect(address) as connection:
        connection.send(number(1) + encode(np.zeros((2000, 2000, 3), np.uint8), "PNG"))
        assert "4,000,000 pixels" in json.loads(connection.recv(timeout=30))["error"]


def test_a_message_of_too_many_bytes_ends_the_connection(address, photo, encode):
    """It is not even kept; others are served on."""
    with connect(address) as connection:
        with contextlib.suppress(ConnectionClosed):
            connection.send(bytes(5_000_000))
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=30)
    with connect(address) as connection:
        connection.send(number(1) + encode(photo))
        assert connection.recv(timeout=30)[:4] == number(1)


def test_the_latest_frame_wins():
    """Of what is put in while nobody takes, only the last is left, and it is taken once."""

    async def fill_and_take():
        latest = LatestFrame()
        for value in range(1000):
            latest.put(number(value), abs)
        taken, _ = await latest.take()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(latest.take(), 0.05)
        return taken

    assert asyncio.run(fill_and_take()) == number(999)


def test_a_flood_is_thinned_out(address, styles, photo, encode, monkeypatch):
    """From a client that sends faster than the network paints, old frames are dropped; the last one is painted."""
    paint = SteadyStylizer.stylize_pixels
    slow = lambda steady, pixels: time.sleep(0.05) or paint(steady, pixels)  # noqa: E731
    monkeypatch.setattr(SteadyStylizer, "stylize_pixels", slow)
    frame = encode(photo)
    with connect(address) as connection:
        for value in range(300):
            connection.send(number(value) + frame)
        seen = []
        while not seen or seen[-1] != 299:
            seen.append(int.from_bytes(connection.recv(timeout=30)[:4]))
    assert seen == sorted(seen) and len(seen) < 200


def test_a_client_that_never_reads_is_dropped(address, photo, encode, monkeypatch):
    """It fills the sockets' buffers, then its connection ends, and others are painted for all the while."""
    monkeypatch.setattr("nst_fast.live.running.PATIENCE_SECONDS", 0.5)
    big = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    host, port = address.removeprefix("http://").strip("/").split(":")
    raw = socket.create_connection((host, int(port)))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with connect(address, sock=raw, max_queue=1) as connection, connect(address) as other:
        ended = threading.Event()

        def flood():
            with contextlib.suppress(ConnectionClosed, OSError):
                while True:  # nothing is received, so the client's own queue fills and it stops reading
                    connection.send(number(0) + encode(big))
                    time.sleep(0.005)
            ended.set()

        threading.Thread(target=flood, daemon=True).start()
        deadline = time.monotonic() + 60
        while not ended.is_set() and time.monotonic() < deadline:
            other.send(number(1) + encode(photo))
            assert other.recv(timeout=30)[:4] == number(1)
        assert ended.is_set()


def test_too_many_pages_are_sent_away(address, photo, encode):
    """Beyond sixteen connections the next is refused; when one ends, there is room again."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(address)) for _ in range(16)]
        with pytest.raises(InvalidStatus):
            stack.enter_context(connect(address))
        connections[0].close()
        time.sleep(0.3)
        last = stack.enter_context(connect(address))
        last.send(number(1) + encode(photo))
        assert last.recv(timeout=30)[:4] == number(1)
