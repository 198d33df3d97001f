"""A checkpoint as a Core ML package, for apps on Apple's systems. Experimental: Core ML itself runs only there."""

import contextlib
import importlib.util
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nst_fast.errors import OutputError, SettingError
from nst_fast.export.onnx_file import describe
from nst_fast.files.atomic import explain_write_errors
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.torch_any_size import AnySizeNetwork
from nst_fast.networks.torch_network import StyleNetwork, network_from_checkpoint


def export_coreml(checkpoint: Checkpoint, path: Path, *, height: int, width: int) -> float | None:
    """Write a package, which is a folder, that takes and gives an RGB image of one size; for iOS 16, macOS 13 and on.

    The input is `image`, the output `stylized`, both images as apps handle them. What the checkpoint says about itself
    is in the user-defined metadata, as JSON, under `nst_fast`.

    Returns:
        The largest difference from PyTorch on an image of noise, in levels of 255. None where Core ML does not run,
        which is everywhere but on macOS.

    Raises:
        SettingError: the extra `coreml` is not installed, or the image would be too small for the network.
        OutputError: the package cannot be written.
    """
    if importlib.util.find_spec("coremltools") is None:
        raise SettingError("the format coreml needs an extra: install nst-fast[coreml]")
    least = checkpoint.description.min_side
    if min(height, width) < least:
        raise SettingError(f"size is {width}x{height}; each side must be at least {least} pixels")
    if path.exists() and not (path / "Manifest.json").is_file():
        raise OutputError(f"cannot write {path}: it exists and is not a Core ML package; give another path")
    with _quiet():
        import coremltools

        network = network_from_checkpoint(checkpoint)
        program = torch.export.export(_ImageNetwork(network), (torch.zeros(1, 3, height, width),))
        colors = coremltools.colorlayout.RGB
        package: Any = coremltools.convert(
            program.run_decompositions({}),
            convert_to="mlprogram",
            minimum_deployment_target=coremltools.target.iOS16,
            inputs=[coremltools.ImageType("image", (1, 3, height, width), scale=1 / 255, color_layout=colors)],
            outputs=[coremltools.ImageType("stylized", color_layout=colors)],
        )
        package.user_defined_metadata.update(describe(checkpoint))
        package.short_description = (
            f"Stylizes images in the style of {checkpoint.info.style.get('title') or path.stem}."
        )
        with _replace_folder(path) as temporary:
            package.save(str(temporary))
    return _compare(package, network, height, width) if sys.platform == "darwin" else None


class _ImageNetwork(nn.Module):
    """From an image that the package has divided by 255 to one in 0..255, as Core ML gives images."""

    def __init__(self, network: StyleNetwork) -> None:
        super().__init__()
        self._any_size = AnySizeNetwork(network, pixels=False)

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) in [0, 1] to the same shape in [0, 255]."""
        return self._any_size(image) * 255


def _compare(package: Any, network: StyleNetwork, height: int, width: int) -> float:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = AnySizeNetwork(network, pixels=True)(torch.from_numpy(pixels)[None])[0].numpy()
    stylized = np.asarray(package.predict({"image": Image.fromarray(pixels)})["stylized"].convert("RGB"))
    return float(np.abs(stylized.astype(float) - expected).max())


@contextlib.contextmanager
def _replace_folder(path: Path) -> Iterator[Path]:
    """As `replace_atomically`, for a folder; an old one goes only once the new one is whole."""
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.stem[:40]}.", dir=path.parent) as scratch:
            new = Path(scratch, "new.mlpackage")
            yield new
            if path.exists():
                os.rename(path, Path(scratch, "old.mlpackage"))
            os.rename(new, path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences coremltools' progress bars and its warnings about newer versions of PyTorch."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
