"""The losses that networks reach on photos they were not trained on, all by the same total loss."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.data.content_images import list_photos
from nst_fast.data.held_out import hold_out_photos, read_held_out
from nst_fast.errors import ImageError
from nst_fast.evaluation.settings import HELD_OUT_PHOTOS, EvaluateSettings
from nst_fast.evaluation.trained_network import TrainedNetwork
from nst_fast.losses.perceptual import PerceptualLoss


@dataclasses.dataclass(frozen=True)
class Judged:
    """One network on every photo.

    Attributes:
        stylized: photo -> the stylized image, (3, H, W) in [0, 1], on the CPU.
        terms: photo -> the named loss terms of the stylized image.
    """

    stylized: Mapping[str, Tensor]
    terms: Mapping[str, Mapping[str, float]]


def read_photos(folder: Path, size: int) -> dict[str, Tensor]:
    """The centers of the photos that training holds out of a folder, or of all photos if there are fewer than ten.

    Returns:
        At most 64 images by their path within the folder, each (3, size, size), float32, RGB in [0, 1], on the CPU.

    Raises:
        ImageError: there is no such folder, or no photo in it can be read.
    """
    files = list_photos(folder)
    held_out = hold_out_photos(files, folder, HELD_OUT_PHOTOS)[1] or files
    photos = {file.relative_to(folder).as_posix(): photo for file in held_out for photo in read_held_out([file], size)}
    if not photos:
        raise ImageError(f"none of the {len(held_out)} photos in {str(folder)!r} can be read; give another folder")
    return photos


@torch.no_grad()
def judge(network: TrainedNetwork, loss: PerceptualLoss, photos: Mapping[str, Tensor]) -> Judged:
    """Stylize each photo, (3, H, W), RGB in [0, 1], and compute the loss."""
    stylized, terms = {}, {}
    for name, photo in photos.items():
        photo = photo.to(network.device)
        image = network.stylize(photo)
        terms[name] = {term: float(value) for term, value in loss(image[None], photo[None])[1].items()}
        stylized[name] = image.cpu()
    return Judged(stylized, terms)


def list_differences(trained: Mapping[str, Any], settings: EvaluateSettings, loss: PerceptualLoss) -> list[str]:
    """How the loss that a network was trained with differs from `loss`, such as `style_strength 80.0, not 16.0`.

    Args:
        trained: the settings that the checkpoint states, by name; what it does not state is not compared.
    """
    of_loss = loss.settings.fill_in()
    judging: dict[str, Any] = {
        "loss_network": settings.loss_network.name,
        "pooling": settings.loss_network.pooling,
        "scaling": of_loss.scaling,
        "content_taps": dict(of_loss.content_taps),
        "content_focus": of_loss.content_focus,
        "style_taps": dict(of_loss.style_taps),
        "style_statistic": of_loss.style_statistic,
        "band_share": of_loss.band_share,
        "window_share": of_loss.window_share,
        "content_weight": of_loss.content_weight,
        "style_strength": of_loss.style_strength,
        "tone_weight": of_loss.tone_weight,
        "color_weight": of_loss.color_weight,
        "total_variation_weight": of_loss.total_variation_weight,
        "style_short_side": settings.style_short_side,
    }
    return [f"{key} {trained[key]}, not {value}" for key, value in judging.items() if trained.get(key, value) != value]
