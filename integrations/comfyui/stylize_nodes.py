"""The nodes *Stylize* and *Style from an image*."""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import numpy as np
import torch
from comfy_api.latest import io
from PIL import Image

from nst_fast import Checkpoint, Look, Picture, Stylizer, list_shipped_checkpoints
from nst_fast.stylize.look import KEPT_COLORS, STRENGTH_RANGE, STROKE_SIZE_RANGE
from nst_fast.stylize.smoothing import FrameStylizer
from nst_fast.stylize.style_image import predict_style
from nst_fast.stylize.styles import open_style

from .images import spread_masks, to_images, to_pixels

STYLES_FOLDER = "nst_fast"  # in ComfyUI's folder of models; trained styles are kept there
CATEGORY = "image/nst_fast"
StyleType = io.Custom("NST_FAST_STYLE")  # an nst_fast.Checkpoint
_NO_COLOR = "no"
# The last style in use, by the digest of its network, so that an engine is not built for each run.
_opened: dict[str, Stylizer] = {}


class Stylize(io.ComfyNode):
    """Images in a style."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The inputs and the output."""
        return io.Schema(
            node_id="NstFastStylize",
            display_name="Stylize (nst_fast)",
            category=CATEGORY,
            description="Neural style transfer in one forward pass, with a shipped style, an image or a trained style.",
            inputs=[
                io.Image.Input("images"),
                io.Combo.Input("style", options=list_styles(), tooltip="A shipped style, or one that you trained."),
                _slider("strength", STRENGTH_RANGE, "How much the network stylizes; needs a style with this knob."),
                _slider("stroke_size", STROKE_SIZE_RANGE, "How large the strokes are; edges stay sharp."),
                io.Combo.Input(
                    "keep_color",
                    options=[_NO_COLOR, *KEPT_COLORS],
                    default=_NO_COLOR,
                    tooltip="Keep the photo's colors.",
                ),
                _share("smoothing", "For the frames of a video: how calm colors are, such as 0.9."),
                _share("coherence", "For the frames of a video: how still strokes hold, such as 0.6."),
                io.Mask.Input("mask", optional=True, tooltip="White where the style goes."),
                StyleType.Input("other_style", optional=True, tooltip="Used instead of the style in the list."),
            ],
            outputs=[io.Image.Output("stylized", display_name="IMAGE")],
        )

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        style: str,
        strength: float,
        stroke_size: float,
        keep_color: str,
        smoothing: float,
        coherence: float,
        mask: torch.Tensor | None = None,
        other_style: Checkpoint | None = None,
    ) -> io.NodeOutput:
        """Stylize every image of the batch."""
        look = Look(
            strength=float(strength),
            stroke_size=float(stroke_size),
            keep_color=None if keep_color == _NO_COLOR else keep_color,
        )
        stylizer = _open_stylizer(other_style or open_style(_find_style(style)))
        pixels = to_pixels(images)
        progress = comfy.utils.ProgressBar(len(pixels))
        stylized = []
        frames = None
        if smoothing or coherence:
            frames = stylizer.for_frames(smoothing, coherence, follow_camera=coherence > 0)
        for one in _stylize_each(stylizer, frames, pixels, look, spread_masks(mask, len(pixels))):
            stylized.append(one)
            progress.update(1)
            comfy.model_management.throw_exception_if_processing_interrupted()
        return io.NodeOutput(to_images(stylized))


class StyleFromImage(io.ComfyNode):
    """Any image as the style, without training."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The input and the output."""
        return io.Schema(
            node_id="NstFastStyleFromImage",
            display_name="Style from an image (nst_fast)",
            category=CATEGORY,
            description="Reads a style off an image, without training. Connect it to other_style of Stylize.",
            inputs=[io.Image.Input("style_image")],
            outputs=[StyleType.Output("style", display_name="STYLE")],
        )

    @classmethod
    def execute(cls, style_image: torch.Tensor) -> io.NodeOutput:
        """Read the style off the first image of the batch."""
        return io.NodeOutput(predict_style(Picture(to_pixels(style_image[:1])[0])))


def list_styles() -> list[str]:
    """The shipped styles, then the checkpoints in ComfyUI's folder of styles."""
    files = folder_paths.get_filename_list(STYLES_FOLDER)
    return [*list_shipped_checkpoints(), *(file for file in files if file.endswith(".safetensors"))]


def _find_style(style: str) -> str:
    if style in list_shipped_checkpoints():
        return style
    return folder_paths.get_full_path_or_raise(STYLES_FOLDER, style)


def _slider(name: str, limits: tuple[float, float], tooltip: str) -> Any:
    lowest, highest = limits
    return io.Float.Input(
        name, default=1.0, min=lowest, max=highest, step=0.05, display_mode=io.NumberDisplay.slider, tooltip=tooltip
    )


def _share(name: str, tooltip: str) -> Any:
    return io.Float.Input(
        name, default=0.0, min=0.0, max=0.99, step=0.01, tooltip=f"{tooltip} 0: each image by itself."
    )


def _open_stylizer(style: Checkpoint) -> Stylizer:
    if style.digest not in _opened:
        _opened.clear()
        _opened[style.digest] = Stylizer(style)
    return _opened[style.digest]


def _stylize_each(
    stylizer: Stylizer,
    frames: FrameStylizer | None,
    pixels: np.ndarray,
    look: Look,
    masks: list[np.ndarray | None],
) -> Iterator[np.ndarray]:
    """Stylized images, (H, W, 3), uint8, one after the other, as frames of a video or each by itself. With an empty
    mask, an image stays as it is."""
    with tempfile.TemporaryDirectory(prefix="nst_fast.") as folder:
        for number, (image, mask) in enumerate(zip(pixels, masks, strict=True)):
            if mask is not None and not mask.any():
                yield image
                continue
            stylizer.look = look if mask is None else _look_with_mask(look, mask, Path(folder, f"{number}.png"))
            yield frames.stylize_pixels(image) if frames else stylizer.stylize_picture(Picture(image)).rgb


def _look_with_mask(look: Look, mask: np.ndarray, file: Path) -> Look:
    Image.fromarray(mask).save(file)
    return dataclasses.replace(look, region=str(file))
