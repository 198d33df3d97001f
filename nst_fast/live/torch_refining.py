"""Refine, in a process of its own: trains a style of the live page, and tells the server about it while it does.

On its standard input the process takes a line of JSON, `Request`, and after it the lines `pause` and `resume`. On its
standard output it gives a line of JSON whenever there is news, see `Reporter`. It ends, and takes its folder with it,
when its input ends, as it does in any case when the server is gone.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import torch

from nst_fast.errors import NstFastError
from nst_fast.loss_networks.weights import WEIGHT_VARIABLES
from nst_fast.networks.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.networks.torch_network import checkpoint_from_network
from nst_fast.training.loop import Moment, train
from nst_fast.training.settings import TrainSettings

NETWORK_FILE = "network.safetensors"
# Those with the compact loss network come first, as many as `preset=quick` has; they show what a style will be in less
# than a minute. Those with VGG-19 go on until there is little left to gain, or until somebody keeps the style.
COMPACT_STEPS, VGG_STEPS = 112, 200
# Half of the usual: the first stage has found its place, and a high rate leads away from it before it leads on.
_VGG_LEARNING_RATE = 0.005
# A step with VGG-19 takes about so many times as long.
_VGG_COST = 4.5
_SECONDS_BETWEEN_NETWORKS = 3.0
_SMOOTHING = 0.9
_NEVER = 10**9


@dataclasses.dataclass(frozen=True)
class Request:
    """What to train.

    Attributes:
        folder: for everything that the training writes; it is removed at the end.
        style: the file of the style image.
        photos: a folder of photos.
        name: of the style.
        init: the checkpoint to begin with; None: the base network in the predicted style.
    """

    folder: str
    style: str
    photos: str
    name: str
    init: str | None = None


def list_stages(request: Request, *, with_vgg: bool) -> list[TrainSettings]:
    """The trainings, one after the other: with the compact loss network, then with VGG-19 where it is available.

    Two, so that VGG-19, whose weights are large and which first measures the style image and the photos, is waited for
    only after the compact loss network has done its part. That one begins with the scales and shifts alone.
    """
    common = {
        "style": request.style,
        "content": request.photos,
        "name": request.name,
        "warmup_steps": 10,
        "held_out_photos": 0,
        "compact_share": 0.0,
        # Read step by step: to read hundreds of photos first would keep the page waiting.
        "photo_memory_gib": 0.0,
        "workers": 0,
        "log_every_steps": 1,
        "save_every_steps": _NEVER,
        "strip_every_steps": _NEVER,
        "show_progress": False,
    }
    first = TrainSettings.build(
        preset="quick",
        loss_network="compact",
        output=str(Path(request.folder, "compact")),
        init=request.init,
        code_share=0.2,
        steps=COMPACT_STEPS if with_vgg else COMPACT_STEPS + VGG_STEPS,
        **common,
    )
    if not with_vgg:
        return [first]
    second = TrainSettings.build(
        preset="quick",
        loss_network="vgg19",
        output=str(Path(request.folder, "vgg19")),
        init=str(first.folder / f"{request.name}.safetensors"),
        steps=VGG_STEPS,
        learning_rate=_VGG_LEARNING_RATE,
        **common,
    )
    return [first, second]


def has_vgg19() -> bool:
    """Whether its weights are on this computer: the live page downloads nothing by itself."""
    if WEIGHT_VARIABLES["vgg19"] in os.environ:
        return True
    return any(Path(torch.hub.get_dir(), "checkpoints").glob("vgg19-*.pth"))


class Reporter:
    """Tells the server what a training shows of itself, and holds the training while it is paused.

    A line has `step`, `steps` and `seconds_left` (None: not known yet), `terms` (moving means of the losses; empty
    before the first step), and `network`: true where NETWORK_FILE has just been written.

    Args:
        folder: where NETWORK_FILE goes.
        name: of the style.
        stages: see `list_stages`.
        stdout: of this process.
    """

    def __init__(self, folder: Path, name: str, stages: list[TrainSettings], stdout: IO[str]) -> None:
        self.running = threading.Event()
        self.running.set()
        self._folder = folder
        self._name = name
        self._stages = stages
        self._stdout = stdout
        self._stage = 0
        self._written = -_SECONDS_BETWEEN_NETWORKS
        self._last: float | None = None  # when the last step ended
        self._step_seconds: float | None = None
        self._terms: dict[str, float] = {}

    def begin(self, stage: int) -> None:
        """The next training begins."""
        self._stage, self._last, self._step_seconds = stage, None, None
        self._terms = {}  # another loss network has other losses

    def watch(self, moment: Moment) -> None:
        """What `train` calls."""
        now = time.monotonic()
        if self._last is not None:
            seconds = now - self._last
            # A moving mean: what else the computer does comes and goes.
            self._step_seconds = seconds if self._step_seconds is None else 0.8 * self._step_seconds + 0.2 * seconds
        # The crops of a step, and their strengths, differ much from step to step.
        self._terms = {
            name: value + _SMOOTHING * (self._terms.get(name, value) - value)
            for name, value in moment.terms.items()
            if "." not in name  # those of single taps
        }
        # The first one of a training shows what the server has already.
        writes = moment.step > 0 and (now - self._written >= _SECONDS_BETWEEN_NETWORKS or moment.step == moment.steps)
        if writes:
            info = CheckpointInfo(style={"name": self._name})
            save_checkpoint(
                self._folder / NETWORK_FILE, checkpoint_from_network(moment.take_network(), info), dtype="fp32"
            )
            self._written = now
        before = sum(stage.steps for stage in self._stages[: self._stage])
        self.send(
            step=before + moment.step,
            steps=sum(stage.steps for stage in self._stages),
            seconds_left=self._estimate(moment),
            terms=self._terms,
            network=writes,
        )
        self.running.wait()
        self._last = time.monotonic()

    def send(self, **news: Any) -> None:
        """Give the server a line."""
        self._stdout.write(json.dumps(news) + "\n")
        self._stdout.flush()

    def _estimate(self, moment: Moment) -> float | None:
        if self._step_seconds is None:
            return None
        later = sum(_VGG_COST * stage.steps for stage in self._stages[self._stage + 1 :])
        return self._step_seconds * (moment.steps - moment.step + later)


def refine(request: Request, reporter: Reporter, stages: list[TrainSettings]) -> None:
    """Train all stages; the last line names the checkpoint."""
    result = None
    for number, settings in enumerate(stages):
        reporter.begin(number)
        result = train(settings, on_moment=reporter.watch)
    assert result is not None
    reporter.send(finished=str(result.checkpoint))


def _listen(stdin: IO[str], running: threading.Event, folder: Path) -> None:
    for line in stdin:
        {"pause": running.clear, "resume": running.set}[line.strip()]()
    for _ in range(3):  # the training may be writing
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def main() -> None:
    """Serve one request."""
    if hasattr(os, "nice"):
        os.nice(10)  # the picture comes first
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    request = Request(**json.loads(sys.stdin.readline()))
    stages = list_stages(request, with_vgg=has_vgg19())
    reporter = Reporter(Path(request.folder), request.name, stages, sys.stdout)
    threading.Thread(target=_listen, args=(sys.stdin, reporter.running, Path(request.folder)), daemon=True).start()
    try:
        refine(request, reporter, stages)
    except NstFastError as error:
        reporter.send(error=str(error))
    except Exception as error:
        reporter.send(error=f"the training failed ({' '.join(str(error).split())[:200]})")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()  # the server may still read the files; its end is ours


if __name__ == "__main__":
    main()
