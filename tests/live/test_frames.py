"""Frames over the WebSocket: the latest wins, garbage is explained, idle clients make room, and nothing grows."""

import asyncio
import contextlib
import io
import json
import socket
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import websockets.sync.client
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nst_fast.live import limits
from nst_fast.live.frames import LatestFrame
from nst_fast.stylize.look import Look
from nst_fast.stylize.smoothing import FrameStylizer
from nst_fast.stylize.stylizer import Stylizer


def connect(address: str, *, source: str | None = None, **options):
    """A client that is not a browser; `source` is the address that it connects from."""
    if source is not None:
        options["sock"] = connect_from(address, source)
    return websockets.sync.client.connect(address.replace("http", "ws") + "api/frames", compression=None, **options)


def connect_from(address: str, source: str) -> socket.socket:
    """A connection from another address of this computer, which the server takes for another client."""
    if sys.platform != "linux" and source != "127.0.0.1":
        pytest.skip("only Linux has all of 127.0.0.0/8")
    host, port = address.removeprefix("http://").strip("/").split(":")
    return socket.create_connection((host, int(port)), source_address=(source, 0))


def number(value: int) -> bytes:
    """As frames begin."""
    return value.to_bytes(4)


def test_a_frame_comes_back_stylized(address, styles, photo, encode, decode):
    """It carries its number, and is what the network makes of the frame, as near as JPEG allows."""
    frame = encode(photo)
    with connect(address) as connection:
        connection.send(number(7) + frame)
        answer = connection.recv(timeout=30)
        assert answer[:4] == number(7)
        expected = styles["wave"].stylizer.stylize_pixels(decode(frame))
        assert np.abs(decode(answer[4:]).astype(int) - expected).mean() < 4


def test_the_style_is_switched(address, styles, photo, encode, decode):
    """Frames after the message are stylized in the new style; an unknown one is refused, and the old one goes on."""
    frame, (first, second) = encode(photo), styles
    with connect(address) as connection:
        connection.send(json.dumps({"style": second}))
        connection.send(json.dumps({"style": "none such"}))
        assert "style 'none such' is unknown" in json.loads(connection.recv(timeout=30))["error"]
        connection.send(number(1) + frame)
        stylized = decode(connection.recv(timeout=30)[4:]).astype(int)
    distances = [
        np.abs(stylized - styles[name].stylizer.stylize_pixels(decode(frame))).mean() for name in (second, first)
    ]
    assert distances[0] < 4 < distances[1]


def test_frames_have_looks_of_their_own(address, styles, photo, encode, decode):
    """Each connection has its look, though they share a network, until a text message changes it."""
    frame, style = encode(photo), next(iter(styles.values()))
    with connect(address) as one, connect(address) as other:
        one.send(json.dumps({"look": "stroke_size=2&keep_color=luminance"}))
        for connection in (one, other):
            connection.send(number(1) + frame)
        shown = [decode(connection.recv(timeout=30)[4:]).astype(int) for connection in (one, other)]
        one.send(json.dumps({"look": ""}))
        one.send(number(2) + frame)
        shown.append(decode(one.recv(timeout=30)[4:]).astype(int))
        for wrong in ("strength=0.5", "stroke_size=9", "region=/etc/passwd", "look"):
            one.send(json.dumps({"look": wrong}))
            one.send(number(3) + frame)
            assert "error" in json.loads(one.recv(timeout=30)), wrong
            one.send(json.dumps({"look": ""}))
            with contextlib.suppress(TimeoutError):
                one.recv(timeout=1)
    for look, result in zip((Look(stroke_size=2, keep_color="luminance"), Look(), Look()), shown, strict=True):
        expected = Stylizer(style.stylizer.checkpoint, device="cpu", look=look).stylize_pixels(decode(frame))
        assert np.abs(result - expected).mean() < 4
    assert np.abs(shown[0] - shown[1]).mean() > 4


def test_coherence_carries_outputs_over(address, styles, photo, encode, decode):
    """Frames of a connection that asks for it are those of `Stylizer.for_frames`, which follows the camera."""
    checkpoint = next(iter(styles.values())).stylizer.checkpoint
    expected = Stylizer(checkpoint, device="cpu").for_frames(0.5, 0.8, follow_camera=True)
    frames = [encode(np.roll(photo, (3 * number, number), (0, 1))) for number in range(3)]
    with connect(address) as connection:
        connection.send(json.dumps({"smoothing": 0.5, "coherence": 0.8}))
        for value, frame in enumerate(frames):
            connection.send(number(value) + frame)
            shown = decode(connection.recv(timeout=30)[4:]).astype(int)
            assert np.abs(shown - expected.stylize_pixels(decode(frame))).mean() < 4


def test_too_small_strokes_are_refused(address, encode):
    """A large frame with small strokes would be too much work; a small one is not."""
    with connect(address) as connection:
        connection.send(json.dumps({"look": "stroke_size=0.5"}))
        connection.send(number(1) + encode(np.zeros((1080, 1920, 3), np.uint8)))
        answer = json.loads(connection.recv(timeout=30))
        assert answer["error"].startswith("stroke_size 0.5 is too small for frames of 1920 x 1080")
        assert answer["frame"] == 1


def test_garbage_is_explained_and_the_next_frame_stylized(address, photo, encode):
    """Whatever comes instead of a frame is answered by one error, with the number if it had one."""
    garbage = [b"", b"abc", number(9) + b"garbage", number(9) + encode(photo)[:-99], "[]", "{", '{"a": 1}', "[" * 999]
    for name in ("smoothing", "coherence"):
        garbage += [json.dumps({name: value}) for value in (2, -1, "much", True, None)]
    garbage.append("x" * 2000)
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
        connection.send(number(1) + encode(np.zeros((2000, 2000, 3), np.uint8)))
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
    """From a client that sends faster than the network works, old frames are dropped; the last one is stylized."""
    stylize = FrameStylizer.stylize_pixels
    slow = lambda frames, pixels: time.sleep(0.05) or stylize(frames, pixels)  # noqa: E731
    monkeypatch.setattr(FrameStylizer, "stylize_pixels", slow)
    frame = encode(photo)
    with connect(address) as connection:
        for value in range(300):
            connection.send(number(value) + frame)
        seen = []
        while not seen or seen[-1] != 299:
            seen.append(int.from_bytes(connection.recv(timeout=30)[:4]))
    assert seen == sorted(seen) and len(seen) < 200


def test_a_client_that_never_reads_is_dropped(address, photo, encode, monkeypatch):
    """It fills the sockets' buffers, then its connection ends, and others are stylized for all the while."""
    monkeypatch.setattr("nst_fast.live.limits.WRITE_STALL_SECONDS", 0.5)
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


def test_only_jpeg_frames_are_decoded(address, photo, encode):
    """Other formats, some of which take long to decode, are refused by their first bytes."""
    with connect(address) as connection:
        for name in ("PNG", "WEBP", "GIF", "TIFF", "BMP"):
            connection.send(number(1) + encode(photo, name))
            assert "the frame is not a JPEG" in json.loads(connection.recv(timeout=30))["error"]


def test_frames_of_many_scans_are_refused(address, photo):
    """A progressive JPEG is stylized; one whose scans are repeated, each of which takes time, is not decoded."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    with connect(address) as connection:
        connection.send(number(1) + data)
        assert connection.recv(timeout=30)[:4] == number(1)
        connection.send(number(2) + data[:last] + data[last:-2] * 30 + data[-2:])
        assert "more than the limit of 12" in json.loads(connection.recv(timeout=30))["error"]


def keep_busy(connections, frame: bytes) -> None:
    """All of them have just sent a frame and got it back."""
    for connection in connections:
        connection.send(number(1) + frame)
    for connection in connections:
        assert connection.recv(timeout=30)[:4] == number(1)


def test_one_client_cannot_take_all_places(address, photo, encode, monkeypatch):
    """Eight busy connections of one client are enough; others still get in; when one ends, there is room again."""
    monkeypatch.setattr(limits, "SESSION_BUSY_SECONDS", 30.0)
    with contextlib.ExitStack() as stack:
        greedy = [stack.enter_context(connect(address, source="127.0.0.2")) for _ in range(8)]
        keep_busy(greedy, encode(photo))
        with pytest.raises(InvalidStatus):
            stack.enter_context(connect(address, source="127.0.0.2"))
        keep_busy([stack.enter_context(connect(address))], encode(photo))
        greedy[0].close()
        time.sleep(0.3)
        keep_busy([stack.enter_context(connect(address, source="127.0.0.2"))], encode(photo))


def test_a_newcomer_gets_a_place_from_those_who_have_several(address, photo, encode, monkeypatch):
    """Two clients that fill all places with busy connections do not lock out a third, which may have as many."""
    monkeypatch.setattr(limits, "SESSION_BUSY_SECONDS", 30.0)
    with contextlib.ExitStack() as stack:
        for source in ("127.0.0.2", "127.0.0.3"):
            keep_busy([stack.enter_context(connect(address, source=source)) for _ in range(8)], encode(photo))
        honest = [stack.enter_context(connect(address)) for _ in range(5)]
        keep_busy(honest, encode(photo))
        with pytest.raises(InvalidStatus):
            stack.enter_context(connect(address))


@pytest.mark.parametrize("sources", [["127.0.0.1"], ["127.0.0.2", "127.0.0.3"]])
def test_idle_connections_make_room(address, photo, encode, monkeypatch, sources):
    """Sixteen connections that send nothing, of one client or of two, do not lock out anyone."""
    monkeypatch.setattr(limits, "SESSION_BUSY_SECONDS", 0.2)
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(address, source=sources[n % len(sources)])) for n in range(8)]
        time.sleep(0.3)
        idle += [stack.enter_context(connect(address, source=sources[n % len(sources)])) for n in range(8)]
        time.sleep(0.3)
        keep_busy([stack.enter_context(connect(address))], encode(photo))
        with pytest.raises(ConnectionClosed):
            idle[0].recv(timeout=5)
        if len(sources) == 1:
            assert idle[0].close_code == 4000


def test_waiting_for_a_slow_frame_is_not_idle(address, photo, encode, monkeypatch):
    """However long the network takes, a client that waits for its frame keeps its place."""
    monkeypatch.setattr(limits, "SESSION_BUSY_SECONDS", 0.1)
    monkeypatch.setattr(limits, "SESSION_IDLE_SECONDS", 0.3)
    monkeypatch.setattr(limits, "MAX_SESSIONS_PER_CLIENT", 1)
    stylize = FrameStylizer.stylize_pixels
    slow = lambda frames, pixels: time.sleep(1) or stylize(frames, pixels)  # noqa: E731
    monkeypatch.setattr(FrameStylizer, "stylize_pixels", slow)
    with connect(address) as connection:
        connection.send(number(1) + encode(photo))
        time.sleep(0.5)
        with pytest.raises(InvalidStatus), connect(address):
            pass
        assert connection.recv(timeout=30)[:4] == number(1)


def test_an_idle_connection_is_closed(address, photo, encode, monkeypatch):
    """After a while without frames, but not while frames come; the close code tells the page not to worry."""
    monkeypatch.setattr(limits, "SESSION_IDLE_SECONDS", 0.6)
    with connect(address) as connection:
        for _ in range(6):
            time.sleep(0.2)
            keep_busy([connection], encode(photo))
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=5)
        assert connection.close_code == 4000


def test_a_flood_of_pings_is_not_answered_without_end(address, photo, encode):
    """A client that pings and never reads does not fill the server's memory, and others are served."""
    raw = connect_from(address, "127.0.0.1")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = raw.getpeername()
    raw.sendall(
        f"GET /api/frames HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b"101" in raw.recv(200)
    before = resident_megabytes()
    ping = b"\x89\xfd" + bytes(4) + bytes(125)  # masked, of 125 bytes
    with contextlib.closing(raw), contextlib.suppress(OSError):
        raw.settimeout(30)
        for _ in range(400):
            raw.sendall(ping * 4000)  # 0.5 MB
    assert resident_megabytes() - before < 50
    with connect(address) as connection:
        keep_busy([connection], encode(photo))


def resident_megabytes() -> float:
    """Of this process, in which the server runs."""
    return psutil.Process().memory_info().rss / 1e6
