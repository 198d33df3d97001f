"""The style images of the base training: many, each recolored, cropped and mixed, and measured ahead."""

import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_fast.data.sampler import mix_seed
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.style_targets import StyleTargets, mix_targets
from nst_fast.networks.style_features import FEATURE_CHANNELS
from nst_fast.networks.torch_style_predictor import measure_style_features

_SHORT_SIDES = (288, 448)  # pixels, between which style images are scaled
_LEAST_CROP = 256  # pixels
_RECOLORED = 0.4  # the share of style images that get other colors
_MIXED = 0.15  # the share that is mixed with a second one
_STEPS_PER_REPLACEMENT = 3  # measuring a style image takes about as long as half a step


@dataclasses.dataclass(frozen=True)
class MeasuredStyle:
    """One entry of the pool.

    Attributes:
        features: (1, N), for the predictor.
        targets: for the loss.
    """

    features: Tensor
    targets: StyleTargets


class StylePool:
    """Measured style images, one of which is replaced every few steps; entry and step decide what it is, nothing else.

    Args:
        style_images: uint8, (3, H, W) each.
        loss: measures targets.
        compact: the compact loss network, whose activations the predictor reads.
        size: number of entries.
        seed: decides every crop, color and mixture.
    """

    def __init__(
        self, style_images: list[Tensor], loss: PerceptualLoss, compact: LossNetwork, *, size: int, seed: int
    ) -> None:
        self._style_images = style_images
        self._loss = loss
        self._compact = compact
        self._seed = seed
        self._size = size
        self._entries: dict[int, tuple[int, MeasuredStyle]] = {}

    def draw(self, step: int, count: int) -> list[MeasuredStyle]:
        """The style images of a step."""
        generator = torch.Generator().manual_seed(mix_seed(self._seed, step, 11))
        places = torch.randint(self._size, (count,), generator=generator).tolist()
        return [self._look_up(place, step) for place in places]

    def measure(self, number: int) -> MeasuredStyle:
        """The style image with this number, of endlessly many."""
        generator = torch.Generator().manual_seed(mix_seed(self._seed, number, 12))
        first = self._measure_one(generator)
        if _uniform(generator) >= _MIXED:
            return first
        second, share = self._measure_one(generator), _uniform(generator, 0.3, 0.7)
        return MeasuredStyle(
            torch.lerp(second.features, first.features, share),
            mix_targets([first.targets, second.targets], [share, 1 - share]),
        )

    def _look_up(self, place: int, step: int) -> MeasuredStyle:
        turn = step // _STEPS_PER_REPLACEMENT  # entry p is replaced in the turns p, p + size, ...
        number = max(0, (turn - place) // self._size + 1) * self._size + place
        if place not in self._entries or self._entries[place][0] != number:
            self._entries[place] = number, self.measure(number)
        return self._entries[place][1]

    def _measure_one(self, generator: torch.Generator) -> MeasuredStyle:
        index = int(torch.randint(len(self._style_images), (), generator=generator))
        image = vary_style_image(self._style_images[index], generator)
        targets = self._loss.measure_style(image)
        return MeasuredStyle(read_features(self._compact, image), targets)


def read_features(compact: LossNetwork, style_image: Tensor) -> Tensor:
    """The predictor's features of a style image, (3, H, W), RGB in [0, 1]: (1, N)."""
    with torch.no_grad():
        return measure_style_features(compact.activate(style_image[None], FEATURE_CHANNELS), style_image[None])


def vary_style_image(image: Tensor, generator: torch.Generator) -> Tensor:
    """A random crop of a style image, uint8, (3, H, W), scaled, perhaps flipped and recolored: (3, h, w) in [0, 1]."""
    short_side = _uniform(generator, *_SHORT_SIDES)
    scale = short_side / min(image.shape[1:])
    sides = [max(_LEAST_CROP, round(side * scale)) for side in image.shape[1:]]
    scaled = F.interpolate(image[None].float() / 255, sides, mode="bilinear", antialias=True)[0].clamp(0, 1)
    height, width = (round(_uniform(generator, _LEAST_CROP, min(side, 448))) for side in sides)
    top, left = (round(_uniform(generator, 0, side - size)) for side, size in zip(sides, (height, width), strict=True))
    crop = scaled[:, top : top + height, left : left + width]
    if _uniform(generator) < 0.5:
        crop = crop.flip(2)
    return _recolor(crop, generator) if _uniform(generator) < _RECOLORED else crop


def _recolor(image: Tensor, generator: torch.Generator) -> Tensor:
    """Hues turned by any angle, other saturation and contrast; light stays light."""
    angle, saturation = _uniform(generator, -math.pi, math.pi), _uniform(generator, 0.4, 1.5)
    gamma = math.exp(_uniform(generator, -0.4, 0.4))
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    cosine, sine = saturation * math.cos(angle), saturation * math.sin(angle)
    turn = torch.tensor([[1.0, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return torch.einsum("ij,jhw->ihw", matrix.to(image.device), image).clamp(0, 1) ** gamma


def _uniform(generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))
