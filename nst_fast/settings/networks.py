"""Settings of the two networks of a training, and of the one that every other verb judges images with."""

import dataclasses

from nst_fast.settings.checks import check_settings
from nst_fast.settings.declare import setting, with_help


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The image transformation network: what you train."""

    name: str = setting("realtime", "realtime or johnson; network=NAME does the same")
    width: int = setting(32, "width of the network in channels, a multiple of 4", at_least=1)
    input_noise: float = setting(
        0.016, "noise added to the photo, so that strokes in flat areas vary; 0: none", at_least=0
    )

    adjustable: bool = setting(True, "with the strength knob, from 0 (the photo) to 2; realtime only")

    def __post_init__(self) -> None:
        check_settings(self)


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class LossNetworkSettings:
    """The loss network: the fixed network whose activations the losses compare."""

    name: str = setting(
        "vgg19",
        "vgg19, vgg16 or compact (ships with nst-fast); to train also auto: vgg19 if available",
    )
    weights: str = setting(
        "imagenet", "imagenet, imagenet_features, shipped (compact only), random, or a file", verbatim=True
    )
    pooling: str = setting("max", "max or average")
    input_normalization: str | None = setting(None, "imagenet or caffe; null: what the weights were trained with")

    def __post_init__(self) -> None:
        check_settings(self)
