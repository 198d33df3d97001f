"""What networks reach on photos that were not trained on, by one and the same total loss."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.data.content_images import hold_out_photos, list_photos
from nst_fast.errors import ImageError
from nst_fast.evaluation.plan import MOST_PHOTOS, EvaluationPlan
from nst_fast.inference.stylizer import Stylizer
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.training.preparation import read_held_out


@dataclasses.dataclass(frozen=True)
class Judged:
    """One network on every photo.

    Attributes:
        painted: photo -> what the network made of it, (3, H, W) in [0, 1], on the CPU.
        terms: photo -> the named losses of that.
    """

    painted: Mapping[str, Tensor]
    terms: Mapping[str, Mapping[str, float]]


def read_photos(folder: Path, size: int, say: Callable[[str], None]) -> dict[str, Tensor]:
    """The middles of the photos that training keeps out of this folder; of all where it keeps out none (under ten).

    Returns:
        At most 64, by their path within the folder, each (3, size, size), float32, RGB in [0, 1], on the CPU.

    Raises:
        ImageError: no folder, or no photo in it that can be read.
    """
    files = list_photos(folder)
    held_out = hold_out_photos(files, folder, MOST_PHOTOS)[1] or files
    photos = {
        file.relative_to(folder).as_posix(): photo for file in held_out for photo in read_held_out([file], say, size)
    }
    if not photos:
        raise ImageError(f"none of the {len(held_out)} photos of {str(folder)!r} can be read; give another folder")
    return photos


@torch.no_grad()
def judge(stylizer: Stylizer, loss: PerceptualLoss, photos: Mapping[str, Tensor]) -> Judged:
    """Paint each photo, (3, H, W), RGB in [0, 1], and look at the losses."""
    painted, terms = {}, {}
    for name, photo in photos.items():
        photo = photo.to(stylizer.device)
        picture = stylizer.stylize(photo)
        terms[name] = {term: float(value) for term, value in loss(picture[None], photo[None])[1].items()}
        painted[name] = picture.cpu()
    return Judged(painted, terms)


def list_differences(stylizer: Stylizer, plan: EvaluationPlan, loss: PerceptualLoss) -> list[str]:
    """In what the loss that a network says it was trained for is another one, such as `style_strength 80, not 20`."""
    judging: dict[str, Any] = {
        "loss_network": plan.loss_network,
        "pooling": plan.pooling,
        "normalisation": loss.normalisation,
        "content_taps": loss.content_taps,
        "style_taps": loss.style_taps,
        "content_weight": loss.content_weight,
        "style_strength": loss.style_strength,
        "total_variation_weight": loss.total_variation_weight,
        "style_short_side": plan.style_short_side,
    }
    trained = {**stylizer.info.loss, **stylizer.info.training}
    return [f"{key} {trained[key]}, not {value}" for key, value in judging.items() if trained.get(key, value) != value]
