"""The state of one sheet of reconstructions: image after image."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from nst_fast.files.interruption import Interruption
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.losses.content import content_loss, measure_feature_variance
from nst_fast.losses.style import gram_matrix, style_loss
from nst_fast.losses.total_variation import total_variation
from nst_fast.optimization.memory_estimate import explain_out_of_memory
from nst_fast.optimization.pixel_optimizer import Loss, PixelOptimizer
from nst_fast.optimization.start import make_start
from nst_fast.reconstruction.settings import Reconstruction, ReconstructSettings
from nst_fast.runs.progress_bar import open_bar, show_terms
from nst_fast.runs.saved_run import SavedRun

SHOW_EVERY_ITERATIONS = 10


class ReconstructionRun:
    """Makes the images one after another.

    Args:
        settings: of the sheet.
        saved_run: where the state is saved.
        reconstructions: what to make, in order.
        originals: the photo under `content`, the style image under `style`, each (3, H, W), RGB in [0, 1], on the CPU.
        loss_network: on `device`, with all taps of the settings.

    Attributes:
        images: by name, the finished images and the one in progress, each (3, H, W), in [0, 1], on the CPU.
        losses: by name, the loss that is left.
    """

    def __init__(
        self,
        settings: ReconstructSettings,
        saved_run: SavedRun,
        reconstructions: Sequence[Reconstruction],
        originals: Mapping[str, Tensor],
        loss_network: LossNetwork,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.saved_run = saved_run
        self.reconstructions = reconstructions
        self.originals = originals
        self.loss_network = loss_network
        self.device = device
        self.images: dict[str, Tensor] = {}
        self.losses: dict[str, float] = {}
        self._done = 0
        self._iteration = 0  # of the image in progress
        self._restored: dict[str, Any] | None = None
        self._optimizer: PixelOptimizer | None = None

    @property
    def finished(self) -> bool:
        """Whether every image is finished."""
        return self._done == len(self.reconstructions)

    @property
    def current(self) -> Reconstruction:
        """The reconstruction in progress."""
        return self.reconstructions[self._done]

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self._done, self._iteration = divmod(state["step"], self.settings.iterations)
        self.images, self.losses = state["images"], state["losses"]
        self._restored = state.get("optimizer")

    def save(self) -> None:
        """Save the state."""
        parts = {} if self._optimizer is None else {"optimizer": self._optimizer}
        facts = {"images": self.images, "losses": self.losses}
        step = self._done * self.settings.iterations + self._iteration
        self.saved_run.save(step=step, parts=parts, facts=facts, finished=self.finished)

    def make_images(self, interruption: Interruption) -> Iterator[Reconstruction]:
        """Make all remaining images, or those until an interruption; yield each reconstruction when it is done.

        Raises:
            ImageError: out of memory.
        """
        iterations = self.settings.iterations
        done, total = self._done * iterations + self._iteration, len(self.reconstructions) * iterations
        with open_bar("", done, total, show=self.settings.show_progress) as bar:
            while not self.finished and interruption.signal_number is None:
                reconstruction = self.current
                bar.set_description_str(reconstruction.name, refresh=False)
                height, width = self.originals[reconstruction.kind].shape[1:]
                with explain_out_of_memory(height, width, self.device):
                    self._make_image(reconstruction, interruption, bar)
                if self._iteration == iterations:
                    self._done, self._iteration, self._optimizer = self._done + 1, 0, None
                self.save()
                yield reconstruction

    def _make_image(self, reconstruction: Reconstruction, interruption: Interruption, bar: tqdm) -> None:
        iterations, save_every = self.settings.iterations, self.settings.save_every_iterations
        self._optimizer = optimizer = self._start_image(reconstruction)
        while self._iteration < iterations and interruption.signal_number is None:
            optimizer.take_iteration()
            before = self._iteration
            self._iteration = iterations if optimizer.converged else before + 1
            bar.update(self._iteration - before)
            if self._iteration % SHOW_EVERY_ITERATIONS == 0:
                show_terms(bar, {"total": optimizer.total}, ".3g")
            if self._iteration % save_every == 0 and self._iteration < iterations:
                self._record(reconstruction, optimizer)
                self.save()
        self._record(reconstruction, optimizer)

    def _record(self, reconstruction: Reconstruction, optimizer: PixelOptimizer) -> None:
        self.images[reconstruction.name] = optimizer.image[0].cpu()
        self.losses[reconstruction.name] = optimizer.total

    def _start_image(self, reconstruction: Reconstruction) -> PixelOptimizer:
        original = self.originals[reconstruction.kind].to(self.device)
        loss = self._build_loss(reconstruction, original.unsqueeze(0))
        if self._restored is None:
            start = make_start("noise", original, original, self.settings.seed).unsqueeze(0)
            return PixelOptimizer(start, loss)
        optimizer = PixelOptimizer(self._restored["image"].to(self.device), loss)
        optimizer.load_state_dict(self._restored)
        self._restored = None
        return optimizer

    def _build_loss(self, reconstruction: Reconstruction, original: Tensor) -> Loss:
        kind, taps = reconstruction
        scaling, variation_weight = self.settings.scaling, self.settings.total_variation_weight
        with torch.no_grad():
            targets = dict(self.loss_network(original, taps))
        if kind == "style":
            targets = {tap: gram_matrix(features)[0] for tap, features in targets.items()}
        # The variance over this image alone: so the content loss is the share of the image that is missing.
        variance = measure_feature_variance(self.loss_network, [original], taps)

        def compare(tap: str, features: Tensor) -> Tensor:
            if kind == "style":
                return style_loss(features, targets[tap], scaling).mean()
            return content_loss(features, targets[tap], scaling, variance[tap]).mean()

        def loss(image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            features = self.loss_network(image, taps)
            differences = torch.stack([compare(tap, features[tap]) for tap in taps])
            total = differences.mean() if scaling == "relative" else differences.sum()
            if variation_weight > 0:
                total = total + variation_weight * total_variation(image, scaling).mean()
            return total, {"total": total.detach()}

        return loss
