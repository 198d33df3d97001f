"""The settings behind `nst-fast optimize`: names, types, defaults, and what each means."""

import dataclasses

from omegaconf import MISSING

from nst_fast.cli.settings import LossNetworkSettings, _setting, _show
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS


@dataclasses.dataclass
class OptimizeSettings:
    """Everything that `nst-fast optimize` takes as key=value."""

    content: str = _setting(MISSING, "the photo: a picture file (needed)")
    style: list[str] = _setting(MISSING, "the painting: a picture file, or several as [a.jpg,b.jpg] (needed)")
    output: str | None = _setting(None, "the picture's file; null: painted/CONTENT-STYLE.png")
    style_weights: list[float] | None = _setting(None, "shares of several paintings, such as [2,1]; null: equal")

    start: str = _setting("content", "the first picture: content, noise or style")
    method: str = _setting("lbfgs", "lbfgs, adam or gradient_descent")
    iterations: int = _setting(500, "at each size")
    learning_rate: float | None = _setting(None, "of adam (null: 0.02) and gradient_descent (null: chosen)")
    average_decay: float = _setting(0.0, "of the moving average of the pictures, such as 0.99 for adam; 0: the last")
    seed: int = _setting(0, "of the noise and of random weights")

    short_side: int | None = _setting(None, "pixels of the picture; null: the photo's own")
    coarsest_short_side: int | None = _setting(None, "pixels; begin there and grow by sqrt(2); null: one size")
    style_short_side: int | None = _setting(None, "pixels of the paintings at the last size; null: the picture's")

    style_strength: float = _setting(20.0, "beta: how much style against content; 20 is a good start for relative")
    content_weight: float = _setting(1.0, "alpha, of the content loss")
    total_variation_weight: float = _setting(0.0, "of the total variation")
    normalisation: str = _setting("relative", "of the losses: relative, gatys or johnson")
    loss_network: LossNetworkSettings = _setting(LossNetworkSettings, "")
    content_taps: dict[str, float] | None = _setting(
        None, f"such as {{relu4_2:1}}; null: {_show(DEFAULT_CONTENT_TAPS)}"
    )
    style_taps: dict[str, float] | None = _setting(None, f"such as {{relu1_2:1}}; null: {_show(DEFAULT_STYLE_TAPS)}")

    frames_every_iterations: int | None = _setting(None, "write every so many-th picture as a frame; null: none")
    film: str | None = _setting(None, "an animation of the frames: webp or gif; null: none")
    device: str | None = _setting(None, "cpu, cuda or mps; null: the best there is")
    log_every_iterations: int = _setting(10, "iterations between two entries in TensorBoard")
    save_every_iterations: int = _setting(100, "iterations between two saved states")
    overwrite: bool = _setting(False, "begin anew, whatever is there")
