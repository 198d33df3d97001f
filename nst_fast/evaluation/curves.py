"""The optimization of every photo, iteration by iteration, for comparison with the networks."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from nst_fast.files.interruption import Interruption
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.optimization.pixel_optimizer import PixelOptimizer
from nst_fast.optimization.start import make_start
from nst_fast.runs.saved_run import SavedRun

STARTS = ("noise", "content")
SAVE_EVERY_ITERATIONS = 100


@dataclasses.dataclass(frozen=True)
class Curve:
    """The losses that L-BFGS reaches on one photo from one initial image.

    Attributes:
        totals: the total loss of the initial image, and after each iteration done.
        images: iteration -> the image after it, (3, H, W) in [0, 1], on the CPU. Kept are the last image, and those
            at which the optimization first equals a network.
    """

    totals: list[float] = dataclasses.field(default_factory=list)
    images: dict[int, Tensor] = dataclasses.field(default_factory=dict)


def count_iterations_to_equal(totals: Sequence[float], network_total: float) -> int | None:
    """N: the first iteration after which the optimization's total is no higher than the network's; None: never.

    Source: Johnson et al. 2016, section 4.1 and figure 5.
    """
    return next((iteration for iteration, total in enumerate(totals) if total <= network_total), None)


class CurveRun:
    """The optimizations of an evaluation, one after another: every photo from every initial image.

    Args:
        loss: the loss that judges the networks, too.
        photos: name -> (3, H, W), RGB in [0, 1], on the device of `loss`.
        network_totals: name of the photo -> the total that each network reaches on it.
        iterations: L-BFGS iterations for each curve.
        seed: random seed of the noise.
        saved_run: where the state is saved.

    Attributes:
        curves: (name of the photo, start) -> its curve, complete, in progress, or empty.
    """

    def __init__(
        self,
        loss: PerceptualLoss,
        photos: Mapping[str, Tensor],
        network_totals: Mapping[str, Sequence[float]],
        *,
        iterations: int,
        seed: int,
        saved_run: SavedRun,
    ) -> None:
        self.loss = loss
        self.photos = photos
        self.network_totals = network_totals
        self.iterations = iterations
        self.seed = seed
        self.saved_run = saved_run
        self.curves = {(photo, start): Curve() for photo in photos for start in STARTS}
        self._restored: dict[str, Any] | None = None
        self._optimizer: PixelOptimizer | None = None

    @property
    def step(self) -> int:
        """Number of iterations done, over all curves."""
        return sum(max(len(curve.totals) - 1, 0) for curve in self.curves.values())

    @property
    def steps(self) -> int:
        """Number of iterations over all curves."""
        return self.iterations * len(self.curves)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        keys = list(self.curves)[: len(state["curves"])]
        self.curves.update({key: Curve(**curve) for key, curve in zip(keys, state["curves"], strict=True)})
        self._restored = state.get("optimizer")

    def save(self) -> None:
        """Save the state, with what is needed to continue the curve in progress."""
        curves = [dataclasses.asdict(curve) for curve in self.curves.values() if curve.totals]
        parts = {} if self._optimizer is None else {"optimizer": self._optimizer}
        finished = self.step == self.steps
        self.saved_run.save(step=self.step, parts=parts, facts={"curves": curves}, finished=finished)

    def take_iterations(self, interruption: Interruption, on_iteration: Callable[[], object]) -> None:
        """Do all remaining iterations, or those until an interruption; the last one is saved."""
        for (photo, start), curve in self.curves.items():
            if len(curve.totals) > self.iterations:
                continue
            self._optimizer = self._start_curve(photo, start)
            if not curve.totals:
                self._record(curve, photo)
            while len(curve.totals) <= self.iterations and interruption.signal_number is None:
                if not self._optimizer.converged:
                    self._optimizer.take_iteration()
                self._record(curve, photo)
                on_iteration()
                if self.step % SAVE_EVERY_ITERATIONS == 0:
                    self.save()
            if len(curve.totals) > self.iterations:
                self._optimizer = None
            self.save()
            if interruption.signal_number is not None:
                return

    def _start_curve(self, photo: str, start: str) -> PixelOptimizer:
        content = self.photos[photo]
        target = self.loss.measure_content(content.unsqueeze(0))
        initial = make_start(start, content, content, self.seed)
        optimizer = PixelOptimizer(initial.unsqueeze(0), lambda image: self.loss(image, target))
        if self._restored is not None:
            optimizer.load_state_dict(self._restored)
            self._restored = None
        return optimizer

    def _record(self, curve: Curve, photo: str) -> None:
        assert self._optimizer is not None
        curve.totals.append(self._optimizer.total)
        now = len(curve.totals) - 1
        equals = any(count_iterations_to_equal(curve.totals, total) == now for total in self.network_totals[photo])
        if equals or now == self.iterations:
            curve.images[now] = self._optimizer.image[0].cpu().clone()
