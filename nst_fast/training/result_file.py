"""What a run leaves: a checkpoint that says of itself how it was trained and what it reaches."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.checkpoint import SUFFIX, CheckpointInfo, read_checkpoint_header, round_weights, save_checkpoint
from nst_fast.errors import CheckpointError, SettingError
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.training.run import Run

CHECKPOINT_DTYPES = {"fp16": torch.float16, "fp32": torch.float32}
LOSS_KEYS = (
    "pooling",
    "normalisation",
    "content_taps",
    "style_taps",
    "content_weight",
    "style_strength",
    "total_variation_weight",
    "lattice_weight",
)
TRAINING_KEYS = (
    "batch_size",
    "crop_size",
    "largest_crop",
    "style_short_side",
    "optimiser",
    "learning_rate",
    "warmup_steps",
    "cosine",
    "average_decay",
    "seed",
    "compact_share",
)


@dataclasses.dataclass(frozen=True)
class ResultFile:
    """The checkpoint of a run, `folder/NAME.safetensors`.

    Attributes:
        folder: of the run.
        name: of the style.
        about: title, artist, year of the painting, where known.
        dtype: of the weights, a key of CHECKPOINT_DTYPES.

    Raises:
        SettingError: unknown dtype.
    """

    folder: Path
    name: str
    about: Mapping[str, Any]
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in CHECKPOINT_DTYPES:
            raise SettingError(f"checkpoint_dtype {self.dtype!r} is unknown; allowed: {', '.join(CHECKPOINT_DTYPES)}")

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self.name}{SUFFIX}"

    def read_finished(self, steps: int) -> dict[str, Any] | None:
        """What the file says of itself, if it is that of the last step; None if the run was cut before it."""
        try:
            header = read_checkpoint_header(self.path)
        except CheckpointError:
            return None
        return header if header.get("training", {}).get("steps") == steps else None

    def write(self, run: Run, held_out_losses: Mapping[str, Any]) -> None:
        """Write the averaged weights of the run as it is; `held_out_losses` are empty where none were measured."""
        info = _describe(run, self.name, self.about, held_out_losses)
        save_checkpoint(self.path, run.average.network, info, dtype=CHECKPOINT_DTYPES[self.dtype])

    def write_measured(self, run: Run, style_image: Tensor, held_out: Tensor) -> dict[str, Any]:
        """Write the averaged weights with the losses that they reach on the photos held out, and return these."""
        round_weights(run.average.network, CHECKPOINT_DTYPES[self.dtype])  # measured is what is shipped
        losses = measure_held_out(run, style_image, held_out)
        self.write(run, losses)
        return losses


def measure_held_out(run: Run, style_image: Tensor, held_out: Tensor) -> dict[str, Any]:
    """The relative losses on the photos held out, shape (N, 3, H, W); empty if there are none."""
    if not len(held_out):
        return {}
    photos = held_out.to(run.device)
    loss = build_relative_loss(
        run.loss.loss_network,
        style_image.to(run.device),
        photos,
        content_taps=run.recipe.content_taps,
        style_taps=run.recipe.style_taps,
    )
    losses = measure_losses(run.paint, loss, photos)
    return {name: losses[name] for name in ("total", "style", "content")} | {"photos": len(photos)}


def _describe(run: Run, name: str, about: Mapping[str, Any], held_out_losses: Mapping[str, Any]) -> CheckpointInfo:
    """What the checkpoint says of itself; `stroke_reference_size` is the size of photo that strokes were learnt at."""
    recipe = run.recipe
    plain = recipe.as_plain_values()
    return CheckpointInfo(
        style={"name": name, **{key: value for key, value in about.items() if value is not None}},
        loss={
            "loss_network": recipe.loss_network,
            "weights": run.loss.loss_network.weights_name,
            **{key: plain[key] for key in LOSS_KEYS},
        },
        training={
            "steps": run.step,
            "of_steps": recipe.steps,
            **{key: plain[key] for key in TRAINING_KEYS},
            "stroke_reference_size": recipe.crop_size,
            **({"init": run.identity["init"]} if run.identity.get("init") else {}),
        },
        held_out=dict(held_out_losses),
    )
