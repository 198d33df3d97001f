"""The state of one optimization: the image at its current size, from coarse to fine."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nst_fast.data.images import resize
from nst_fast.errors import TrainingError
from nst_fast.files.interruption import Interruption
from nst_fast.loss_networks.network import LossNetwork, adapt_taps
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.tones import PhotoTones
from nst_fast.media.resizing import size_for_short_side
from nst_fast.optimization.memory_estimate import explain_out_of_memory
from nst_fast.optimization.pixel_optimizer import PixelOptimizer
from nst_fast.optimization.progress import Progress
from nst_fast.optimization.settings import OptimizeSettings
from nst_fast.optimization.start import make_start
from nst_fast.runs.saved_run import SavedRun

# The feature variance is measured at this size, so that one style_strength means the same at every size.
VARIANCE_SHORT_SIDE = 256


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The photo and the style images, each (3, H, W) at its final size, RGB in [0, 1], on the CPU."""

    content: Tensor
    styles: list[Tensor]

    def at(self, short_side: int, device: torch.device) -> tuple[Tensor, list[Tensor]]:
        """Photo and style images on the device, all smaller by the same factor: the photo's short side is given."""
        share = short_side / min(self.content.shape[1:])
        content = resize(self.content, *_scaled(self.content, short_side))
        styles = [resize(style, *_scaled(style, max(1, round(min(style.shape[1:]) * share)))) for style in self.styles]
        return content.to(device), [style.to(device) for style in styles]


class OptimizationRun:
    """Optimizes the image, size after size.

    Args:
        settings: of the optimization.
        saved_run: where the state is saved.
        inputs: photo and style images.
        loss_network: on `device`, with all taps of the settings.

    Attributes:
        sides: the short sides in pixels, from coarse to fine.
        step: number of iterations done, over all sizes.
        image: the current image, shape (3, H, W) of the current size, in [0, 1]; None before the first iteration.
        terms: the named loss terms, as of the last time they were read from the device.
    """

    def __init__(
        self,
        settings: OptimizeSettings,
        saved_run: SavedRun,
        inputs: Inputs,
        loss_network: LossNetwork,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.saved_run = saved_run
        self.sides = list_short_sides(min(inputs.content.shape[1:]), settings.coarsest_short_side)
        self.inputs = inputs
        self.loss_network = loss_network
        self.device = device
        self._of_loss = adapt_taps(settings.loss, loss_network.architecture)
        self.step = 0
        self.terms: dict[str, float] = {}
        self.image: Tensor | None = None
        self._variance = self._measure_variance()
        self._level = 0
        self._restored: dict[str, Any] | None = None
        self._optimizer: PixelOptimizer | None = None

    @property
    def iterations(self) -> int:
        """Number of iterations over all sizes."""
        return self.settings.iterations * len(self.sides)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.step = state["step"]
        self.terms = state["terms"]
        self._restored = state.get("optimizer")
        # A state saved after the last iteration of a size still belongs to that size: the next one starts from it.
        self._level = max(self.step - 1, 0) // self.settings.iterations

    def save(self, *, finished: bool = False) -> None:
        """Save the state. A finished one leaves out the optimizer, which may have hundreds of megabytes."""
        parts = {} if finished or self._optimizer is None else {"optimizer": self._optimizer}
        self.saved_run.save(step=self.step, parts=parts, facts={"terms": self.terms}, finished=finished)

    def take_iterations(self, progress: Progress, interruption: Interruption) -> None:
        """Do all remaining iterations, or those until an interruption; the last one is saved.

        Raises:
            TrainingError: the loss diverged.
            ImageError: out of memory.
        """
        log_every, save_every = self.settings.log_every_iterations, self.settings.save_every_iterations
        for level in range(self._level, len(self.sides)):
            self._level = level
            height, width = _scaled(self.inputs.content, self.sides[level])
            with explain_out_of_memory(height, width, self.device):
                self._optimizer = self._start_size()
                end = (level + 1) * self.settings.iterations
                while self.step < end and interruption.signal_number is None:
                    self._optimizer.take_iteration()
                    self.step = end if self._optimizer.converged else self.step + 1
                    self.image = self._optimizer.image[0]
                    progress.log_iteration(self.step, self.image)
                    is_last = self.step == end or interruption.signal_number is not None
                    if is_last or self.step % log_every == 0 or self.step % save_every == 0:
                        self._read_terms(progress)
                    if is_last or self.step % save_every == 0:
                        self.save()
            if interruption.signal_number is not None:
                return

    def _read_terms(self, progress: Progress) -> None:
        assert self._optimizer is not None
        names = list(self._optimizer.terms)
        values = torch.stack(list(self._optimizer.terms.values())).tolist()  # waits for the device only once
        self.terms = dict(zip(names, values, strict=True))
        progress.log_terms(self.step, self.terms, self.sides[self._level])
        if not math.isfinite(self.terms["total"]):
            raise TrainingError(
                f"the loss is no longer a finite number at iteration {self.step}; lower learning_rate, "
                f"or set method to lbfgs"
            )

    def _start_size(self) -> PixelOptimizer:
        side = self.sides[self._level]
        content, styles = self.inputs.at(side, self.device)
        loss = self._build_loss(content, styles)
        target = loss.measure_content(content.unsqueeze(0))
        if self._restored is not None:
            start = self._restored["image"][0].to(self.device)
        elif self.image is not None:
            start = resize(self.image, content.shape[1], content.shape[2])
        else:
            start = make_start(self.settings.start, content, styles[0], self.settings.seed)
        optimizer = PixelOptimizer(
            start.unsqueeze(0),
            lambda image: loss(image, target),
            method=self.settings.method,
            learning_rate=self.settings.learning_rate,
            ema_decay=self.settings.ema_decay,
        )
        if self._restored is not None:
            optimizer.load_state_dict(self._restored)
            self._restored = None
        self.image = optimizer.image[0]
        return optimizer

    def _build_loss(self, content: Tensor, styles: list[Tensor]) -> PerceptualLoss:
        return PerceptualLoss(
            self.loss_network,
            styles,
            self._of_loss,
            style_weights=self.settings.style_weights,
            feature_variance=self._variance,
            # Of one photo, all of whose tones are used: its darkest place gets the darkest tone of the style.
            photo_tones=PhotoTones(content[None]) if self._of_loss.needs_tones else None,
        )

    def _measure_variance(self) -> Mapping[str, float] | None:
        if self._of_loss.scaling != "relative":
            return None
        # Over the photo and the style images together: over a flat sky alone it would be next to nothing.
        images = [
            resize(image, *_scaled(image, VARIANCE_SHORT_SIDE)).unsqueeze(0).to(self.device)
            for image in (self.inputs.content, *self.inputs.styles)
        ]
        return measure_feature_variance(self.loss_network, images, self._of_loss.content_taps)


def list_short_sides(short_side: int, coarsest_short_side: int | None) -> list[int]:
    """The sizes of an optimization from coarse to fine, in pixels, each larger by sqrt(2) than the one before.

    Args:
        short_side: the last size.
        coarsest_short_side: the first size is not smaller than this. None, or a value that is not smaller than
            `short_side`: only one size.
    """
    sides = [float(short_side)]
    while coarsest_short_side is not None and sides[0] / 2**0.5 >= coarsest_short_side - 0.5:
        sides.insert(0, sides[0] / 2**0.5)
    return [round(side) for side in sides]


def _scaled(image: Tensor, short_side: int) -> tuple[int, int]:
    return size_for_short_side(image.shape[1], image.shape[2], short_side)
