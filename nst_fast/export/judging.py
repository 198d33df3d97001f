"""How good exported networks are: the losses of their results on photos, by VGG-19."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nst_fast.errors import SettingError
from nst_fast.export.onnx_file import load_onnx

TERMS = ("style", "content", "total")


def measure_graphs(
    graphs: Mapping[str, bytes], style_image: Path, photos: np.ndarray, *, pixels: bool, weights: str
) -> dict[str, dict[str, float]]:
    """The losses that ONNX graphs of networks of one style reach; needs the extra `train`.

    Args:
        graphs: the bytes of ONNX files by name, all of them for images of any size.
        style_image: the style image's file.
        photos: (N, H, W, 3), uint8, that no graph was fitted to.
        pixels: whether the graphs take and give bytes, see `build_onnx_graph`.
        weights: of VGG-19, see `build_loss_network`.

    Returns:
        By the names of the graphs, the losses by TERMS; smaller is better.

    Raises:
        ImageError: the style image cannot be read, or there is no photo.
        SettingError: the extra `train` is not installed.
        WeightsError: the weights of VGG-19 are not available.
    """
    if importlib.util.find_spec("torch") is None:
        raise SettingError("to measure losses takes an extra: install nst-fast[train]")
    import torch

    from nst_fast.data.images import load_image
    from nst_fast.loss_networks.weights import build_loss_network
    from nst_fast.losses.perceptual import build_relative_loss, measure_losses
    from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

    images = torch.from_numpy(np.stack([as_input(photo, pixels=False)[0] for photo in photos]))
    loss_network = build_loss_network("vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights=weights)
    loss = build_relative_loss(loss_network, load_image(style_image, short_side=384), images)
    results = {}
    with torch.inference_mode():
        for name, graph in graphs.items():
            run = load_onnx(graph)

            def stylize(given: torch.Tensor, run=run) -> torch.Tensor:
                stylized = [run(as_input(_to_pixels(image), pixels=pixels)) for image in given.numpy()]
                batch = torch.from_numpy(np.concatenate(stylized))
                return batch.permute(0, 3, 1, 2).float() / 255 if pixels else batch

            losses = measure_losses(stylize, loss, images)
            results[name] = {term: losses[term] for term in TERMS}
    return results


def as_input(photo: np.ndarray, *, pixels: bool) -> np.ndarray:
    """A photo (H, W, 3), uint8, as a batch of one that an exported network takes."""
    if pixels:
        return photo[None]
    return np.ascontiguousarray(photo.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _to_pixels(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((image * 255).round().transpose(1, 2, 0), np.uint8)
