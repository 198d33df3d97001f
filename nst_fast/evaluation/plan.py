"""What decides the figures of an evaluation, beside the networks, the painting and the photos."""

import dataclasses
from typing import Any

from nst_fast.errors import SettingError

# Those that training keeps out of a folder by default: the photos judged are the first of them, and the variance of
# all of them is the unit of the content loss, as in scripts/measure_checkpoints.py.
MOST_PHOTOS = 64
TIMING_SIZES = (256, 512, 1024)  # those of Johnson et al. 2016, table 1


@dataclasses.dataclass(frozen=True)
class EvaluationPlan:
    """The settings of an evaluation.

    Raises:
        SettingError: a value that is not allowed.
    """

    photos: int = 4  # of those that training keeps out
    size: int = 256  # pixels, side of the photos' middle that is judged
    style_short_side: int = 384  # pixels of the painting's short side
    style_strength: float = 20.0  # of the total: style_strength * style + content, relative
    iterations: int = 500  # of L-BFGS on each photo from each start
    seed: int = 0  # of the noise and of random weights

    loss_network: str = "vgg19"  # or vgg16, compact
    weights: str = "imagenet"  # or imagenet_features, shipped, random, or a file
    pooling: str = "max"  # or average
    input_normalisation: str | None = None  # imagenet, caffe; None: what the weights are known to need

    def __post_init__(self) -> None:
        at_least = {"photos": 1, "size": 16, "style_short_side": 16, "style_strength": 0, "iterations": 1, "seed": 0}
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.photos > MOST_PHOTOS:
            raise SettingError(
                f"photos is {self.photos}; it must be at most {MOST_PHOTOS}, as many as training keeps out"
            )
        if not self.seed < 2**63:
            raise SettingError(f"seed is {self.seed}; it must be less than {2**63}")

    def as_plain_values(self) -> dict[str, Any]:
        """For JSON, and for comparing with a run that is to be continued."""
        return dataclasses.asdict(self)
