"""Everything that a training can be told, for Python and for the command line alike."""

import ctypes
import dataclasses
import sys
from pathlib import Path
from typing import Any, NamedTuple

from nst_fast.errors import SettingError
from nst_fast.losses.settings import LossSettings
from nst_fast.settings.checks import check_settings
from nst_fast.settings.declare import MISSING, setting, with_help
from nst_fast.settings.networks import LossNetworkSettings, NetworkSettings
from nst_fast.settings.presets import build_settings

# The folders of `configs/` from which a training chooses.
CHOICES = ("preset", "network", "loss_network")
OPTIMIZERS = ("muon", "adam")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CHECKPOINT_DTYPES = ("fp16", "fp32")
COLORS = ("match",)
TRAIN_ONLY = ("strength",)


class Optimization(NamedTuple):
    """How the weights of one architecture are best learned."""

    optimizer: str
    learning_rate: float


# Muon makes `johnson` stylize bright areas with white blots.
OPTIMIZATION_OF = {"realtime": Optimization("muon", 1e-2), "johnson": Optimization("adam", 2e-3)}


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The settings of one training run.

    `TrainSettings(style=..., content=...)` has the defaults below. `TrainSettings.build(...)` also knows the presets
    and the short names of settings.

    Raises:
        SettingError: a value that is not allowed.
    """

    # For these two and `init`, what the files hold decides whether a run is the same, not where they lie.
    style: str = setting(
        MISSING, "the style image (required)", verbatim=True, changes_result=False, heading="What to train"
    )
    content: str = setting(
        MISSING, "a folder of photos, searched recursively (required)", verbatim=True, changes_result=False
    )
    output: str | None = setting(None, "folder of the run; null: runs/NAME", verbatim=True, changes_result=False)
    init: str | None = setting(
        None,
        "start from base, random, a shipped style or a checkpoint; null: base, random for other kinds",
        verbatim=True,
        changes_result=False,
    )
    train_only: str | None = setting(
        None,
        "strength: only give the network of init the strength knob; null: train everything",
        choices=TRAIN_ONLY,
    )
    name: str | None = setting(
        None, "name of the style; null: file name of the style image", verbatim=True, changes_result=False
    )
    title: str | None = setting(
        None, "title of the artwork, kept in the checkpoint", verbatim=True, changes_result=False
    )
    artist: str | None = setting(None, "its artist, kept in the checkpoint", verbatim=True, changes_result=False)
    year: int | None = setting(None, "its year, kept in the checkpoint", changes_result=False)

    loss: LossSettings = setting(LossSettings(grid_weight=30.0, window_share=0.0), "", heading="Look of the style")
    temporal_weight: float = setting(
        2.0, "weight of the temporal loss, which makes strokes follow what moves in films; 0: none", at_least=0
    )
    crop_share: float = setting(
        0.25,
        "share of a crop in the compared style; the rest is of recent crops; 1: alone (moments only)",
        more_than=0,
        at_most=1,
    )
    style_short_side: int = setting(
        384, "short side in pixels at which the style image is used; smaller: finer strokes", at_least=16
    )

    color: str | None = setting(
        None,
        "match: give the style image the colors of the photos first, so that they stay; null: its own",
        choices=COLORS,
    )
    fit_colors: bool = setting(
        False, "at the end, make outputs as colorful as the style image; not with train_only=strength"
    )

    network: NetworkSettings = setting(NetworkSettings, "", heading="The network to train")
    loss_network: LossNetworkSettings = setting(
        LossNetworkSettings(name="auto"),
        "",
        heading="The loss network, which judges it (loss_network=NAME chooses one)",
    )

    steps: int = setting(
        1600, "training steps; with batch_size and crop_size this sets the time", at_least=1, heading="Training"
    )
    compact_share: float = setting(
        0.0, "fraction of the steps, at the start, with the faster compact loss network", at_least=0, at_most=1
    )
    code_share: float = setting(
        0.1,
        "fraction of the steps, at the start, that train scales and shifts alone (init=base)",
        at_least=0,
        at_most=1,
    )
    batch_size: int = setting(4, "crops per step", at_least=1)
    crop_size: int = setting(160, "side in pixels of the square crops, a multiple of 4", at_least=16)
    largest_crop: float = setting(
        2.0, "cut crops up to this many times larger, then scale them down; 1: never", at_least=1
    )
    held_out_photos: int = setting(
        64, "photos kept out of training to measure the result; at most a tenth of all", at_least=0
    )
    optimizer: str | None = setting(
        None, "muon or adam; null: what suits the network (realtime: muon, johnson: adam)", choices=OPTIMIZERS
    )
    learning_rate: float | None = setting(
        None, "highest learning rate; null: what suits the network (realtime: 0.01, johnson: 0.002)", more_than=0
    )
    warmup_steps: int = setting(50, "steps of linear warm-up to the highest learning rate", at_least=0)
    cosine: bool = setting(True, "cosine decay of the learning rate to zero; false: constant")
    ema_decay: float = setting(
        0.99, "decay of the moving average of the weights (EMA); 0: keep the last weights", at_least=0, less_than=1
    )
    seed: int = setting(0, "random seed", at_least=0, less_than=2**63)

    device: str | None = setting(
        None,
        "cpu, cuda or mps; null: the fastest available",
        changes_result=False,
        heading="Speed, logging and files (a run can be resumed with other values of these)",
    )
    precision: str = setting(
        "auto", "fp32, bf16 or fp16; auto: bf16 on CUDA, else fp32", choices=PRECISIONS, changes_result=False
    )
    channels_last: bool = setting(True, "store tensors channels-last, which is usually faster", changes_result=False)
    compile: bool = setting(False, "torch.compile: minutes at the start, then faster steps", changes_result=False)
    workers: int | None = setting(
        None,
        "processes that read photos, if these do not fit in memory; null: one per core",
        at_least=0,
        changes_result=False,
    )
    photo_memory_gib: float = setting(
        4.0, "GiB: photos that fit in this are read once and kept in memory", at_least=0, changes_result=False
    )
    checkpoint_dtype: str = setting(
        "fp16", "number type of the weights in the checkpoint: fp16 or fp32", choices=CHECKPOINT_DTYPES,
        changes_result=False,
    )  # fmt: skip
    log_every_steps: int = setting(10, "steps between two log entries (TensorBoard)", at_least=1, changes_result=False)
    save_every_steps: int = setting(
        100, "steps between two saves of the training state", at_least=1, changes_result=False
    )
    strip_every_steps: int = setting(
        200, "steps between two sample images (strip.jpg)", at_least=1, changes_result=False
    )
    overwrite: bool = setting(False, "start over, even if the folder holds a run", changes_result=False)
    show_progress: bool = setting(True, "progress bar", changes_result=False)
    live: bool = setting(
        False,
        "show the training in your browser, with your webcam in its style (command line only)",
        changes_result=False,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.crop_size % 4:
            raise SettingError(f"crop_size is {self.crop_size}; it must be a multiple of 4")

    @classmethod
    def build(cls, *, preset: str | None = "auto", **given: Any) -> "TrainSettings":
        """The settings that `nst-fast train` makes of the same values.

            TrainSettings.build(style="a.jpg", content="photos", preset="laptop", network="johnson", style_strength=40)

        Args:
            preset: laptop, full, paper or quickstart; `auto`: full where there is a CUDA GPU, else laptop, which is
                what the command line does; None: no preset, just the defaults.
            **given: `network` and `loss_network` by name, and every setting by its name; a whole group such as `loss`
                also as an instance, such as `loss=LossSettings(...)`.

        Raises:
            SettingError: an unknown name, or a value that is not allowed.
        """
        return build_settings(cls, {**given, "preset": choose_preset() if preset == "auto" else preset}, CHOICES)

    @property
    def optimization(self) -> Optimization:
        """Optimizer and learning rate, with those that suit the network where the settings have None.

        Decided here and not when the settings are made, so that a copy with another network gets what that one needs.
        A network that does not exist is refused where it is built.
        """
        suitable = OPTIMIZATION_OF.get(self.network.name, OPTIMIZATION_OF["realtime"])
        return Optimization(self.optimizer or suitable.optimizer, self.learning_rate or suitable.learning_rate)

    @property
    def style_name(self) -> str:
        """The name of the style: `name`, or the file name of the style image."""
        return self.name or Path(self.style).stem

    @property
    def folder(self) -> Path:
        """The folder of the run: `output`, or runs/NAME."""
        return Path(self.output) if self.output else Path("runs", self.style_name)

    def fill_in(self) -> "TrainSettings":
        """A copy in which the optimizer and the learning rate are no longer None."""
        return dataclasses.replace(self, **self.optimization._asdict())


def choose_preset() -> str:
    """The preset for this computer: `full` where there is a CUDA GPU, else `laptop`."""
    from nst_fast.runs.device import choose_device  # slow: torch

    return "full" if choose_device(None).type == "cuda" else "laptop"


def guess_preset() -> str:
    """As `choose_preset`, but in milliseconds, for the help: it asks NVIDIA's driver instead of PyTorch."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):  # no driver, or something else of that name
        found = False
    return "full" if found else "laptop"
