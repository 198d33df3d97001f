"""What decides the picture that an optimisation ends in, beside the photo and the paintings."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nst_fast.errors import SettingError, nearest_name
from nst_fast.gatys.pixel_optimiser import check_method
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

STARTS = ("content", "noise", "style")


@dataclasses.dataclass(frozen=True)
class Plan:
    """The settings of an optimisation. Two of one plan on one machine end in the same picture, bit for bit.

    Raises:
        SettingError: a value that is not allowed.
    """

    start: str = "content"  # or noise, style
    seed: int = 0  # of the noise and of random weights
    method: str = "lbfgs"  # or adam, gradient_descent
    iterations: int = 500  # at each size; see PixelOptimiser for what one is
    learning_rate: float | None = None  # of adam and gradient_descent; None: see PixelOptimiser
    average_decay: float = 0.0  # of the moving average of the pictures; 0: the last picture

    short_side: int | None = None  # pixels of the picture; None: the photo's own
    coarsest_short_side: int | None = None  # pixels; begin there and grow by sqrt(2); None: one size
    style_short_side: int | None = None  # pixels of the paintings, shrunk along at coarser sizes; None: short_side

    loss_network: str = "vgg19"  # or vgg16, compact
    weights: str = "imagenet"  # or imagenet_features, shipped, random, or a file
    pooling: str = "max"  # or average
    input_normalisation: str | None = None  # imagenet, caffe; None: what the weights are known to need

    content_taps: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(DEFAULT_CONTENT_TAPS))
    style_taps: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(DEFAULT_STYLE_TAPS))
    style_weights: tuple[float, ...] | None = None  # one for each painting; None: equal shares
    normalisation: str = "relative"  # or gatys, johnson
    content_weight: float = 1.0  # alpha
    style_strength: float = 20.0  # beta
    total_variation_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise SettingError(
                f"start {self.start!r} is unknown; allowed: {', '.join(STARTS)}"
                f"{nearest_name(self.start, list(STARTS))}"
            )
        check_method(self.method, self.learning_rate, self.average_decay)
        at_least = {"iterations": 1, "short_side": 1, "coarsest_short_side": 1, "style_short_side": 1, "seed": 0}
        for name, least in at_least.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise SettingError(f"{name} is {value}; it must be at least {least}")
        if not self.seed < 2**63:
            raise SettingError(f"seed is {self.seed}; it must be less than {2**63}")

    def as_plain_values(self) -> dict[str, Any]:
        """For JSON, and for comparing with a run that is to be continued."""
        values = dataclasses.asdict(self)
        values["style_weights"] = None if self.style_weights is None else list(self.style_weights)
        return values


def list_short_sides(short_side: int, coarsest_short_side: int | None) -> list[int]:
    """The sizes of an optimisation from coarse to fine, in pixels: each sqrt(2) of the one before, the last exact.

    The first is not below `coarsest_short_side`; with None, or one that is not smaller, there is one size.
    """
    sides = [float(short_side)]
    while coarsest_short_side is not None and sides[0] / 2**0.5 >= coarsest_short_side - 0.5:
        sides.insert(0, sides[0] / 2**0.5)
    return [round(side) for side in sides]
