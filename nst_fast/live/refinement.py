"""Refine: a style made from an image is trained further in a process of its own, while the page shows it.

The process is `nst_fast.live.torch_refining`. It writes the network of the moment into a file every few seconds; a
thread here reads the file, prepares the network beside the one that is in use, and exchanges them between two frames.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nst_fast.errors import NstFastError
from nst_fast.live.gallery import Style
from nst_fast.networks.checkpoint import load_checkpoint

MAX_POINTS = 400
_NETWORK_FILE = "network.safetensors"  # as torch_refining calls it
_END_SECONDS = 3.0  # in which the process ends by itself; it may be in the middle of a step


class Refinement:
    """One style in training. `close` ends it, whatever becomes of the style.

    Args:
        style: is given the network of the moment, again and again.
        request: of `nst_fast.live.torch_refining`; its folder is removed in the end.

    Attributes:
        style: as given.
        original: its network before.
        state: starting, training, paused, finished or failed.
    """

    def __init__(self, style: Style, request: dict[str, Any]) -> None:
        self.style = style
        self.original = style.checkpoint
        self.state = "starting"
        self._folder = Path(request["folder"])
        self._error: str | None = None
        self._news: dict[str, Any] = {"step": 0, "steps": 0, "seconds_left": None}
        self._losses: list[dict[str, float]] = []
        self._closing = False
        self._lock = threading.Lock()  # of the state
        self._process = _start_process()
        self._tell(json.dumps(request))
        self._thread = threading.Thread(target=self._listen, name="live-refinement", daemon=True)
        self._thread.start()

    def describe(self) -> dict[str, Any]:
        """For the page: `style` and its `version`, `state`, `step` of `steps`, `seconds_left`, `losses`, `error`."""
        news = {name: self._news[name] for name in ("step", "steps", "seconds_left")}
        state = {"style": self.style.name, "state": self.state, "version": self.style.version, "error": self._error}
        return {**state, **news, "losses": self._losses}

    def pause(self) -> None:
        """Train no more for now, from the end of the step that is being taken."""
        with self._lock:
            if self.state in ("starting", "training"):
                self.state = "paused"
                self._tell("pause")

    def resume(self) -> None:
        """Train on after `pause`."""
        with self._lock:
            if self.state == "paused":
                self.state = "training" if self._news["step"] else "starting"
                self._tell("resume")

    def close(self) -> None:
        """End the process; the style keeps the network that it has."""
        self._closing = True
        self._end_process()

    def join(self) -> None:
        """After `close`, wait until no more of the training reaches the style."""
        self._thread.join()

    def _end_process(self) -> None:
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended, which `_listen` reports
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        if sys.platform == "linux":  # where this is a matter of threads: the picture comes first
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        assert self._process.stdout is not None
        try:
            self._take_all(self._process.stdout)
        except (NstFastError, OSError, ValueError) as error:
            self._fail(str(error))
        finally:
            self._end_process()
            self._process.stdout.close()

    def _take_all(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._take(json.loads(line))
            if self.state in ("finished", "failed") or self._closing:
                return
        self._fail("the training ended by itself; there may have been too little memory")

    def _take(self, news: dict[str, Any]) -> None:
        if "error" in news:
            self._fail(news["error"])
            return
        if "finished" in news:
            self._exchange(Path(news["finished"]))
            self._news = {**self._news, "seconds_left": 0.0}
            with self._lock:
                self.state = "finished"
            return
        with self._lock:
            if self.state == "starting":
                self.state = "training"
        self._news = news
        if news["terms"]:
            losses = [*self._losses, {"step": news["step"], **news["terms"]}]
            half = MAX_POINTS // 2
            self._losses = losses if len(losses) <= MAX_POINTS else [*losses[:half:2], *losses[half:]]
        if news["network"]:
            self._exchange(self._folder / _NETWORK_FILE)

    def _exchange(self, file: Path) -> None:
        if self._closing:
            return
        self.style.exchange(load_checkpoint(file))

    def _fail(self, reason: str) -> None:
        with self._lock:
            if not self._closing:
                self._error, self.state = reason, "failed"


def _start_process() -> subprocess.Popen[str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        # -P: a file in the current folder that is named like a module must not be imported.
        [sys.executable, "-P", "-m", "nst_fast.live.torch_refining"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": paths},
        # Ctrl-C is for the server, which ends this process by itself.
        start_new_session=True,
        creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
    )
