"""A training as the page shows it: its losses, its strip of photos, and the network of this moment as a style."""

import copy
from pathlib import Path
from typing import Any

from nst_fast.errors import TrainingError
from nst_fast.live.gallery import Style
from nst_fast.training.loop import Moment
from nst_fast.transform_nets import TransformNet

MOST_POINTS = 400


class TrainingView:
    """Watches a run from the thread that trains, and answers in the threads of the server.

    What it holds is replaced, never changed, so that neither thread waits for the other.

    Args:
        name: of the style.
        strip: the file that the run writes its latest strip to.

    Attributes:
        style: paints with a copy of the network of the last moment, by PyTorch where it is trained, since the other
            engines take longer to prepare than a moment lasts.
    """

    def __init__(self, name: str, strip: Path) -> None:
        self.style = Style(name, {"title": f"{name}, in training"}, self._read_network)
        self._strip = strip
        self._network: TransformNet | None = None
        self._step = self._steps = 0
        self._losses: list[dict[str, float]] = []

    def watch(self, moment: Moment) -> None:
        """Takes what `train` shows of itself."""
        self._network = copy.deepcopy(moment.network).eval().requires_grad_(False)
        self._step, self._steps = moment.step, moment.steps
        if moment.terms:
            losses = [*self._losses, {"step": moment.step, **moment.terms}]
            # Every other one of the older half goes, so that a long run stays a short list.
            half = MOST_POINTS // 2
            self._losses = losses if len(losses) <= MOST_POINTS else [*losses[:half:2], *losses[half:]]

    def describe(self) -> dict[str, Any]:
        """`step` of `steps`, `losses` so far, and `strip`: a number that changes with it; None: there is none."""
        try:
            strip = self._strip.stat().st_mtime_ns // 1_000_000
        except OSError:
            strip = None
        return {"step": self._step, "steps": self._steps, "losses": self._losses, "strip": strip}

    def read_strip(self) -> bytes | None:
        """The latest strip, a JPEG."""
        try:
            return self._strip.read_bytes()
        except OSError:
            return None

    def _read_network(self) -> TransformNet:
        if self._network is None:
            raise TrainingError("the training is still preparing; there is nothing to paint with yet")
        return self._network
