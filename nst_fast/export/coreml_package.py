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

from nst_fast.atomic_files import explain_write_errors
from nst_fast.checkpoint import Checkpoint
from nst_fast.errors import OutputError, SettingError
from nst_fast.export.onnx_file import describe
from nst_fast.transform_nets import TransformNet
from nst_fast.transform_nets.painter import Painter


def export_coreml(checkpoint: Checkpoint, path: Path, *, height: int, width: int) -> float | None:
    """Write a package, which is a folder, that takes and gives an RGB image of one size; for iOS 16, macOS 13 and on.

    The input is `photo`, the output `painting`, both images as apps handle them. What the checkpoint says of itself is
    in the user-defined metadata, as JSON, under `nst_fast`.

    Returns:
        The largest difference to PyTorch on a picture of noise, in levels of 255. None where Core ML does not run,
        which is everywhere but on macOS.

    Raises:
        SettingError: the extra `coreml` is not installed, or the picture would be too small for the network.
        OutputError: the package cannot be written.
    """
    if importlib.util.find_spec("coremltools") is None:
        raise SettingError("the format coreml needs an extra: install nst-fast[coreml]")
    least = checkpoint.network.min_side
    if min(height, width) < least:
        raise SettingError(f"size is {width}x{height}; each side must be at least {least} pixels")
    if path.exists() and not (path / "Manifest.json").is_file():
        raise OutputError(f"cannot write {path}: what is there is no Core ML package; give another path")
    with _quiet():
        import coremltools

        program = torch.export.export(_ImagePainter(checkpoint.network), (torch.zeros(1, 3, height, width),))
        colours = coremltools.colorlayout.RGB
        package: Any = coremltools.convert(
            program.run_decompositions({}),
            convert_to="mlprogram",
            minimum_deployment_target=coremltools.target.iOS16,
            inputs=[coremltools.ImageType("photo", (1, 3, height, width), scale=1 / 255, color_layout=colours)],
            outputs=[coremltools.ImageType("painting", color_layout=colours)],
        )
        package.user_defined_metadata.update(describe(checkpoint))
        package.short_description = f"Paints in the style of {checkpoint.info.style.get('title') or path.stem}."
        with _replace_folder(path) as temporary:
            package.save(str(temporary))
    return _compare(package, checkpoint.network, height, width) if sys.platform == "darwin" else None


class _ImagePainter(nn.Module):
    """From an image that the package has divided by 255 to one in 0..255, as Core ML gives images."""

    def __init__(self, network: TransformNet) -> None:
        super().__init__()
        self._painter = Painter(network, pixels=False)

    def forward(self, photo: Tensor) -> Tensor:
        """(1, 3, H, W) in [0, 1] to the same shape in [0, 255]."""
        return self._painter(photo) * 255


def _compare(package: Any, network: TransformNet, height: int, width: int) -> float:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = Painter(network, pixels=True)(torch.from_numpy(pixels)[None])[0].numpy()
    painted = np.asarray(package.predict({"photo": Image.fromarray(pixels)})["painting"].convert("RGB"))
    return float(np.abs(painted.astype(float) - expected).max())


@contextlib.contextmanager
def _replace_folder(path: Path) -> Iterator[Path]:
    """As `replace_atomically`, for a folder; an old one is gone only once the new one is whole."""
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
    """Without coremltools' bars and its advice about versions of PyTorch newer than it knows."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
