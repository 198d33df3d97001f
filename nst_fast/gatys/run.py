"""One optimisation: the picture at its present size, its way from coarse to fine, and how it is saved."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.errors import ImageError, TrainingError
from nst_fast.gatys.memory_estimate import does_not_fit
from nst_fast.gatys.pixel_optimiser import PixelOptimiser
from nst_fast.gatys.plan import Plan
from nst_fast.gatys.progress import Progress
from nst_fast.gatys.start import make_start
from nst_fast.images import resize, size_for_short_side
from nst_fast.interruption import Interruption
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.memory import is_out_of_memory
from nst_fast.run_state import save_state

STATE_FILE = "state.pt"
# The pictures at hand are measured at this size, so that one style_strength means the same at every size.
VARIANCE_SHORT_SIDE = 256


@dataclasses.dataclass(frozen=True)
class Pictures:
    """The photo at the final size and the paintings at theirs, each (3, H, W), RGB in [0, 1], on the CPU."""

    content: Tensor
    styles: list[Tensor]

    def at(self, short_side: int, device: torch.device) -> tuple[Tensor, list[Tensor]]:
        """Both at a coarser size, on the device; the paintings shrink as the photo does."""
        share = short_side / min(self.content.shape[1:])
        content = resize(self.content, *_scaled(self.content, short_side))
        styles = [resize(style, *_scaled(style, max(1, round(min(style.shape[1:]) * share)))) for style in self.styles]
        return content.to(device), [style.to(device) for style in styles]


class Run:
    """The picture, size by size.

    Args:
        plan: of the run.
        identity: plain values that tell whether a saved state belongs to this run.
        folder: of the run.
        sides: the short sides in pixels, from coarse to fine.

    Attributes:
        step: the iterations done, over all sizes.
        picture: as it is, shape (3, H, W) of the present size, in [0, 1].
        terms: the named losses when last looked at.
    """

    def __init__(
        self,
        plan: Plan,
        identity: dict[str, Any],
        folder: Path,
        sides: list[int],
        pictures: Pictures,
        loss_network: LossNetwork,
        device: torch.device,
    ) -> None:
        self.plan = plan
        self.identity = identity
        self.state_path = folder / STATE_FILE
        self.sides = sides
        self.pictures = pictures
        self.loss_network = loss_network
        self.device = device
        self.step = 0
        self.terms: dict[str, float] = {}
        self.picture: Tensor | None = None
        self._variance = self._measure_variance()
        self._level = 0
        self._saved: dict[str, Any] | None = None
        self._optimiser: PixelOptimiser | None = None

    @property
    def iterations(self) -> int:
        """How many there are over all sizes."""
        return self.plan.iterations * len(self.sides)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.step = state["step"]
        self._saved = state.get("optimiser")
        # A state saved at the last iteration of a size is of that size: the next one begins from it.
        self._level = max(self.step - 1, 0) // self.plan.iterations

    def save(self, *, finished: bool = False) -> None:
        """Write the state; a finished one without what only going on would need, hundreds of megabytes."""
        parts = {} if finished or self._optimiser is None else {"optimiser": self._optimiser}
        facts = {"finished": finished, "terms": self.terms}
        save_state(self.state_path, recipe=self.identity, step=self.step, parts=parts, facts=facts)

    def take_iterations(self, progress: Progress, interruption: Interruption, log_every: int, save_every: int) -> None:
        """Every iteration that is left, until the last or an interruption; then the state on disk is the last one.

        Raises:
            TrainingError: the loss diverged.
            ImageError: out of memory.
        """
        for level in range(self._level, len(self.sides)):
            self._level = level
            height, width = _scaled(self.pictures.content, self.sides[level])
            with explained_memory(height, width, self.device):
                self._optimiser = self._begin_size()
                end = (level + 1) * self.plan.iterations
                while self.step < end and interruption.signal_number is None:
                    self._optimiser.take_iteration()
                    self.step = end if self._optimiser.converged else self.step + 1
                    self.picture = self._optimiser.picture[0]
                    progress.log_iteration(self.step, self.picture)
                    ends = self.step == end or interruption.signal_number is not None
                    if ends or self.step % log_every == 0 or self.step % save_every == 0:
                        self._look(progress)
                    if ends or self.step % save_every == 0:
                        self.save()
            if interruption.signal_number is not None:
                return

    def _look(self, progress: Progress) -> None:
        assert self._optimiser is not None
        names = list(self._optimiser.terms)
        values = torch.stack(list(self._optimiser.terms.values())).tolist()  # one wait for the device
        self.terms = dict(zip(names, values, strict=True))
        progress.log_terms(self.step, self.terms, self.sides[self._level])
        if not math.isfinite(self.terms["total"]):
            raise TrainingError(
                f"the loss is no longer a number at iteration {self.step}; give a lower learning_rate, or method=lbfgs"
            )

    def _begin_size(self) -> PixelOptimiser:
        side = self.sides[self._level]
        content, styles = self.pictures.at(side, self.device)
        loss = self._build_loss(styles)
        target = loss.measure_content(content.unsqueeze(0))
        if self._saved is not None:
            start = self._saved["image"][0].to(self.device)
        elif self.picture is not None:
            start = resize(self.picture, content.shape[1], content.shape[2])
        else:
            start = make_start(self.plan.start, content, styles[0], self.plan.seed)
        optimiser = PixelOptimiser(
            start.unsqueeze(0),
            lambda picture: loss(picture, target),
            method=self.plan.method,
            learning_rate=self.plan.learning_rate,
            average_decay=self.plan.average_decay,
        )
        if self._saved is not None:
            optimiser.load_state_dict(self._saved)
            self._saved = None
        self.picture = optimiser.picture[0]
        return optimiser

    def _build_loss(self, styles: list[Tensor]) -> PerceptualLoss:
        plan = self.plan
        return PerceptualLoss(
            self.loss_network,
            styles,
            style_weights=plan.style_weights,
            content_taps=plan.content_taps,
            style_taps=plan.style_taps,
            normalisation=plan.normalisation,
            content_weight=plan.content_weight,
            style_strength=plan.style_strength,
            total_variation_weight=plan.total_variation_weight,
            feature_variance=self._variance,
        )

    def _measure_variance(self) -> Mapping[str, float] | None:
        if self.plan.normalisation != "relative":
            return None
        # Of the photo and the paintings together: of a flat sky alone it would be next to nothing.
        photos = [
            resize(image, *_scaled(image, VARIANCE_SHORT_SIDE)).unsqueeze(0).to(self.device)
            for image in (self.pictures.content, *self.pictures.styles)
        ]
        return measure_feature_variance(self.loss_network, photos, self.plan.content_taps)


@contextlib.contextmanager
def explained_memory(height: int, width: int, device: torch.device, key: str = "short_side") -> Iterator[None]:
    """Turns out of memory, while a picture of height x width is optimised, into an ImageError that asks for `key`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # What is left is unknown by now; half the pixels are a size that is worth trying.
        raise ImageError(does_not_fit(height, width, str(device), 0.5, key)) from error


def _scaled(image: Tensor, short_side: int) -> tuple[int, int]:
    return size_for_short_side(image.shape[1], image.shape[2], short_side)
