"""What decides a trained network's weights, beside the painting and the photos."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nst_fast.errors import SettingError, nearest_name
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

OPTIMISERS = ("muon", "adam")


def check_optimiser(name: str) -> None:
    """Raises SettingError unless `name` is one of OPTIMISERS."""
    if name not in OPTIMISERS:
        raise SettingError(
            f"optimiser {name!r} is unknown; allowed: {', '.join(OPTIMISERS)}{nearest_name(name, list(OPTIMISERS))}"
        )


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of a run. Two runs of one recipe on one machine end in the same weights, bit for bit.

    Raises:
        SettingError: a value that is not allowed.
    """

    transform_net: str = "realtime"  # or johnson
    width: int = 32  # of the network, in channels
    grain: float = 0.016  # noise on the photo, without which flat areas are painted like woven cloth; 0: none

    loss_network: str = "auto"  # vgg19 where its weights can be had, else compact; or one of vgg19, vgg16, compact
    weights: str = "imagenet"  # or imagenet_features, shipped (compact), random, or a file
    pooling: str = "max"  # or average
    input_normalisation: str | None = None  # imagenet, caffe; None: what the weights are known to need

    content_taps: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(DEFAULT_CONTENT_TAPS))
    style_taps: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(DEFAULT_STYLE_TAPS))
    normalisation: str = "relative"  # or gatys, johnson
    content_weight: float = 1.0  # alpha
    style_strength: float = 20.0  # beta
    total_variation_weight: float = 0.0
    lattice_weight: float = 30.0  # against screens of dots and lines four pixels apart
    style_short_side: int = 384  # pixels of the painting's short side; smaller gives smaller strokes

    crop_size: int = 160  # pixels of the square crops of the photos
    largest_crop: float = 2.0  # crops are cut up to this many times larger and scaled down; 1: the photo's own scale
    batch_size: int = 4  # crops a step
    held_out_photos: int = 64  # kept out of training; never more than a tenth of the folder

    steps: int = 1600
    compact_share: float = 0.0  # of the steps: the first ones are taken with the compact loss network
    optimiser: str = "muon"  # or adam
    learning_rate: float = 1e-2  # at its peak
    warmup_steps: int = 50
    cosine: bool = True  # False: the rate stays at its peak
    average_decay: float = 0.99  # of the moving average of the weights; 0 ships the last weights
    seed: int = 0

    def __post_init__(self) -> None:
        at_least = {
            "grain": 0,
            "style_short_side": 16,
            "crop_size": 16,
            "largest_crop": 1,
            "batch_size": 1,
            "held_out_photos": 0,
            "steps": 1,
            "compact_share": 0,
            "warmup_steps": 0,
            "content_weight": 0,
            "style_strength": 0,
            "total_variation_weight": 0,
            "lattice_weight": 0,
            "average_decay": 0,
            "seed": 0,
        }
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        check_optimiser(self.optimiser)
        if not self.learning_rate > 0:
            raise SettingError(f"learning_rate is {self.learning_rate}; it must be more than 0")
        if not self.average_decay < 1:
            raise SettingError(f"average_decay is {self.average_decay}; it must be less than 1")
        if not self.seed < 2**63:
            raise SettingError(f"seed is {self.seed}; it must be less than {2**63}")
        if not self.compact_share <= 1:
            raise SettingError(f"compact_share is {self.compact_share}; it must be at most 1")
        if self.crop_size % 4:
            raise SettingError(f"crop_size is {self.crop_size}; it must be a multiple of 4")

    def as_plain_values(self) -> dict[str, Any]:
        """For JSON, and for comparing with a run that is to be continued."""
        return dataclasses.asdict(self)
