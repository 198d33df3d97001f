"""The layers of `description` as PyTorch modules."""

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst_fast.networks import description
from nst_fast.networks.input_noise import PERIOD, build_noise_waves
from nst_fast.networks.torch_statistics import StatisticsSource

EPSILON = 1e-5  # of the normalizations, as in PyTorch


class Conditions:
    """What the layers of one forward pass are told from outside, each in its turn.

    Args:
        photos: (B, 3, H, W), RGB in [0, 1], as the network was given them.
        statistics: for the normalizations; None: measured on their input.
        steering: (B or 1, 2, steering channels): scales in row 0, shifts in row 1; None: the network is not adjustable.
    """

    def __init__(
        self, photos: Tensor, statistics: StatisticsSource | None = None, steering: Tensor | None = None
    ) -> None:
        self.photos = photos
        self.statistics = statistics
        self._steering = steering
        self._channels_passed = 0

    def steer(self, channels: int) -> tuple[Tensor, Tensor]:
        """The scale and the shift of the next layer that is steered, each (B or 1, channels)."""
        assert self._steering is not None
        start, self._channels_passed = self._channels_passed, self._channels_passed + channels
        part = self._steering[:, :, start : self._channels_passed]
        return part[:, 0], part[:, 1]


def build_layer(layer: description.Layer, *, steered: bool = False, zero_padding: bool = False) -> nn.Module:
    """The module of a layer, its weights drawn from torch's random numbers as torch's own layers do it.

    Args:
        steered: whether the normalizations take their scales and shifts from `Conditions`.
        zero_padding: see `NetworkDescription`.
    """
    match layer:
        case description.Sequence():
            return Chain(layer, steered=steered, zero_padding=zero_padding)
        case description.Residual():
            return Residual(layer, steered=steered, zero_padding=zero_padding)
        case description.Conv():
            return nn.Conv2d(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size,
                layer.stride,
                padding=layer.kernel_size // 2,
                padding_mode="zeros" if zero_padding else "reflect",
                bias=layer.bias,
            )
        case description.InstanceNorm():
            return SteeredInstanceNorm() if steered else InstanceNorm(layer.channels)
        case description.AddPhoto():
            return AddPhoto()
        case description.Relu():
            return nn.ReLU(inplace=True)
        case description.Sigmoid():
            return nn.Sigmoid()
        case description.PixelUnshuffle():
            return nn.PixelUnshuffle(layer.factor)
        case description.Upsample():
            return nn.Upsample(scale_factor=layer.factor, mode="nearest")
        case description.SmoothUpsampleConv():
            return SmoothUpsampleConv(layer.in_channels, layer.out_channels, zero_padding=zero_padding)
        case _:
            assert_never(layer)


class Chain(nn.Sequential):
    """Layers in turn; the conditions go to those that need them."""

    def __init__(
        self,
        layers: description.Sequence | description.Residual,
        *,
        steered: bool = False,
        zero_padding: bool = False,
    ) -> None:
        super().__init__()
        for name, layer in layers.layers:
            self.add_module(name, build_layer(layer, steered=steered, zero_padding=zero_padding))

    def forward(self, hidden: Tensor, conditions: Conditions | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, C, H, W) through all layers."""
        for layer in self:
            takes_conditions = isinstance(layer, Chain | InstanceNorm | SteeredInstanceNorm | AddPhoto)
            hidden = layer(hidden, conditions) if takes_conditions else layer(hidden)
        return hidden


class Residual(Chain):
    """Layers whose result is added to their input."""

    def forward(self, hidden: Tensor, conditions: Conditions | None = None) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return hidden + super().forward(hidden, conditions)


class AddPhoto(nn.Module):
    """See `description.AddPhoto`."""

    def forward(self, hidden: Tensor, conditions: Conditions) -> Tensor:
        """(B, 3, H, W) to the same shape."""
        scale, shift = conditions.steer(3)
        return hidden + (conditions.photos * scale[:, :, None, None] + shift[:, :, None, None])


class SteeredInstanceNorm(nn.Module):
    """Instance normalization whose scale and shift come from `Conditions`."""

    def forward(self, hidden: Tensor, conditions: Conditions) -> Tensor:
        """(B, C, H, W) to the same shape."""
        batch, channels = hidden.shape[:2]
        scale, shift = conditions.steer(channels)
        if conditions.statistics is None and not torch.compiler.is_exporting():
            # All channels of all images as channels of one image, so that each can have a scale of its own. An exported
            # program is to take any number of images, and the number of groups would fix it.
            flat = hidden.reshape(1, batch * channels, *hidden.shape[2:])
            scales, shifts = (part.expand(batch, channels).reshape(-1) for part in (scale, shift))
            return functional.group_norm(flat, batch * channels, scales, shifts, EPSILON).view_as(hidden)
        if conditions.statistics is None:
            variance, mean = torch.var_mean(hidden, (2, 3), correction=0, keepdim=True)
        else:
            mean, variance = conditions.statistics.choose(hidden)
        factor = scale[:, :, None, None] * torch.rsqrt(variance + EPSILON)
        return hidden * factor + (shift[:, :, None, None] - mean * factor)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalization (Ulyanov et al. 2016, arXiv 1607.08022), by its own statistics or by those handed in."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, hidden: Tensor, conditions: Conditions | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, C, H, W) to the same shape; without conditions by what is measured on `hidden`, as torch does it."""
        if conditions is None or conditions.statistics is None:
            # The same as instance_norm: each channel a group. On CPUs a step of training takes a fifth less with it.
            return functional.group_norm(hidden, self.num_features, self.weight, self.bias, self.eps)
        mean, variance = conditions.statistics.choose(hidden)
        scale = self.weight[:, None, None] * torch.rsqrt(variance + self.eps)
        return hidden * scale + (self.bias[:, None, None] - mean * scale)


class SmoothUpsampleConv(nn.Module):
    """See `description.SmoothUpsampleConv`.

    At 640x360 from 16 to 8 channels this takes 8 ms instead of 27 on two CPU cores (forward and backward alike). Unlike
    that of `interpolate`, its gradient is deterministic on CUDA.

    Attributes:
        weight: (out, in, 3, 3), the kernel at the larger size.
    """

    shares: Tensor

    def __init__(self, in_channels: int, out_channels: int, *, zero_padding: bool = False) -> None:
        super().__init__()
        self.zero_padding = zero_padding
        self.weight = nn.Parameter(nn.Conv2d(in_channels, out_channels, 3, bias=False).weight.detach())
        self.register_buffer("shares", torch.tensor(description.SmoothUpsampleConv.SHARES), persistent=False)

    def build_kernels(self) -> Tensor:
        """(4 * out, in, 3, 3): the kernels at the smaller size, each channel's four in the order of pixel-shuffle."""
        return torch.einsum("oikl,pky,qlx->opqiyx", self.weight, self.shares, self.shares).flatten(0, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, 2H, 2W)."""
        if self.zero_padding:
            return functional.pixel_shuffle(functional.conv2d(hidden, self.build_kernels(), padding=1), 2)
        padded = functional.pad(hidden, (1, 1, 1, 1), mode="reflect")
        return functional.pixel_shuffle(functional.conv2d(padded, self.build_kernels()), 2)


class InputNoise(nn.Module):
    """Adds the fixed noise of `input_noise` to photos.

    Args:
        strength: standard deviation, where colors are in [0, 1]. 0: none.
    """

    row_frequencies: Tensor
    row_phases: Tensor
    column_frequencies: Tensor
    column_phases: Tensor
    cosines: Tensor

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength
        for name, values in vars(build_noise_waves(strength)).items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, photos: Tensor, origin: Tensor | None = None) -> Tensor:
        """Add the noise to photos, (B, 3, H, W) in [0, 1]; the result reaches a little beyond that.

        Args:
            origin: where the first pixel lies, int64, down and right: (2,) for all photos, or (B, 2). None: at
                (0, 0).
        """
        if not self.strength:
            return photos
        if origin is not None and origin.ndim == 2:
            return torch.cat([self(photo[None], one) for photo, one in zip(photos, origin, strict=True)])
        down, right = (0, 0) if origin is None else origin
        rows = self._waves_along(photos.shape[2], down, self.row_frequencies, self.row_phases)
        columns = self._waves_along(photos.shape[3], right, self.column_frequencies, self.column_phases)
        return photos + (rows @ columns.T).to(photos.dtype)

    def _waves_along(self, side: int, start: int | Tensor, frequencies: Tensor, phases: Tensor) -> Tensor:
        positions = torch.arange(side, device=frequencies.device) + start
        return self.cosines[(positions[:, None] * frequencies + phases) % PERIOD]
