"""The fixed loss networks with named taps: VGG-16 and VGG-19 (Simonyan and Zisserman 2014, arXiv 1409.1556), and
`compact`, a small network of the same kind that was distilled from VGG-19 and can replace it.

The taps of `compact` return activations in VGG's metric. Let P be the projection with which the distillation predicts
VGG's activations v from the network's own activations s (v ~ P s), and P = Q R with orthonormal columns of Q. Then

    |P s - P t|^2 = |R s - R t|^2      and      |P G P^T - P H P^T|_F = |R G R^T - R H R^T|_F

for any s, t, and any Gram matrices G, H. So a tap returns R s, which has as many channels as s, and the content and
style losses of R s are those of VGG's predicted activations.
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_fast.errors import ImageError, SettingError, nearest_name
from nst_fast.losses.settings import LossSettings


class Architecture(NamedTuple):
    """Blocks of 3x3 convolutions, each followed by a ReLU; pooling halves the sides between two blocks."""

    convolutions_per_block: tuple[int, ...]
    channels_per_block: tuple[int, ...]
    # How many convolutions at the start of each block have no tap, since nothing in VGG corresponds to them.
    without_tap: tuple[int, ...]


ARCHITECTURES = {
    "vgg16": Architecture((2, 2, 3, 3, 3), (64, 128, 256, 512, 512), (0, 0, 0, 0, 0)),
    "vgg19": Architecture((2, 2, 4, 4, 4), (64, 128, 256, 512, 512), (0, 0, 0, 0, 0)),
    "compact": Architecture((1, 2, 3, 3), (24, 48, 96, 160), (0, 1, 1, 2)),
}

# How to prepare an image in [0, 1] for the first convolution: subtract the mean, divide by the deviation.
INPUT_NORMALIZATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # torchvision's IMAGENET1K_FEATURES: the original Caffe weights, for colors in 0..255 with only the mean subtracted.
    "caffe": ((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
}


class Convolution(NamedTuple):
    """One 3x3 convolution: its tap, its index in `features` of torchvision's format, its channels, its stride."""

    tap: str | None
    features_index: int
    in_channels: int
    out_channels: int
    stride: int  # in pixels of the image, between two neighboring activations
    pool_before: bool


def list_convolutions(architecture: str) -> list[Convolution]:
    """Every convolution of one of ARCHITECTURES in order; the tap `relu3_2` is the output of its ReLU."""
    if architecture not in ARCHITECTURES:
        raise SettingError(
            f"loss network {architecture!r} is unknown; allowed: {', '.join(ARCHITECTURES)}"
            f"{nearest_name(architecture, list(ARCHITECTURES))}"
        )
    shape = ARCHITECTURES[architecture]
    convolutions = []
    features_index, in_channels = 0, 3
    for block, count in enumerate(shape.convolutions_per_block):
        out_channels = shape.channels_per_block[block]
        for position in range(count):
            number = position + 1 - shape.without_tap[block]
            convolutions.append(
                Convolution(
                    f"relu{block + 1}_{number}" if number > 0 else None,
                    features_index,
                    in_channels,
                    out_channels,
                    2**block,
                    block > 0 and position == 0,
                )
            )
            in_channels = out_channels
            features_index += 2  # the convolution and its ReLU
        features_index += 1  # the pooling after the block
    return convolutions


def list_taps(architecture: str) -> list[str]:
    """The taps of one of ARCHITECTURES, from shallow to deep."""
    return [convolution.tap for convolution in list_convolutions(architecture) if convolution.tap is not None]


def nearest_taps(architecture: str, taps: Mapping[str, float]) -> dict[str, float]:
    """The weights of taps; a tap that only `compact` lacks counts at its deepest one in the same block.

    So one choice of taps serves a training that takes its first steps with `compact`, which has no relu4_2.
    """
    known = list_taps(architecture)
    nearest: dict[str, float] = {}
    for tap, weight in taps.items():
        in_block = [one for one in known if one.partition("_")[0] == tap.partition("_")[0]]
        if architecture == "compact" and tap not in known and tap in list_taps("vgg19") and in_block:
            tap = in_block[-1]
        nearest[tap] = nearest.get(tap, 0.0) + weight
    return nearest


def adapt_taps(settings: LossSettings, architecture: str) -> LossSettings:
    """The settings of a loss with the taps that this loss network has, see `nearest_taps`."""
    return dataclasses.replace(
        settings,
        content_taps=nearest_taps(architecture, settings.content_taps),
        style_taps=nearest_taps(architecture, settings.style_taps),
    )


def check_taps(architecture: str, taps: Iterable[str]) -> None:
    """Raise SettingError, with the list of taps, if one of `taps` does not exist or `taps` is empty."""
    known = list_taps(architecture)
    taps = list(taps)
    if not taps:
        raise SettingError(f"no tap of {architecture} was given; allowed: {', '.join(known)}")
    for tap in taps:
        if tap not in known:
            raise SettingError(
                f"tap {tap!r} does not exist in {architecture}; allowed: {', '.join(known)}{nearest_name(tap, known)}"
            )


class LossNetwork(nn.Module):
    """A fixed network that returns the activations at named taps. It ends after the deepest of them.

    Its weights have no gradients; gradients with respect to the image pass through it.

    Args:
        architecture: a key of ARCHITECTURES.
        taps: all taps that you will ask for, such as `relu3_2`; deeper layers are not built.
        pooling: `max` as trained, or `average`, which Gatys et al. 2016 (section 2) found to give smoother images.
        input_normalization: a key of INPUT_NORMALIZATIONS: the one that the weights were trained with.

    Attributes:
        autocast_type: number type of the convolutions; None: that of the weights. Half of the bits are twice as fast on
            processors that have instructions for them (AMX), and change a loss by a thousandth.

    Raises:
        SettingError: unknown architecture, tap, pooling or normalization.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, architecture: str, taps: Iterable[str], pooling: str = "max", input_normalization: str = "imagenet"
    ) -> None:
        super().__init__()
        taps = list(taps)
        check_taps(architecture, taps)
        if pooling not in ("max", "average"):
            raise SettingError(f"pooling {pooling!r} is unknown; allowed: max, average")
        if input_normalization not in INPUT_NORMALIZATIONS:
            raise SettingError(
                f"input_normalization {input_normalization!r} is unknown; allowed: {', '.join(INPUT_NORMALIZATIONS)}"
            )
        self.architecture = architecture
        self.pooling = pooling
        self.input_normalization = input_normalization
        self.weights_name = "uninitialized"
        self.autocast_type: torch.dtype | None = None
        every = list_convolutions(architecture)
        depth = max(i for i, convolution in enumerate(every) if convolution.tap in taps)
        self.convolutions = every[: depth + 1]
        self.layers = nn.ModuleList(nn.Conv2d(c.in_channels, c.out_channels, 3, padding=1) for c in self.convolutions)
        # Only `compact` has them: R of the module's docstring, for each tap.
        self.metrics = nn.ModuleDict(
            {
                c.tap: nn.Conv2d(c.out_channels, c.out_channels, 1, bias=False)
                for c in self.convolutions
                if architecture == "compact" and c.tap is not None
            }
        )
        mean, deviation = INPUT_NORMALIZATIONS[input_normalization]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    @property
    def taps(self) -> list[str]:
        """The taps that you can ask for, from shallow to deep."""
        return [convolution.tap for convolution in self.convolutions if convolution.tap is not None]

    def forward(self, image: Tensor, taps: Iterable[str]) -> Mapping[str, Tensor]:
        """The activations at `taps`. Layers deeper than the deepest of them are not computed.

        Args:
            image: shape (B, 3, H, W), RGB in [0, 1].
            taps: some of `self.taps`.

        Returns:
            For each tap a tensor of shape (B, C, H // stride, W // stride); of a VGG non-negative.

        Raises:
            SettingError: a tap that this network was not built for.
            ImageError: the image is smaller than one activation of the deepest tap.
        """
        activations = self.activate(image, taps)
        if not self.metrics:
            return activations
        with self._autocast(image.device):
            return {tap: self.metrics[tap](hidden) for tap, hidden in activations.items()}

    def activate(self, image: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """Like `forward`, but for `compact` the network's own activations, non-negative, not those in VGG's metric."""
        wanted = set(taps)
        if unknown := wanted - set(self.taps):
            raise SettingError(f"tap {min(unknown)!r} was not built; this loss network has {', '.join(self.taps)}")
        height, width = image.shape[-2:]
        stride = max(c.stride for c in self.convolutions if c.tap in wanted)
        if min(height, width) < stride:
            raise ImageError(
                f"an image of {width} x {height} pixels is too small for the deepest tap asked for; "
                f"each side must be at least {stride} pixels"
            )
        hidden = (image - self.mean) / self.deviation
        with self._autocast(image.device):
            return self._convolve(hidden, wanted)

    def _autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        if self.autocast_type is None:
            return contextlib.nullcontext()
        return torch.autocast(device.type, self.autocast_type)

    def _convolve(self, hidden: Tensor, wanted: set[str]) -> dict[str, Tensor]:
        pool = F.max_pool2d if self.pooling == "max" else F.avg_pool2d
        activations: dict[str, Tensor] = {}
        for convolution, layer in zip(self.convolutions, self.layers, strict=True):
            if convolution.pool_before:
                hidden = pool(hidden, 2)
            # In place, since the gradient of a convolution needs its input but not its output.
            hidden = F.relu_(layer(hidden))
            if convolution.tap is not None and convolution.tap in wanted:
                activations[convolution.tap] = hidden
                wanted.remove(convolution.tap)
                if not wanted:
                    break
        return activations
