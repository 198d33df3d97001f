"""The live page under attack: an honest client is served all the while, memory stays bounded, Ctrl-C ends it.

    python tests/torture/attacked_page.py --seconds 60 --seed 1

Attackers from many addresses (Linux: 127.0.1.x) open silent and slow connections, idle and flooding WebSockets, send
oversized uploads, scan bombs and garbage, reconnect without end, and try names and origins that are not the server's.
Meanwhile an honest client asks for the page and has frames stylized. Exit status 1 at the first broken promise.
"""

import argparse
import contextlib
import io
import json
import logging
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable

import numpy as np
import psutil
import websockets.exceptions
import websockets.sync.client
from PIL import Image

MAX_SECONDS = 2.0  # p99 of the honest client
MAX_BYTES = 1_500_000_000
MAX_END_SECONDS = 5.0
_LOST = (OSError, TimeoutError, websockets.exceptions.WebSocketException)


def encode_jpeg(side: int, **options: object) -> bytes:
    """A square JPEG of this side in pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((side, side)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def make_scan_bomb(side: int, scans: int) -> bytes:
    """A small progressive JPEG that repeats its last scan."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 150)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


class Attack:
    """What attackers share: where the server is, when to stop, and how often each attack was made."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.seed = seed
        self.stopping = threading.Event()
        self.counts: Counter[str] = Counter()
        self.frame = encode_jpeg(256)
        self.bombs = [make_scan_bomb(4000, 85), make_scan_bomb(4000, 3000), make_scan_bomb(1200, 95)]
        self.violations: list[str] = []

    def dial(self, chance: random.Random) -> socket.socket:
        """A connection from one of fifty addresses."""
        source = f"127.0.1.{chance.randrange(1, 51)}" if sys.platform == "linux" else "127.0.0.1"
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(source, 0))
        raw.settimeout(10)
        return raw

    def head(self, line: str, *lines: str) -> bytes:
        return "\r\n".join([line, f"Host: 127.0.0.1:{self.port}", *lines, "", ""]).encode()

    def open_frames(self, chance: random.Random):
        address = f"ws://127.0.0.1:{self.port}/api/frames"
        return websockets.sync.client.connect(address, sock=self.dial(chance), compression=None, open_timeout=10)


def stay_silent(attack: Attack, chance: random.Random) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            raw = stack.enter_context(attack.dial(chance))
            raw.sendall(attack.head("GET / HTTP/1.1")[: chance.randrange(30)])
        attack.stopping.wait(chance.uniform(0, 5))


def trickle(attack: Attack, chance: random.Random) -> None:
    with attack.dial(chance) as raw:
        raw.sendall(attack.head("POST /api/stylize HTTP/1.1", "Content-Length: 30000000"))
        for _ in range(50):
            raw.sendall(b"x" * chance.randrange(1, 100))
            if attack.stopping.wait(0.1):
                return


def sit_idle(attack: Attack, chance: random.Random) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(chance.randrange(1, 20)):
            with contextlib.suppress(*_LOST):
                stack.enter_context(attack.open_frames(chance))
        attack.stopping.wait(chance.uniform(0, 5))


def flood(attack: Attack, chance: random.Random) -> None:
    with attack.open_frames(chance) as connection:
        for _ in range(200):
            message = chance.choice([attack.frame, attack.bombs[2], chance.randbytes(5000), attack.frame[:-50]])
            connection.send(bytes(4) + message)
            if chance.random() < 0.2:
                connection.send(chance.choice(["{", '{"style": "x"}', '{"smoothing": 0.5}', "x" * 3000]))
            if attack.stopping.is_set():
                return


def upload(attack: Attack, chance: random.Random) -> None:
    body = chance.choice([*attack.bombs, bytes(39_000_000), bytes(41_000_000), encode_jpeg(2000)])
    lines = [f"Content-Length: {len(body)}"]
    with attack.dial(chance) as raw:
        raw.sendall(attack.head(f"POST /api/stylize?size={chance.choice([16, 640, 8192])} HTTP/1.1", *lines))
        with contextlib.suppress(*_LOST):
            raw.sendall(body)
        raw.recv(1000)


def come_and_go(attack: Attack, chance: random.Random) -> None:
    for _ in range(100):
        with attack.dial(chance) as raw:
            raw.sendall(chance.choice([b"", b"\r\n", chance.randbytes(50), attack.head("GET / HTTP/1.1")]))


def pretend(attack: Attack, chance: random.Random) -> None:
    """Every Host and Origin that is not the server's is refused."""
    own = f"127.0.0.1:{attack.port}"
    hosts = [
        own,
        "evil.example",
        f"evil.example:{attack.port}",
        "127.0.0.1",
        f"127.0.0.1.evil.example:{attack.port}",
        "",
    ]
    origins = [None, f"http://{own}", "null", "http://evil.example", f"http://{own}.evil.example", "http://127.0.0.1:1"]
    host, origin = chance.choice(hosts), chance.choice(origins)
    lines = [f"Host: {host}", "Connection: close"] + ([] if origin is None else [f"Origin: {origin}"])
    with attack.dial(chance) as raw:
        raw.sendall("\r\n".join(["GET /api/styles HTTP/1.1", *lines, "", ""]).encode())
        answer = raw.recv(100)
    allowed = host == own and origin in (None, f"http://{own}")
    if answer.startswith(b"HTTP/1.1 200") and not allowed:
        attack.violations.append(f"host {host!r} and origin {origin!r} were let in")


ATTACKS: list[Callable[[Attack, random.Random], None]] = [
    stay_silent,
    trickle,
    sit_idle,
    flood,
    upload,
    come_and_go,
    pretend,
]


def attack_until_stopped(attack: Attack, number: int) -> None:
    """One attacker: one attack after the other."""
    chance = random.Random(f"{attack.seed} {number}")
    while not attack.stopping.is_set():
        action = ATTACKS[number % len(ATTACKS)] if chance.random() < 0.5 else chance.choice(ATTACKS)
        with contextlib.suppress(*_LOST):
            action(attack, chance)
        attack.counts[action.__name__] += 1


def be_honest(port: int, seconds: float) -> list[float]:
    """How long each request of an honest client took."""
    address, waits, frame = f"http://127.0.0.1:{port}/", [], encode_jpeg(256)
    began = time.monotonic()
    end = began + seconds
    while time.monotonic() < end:
        with contextlib.suppress(websockets.exceptions.InvalidHandshake):  # all places are taken: as the page does
            frames = websockets.sync.client.connect(address.replace("http", "ws") + "api/frames", compression=None)
            break
        time.sleep(0.5)
    waits.append(time.monotonic() - began)
    with frames:
        while time.monotonic() < end:
            for ask in ("page", "frame"):
                began = time.monotonic()
                if ask == "page":
                    urllib.request.urlopen(address, timeout=30).close()
                else:
                    frames.send(bytes(4) + frame)
                    frames.recv(timeout=30)
                waits.append(time.monotonic() - began)
            time.sleep(0.1)
    return waits


def watch_memory(server: psutil.Process, client: "subprocess.Popen[str]") -> int:
    """The most memory that the server and its decoders take, until the client has ended."""
    most = 0
    while client.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            most = max(most, sum(each.memory_info().rss for each in (server, *server.children())))
        time.sleep(0.1)
    return most


def main() -> None:
    """Attack, and print a verdict of one line."""
    parser = argparse.ArgumentParser(description="The live page under attack.")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of attack (default: %(default)s)")
    parser.add_argument("--attackers", type=int, default=14, help="at a time (default: %(default)s)")
    parser.add_argument("--honest", type=int, metavar="PORT", help="be the honest client, in a process of its own")
    options = parser.parse_args()
    if options.honest:
        print(json.dumps(be_honest(options.honest, options.seconds)))
        return
    logging.disable()  # what attackers get back is not worth a word
    command = [sys.executable, "-m", "nst_fast.cli.main", "live", "--style", "wave", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
        assert found, "the server did not start"
        attack = Attack(int(found[1]), options.seed)
        threads = [
            threading.Thread(target=attack_until_stopped, args=(attack, number), daemon=True)
            for number in range(options.attackers)
        ]
        for thread in threads:
            thread.start()
        honest = [sys.executable, __file__, "--honest", str(attack.port), "--seconds", str(options.seconds)]
        with subprocess.Popen(honest, stdout=subprocess.PIPE, text=True) as client:
            most = watch_memory(psutil.Process(server.pid), client)
            answer = client.communicate()[0]
        began = time.monotonic()
        server.send_signal(signal.SIGINT)  # with the attackers still at it
        _, errors = server.communicate(timeout=60)
        end = time.monotonic() - began
        attack.stopping.set()
    if not answer:
        raise SystemExit(
            f"{sys.argv[0]}: VIOLATION: the honest client was cut off; repeat it with --seed {options.seed}"
        )
    waits = json.loads(answer)
    p99 = statistics.quantiles(waits, n=100)[98]
    violations = attack.violations
    violations += [f"the honest client's p99 was {p99:.2f} s"] if p99 > MAX_SECONDS else []
    violations += [f"the server took {most / 1e6:.0f} MB"] if most > MAX_BYTES else []
    violations += [f"Ctrl-C took {end:.1f} s"] if end > MAX_END_SECONDS else []
    violations += [f"status {server.returncode}: {errors[-300:]}"] if server.returncode or errors else []
    counts = ", ".join(f"{count} {name}" for name, count in sorted(attack.counts.items()))
    if violations:
        print(f"{sys.argv[0]}: VIOLATION: {violations[0]}\nrepeat it with --seed {options.seed} ({counts})")
        raise SystemExit(1)
    print(
        f"{sys.argv[0]}: {len(waits)} honest requests, p99 {p99:.2f} s, slowest {max(waits):.2f} s, "
        f"{most / 1e6:.0f} MB, Ctrl-C {end:.1f} s, seed {options.seed}, 0 violations ({counts})"
    )


if __name__ == "__main__":
    main()
