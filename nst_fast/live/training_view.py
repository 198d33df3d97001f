"""A training as the page shows it: its losses, its strip of photos, and a style that stylizes with its network."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_fast.errors import TrainingError
from nst_fast.live.gallery import Style
from nst_fast.networks.checkpoint import Checkpoint

if TYPE_CHECKING:
    from nst_fast.training.loop import Moment

MAX_POINTS = 400


class TrainingView:
    """Watches a training from its own thread, and answers in the threads of the server.

    What it holds is replaced, never changed, so that neither thread waits for the other.

    Args:
        name: of the style.
        strip: the file that the training writes its latest strip to.
        take_snapshot: copies the network that trains into a checkpoint, see `torch_network.checkpoint_from_network`.
            It comes from outside, since this half of the program needs no PyTorch.

    Attributes:
        style: stylizes with a copy of the network, on the CPU: visitors of the page must never take the memory of the
            device that trains.
    """

    def __init__(self, name: str, strip: Path, take_snapshot: Callable[[Any], Checkpoint]) -> None:
        self.style = Style(name, {"title": f"{name}, in training"}, self._read_checkpoint, device="cpu")
        self._strip = strip
        self._take_snapshot = take_snapshot
        self._checkpoint: Checkpoint | None = None
        self._step = self._steps = 0
        self._losses: list[dict[str, float]] = []

    def watch(self, moment: "Moment") -> None:
        """Take what `train` shows of itself."""
        self._checkpoint = self._take_snapshot(moment.take_network())
        if self._checkpoint.description.adjustable:
            self.style.about["adjustable"] = True
        self._step, self._steps = moment.step, moment.steps
        if moment.terms:
            losses = [*self._losses, {"step": moment.step, **moment.terms}]
            # Every other entry of the older half goes, so that a long training stays a short list.
            half = MAX_POINTS // 2
            self._losses = losses if len(losses) <= MAX_POINTS else [*losses[:half:2], *losses[half:]]

    def describe(self) -> dict[str, Any]:
        """`step` of `steps`, `losses` so far, and `strip`: a number that changes with it; None: there is none."""
        try:
            strip = self._strip.stat().st_mtime_ns // 1_000_000
        except OSError:
            strip = None
        return {"step": self._step, "steps": self._steps, "losses": self._losses, "strip": strip}

    def read_strip(self) -> bytes | None:
        """The latest strip, a JPEG; None: there is none yet."""
        try:
            return self._strip.read_bytes()
        except OSError:
            return None

    def _read_checkpoint(self) -> Checkpoint:
        if self._checkpoint is None:
            raise TrainingError("the training is still preparing; there is no network yet, try again in a moment")
        return self._checkpoint
