"""A long time of everything at once: memory, open files and threads stay what they are after the warm-up.

    python tests/torture/soak.py --minutes 60 --seed 0

Four clients send frames of changing sizes and styles to the live page, about four a second together. A training is
interrupted every five minutes and resumed. A film of an hour is stylized. So that this lasts and leaves the computer
to others, the film and the training are held up most of the time (SIGSTOP).

The processes are measured every few seconds. The first third of the time, at most ten minutes, is warm-up. In half
an hour or more the memory of the page and of the film may then grow by less than 1 MB an hour, by the slope of a
straight line through all measurements; in a shorter time by less than 10 MB. Linux only.
"""

import argparse
import contextlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import websockets.exceptions
import websockets.sync.client
from attacked_page import encode_jpeg
from small_jobs import TRAIN, make_film, make_photos, make_style, start
from verdict import fail

_SIZES = (64, 128, 192, 320)
_STYLES = ("wave", "udnie", "starry_night", "the_scream")
_SMOOTHINGS = (0.0, 0.5, 0.9)
_LONG_MINUTES = 30.0  # from which on the memory is judged by its slope
_FILM_SECONDS, _FILM_RATE = 3600, 10
_EVERY_SECONDS = 5.0
_END_SECONDS = 600.0  # a busy computer may take minutes for the imports alone
_FILM_MINUTES = 3.2  # that the film takes by itself


class Client(threading.Thread):
    """Sends a frame a second or so, until told to stop.

    Attributes:
        frames: that came back.
        problem: what went wrong; None: nothing.
    """

    def __init__(self, address: str, seed: str, stopping: threading.Event, choices: int) -> None:
        super().__init__(daemon=True)
        self.frames = 0
        self.problem: str | None = None
        self._address, self._chance, self._stopping = address, random.Random(seed), stopping
        self._pictures = [encode_jpeg(side) for side in _SIZES[:choices]]
        self._settings = [(style, smoothing) for style in _STYLES[:choices] for smoothing in _SMOOTHINGS[:choices]]

    def run(self) -> None:
        picture = self._pictures[0]
        try:
            while not self._stopping.is_set():
                with websockets.sync.client.connect(self._address, compression=None) as connection:
                    for _ in range(self._chance.randrange(20, 200)):  # then it connects again
                        picture = self._chance.choice(self._pictures) if self._chance.random() < 0.1 else picture
                        self._send_frame(connection, picture)
                        if self._stopping.wait(self._chance.uniform(0.5, 1.5)):
                            return
        except (OSError, TimeoutError, websockets.exceptions.WebSocketException) as error:
            self.problem = f"a client got {type(error).__name__}: {error}"

    def _send_frame(self, connection: websockets.sync.client.ClientConnection, picture: bytes) -> None:
        if self._chance.random() < 0.1:
            style, smoothing = self._chance.choice(self._settings)
            connection.send(f'{{"style": "{style}", "smoothing": {smoothing}}}')
        connection.send(self.frames.to_bytes(4) + picture)
        answer = connection.recv(timeout=60)
        if not isinstance(answer, bytes):
            raise OSError(str(answer)[:200])
        self.frames += 1


class Watched:
    """A process with its children, measured now and then.

    Attributes:
        samples: (seconds, bytes, open files, threads) of each measurement.
    """

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self.name, self.process = name, process
        self.samples: list[tuple[float, int, int, int]] = []
        self._watched = psutil.Process(process.pid)

    def measure(self, seconds: float) -> None:
        """Anonymous memory counts; what is mapped from files comes and goes with the cache of the system."""
        with contextlib.suppress(psutil.Error, OSError):
            everyone = [self._watched, *self._watched.children(recursive=True)]
            memory = sum(_read_anonymous_bytes(each.pid) for each in everyone)
            files, threads = sum(each.num_fds() for each in everyone), sum(each.num_threads() for each in everyone)
            self.samples.append((seconds, memory, files, threads))

    def judge(self, warm_up: float, most_per_hour: float | None) -> tuple[str, list[str]]:
        """What was measured after the warm-up, in words, and what is wrong with it."""
        after = np.array([sample for sample in self.samples if sample[0] >= warm_up], float)
        if len(after) < 10:
            return f"{self.name}: too short to measure", [f"the {self.name} ended early"]
        seconds, memory, files, threads = after.T
        slope = float(np.polyfit(seconds / 3600, memory / 1e6, 1)[0])
        tenth = max(3, len(after) // 10)
        grown = {
            "open files": np.median(files[-tenth:]) - np.median(files[:tenth]),
            "threads": np.median(threads[-tenth:]) - np.median(threads[:tenth]),
        }
        # A network that makes room for another has a thread or two of its own.
        allowed_threads = max(1.0, 0.05 * float(np.median(threads)))
        hours = (seconds[-1] - seconds[0]) / 3600
        wrong = [
            f"the {self.name} has {more:+.0f} {what}"
            for what, more in grown.items()
            if more > (allowed_threads if what == "threads" else 1)
        ]
        allowed = 10.0 if most_per_hour is None else most_per_hour * hours
        if slope * hours >= allowed:
            wrong.append(f"the memory of the {self.name} grows by {slope:.2f} MB an hour")
        words = (
            f"{self.name}: {np.median(memory) / 1e6:.0f} MB, {slope:+.2f} MB an hour, "
            f"{np.median(files):.0f} files, {np.median(threads):.0f} threads"
        )
        return words, wrong


class Training:
    """A training that is interrupted every few minutes, each time in another way, and resumed.

    Attributes:
        cuts: how often that was.
        memory: in bytes at each cut.
    """

    def __init__(self, folder: Path, cut_seconds: float) -> None:
        self.cuts, self.memory = 0, []
        self._folder, self._seconds = folder, cut_seconds
        self.process = self._start()
        self._cut_at = time.monotonic() + cut_seconds

    def _start(self) -> "subprocess.Popen[str]":
        with open(self._folder / "training.log", "a") as log:
            return start(self._folder, *TRAIN, "steps=1000000", "output=run", stdout=log, stderr=subprocess.STDOUT)

    def cut_if_due(self) -> None:
        if time.monotonic() < self._cut_at:
            return
        self.memory.append(_read_anonymous_bytes(self.process.pid))
        self.end((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[self.cuts % 3])
        self.cuts += 1
        self.process = self._start()
        self._cut_at = time.monotonic() + self._seconds

    def end(self, number: signal.Signals) -> None:
        """Send the signal, and wait for the end."""
        if self.process.poll() is not None:
            fail(f"the training ended with status {self.process.returncode}: {self.read_log()[-300:]}")
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            fail(f"the training still runs {_END_SECONDS:.0f} s after {number.name}")

    def read_log(self) -> str:
        return (self._folder / "training.log").read_text()


def _read_anonymous_bytes(pid: int) -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return 1024 * int(found[1]) if found else 0


def hold_up(shares: "dict[subprocess.Popen[str], float]", seconds: float) -> None:
    """Let each of these processes work for its share of the time, and stand still for the rest."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slept = 0.0
        for process in shares:
            process.send_signal(signal.SIGCONT)  # does nothing to one that has ended
        for process, share in sorted(shares.items(), key=lambda item: item[1]):
            time.sleep(share - slept)
            slept = share
            if share < 1:
                process.send_signal(signal.SIGSTOP)
        time.sleep(1 - slept)


def soak(folder: Path, minutes: float, seed: int, log: Path | None) -> str:
    """Run everything for so long; returns what was measured, or ends the program at what is wrong."""
    make_photos(folder / "photos", 12)
    make_style(folder / "style.png")
    make_film(folder / "film.mp4", _FILM_SECONDS * _FILM_RATE, rate=_FILM_RATE)
    server = start(folder, "live", "--port", "0", "--no-browser", stdout=subprocess.PIPE)
    assert server.stdout is not None
    found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
    assert found, "the server did not start"
    film = start(folder, "stylize", "film.mp4", "--style", "wave", "--output", "out", stderr=subprocess.DEVNULL)
    training = Training(folder, min(300.0, 15 * minutes))
    stopping = threading.Event()
    address = f"ws://127.0.0.1:{found[1]}/api/frames"
    # A short run would only see networks being loaded, so it has one style.
    choices = len(_SIZES) if minutes >= _LONG_MINUTES else 1
    clients = [Client(address, f"{seed} {number}", stopping, choices) for number in range(4)]
    for client in clients:
        client.start()
    watched = [Watched("page", server), Watched("film", film)]
    share = min(1.0, _FILM_MINUTES / minutes)
    began = time.monotonic()
    try:
        while (seconds := time.monotonic() - began) < 60 * minutes:
            for each in watched:
                each.measure(seconds)
            if log is not None:
                log.write_text("\n".join(f"{each.name} {sample}" for each in watched for sample in each.samples))
            training.cut_if_due()
            problems = [client.problem for client in clients if client.problem]
            problems += [f"the {each.name} has ended" for each in watched if each.process.poll() not in (None, 0)]
            if problems:
                fail(f"{problems[0]} after {seconds:.0f} s")
            hold_up({film: share, training.process: min(1.0, 4 * share)}, _EVERY_SECONDS)
        stopping.set()
        training.end(signal.SIGINT)
        warm_up, most_per_hour = 60 * min(10.0, minutes / 3), 1.0 if minutes >= _LONG_MINUTES else None
        judged = [each.judge(warm_up, most_per_hour) for each in watched]
        for _, wrong in judged:
            for problem in wrong:
                fail(problem)
        if "Traceback" in training.read_log():
            fail(f"the training: {training.read_log()[-300:]}")
    finally:
        for process in (server, film, training.process):
            process.kill()
    most = max(training.memory, default=0) / 1e6
    counts = f"{sum(client.frames for client in clients)} frames, {training.cuts} cuts of the training ({most:.0f} MB)"
    return "; ".join([counts, *(words for words, _ in judged)])


def main() -> None:
    """Soak, and print a verdict of one line."""
    parser = argparse.ArgumentParser(description="A long time of everything at once.")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=60.0, help="(default: %(default)s)")
    parser.add_argument("--log", type=Path, help="also write all measurements to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = soak(Path(folder), options.minutes, options.seed, options.log)
    print(f"{sys.argv[0]}: {options.minutes:g} minutes, seed {options.seed}, 0 violations: {measured}")


if __name__ == "__main__":
    main()
