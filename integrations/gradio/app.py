"""A Gradio app: a photo in a shipped style, or in the style of any image."""

import gradio
import numpy as np

from nst_fast import Look, Picture, Stylizer, list_shipped_checkpoints
from nst_fast.errors import NstFastError
from nst_fast.stylize.look import STRENGTH_RANGE, STROKE_SIZE_RANGE
from nst_fast.stylize.style_image import predict_style


def stylize(
    photo: np.ndarray | None, style: str, style_image: np.ndarray | None, strength: float, stroke_size: float
) -> np.ndarray:
    """The photo, (H, W, 3), uint8, in the style of the image, if there is one, else in the shipped style.

    Raises:
        gradio.Error: what the page shows in place of a picture.
    """
    if photo is None:
        raise gradio.Error("there is no photo; choose one")
    try:
        network = style if style_image is None else predict_style(Picture(style_image))
        look = Look(strength=float(strength), stroke_size=float(stroke_size))
        return Stylizer(network, look=look).stylize_picture(Picture(photo)).rgb
    except NstFastError as error:
        raise gradio.Error(str(error)) from error


def build_app() -> gradio.Interface:
    """The page."""
    return gradio.Interface(
        stylize,
        inputs=[
            gradio.Image(label="Photo", image_mode="RGB"),
            gradio.Dropdown(list(list_shipped_checkpoints()), value="chrysanthemums", label="Style"),
            gradio.Image(label="Or any image as the style", image_mode="RGB"),
            gradio.Slider(*STRENGTH_RANGE, value=1, step=0.05, label="Strength (needs a style with this knob)"),
            gradio.Slider(*STROKE_SIZE_RANGE, value=1, step=0.25, label="Stroke size"),
        ],
        outputs=gradio.Image(label="Stylized", format="png"),
        title="nst_fast",
        flagging_mode="never",
    )


if __name__ == "__main__":
    build_app().launch()
