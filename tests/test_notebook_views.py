"""What notebooks show of the results of long runs."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from nst_fast.media.pictures import Picture, write_picture
from nst_fast.optimization.optimize import OptimizationResult
from nst_fast.training.loop import TrainingResult
from nst_fast.training.run_log import STRIP_FILE


def test_a_training_shows_its_strip(tmp_path):
    """The strip beside the checkpoint is shown as it is; without one there is only text."""
    result = TrainingResult(tmp_path / "x.safetensors", {}, 3, 1.0)
    assert result._repr_jpeg_() is None
    (tmp_path / STRIP_FILE).write_bytes(b"a JPEG")
    assert result._repr_jpeg_() == b"a JPEG"


def test_an_optimization_shows_its_image(tmp_path: Path):
    """The image is shown as a PNG, whatever file it lies in."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    write_picture(path, Picture(pixels))
    shown = OptimizationResult(path, None, {}, 3, 1.0)._repr_png_()
    with Image.open(io.BytesIO(shown)) as image:
        assert image.format == "PNG" and np.array_equal(np.asarray(image), pixels)
