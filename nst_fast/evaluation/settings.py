"""The settings of an evaluation. Light to import: no torch."""

import dataclasses
import os
from pathlib import Path

from nst_fast.errors import SettingError
from nst_fast.losses.settings import LossSettings
from nst_fast.settings.checks import check_settings
from nst_fast.settings.declare import MISSING, setting, with_help
from nst_fast.settings.networks import LossNetworkSettings

# As many as training holds out by default. The photos judged are the first of them, and the variance over all of them
# is the unit of the content loss, as in scripts/measure_checkpoints.py.
HELD_OUT_PHOTOS = 64
TIMING_SIZES = (256, 512, 1024)  # those of Johnson et al. 2016, table 1
SMALLEST_SIZE = 16
DEFAULT_FOLDER = Path("evaluations")


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """What `evaluate` measures: which networks, on which photos, by which loss."""

    checkpoint: tuple[str, ...] = setting(
        MISSING,
        "a shipped style or a checkpoint file, or several (required)",
        verbatim=True,
        changes_result=False,
        heading="What to evaluate",
    )
    style: str = setting(MISSING, "the style image (required)", verbatim=True, changes_result=False)
    content: str = setting(
        MISSING,
        "a folder of photos, best the one used for training: photos it held out are taken (required)",
        verbatim=True,
        changes_result=False,
    )
    output: str | None = setting(
        None, "the folder to write to; null: evaluations/CHECKPOINT", verbatim=True, changes_result=False
    )

    photos: int = setting(
        4,
        "number of photos to judge, out of those that training holds out",
        at_least=1,
        at_most=HELD_OUT_PHOTOS,
        heading="How to judge",
    )
    size: int = setting(256, "side of the square cut from the center of each photo, in pixels", at_least=SMALLEST_SIZE)
    style_short_side: int = setting(384, "short side of the style image in pixels", at_least=SMALLEST_SIZE)
    style_strength: float = setting(
        LossSettings().style_strength,
        "weight of the style loss: total = content + style_strength * style + tone + color",
        at_least=0,
    )
    iterations: int = setting(500, "L-BFGS iterations for each photo, from noise and from the photo", at_least=1)
    seed: int = setting(0, "random seed of the noise and of random weights", at_least=0, less_than=2**63)
    loss_network: LossNetworkSettings = setting(LossNetworkSettings, "")

    timing_sizes: tuple[int, ...] = setting(
        TIMING_SIZES,
        "sides of the square images to time, in pixels; sizes that do not fit are skipped; []: no timing",
        changes_result=False,
        heading="Speed and files (an evaluation can be resumed with other values of these)",
    )
    timed_iterations: int = setting(5, "timed iterations at each size", at_least=1, changes_result=False)
    device: str | None = setting(None, "cpu, cuda or mps; null: the fastest available", changes_result=False)
    overwrite: bool = setting(False, "start over and replace what is there", changes_result=False)
    show_progress: bool = setting(True, "progress bar", changes_result=False)

    def __post_init__(self) -> None:
        if isinstance(self.checkpoint, str | os.PathLike):
            object.__setattr__(self, "checkpoint", (os.fspath(self.checkpoint),))
        check_settings(self)
        if not self.checkpoint:
            raise SettingError("checkpoint is empty; give a file or the name of a shipped style, or several")
        for size in self.timing_sizes:
            if size < SMALLEST_SIZE:
                raise SettingError(f"timing_sizes has {size}; each must be at least {SMALLEST_SIZE}")

    @property
    def output_path(self) -> Path:
        """The folder to write to, named after the checkpoints where `output` is None."""
        if self.output is not None:
            return Path(os.path.expanduser(self.output))
        names = dict.fromkeys(Path(name).stem for name in self.checkpoint)
        return DEFAULT_FOLDER / "+".join(names)[:200]
