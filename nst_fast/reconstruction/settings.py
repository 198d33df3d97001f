"""The settings of a sheet of reconstructions. Light to import: no torch."""

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

from nst_fast.errors import SettingError
from nst_fast.losses.settings import SCALINGS
from nst_fast.settings.checks import check_settings
from nst_fast.settings.declare import setting, with_help
from nst_fast.settings.networks import LossNetworkSettings

# The taps of Gatys et al. 2015 (arXiv 1508.06576), figure 1.
DEFAULT_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
DEFAULT_FOLDER = Path("stylized")


class Reconstruction(NamedTuple):
    """One image of the sheet: the content of one tap, or the style of one tap or of several together."""

    kind: str  # content or style
    taps: tuple[str, ...]

    @property
    def name(self) -> str:
        """For a file name: content-relu3_1, style-relu1_1+relu2_1."""
        return f"{self.kind}-{'+'.join(self.taps)}"

    @property
    def label(self) -> str:
        """For the sheet, where each label continues the one before: content of relu3_1, style of relu1_1, + relu2_1."""
        return f"{self.kind} of {self.taps[0]}" if len(self.taps) == 1 else f"+ {self.taps[-1]}"


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReconstructSettings:
    """What `reconstruct` rebuilds from noise: which images, from which taps, and how.

    The same settings on the same machine give the same sheet, bit for bit.
    """

    # What these files hold decides whether a run is the same, not where they lie.
    content: str | None = setting(
        None,
        "the photo; null: no content reconstructions",
        verbatim=True,
        changes_result=False,
        heading="What to reconstruct",
    )
    style: str | None = setting(
        None, "the style image; null: no style reconstructions", verbatim=True, changes_result=False
    )
    output: str | None = setting(
        None,
        "the image file of the sheet; null: stylized/reconstructions-STYLE-CONTENT.png",
        verbatim=True,
        changes_result=False,
    )
    content_taps: tuple[str, ...] = setting(DEFAULT_TAPS, "taps of the content reconstructions, one image for each")
    style_taps: tuple[str, ...] = setting(
        DEFAULT_TAPS, "taps of the style reconstructions: the first alone, the first two, the first three, ..."
    )

    short_side: int = setting(
        256, "short side of the photo and of the style image in pixels", at_least=1, heading="How to reconstruct"
    )
    iterations: int = setting(200, "L-BFGS iterations for each image", at_least=1)
    seed: int = setting(0, "random seed of the initial noise and of random weights", at_least=0, less_than=2**63)
    scaling: str = setting("relative", "units of the losses: relative, gatys or johnson", choices=SCALINGS)
    total_variation_weight: float = setting(0.0, "weight of the total variation, which smooths the image", at_least=0)
    loss_network: LossNetworkSettings = setting(LossNetworkSettings, "")

    device: str | None = setting(
        None,
        "cpu, cuda or mps; null: the fastest available",
        changes_result=False,
        heading="Speed and files (a run can be resumed with other values of these)",
    )
    save_every_iterations: int = setting(100, "iterations between two saved states", at_least=1, changes_result=False)
    overwrite: bool = setting(False, "start over and replace what is there", changes_result=False)
    show_progress: bool = setting(True, "progress bar", changes_result=False)

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("content_taps", "style_taps"):
            taps = getattr(self, name)
            if len(set(taps)) < len(taps):
                raise SettingError(f"{name} has a tap twice: {', '.join(taps)}; give each tap once")

    @property
    def output_path(self) -> Path:
        """The image file to write, named after the images where `output` is None."""
        if self.output is not None:
            return Path(os.path.expanduser(self.output))
        images = "-".join(Path(file).stem for file in (self.style, self.content) if file is not None)
        return DEFAULT_FOLDER / f"{f'reconstructions-{images}'[:200]}.png"

    @property
    def run_folder(self) -> Path:
        """The folder of the saved state and of each image alone, beside the sheet."""
        return self.output_path.with_suffix(".run")

    def list_reconstructions(self, kind: str) -> list[Reconstruction]:
        """The images of one row, `content` or `style`, in order."""
        if kind == "content":
            return [Reconstruction(kind, (tap,)) for tap in self.content_taps]
        return [Reconstruction(kind, self.style_taps[: end + 1]) for end in range(len(self.style_taps))]
