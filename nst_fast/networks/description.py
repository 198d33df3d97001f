"""What a network is made of, in plain values: the one description that every runtime builds it from.

A network is a tree of layers. `torch_network` turns the tree into the module that is trained, `onnx_graph` into the
graph that ONNX Runtime, OpenVINO and browsers run, and this module counts operations, weights and the reach of a pixel.
Nothing here, and nothing that only stylizes, needs PyTorch.

Why a description and not, say, an ONNX file as the checkpoint: one network becomes several graphs (pixels or floats,
with or without given statistics, tiles), some of them rearranged for speed, so a stored graph would have to be
rewritten anyway, and training would have to read weights back out of it. A description is small, can be checked against
the tensors of a file before anything is allocated, and leaves the checkpoint a plain list of weights.

Notation: (B, C, H, W) are the batch, channels, height and width of what a layer takes.

Steering. In an *adjustable* network the scales and shifts of the normalizations are no weights of the layers: they come
from outside, as one array (1, 2, steering channels) with the scales in row 0 and the shifts in row 1. The checkpoint
holds them at a few strengths (`STRENGTHS`); between these they are interpolated. Networks that share their convolutions
can exchange and mix them, which is conditional instance normalization (Dumoulin et al. 2017, arXiv 1610.07629).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# The strengths at which an adjustable network has scales and shifts: 0 leaves the photo, 1 is the style as trained.
STRENGTHS = (0.0, 0.5, 1.0, 2.0)
STEERING = "steering"  # the name of their tensor in a checkpoint: (strengths, 2, steering channels)


@dataclass(frozen=True)
class Conv:
    """A convolution over reflection-padded input: (B, in, H, W) to (B, out, H / stride, W / stride).

    Reflection leaves no dark border, which zeros would. In front of an instance normalization a bias would be
    subtracted again, so most convolutions have none.
    """

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    bias: bool = False


@dataclass(frozen=True)
class InstanceNorm:
    """Instance normalization with a scale and a shift per channel (Ulyanov et al. 2016, arXiv 1607.08022)."""

    channels: int


@dataclass(frozen=True)
class AddPhoto:
    """Adds the photo (B, 3, H, W) to colors of the same size, each color times a scale plus a shift, which are steered.

    Instance normalization takes away how light and how colorful a photo is, and a network at a quarter of the
    resolution cannot give back every pixel. So at strength 0 the photo goes around the network, between 0 and 1 some of
    it, and from 1 on none.
    """

    channels = 3


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-x)), which ends a network in colors in (0, 1).

    Johnson et al. 2016 end in a scaled tanh; the sigmoid is the same curve for colors in [0, 1].
    """


@dataclass(frozen=True)
class PixelUnshuffle:
    """Moves squares of positions into channels: (B, C, H, W) to (B, C * factor^2, H / factor, W / factor)."""

    factor: int


@dataclass(frozen=True)
class Upsample:
    """Repeats each position `factor` times down and across. With a convolution behind it there are no checkerboards
    (Odena et al. 2016, Distill)."""

    factor: int = 2


@dataclass(frozen=True)
class SmoothUpsampleConv:
    """Bilinear upsampling to twice the size and a 3x3 convolution without bias, in one step.

    Both are linear, so each pixel of a 2x2 square of the result is some 3x3 convolution of the input. Computing those
    four and interleaving them takes as many operations on a quarter of the positions with four times the channels,
    which suits processors far better where channels are few. The input is reflected before the upsampling, so the
    outermost row and column differ from an upsampling followed by a padded convolution.
    """

    in_channels: int
    out_channels: int

    # By parity of the position in the result and tap of the kernel there: the shares of the three taps of the input.
    SHARES = (
        ((0.75, 0.25, 0), (0.25, 0.75, 0), (0, 0.75, 0.25)),
        ((0.25, 0.75, 0), (0, 0.75, 0.25), (0, 0.25, 0.75)),
    )


@dataclass(frozen=True)
class Sequence:
    """Named layers, one after the other."""

    layers: tuple[tuple[str, "Layer"], ...]


@dataclass(frozen=True)
class Residual:
    """Named layers whose result is added to their input."""

    layers: tuple[tuple[str, "Layer"], ...]


Layer = (
    Conv
    | InstanceNorm
    | AddPhoto
    | Relu
    | Sigmoid
    | PixelUnshuffle
    | Upsample
    | SmoothUpsampleConv
    | Sequence
    | Residual
)


def sequence(*layers: Layer) -> Sequence:
    """Layers named by their place: 0, 1, 2, ..."""
    return Sequence(tuple((str(place), layer) for place, layer in enumerate(layers)))


def conv_norm(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, *, relu: bool = True) -> Sequence:
    """A convolution and an instance normalization, then perhaps a ReLU."""
    layers: list[Layer] = [Conv(in_channels, out_channels, kernel_size, stride), InstanceNorm(out_channels)]
    return sequence(*layers, *([Relu()] if relu else []))


def residual_block(channels: int) -> Residual:
    """Two 3x3 convolutions added to their input; no ReLU after the addition (Johnson et al. 2016, supplement)."""
    return Residual(
        (("first", conv_norm(channels, channels, 3)), ("second", conv_norm(channels, channels, 3, relu=False)))
    )


def upsample_conv_norm(in_channels: int, out_channels: int) -> Sequence:
    """Nearest-neighbor upsampling to twice the size, a 3x3 convolution, instance normalization and ReLU."""
    return sequence(Upsample(), conv_norm(in_channels, out_channels, 3))


def smooth_upsample_conv_norm(in_channels: int, out_channels: int) -> Sequence:
    """Bilinear upsampling to twice the size, a 3x3 convolution, instance normalization and ReLU."""
    return sequence(SmoothUpsampleConv(in_channels, out_channels), InstanceNorm(out_channels), Relu())


def to_colors(in_channels: int, kernel_size: int, *, add_photo: bool = False) -> Sequence:
    """The last convolution, to RGB in (0, 1)."""
    photo: list[Layer] = [AddPhoto()] if add_photo else []
    return sequence(Conv(in_channels, 3, kernel_size, bias=True), *photo, Sigmoid())


def interpolate_strength(strength: float) -> tuple[float, ...]:
    """The shares of the arrays at STRENGTHS in that of this strength; they add up to 1, and at most two are not 0.

    Args:
        strength: 0 to 2; what lies beyond counts as the nearest of these.
    """
    shares = [0.0] * len(STRENGTHS)
    strength = min(max(strength, STRENGTHS[0]), STRENGTHS[-1])
    place = max(place for place, start in enumerate(STRENGTHS[:-1]) if start <= strength)
    share = (strength - STRENGTHS[place]) / (STRENGTHS[place + 1] - STRENGTHS[place])
    shares[place], shares[place + 1] = 1 - share, share
    return tuple(shares)


def adds_photo(steering: Any) -> bool:
    """Whether `AddPhoto` adds anything with this steering, an array (..., steering channels) of a network that has it.

    Its colors are the last of what is steered.
    """
    return bool(steering[..., -AddPhoto.channels :].any())


def leave_photo_out(steering: Any) -> Any:
    """Set to 0 what `AddPhoto` takes at strengths from 1 on, in an array (strengths, 2, steering channels); returns it.

    There the photo's detail would show through the strokes, and outlines that the strokes have moved would be doubled.
    """
    steering[[strength >= 1 for strength in STRENGTHS], :, -AddPhoto.channels :] = 0
    return steering


@dataclass(frozen=True)
class NetworkDescription:
    """An image transformation network without its weights.

    Attributes:
        name: of the architecture, such as realtime.
        arguments: with which `describe_network(name, **arguments)` gives this description again.
        body: photos (B, 3, H, W), RGB in [0, 1], to stylized images of the same shape and range. The names of its
            layers, joined by dots, name the tensors of a checkpoint.
        stride: in pixels; H and W must be multiples of it.
        min_side: in pixels; the least H and W that the paddings can reflect.
        input_noise: standard deviation of the noise that is added to photos, see `input_noise`; 0: none.
        adjustable: whether the scales and shifts of its normalizations come from outside, see the module's docstring.
        zero_padding: whether convolutions pad with zeros in place of a reflection; for exports to phones, see
            `export.zero_padding`. No network is trained so, and no checkpoint file says so.
    """

    name: str
    arguments: Mapping[str, Any]
    body: Sequence
    stride: int
    min_side: int
    input_noise: float = field(default=0.0)
    adjustable: bool = field(default=False)
    zero_padding: bool = field(default=False)

    def list_parameters(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight by its name, in order."""
        shapes: dict[str, tuple[int, ...]] = {}
        for path, layer in _walk(self.body, ""):
            match layer:
                case Conv():
                    shapes[f"{path}.weight"] = (layer.out_channels, layer.in_channels, *[layer.kernel_size] * 2)
                    if layer.bias:
                        shapes[f"{path}.bias"] = (layer.out_channels,)
                case SmoothUpsampleConv():
                    shapes[f"{path}.weight"] = (layer.out_channels, layer.in_channels, 3, 3)
                case InstanceNorm() if not self.adjustable:
                    shapes[f"{path}.weight"] = shapes[f"{path}.bias"] = (layer.channels,)
        if self.adjustable:
            shapes[STEERING] = (len(STRENGTHS), 2, self.steering_channels)
        return shapes

    @property
    def steering_channels(self) -> int:
        """The channels of all that is steered, in the order of the layers; 0 if the network is not adjustable."""
        if not self.adjustable:
            return 0
        return sum(layer.channels for _, layer in _walk(self.body, "") if isinstance(layer, InstanceNorm | AddPhoto))

    @property
    def statistics_channels(self) -> int:
        """The channels of all normalizations together: the last side of a tensor of statistics."""
        return sum(layer.channels for _, layer in _walk(self.body, "") if isinstance(layer, InstanceNorm))

    @property
    def operations_per_pixel(self) -> float:
        """The floating-point operations of all convolutions for one pixel; a multiplication and an addition are two."""
        operations = 0.0

        def count(layer: Layer, _channels: int, positions: float) -> None:
            nonlocal operations
            if isinstance(layer, Conv | SmoothUpsampleConv):
                kernel_size = layer.kernel_size if isinstance(layer, Conv) else 3
                operations += 2 * layer.in_channels * layer.out_channels * kernel_size**2 * positions

        _follow_sizes(self.body, 3, 1.0, count)
        return operations

    @property
    def largest_values_per_pixel(self) -> float:
        """The values that the largest intermediate result holds for each pixel of a photo."""
        largest = 0.0

        def note(_layer: Layer, channels: int, positions: float) -> None:
            nonlocal largest
            largest = max(largest, channels * positions)

        _follow_sizes(self.body, 3, 1.0, note)
        return largest

    @property
    def receptive_radius(self) -> int:
        """How many pixels away a pixel of the photo can still change the result, statistics aside."""
        radius = 0
        for place in range(self.stride):  # a pixel's reach depends on its place in the squares that strides make
            low, high = _reach(self.body, place, place)
            radius = max(radius, place - low, high - place)
        return radius


def _walk(layer: Layer, path: str) -> Iterator[tuple[str, Layer]]:
    """Every layer that holds no others, with its name."""
    if isinstance(layer, Sequence | Residual):
        for name, part in layer.layers:
            yield from _walk(part, f"{path}.{name}" if path else name)
    else:
        yield path, layer


def _follow_sizes(
    layer: Layer, channels: int, positions: float, visit: Callable[[Layer, int, float], None]
) -> tuple[int, float]:
    """Call `visit` with each layer and the channels, and the positions for each pixel, of its result; give the last."""
    match layer:
        case Sequence() | Residual():
            for _, part in layer.layers:
                channels, positions = _follow_sizes(part, channels, positions, visit)
            return channels, positions
        case Conv():
            channels, positions = layer.out_channels, positions / layer.stride**2
        case SmoothUpsampleConv():
            channels, positions = layer.out_channels, positions * 4
        case PixelUnshuffle():
            channels, positions = channels * layer.factor**2, positions / layer.factor**2
        case Upsample():
            positions *= layer.factor**2
    visit(layer, channels, positions)
    return channels, positions


def _reach(layer: Layer, low: int, high: int) -> tuple[int, int]:
    """The first and the last position of a layer's input, along a side, that `low` to `high` of its result use."""
    match layer:
        case Sequence():
            for _, part in reversed(layer.layers):
                low, high = _reach(part, low, high)
        case Residual():
            inner = _reach(Sequence(layer.layers), low, high)
            low, high = min(low, inner[0]), max(high, inner[1])
        case Conv():
            margin = layer.kernel_size // 2
            low, high = low * layer.stride - margin, high * layer.stride + margin
        case SmoothUpsampleConv():
            low, high = low // 2 - 1, high // 2 + 1
        case PixelUnshuffle():
            low, high = low * layer.factor, (high + 1) * layer.factor - 1
        case Upsample():
            low, high = low // layer.factor, high // layer.factor
    return low, high
