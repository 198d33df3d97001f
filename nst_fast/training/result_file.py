"""What a training leaves: a checkpoint that says how it was trained and which losses it reaches."""

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.errors import CheckpointError
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.networks.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.networks.checkpoint_header import SUFFIX, read_checkpoint_header
from nst_fast.networks.torch_network import StyleNetwork, checkpoint_from_network, round_weights
from nst_fast.settings.values import as_plain_values
from nst_fast.training.run import TrainingRun
from nst_fast.training.settings import TrainSettings

TORCH_DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


@dataclasses.dataclass(frozen=True)
class ResultFile:
    """The checkpoint of a training, `FOLDER/NAME.safetensors`.

    Attributes:
        settings: of the training.
    """

    settings: TrainSettings

    @property
    def path(self) -> Path:
        """The file."""
        return self.settings.folder / f"{self.settings.style_name}{SUFFIX}"

    def read_finished(self) -> dict[str, Any] | None:
        """The metadata of the file if it is that of the last step; None if the run ended before it."""
        try:
            header = read_checkpoint_header(self.path)
        except CheckpointError:
            return None
        return header if header.get("training", {}).get("steps") == self.settings.steps else None

    def write(self, run: TrainingRun) -> None:
        """Write the network as it would be if the training ended now, unmeasured."""
        self._write(run, run.finish(), {})

    def write_measured(self, run: TrainingRun, style_image: Tensor, held_out: Tensor) -> dict[str, Any]:
        """Write the network with the losses that it reaches on held-out photos, and return these losses."""
        network = copy.deepcopy(run.finish())
        round_weights(network, TORCH_DTYPES[self.settings.checkpoint_dtype])  # measure what the file holds
        losses = measure_held_out(run, network, style_image, held_out)
        self._write(run, network, losses)
        return losses

    def _write(self, run: TrainingRun, network: StyleNetwork, held_out_losses: Mapping[str, Any]) -> None:
        checkpoint = checkpoint_from_network(network, _describe(run, held_out_losses))
        save_checkpoint(self.path, checkpoint, dtype=self.settings.checkpoint_dtype)


def measure_held_out(run: TrainingRun, network: StyleNetwork, style_image: Tensor, held_out: Tensor) -> dict[str, Any]:
    """A network's relative losses on held-out photos, (N, 3, H, W), RGB in [0, 1]; empty if there are none."""
    if not len(held_out):
        return {}
    photos = held_out.to(run.device)
    loss_network = copy.copy(run.loss.loss_network)
    if isinstance(loss_network, LossNetwork):
        loss_network.autocast_type = None  # figures to compare are measured in full precision
    loss = build_relative_loss(
        loss_network,
        style_image.to(run.device),
        photos,
        content_taps=run.loss.content_taps,
        style_taps=run.loss.style_taps,
    )
    losses = measure_losses(network, loss, photos)
    return {name: losses[name] for name in ("total", "style", "content")} | {"photos": len(photos)}


def _describe(run: TrainingRun, held_out_losses: Mapping[str, Any]) -> CheckpointInfo:
    """What the checkpoint says about itself, under the names of the settings.

    `stroke_reference_size` is the size of the photos that the strokes were learned at, in pixels.
    """
    settings = run.settings
    style = {"name": settings.style_name, "title": settings.title, "artist": settings.artist, "year": settings.year}
    values = as_plain_values(settings.fill_in(), result_only=True)
    of_training = {key: value for key, value in values.items() if "." not in key}
    initial = run.saved_run.identity.get("init")
    return CheckpointInfo(
        style={key: value for key, value in style.items() if value is not None},
        loss={
            "loss_network": settings.loss_network.name,
            "weights": run.loss.loss_network.weights_name,
            "pooling": settings.loss_network.pooling,
            **as_plain_values(settings.loss.fill_in()),
        },
        training={
            **of_training,
            "steps": run.step,
            "of_steps": settings.steps,
            "stroke_reference_size": settings.crop_size,
            **({"init": initial} if initial else {}),
        },
        held_out=dict(held_out_losses),
    )
