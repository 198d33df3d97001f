"""The slow method on every photo, iteration by iteration, and how what there is of it is saved."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from nst_fast.gatys.pixel_optimiser import PixelOptimiser
from nst_fast.gatys.start import make_start
from nst_fast.interruption import Interruption
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.run_state import save_state

STARTS = ("noise", "content")
SAVE_EVERY_ITERATIONS = 100


@dataclasses.dataclass(frozen=True)
class Curve:
    """What L-BFGS reaches on one photo from one start.

    Attributes:
        totals: the total loss of the first picture, and after each iteration so far.
        pictures: iteration -> the picture then, (3, H, W) in [0, 1], on the CPU: where a network is first equalled,
            and the last.
    """

    totals: list[float] = dataclasses.field(default_factory=list)
    pictures: dict[int, Tensor] = dataclasses.field(default_factory=dict)


def count_iterations_to_equal(totals: Sequence[float], network_total: float) -> int | None:
    """N: the first iteration after which the slow method's total is no higher than the network's; None: none is.

    Source: Johnson et al. 2016, section 4.1 and figure 5.
    """
    return next((iteration for iteration, total in enumerate(totals) if total <= network_total), None)


class CurveRun:
    """The optimisations of an evaluation, one after another: every photo from every start.

    Args:
        loss: by which the networks are judged, too.
        photos: name -> (3, H, W), RGB in [0, 1], on the device of `loss`.
        network_totals: name of the photo -> what each network reaches on it, where pictures are kept.
        iterations: of L-BFGS, for each curve.
        seed: of the noise.
        identity: plain values that tell whether a saved state belongs to this run.
        state_path: where the state is saved.

    Attributes:
        curves: (name of the photo, start) -> those that are done and the one under way.
    """

    def __init__(
        self,
        loss: PerceptualLoss,
        photos: Mapping[str, Tensor],
        network_totals: Mapping[str, Sequence[float]],
        *,
        iterations: int,
        seed: int,
        identity: dict[str, Any],
        state_path: Path,
    ) -> None:
        self.loss = loss
        self.photos = photos
        self.network_totals = network_totals
        self.iterations = iterations
        self.seed = seed
        self.identity = identity
        self.state_path = state_path
        self.curves = {(photo, start): Curve() for photo in photos for start in STARTS}
        self._saved: dict[str, Any] | None = None
        self._optimiser: PixelOptimiser | None = None

    @property
    def step(self) -> int:
        """The iterations done, over all curves."""
        return sum(max(len(curve.totals) - 1, 0) for curve in self.curves.values())

    @property
    def steps(self) -> int:
        """How many there are over all curves."""
        return self.iterations * len(self.curves)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        keys = list(self.curves)[: len(state["curves"])]
        self.curves.update({key: Curve(**curve) for key, curve in zip(keys, state["curves"], strict=True)})
        self._saved = state.get("optimiser")

    def save(self) -> None:
        """Write the state, with what going on with the curve under way needs."""
        curves = [dataclasses.asdict(curve) for curve in self.curves.values() if curve.totals]
        parts = {} if self._optimiser is None else {"optimiser": self._optimiser}
        save_state(self.state_path, recipe=self.identity, step=self.step, parts=parts, facts={"curves": curves})

    def take_iterations(self, interruption: Interruption, on_iteration: Callable[[], object]) -> None:
        """Every iteration that is left, until the last or an interruption; then the state on disk is the last one."""
        for (photo, start), curve in self.curves.items():
            if len(curve.totals) > self.iterations:
                continue
            self._optimiser = self._begin(photo, start)
            if not curve.totals:
                self._note(curve, photo)
            while len(curve.totals) <= self.iterations and interruption.signal_number is None:
                if not self._optimiser.converged:
                    self._optimiser.take_iteration()
                self._note(curve, photo)
                on_iteration()
                if self.step % SAVE_EVERY_ITERATIONS == 0:
                    self.save()
            if len(curve.totals) > self.iterations:
                self._optimiser = None
            self.save()
            if interruption.signal_number is not None:
                return

    def _begin(self, photo: str, start: str) -> PixelOptimiser:
        content = self.photos[photo]
        target = self.loss.measure_content(content.unsqueeze(0))
        first = make_start(start, content, content, self.seed)
        optimiser = PixelOptimiser(first.unsqueeze(0), lambda picture: self.loss(picture, target))
        if self._saved is not None:
            optimiser.load_state_dict(self._saved)
            self._saved = None
        return optimiser

    def _note(self, curve: Curve, photo: str) -> None:
        assert self._optimiser is not None
        curve.totals.append(self._optimiser.total)
        now = len(curve.totals) - 1
        equals = any(count_iterations_to_equal(curve.totals, total) == now for total in self.network_totals[photo])
        if equals or now == self.iterations:
            curve.pictures[now] = self._optimiser.picture[0].cpu().clone()
