"""One sheet of reconstructions: picture after picture, and how what there is of them is saved."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nst_fast.gatys.pixel_optimiser import Loss, PixelOptimiser
from nst_fast.gatys.run import STATE_FILE, explained_memory
from nst_fast.gatys.start import make_start
from nst_fast.interruption import Interruption
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.losses.content import content_loss, measure_feature_variance
from nst_fast.losses.style import gram_matrix, style_loss
from nst_fast.losses.total_variation import total_variation
from nst_fast.progress_bar import open_bar, show_terms
from nst_fast.representations.plan import Reconstruction, ReconstructionPlan
from nst_fast.run_state import save_state

LOOK_EVERY_ITERATIONS = 10


class Run:
    """The pictures, one after the other.

    Args:
        jobs: what is to be reconstructed, in order.
        identity: plain values that tell whether a saved state belongs to this run.
        folder: of the run.
        originals: the photo under `content`, the painting under `style`, each (3, H, W), RGB in [0, 1], on the CPU.

    Attributes:
        pictures: by name, those that are done and the one under way, each (3, H, W), in [0, 1], on the CPU.
        losses: by name, what each still differs by.
    """

    def __init__(
        self,
        plan: ReconstructionPlan,
        jobs: Sequence[Reconstruction],
        identity: dict[str, Any],
        folder: Path,
        originals: Mapping[str, Tensor],
        loss_network: LossNetwork,
        device: torch.device,
    ) -> None:
        self.plan = plan
        self.jobs = jobs
        self.identity = identity
        self.state_path = folder / STATE_FILE
        self.originals = originals
        self.loss_network = loss_network
        self.device = device
        self.pictures: dict[str, Tensor] = {}
        self.losses: dict[str, float] = {}
        self._done = 0
        self._iteration = 0  # of the picture under way
        self._saved: dict[str, Any] | None = None
        self._optimiser: PixelOptimiser | None = None

    @property
    def finished(self) -> bool:
        """Whether every picture is done."""
        return self._done == len(self.jobs)

    @property
    def job(self) -> Reconstruction:
        """The one under way."""
        return self.jobs[self._done]

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._done, self._iteration = divmod(state["step"], self.plan.iterations)
        self.pictures, self.losses = state["pictures"], state["losses"]
        self._saved = state.get("optimiser")

    def save(self) -> None:
        """Write the state."""
        parts = {} if self._optimiser is None else {"optimiser": self._optimiser}
        facts = {"finished": self.finished, "pictures": self.pictures, "losses": self.losses}
        step = self._done * self.plan.iterations + self._iteration
        save_state(self.state_path, recipe=self.identity, step=step, parts=parts, facts=facts)

    def make_pictures(
        self, interruption: Interruption, save_every_iterations: int, show_progress: bool
    ) -> Iterator[Reconstruction]:
        """Every picture that is left, each given out when it is done, until the last or an interruption.

        Raises:
            ImageError: out of memory.
        """
        total = len(self.jobs) * self.plan.iterations
        bar = open_bar("", self._done * self.plan.iterations + self._iteration, total, show=show_progress)
        with bar:
            while not self.finished and interruption.signal_number is None:
                job = self.job
                bar.set_description_str(job.name, refresh=False)
                height, width = self.originals[job.kind].shape[1:]
                with explained_memory(height, width, self.device):
                    self._make_picture(job, interruption, save_every_iterations, bar)
                if self._iteration == self.plan.iterations:
                    self._done, self._iteration, self._optimiser = self._done + 1, 0, None
                self.save()
                yield job

    def _make_picture(self, job: Reconstruction, interruption: Interruption, save_every: int, bar: tqdm) -> None:
        self._optimiser = optimiser = self._begin(job)
        while self._iteration < self.plan.iterations and interruption.signal_number is None:
            optimiser.take_iteration()
            before = self._iteration
            self._iteration = self.plan.iterations if optimiser.converged else before + 1
            bar.update(self._iteration - before)
            if self._iteration % LOOK_EVERY_ITERATIONS == 0:
                show_terms(bar, {"total": optimiser.total}, ".3g")
            if self._iteration % save_every == 0 and self._iteration < self.plan.iterations:
                self._look(job, optimiser)
                self.save()
        self._look(job, optimiser)

    def _look(self, job: Reconstruction, optimiser: PixelOptimiser) -> None:
        self.pictures[job.name] = optimiser.picture[0].cpu()
        self.losses[job.name] = optimiser.total

    def _begin(self, job: Reconstruction) -> PixelOptimiser:
        original = self.originals[job.kind].to(self.device)
        loss = self._build_loss(job, original.unsqueeze(0))
        if self._saved is None:
            start = make_start("noise", original, original, self.plan.seed).unsqueeze(0)
            return PixelOptimiser(start, loss)
        optimiser = PixelOptimiser(self._saved["image"].to(self.device), loss)
        optimiser.load_state_dict(self._saved)
        self._saved = None
        return optimiser

    def _build_loss(self, job: Reconstruction, original: Tensor) -> Loss:
        normalisation, roughness = self.plan.normalisation, self.plan.total_variation_weight
        with torch.no_grad():
            targets = dict(self.loss_network(original, job.taps))
        if job.kind == "style":
            targets = {tap: gram_matrix(features)[0] for tap, features in targets.items()}
        # The variance is this very picture's: the content loss then says which share of it is missing.
        variance = measure_feature_variance(self.loss_network, [original], job.taps)

        def compare(tap: str, features: Tensor) -> Tensor:
            if job.kind == "style":
                return style_loss(features, targets[tap], normalisation)
            return content_loss(features, targets[tap], normalisation, variance[tap])

        def loss(picture: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            features = self.loss_network(picture, job.taps)
            differences = torch.stack([compare(tap, features[tap]) for tap in job.taps])
            total = differences.mean() if normalisation == "relative" else differences.sum()
            if roughness > 0:
                total = total + roughness * total_variation(picture, normalisation)
            return total, {"total": total.detach()}

        return loss
