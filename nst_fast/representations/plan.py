"""Which pictures are reconstructed, and what decides how they come out."""

import dataclasses
from typing import Any, NamedTuple

from nst_fast.errors import SettingError
from nst_fast.losses.normalisation import check_normalisation

# Those of Gatys et al. 2015 (arXiv 1508.06576), figure 1.
DEFAULT_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


class Reconstruction(NamedTuple):
    """One picture of the sheet: the content of one tap, or the style of one tap or of several together."""

    kind: str  # content or style
    taps: tuple[str, ...]

    @property
    def name(self) -> str:
        """For a file: content-relu3_1, style-relu1_1+relu2_1."""
        return f"{self.kind}-{'+'.join(self.taps)}"

    @property
    def label(self) -> str:
        """For a reader who saw those before it in the row: content of relu3_1, style of relu1_1, + relu2_1."""
        return f"{self.kind} of {self.taps[0]}" if len(self.taps) == 1 else f"+ {self.taps[-1]}"


@dataclasses.dataclass(frozen=True)
class ReconstructionPlan:
    """The settings of a sheet. Two of one plan on one machine are equal, bit for bit.

    Raises:
        SettingError: a value that is not allowed.
    """

    content_taps: tuple[str, ...] = DEFAULT_TAPS  # one picture for each
    style_taps: tuple[str, ...] = DEFAULT_TAPS  # the first alone, the first two, the first three, ...
    iterations: int = 200  # of L-BFGS, for each picture
    seed: int = 0  # of the noise that every picture begins with, and of random weights
    short_side: int = 256  # pixels, of the photo and of the painting
    loss_network: str = "vgg19"  # or vgg16, compact
    weights: str = "imagenet"  # or imagenet_features, shipped, random, or a file
    pooling: str = "max"  # or average
    input_normalisation: str | None = None  # imagenet, caffe; None: what the weights are known to need
    normalisation: str = "relative"  # of the losses; or gatys, johnson
    total_variation_weight: float = 0.0

    def __post_init__(self) -> None:
        check_normalisation(self.normalisation)
        for name, least in {"iterations": 1, "short_side": 1, "seed": 0, "total_variation_weight": 0}.items():
            value = getattr(self, name)
            if not value >= least:
                raise SettingError(f"{name} is {value}; it must be at least {least}")
        if not self.seed < 2**63:
            raise SettingError(f"seed is {self.seed}; it must be less than {2**63}")
        for name in ("content_taps", "style_taps"):
            taps = getattr(self, name)
            if len(set(taps)) < len(taps):
                raise SettingError(f"{name} names a tap twice: {', '.join(taps)}; give each once")

    def as_plain_values(self) -> dict[str, Any]:
        """For a saved state, and for comparing with one."""
        values = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def list_reconstructions(self, kind: str) -> list[Reconstruction]:
        """The pictures of one row, `content` or `style`, in order."""
        if kind == "content":
            return [Reconstruction(kind, (tap,)) for tap in self.content_taps]
        return [Reconstruction(kind, self.style_taps[: end + 1]) for end in range(len(self.style_taps))]
