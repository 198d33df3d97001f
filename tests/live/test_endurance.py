"""Hours of use in minutes: memory, threads and open files stay what they were."""

import contextlib
import gc
import os
import socket
import sys
import threading
from pathlib import Path

import pytest
import websockets.sync.client

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def resident_megabytes() -> float:
    """Of this process, in which server and client run."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def connect(address: str):
    return websockets.sync.client.connect(address.replace("http", "ws") + "api/frames", compression=None)


def test_half_an_hour_of_frames_leaves_memory_flat(address, photo, encode):
    """30 minutes at 12 frames a second, sent as fast as they are stylized, two of them on the way."""
    frame, frames = encode(photo), 30 * 60 * 12
    with connect(address) as connection:
        for number in range(frames):
            connection.send(number.to_bytes(4) + frame)
            if number:
                connection.recv(timeout=60)
            if number == frames // 10:
                early = resident_megabytes()
    assert resident_megabytes() - early < 20


def test_thousands_of_reconnects_leave_nothing_behind(address, photo, encode):
    """Clients that come, send a frame, garbage or nothing, and go with or without a word."""
    frame = bytes(4) + encode(photo)
    host, port = address.removeprefix("http://").strip("/").split(":")

    def come_and_go(times: int) -> None:
        for number in range(times):
            if number % 4 == 0:
                with contextlib.closing(socket.create_connection((host, int(port)))) as raw:
                    raw.send(b"GET /api/frames HTTP/1.1\r\nHost: nobody\r\nUpgrade: websocket\r\n" * (number % 3))
                continue
            with connect(address) as connection:
                if number % 4 == 1:
                    connection.send(frame)
                    connection.recv(timeout=60)
                elif number % 4 == 2:
                    connection.send(frame)
                    connection.socket.shutdown(socket.SHUT_RDWR)

    come_and_go(200)
    files, threads, early = len(os.listdir("/proc/self/fd")), threading.active_count(), resident_megabytes()
    come_and_go(3000)
    with connect(address) as connection:
        connection.send(frame)
        assert connection.recv(timeout=60)[:4] == bytes(4)
    assert len(os.listdir("/proc/self/fd")) <= files + 20
    assert threading.active_count() <= threads + 2
    assert resident_megabytes() - early < 20
