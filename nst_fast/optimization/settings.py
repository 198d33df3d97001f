"""The settings of an optimization. Light to import: no torch."""

import dataclasses
import math
import os
from pathlib import Path

from nst_fast.errors import OutputError, SettingError, nearest_name
from nst_fast.losses.settings import LossSettings
from nst_fast.settings.checks import check_settings
from nst_fast.settings.declare import MISSING, setting, with_help
from nst_fast.settings.networks import LossNetworkSettings

STARTS = ("content", "noise", "style")
METHODS = ("lbfgs", "adam", "gradient_descent")
FILM_FORMATS = ("webp", "gif")
DEFAULT_FOLDER = Path("stylized")
SEED_LIMIT = 2**63


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizeSettings:
    """What `optimize_image` does: which images, how, and where to.

    The same settings on the same machine give the same image, bit for bit.
    """

    # What these files hold decides whether a run is the same, not where they lie.
    content: str = setting(
        MISSING, "the photo (required)", verbatim=True, changes_result=False, heading="What to stylize"
    )
    style: tuple[str, ...] = setting(
        MISSING, "the style image, or several (required)", verbatim=True, changes_result=False
    )
    output: str | None = setting(
        None, "the image file to write; null: stylized/CONTENT-STYLE.png", verbatim=True, changes_result=False
    )
    style_weights: tuple[float, ...] | None = setting(
        None, "shares of several style images, such as [2,1]; null: equal shares"
    )

    short_side: int | None = setting(
        None, "short side of the output in pixels; null: that of the photo", at_least=1, heading="Size"
    )
    coarsest_short_side: int | None = setting(
        None, "start at this short side in pixels and grow by sqrt(2); null: one size only", at_least=1
    )
    style_short_side: int | None = setting(
        None, "short side of the style images in pixels, at the last size; null: that of the output", at_least=1
    )

    loss: LossSettings = setting(LossSettings, "", heading="Look")
    loss_network: LossNetworkSettings = setting(LossNetworkSettings, "")

    start: str = setting("content", "initial image: content, noise or style", choices=STARTS, heading="Optimization")
    method: str = setting("lbfgs", "lbfgs, adam or gradient_descent", choices=METHODS)
    iterations: int = setting(500, "number of iterations at each size", at_least=1)
    learning_rate: float | None = setting(None, "for adam (null: 0.02) and gradient_descent (null: automatic)")
    ema_decay: float = setting(0.0, "decay of a moving average of the images, such as 0.99 for adam; 0: last image")
    seed: int = setting(0, "random seed of the noise and of random weights", at_least=0, less_than=SEED_LIMIT)

    frames_every_iterations: int | None = setting(
        None,
        "write a frame every so many iterations; null: no frames",
        at_least=1,
        changes_result=False,
        heading="Speed, logging and files (a run can be resumed with other values of these)",
    )
    film: str | None = setting(
        None, "also write an animation of the frames: webp or gif", choices=FILM_FORMATS, changes_result=False
    )
    device: str | None = setting(None, "cpu, cuda or mps; null: the fastest available", changes_result=False)
    log_every_iterations: int = setting(
        10, "iterations between two entries in TensorBoard", at_least=1, changes_result=False
    )
    save_every_iterations: int = setting(100, "iterations between two saved states", at_least=1, changes_result=False)
    overwrite: bool = setting(False, "start over and replace what is there", changes_result=False)
    show_progress: bool = setting(True, "progress bar", changes_result=False)

    def __post_init__(self) -> None:
        if isinstance(self.style, str | os.PathLike):
            object.__setattr__(self, "style", (os.fspath(self.style),))
        check_settings(self)
        check_method(self.method, self.learning_rate, self.ema_decay)
        if not self.style:
            raise SettingError("style is empty; give at least one style image")
        if self.style_weights is not None and len(self.style_weights) != len(self.style):
            raise SettingError(
                f"style_weights has {len(self.style_weights)} numbers for {len(self.style)} style images; "
                f"give one for each"
            )
        if self.film is not None and self.frames_every_iterations is None:
            raise SettingError(f"film {self.film!r} is made of frames; set frames_every_iterations, such as 10")
        if self.film is not None and self.output_path.suffix.lower() == f".{self.film}":
            raise OutputError(
                f"the film would overwrite the image {str(self.output_path)!r}; choose an output with another suffix"
            )

    @property
    def output_path(self) -> Path:
        """The image file to write, named after the images where `output` is None."""
        if self.output is not None:
            return Path(os.path.expanduser(self.output))
        styles = "+".join(Path(style).stem for style in self.style)
        return DEFAULT_FOLDER / f"{f'{Path(self.content).stem}-{styles}'[:200]}.png"

    @property
    def film_path(self) -> Path | None:
        """The animation to write, beside the image; None: none."""
        return None if self.film is None else self.output_path.with_suffix(f".{self.film}")

    @property
    def run_folder(self) -> Path:
        """The folder of the saved state, events and frames, beside the image."""
        return self.output_path.with_suffix(".run")


def check_method(method: str, learning_rate: float | None, ema_decay: float) -> None:
    """Check the settings of a `PixelOptimizer`.

    Raises:
        SettingError: an unknown method, a learning rate for L-BFGS, or a number out of range.
    """
    if method not in METHODS:
        raise SettingError(
            f"method {method!r} is unknown; allowed: {', '.join(METHODS)}{nearest_name(method, list(METHODS))}"
        )
    if learning_rate is not None and method == "lbfgs":
        raise SettingError("learning_rate is set, but method lbfgs chooses its own steps; leave it out")
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise SettingError(f"learning_rate is {learning_rate}; it must be a number more than 0")
    if not 0 <= ema_decay < 1:
        raise SettingError(f"ema_decay is {ema_decay}; it must be at least 0 and less than 1")
