"""A described network as an ONNX graph, written layer by layer.

The graph is arranged for speed. What a network computes at full resolution has few channels, and processors compute 16
at a time. So behind a `SmoothUpsampleConv` the four pixels of each 2x2 square stay where they are, as channels at half
of the resolution, until the very end: a 3x3 convolution of 8 to 3 channels there is one of 32 to 12 here, exactly,
borders too, and takes a third less time in spite of its four times as many operations.
"""

import itertools
from collections.abc import Mapping
from typing import assert_never

import numpy as np

from nst_fast.networks import description
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.description import (
    STEERING,
    STRENGTHS,
    AddPhoto,
    Conv,
    InstanceNorm,
    Layer,
    PixelUnshuffle,
    Relu,
    Sigmoid,
    SmoothUpsampleConv,
    adds_photo,
)
from nst_fast.networks.input_noise import PERIOD, build_noise_waves
from nst_fast.networks.onnx_writer import FLOAT, UINT8, GraphWriter

_EPSILON = 1e-5  # of the normalizations, as in PyTorch
_SUMMED = 8  # side of the squares that `convolve_sums` sums


def build_onnx_graph(
    checkpoint: Checkpoint,
    *,
    pixels: bool,
    statistics: bool = False,
    origin: bool = False,
    strength: float | None = 1.0,
    strength_input: bool = False,
    photo: bool = True,
    size: tuple[int, int] | None = None,
    convolve_sums: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of an ONNX file that stylizes images of any size in float32; batch, height and width are free.

    Its input `images` and its output `stylized` are (batch, height, width, 3) uint8 with `pixels`, else
    (batch, 3, height, width) float32 in [0, 1]; the sides must be at least the network's `min_side`.

    Args:
        statistics: True: two more inputs, `given` (1, 2, total channels) and `smoothing` (), and one more output,
            `used`. The normalizations then use measured + smoothing * (given - measured) as their means (row 0) and
            biased variances (row 1).
        origin: True: one more input, `origin` (2,) int64: where the images lie in the pictures that they are tiles of;
            for networks with input noise.
        strength: of an adjustable network, 0 to 2, fixed in the graph. None: one more input for such a network,
            `steering` (1, 2, steering channels): see `Checkpoint.steer`.
        strength_input: True: an adjustable network has the input `strength` (), 0 to 2, whose default is the argument
            of that name; where that is None it must be given, as onnxruntime-web wants it.
        photo: False: `AddPhoto` is left out, which saves the time that it takes; for steering with which it adds
            nothing, as that of strengths from 1 on usually is. A graph of fixed strength finds out for itself.
        size: height and width, multiples of the network's stride, of a graph for one image of this size. With floats,
            nothing in it depends on a size, as converters for phones want it. None: any batch, height and width.
        convolve_sums: True: means over a picture are summed by convolutions first, each square of 8 by 8. OpenVINO
            computes in fp32 whatever lies between the last convolution and an output, even if it is told to use bf16.
            With `statistics` that is every layer, converted and measured in fp32, which takes a quarter of the time.
        metadata: goes into the file's own.
    """
    writer = _NetworkWriter(checkpoint, pixels, statistics, origin, strength, photo, size, convolve_sums)
    if strength_input and checkpoint.description.adjustable:
        writer.take_strength(strength)
    return writer.write(metadata or {})


class _NetworkWriter:
    def __init__(
        self,
        checkpoint: Checkpoint,
        pixels: bool,
        statistics: bool,
        origin: bool,
        strength: float | None,
        photo: bool,
        size: tuple[int, int] | None,
        convolve_sums: bool,
    ) -> None:
        self._network = checkpoint.description
        self._adjustable = checkpoint.description.adjustable
        self._weights = checkpoint.weights
        self._pixels = pixels
        self._writer = GraphWriter()
        self._with_statistics = statistics
        self._with_origin = origin
        self._size = size
        self._convolve_sums = convolve_sums
        self._images = ""  # the name of the padded images
        # The noise of the images, (1, 1, H, W), to be added once they are floats; empty: none.
        self._noise = ""
        self._channels_passed = 0
        self._used: list[str] = []
        # Scales and shifts, (2, steering channels), of adjustable networks; None: they are an input, or weights.
        self._fixed_steering = None if strength is None or not self._adjustable else checkpoint.steer(strength)[0]
        self._steering = ""  # the name of those that are an input, or computed from one
        self._adds_photo = photo and (self._fixed_steering is None or adds_photo(self._fixed_steering))
        self._steered_channels_passed = 0
        # Tensors that were unshuffled, whose channels stand in another order than the network's: by which factor. The
        # convolution that comes next takes them in that order.
        self._unshuffled: dict[str, int] = {}
        # Tensors that hold 2x2 squares of pixels as channels: in which order, as DepthToSpace calls it.
        self._squares: dict[str, str] = {}

    def take_strength(self, default: float | None) -> None:
        """Compute the steering from an input, as `Checkpoint.steer` does; to be called before `write`."""
        writer, table = self._writer, self._weights[STEERING]
        strength = writer.add_input("strength", "float32", [], default=None if default is None else np.float32(default))
        steering = writer.constant(table[:1])
        for place, (low, high) in enumerate(itertools.pairwise(STRENGTHS)):
            above = writer.node("Sub", strength, writer.constant(low))
            share = writer.node("Mul", above, writer.constant(1 / (high - low)))
            share = writer.node("Clip", share, writer.constant(0.0), writer.constant(1.0))
            step = writer.constant(table[place + 1 : place + 2] - table[place : place + 1])
            steering = writer.node("Add", steering, writer.node("Mul", share, step))
        self._steering, self._fixed_steering, self._adds_photo = steering, None, True

    def write(self, metadata: Mapping[str, str]) -> bytes:
        writer, channels = self._writer, self._network.statistics_channels
        batch, height, width = ("batch", "height", "width") if self._size is None else (1, *self._size)
        number_type = "uint8" if self._pixels else "float32"
        shape = [batch, height, width, 3] if self._pixels else [batch, 3, height, width]
        images = writer.add_input("images", number_type, shape)
        if self._with_statistics:
            writer.add_input("given", "float32", [1, 2, channels])
            writer.add_input("smoothing", "float32", [])
        if self._with_origin:
            writer.add_input("origin", "int64", [2])
        if self._adjustable and self._fixed_steering is None and not self._steering:
            shape_of_steering = [1, 2, self._network.steering_channels]
            self._steering = writer.add_input("steering", "float32", shape_of_steering)
        if self._size is None:
            height_width = writer.node("Shape", images, start=1 if self._pixels else 2, end=3 if self._pixels else 4)
            self._images = padded = self._pad(images, height_width)
        else:
            height_width = ""
            self._images = padded = images
        if self._network.input_noise:
            self._noise = self._write_noise(padded)
        stylized = self._write_layers(self._network.body.layers, "", padded)
        stylized = self._finish(stylized)
        if height_width:
            stylized = self._cut(stylized, height_width)
        writer.add_output(stylized, "stylized", number_type, shape)
        if self._with_statistics:
            used = writer.node("Concat", *self._used, axis=2)
            writer.add_output(used, "used", "float32", [batch, 2, channels])
        return writer.finish(self._network.name, metadata)

    def _write_layers(self, layers: tuple[tuple[str, Layer], ...], path: str, hidden: str) -> str:
        for name, layer in layers:
            hidden = self._write_layer(layer, f"{path}.{name}" if path else name, hidden)
        return hidden

    def _write_layer(self, layer: Layer, path: str, hidden: str) -> str:
        if isinstance(layer, description.Sequence):
            return self._write_layers(layer.layers, path, hidden)
        if hidden == self._images:
            if isinstance(layer, PixelUnshuffle):
                return self._unshuffle_images(hidden, layer.factor)
            hidden = self._to_colors_first(hidden)
        match layer:
            case description.Residual():
                inner = self._write_layers(layer.layers, path, hidden)
                return self._writer.node("Add", self._shuffle(hidden), self._shuffle(inner))
            case Relu() | Sigmoid():
                result = self._writer.node("Relu" if isinstance(layer, Relu) else "Sigmoid", hidden)
                if hidden in self._squares:
                    self._squares[result] = self._squares[hidden]
                return result
            case InstanceNorm():
                return self._normalize(path, layer.channels, hidden)
            case AddPhoto():
                return self._add_photo(hidden) if self._adds_photo else hidden
            case Conv(kernel_size=3, stride=1) if hidden in self._squares:
                return self._convolve_squares(path, hidden)
            case Conv():
                return self._convolve(path, layer, self._shuffle(hidden))
            case SmoothUpsampleConv():
                return self._upsample_smoothly(path, self._shuffle(hidden))
            case PixelUnshuffle():
                return self._unshuffle(self._shuffle(hidden), layer.factor)
            case description.Upsample():
                return self._upsample(layer.factor, self._shuffle(hidden))
            case _:
                assert_never(layer)

    def _bias(self, path: str, copies: int = 1) -> list[str]:
        bias = self._weights.get(f"{path}.bias")
        return [] if bias is None else [self._writer.constant(np.tile(bias, copies))]

    def _pad(self, images: str, height_width: str) -> str:
        """Mirrored on the right and below up to multiples of the stride, as far as the network needs."""
        if self._network.stride == 1:
            return images
        writer = self._writer
        # ONNX's modulo of integers has the divisor's sign, as Python's.
        missing = writer.node("Mod", writer.node("Neg", height_width), writer.constant([self._network.stride] * 2))
        before, after = ([0] * 5, [0]) if self._pixels else ([0] * 6, [])
        ends = [writer.constant(before), missing] + ([writer.constant(after)] if after else [])
        return writer.node("Pad", images, writer.node("Concat", *ends, axis=0), mode="reflect")

    def _shuffle(self, hidden: str) -> str:
        """The squares of pixels laid out as pixels, if they are not."""
        if hidden not in self._squares:
            return hidden
        return self._writer.node("DepthToSpace", hidden, blocksize=2, mode=self._squares[hidden])

    def _upsample_smoothly(self, path: str, hidden: str) -> str:
        # (out, in, 3, 3) at the larger size to (4 * out, in, 3, 3) at the smaller one.
        shares = np.array(SmoothUpsampleConv.SHARES, np.float32)
        weight = np.einsum("oikl,pky,qlx->opqiyx", self._weights[f"{path}.weight"], shares, shares, optimize=True)
        weight = weight.reshape(-1, *weight.shape[3:])
        padded, pads = self._pad_in_network(hidden, 1, "reflect")
        result = self._writer.node("Conv", padded, self._writer.constant(weight), pads=pads)
        self._squares[result] = "CRD"
        return result

    def _convolve_squares(self, path: str, squares: str) -> str:
        """A 3x3 convolution of pixels as one of squares of pixels.

        Reflecting pixels, without the outermost, and repeating the outermost squares give it the same neighbors.
        """
        padded, pads = self._pad_in_network(squares, 1, "edge")
        weight = self._writer.constant(_convolution_of_squares(self._weights[f"{path}.weight"]))
        result = self._writer.node("Conv", padded, weight, *self._bias(path, copies=4), pads=pads)
        self._squares[result] = "DCR"
        return result

    def _write_noise(self, images: str) -> str:
        writer, noise = self._writer, build_noise_waves(self._network.input_noise)
        if self._size is not None and not self._with_origin:
            return writer.constant(noise.draw(*self._size)[None, None])
        both = (noise.row_frequencies, noise.row_phases), (noise.column_frequencies, noise.column_phases)
        waves = []
        for axis, (frequencies, phases) in enumerate(both):
            side_axis = axis + (1 if self._pixels else 2)
            side = writer.node("Squeeze", writer.node("Shape", images, start=side_axis, end=side_axis + 1))
            positions = writer.node("Range", writer.constant(0), side, writer.constant(1))
            if self._with_origin:
                start = writer.node("Slice", "origin", writer.constant([axis]), writer.constant([axis + 1]))
                positions = writer.node("Add", positions, start)
            cycles = writer.node(
                "Mul", writer.node("Unsqueeze", positions, writer.constant([1])), writer.constant(frequencies)
            )
            angles = writer.node("Add", cycles, writer.constant(phases))
            angles = writer.node("Mod", angles, writer.constant(PERIOD))
            waves.append(writer.node("Gather", writer.constant(noise.cosines), angles))
        plane = writer.node("MatMul", waves[0], writer.node("Transpose", waves[1], perm=[1, 0]))
        return writer.node("Unsqueeze", plane, writer.constant([0, 1]))

    def _to_colors_first(self, images: str) -> str:
        if self._pixels:
            images = self._to_float(self._writer.node("Transpose", images, perm=[0, 3, 1, 2]))
        return self._writer.node("Add", images, self._noise) if self._noise else images

    def _to_float(self, pixels: str) -> str:
        cast = self._writer.node("Cast", pixels, to=FLOAT)
        return self._writer.node("Mul", cast, self._writer.constant(1 / 255))

    def _unshuffle_images(self, images: str, factor: int) -> str:
        """Pixel-unshuffle of the input; from pixels by one copy of bytes."""
        if not self._pixels:
            return self._unshuffle(self._to_colors_first(images), factor)
        writer = self._writer
        result = self._to_float(self._unshuffle_bytes(images, factor))
        if self._noise:
            noise = writer.node("SpaceToDepth", self._noise, blocksize=factor)
            places = writer.constant(np.repeat(np.arange(factor**2), 3))  # the same for all three colors
            result = writer.node("Add", result, writer.node("Gather", noise, places, axis=1))
        self._unshuffled[result] = factor
        return result

    def _unshuffle_bytes(self, images: str, factor: int) -> str:
        """Bytes (batch, height, width, 3) to (batch, 3 * factor^2, ...), ordered by row, column and color."""
        writer = self._writer
        batch = writer.node("Shape", images, start=0, end=1)
        small = writer.node("Div", writer.node("Shape", images, start=1, end=3), writer.constant([factor] * 2))
        height, width = (writer.node("Slice", small, *map(writer.constant, ([i], [i + 1]))) for i in (0, 1))
        rows = writer.node("Concat", batch, height, writer.constant([factor]), width, writer.constant([-1]), axis=0)
        squares = writer.node("Transpose", writer.node("Reshape", images, rows), perm=[0, 1, 3, 2, 4])
        columns = writer.node("Concat", batch, height, width, writer.constant([3 * factor**2]), axis=0)
        return writer.node("Transpose", writer.node("Reshape", squares, columns), perm=[0, 3, 1, 2])

    def _unshuffle(self, hidden: str, factor: int) -> str:
        result = self._writer.node("SpaceToDepth", hidden, blocksize=factor)
        self._unshuffled[result] = factor
        return result

    def _convolve(self, path: str, layer: Conv, hidden: str) -> str:
        weight = self._weights[f"{path}.weight"]
        if factor := self._unshuffled.get(hidden):
            weight = weight[:, _block_first(layer.in_channels // factor**2, factor)]
        hidden, pads = self._pad_in_network(hidden, layer.kernel_size // 2, "reflect")
        return self._writer.node(
            "Conv",
            hidden,
            self._writer.constant(weight),
            *self._bias(path),
            kernel_shape=[layer.kernel_size] * 2,
            strides=[layer.stride] * 2,
            pads=pads,
        )

    def _pad_in_network(self, hidden: str, width: int, mode: str) -> tuple[str, list[int]]:
        """What a convolution takes: padded by a node of its own, or, with zeros, by the convolution itself."""
        if self._network.zero_padding or not width:
            return hidden, [width] * 4
        return self._writer.node("Pad", hidden, self._writer.constant([0, 0, width, width] * 2), mode=mode), [0] * 4

    def _normalize(self, path: str, channels: int, hidden: str) -> str:
        writer = self._writer
        scale, shift = self._scale_and_shift(path, channels)
        if not self._with_statistics and hidden not in self._squares:
            return writer.node("InstanceNormalization", hidden, scale, shift, epsilon=_EPSILON)
        mean, variance = self._measure(hidden, channels)
        if self._with_statistics:
            mean, variance = self._mix(mean, variance, channels)
        deviation = writer.node("Sqrt", writer.node("Add", variance, writer.constant(_EPSILON)))
        scale, shift = (
            writer.node("Reshape", values, writer.constant([1, channels, 1, 1])) for values in (scale, shift)
        )
        factor = writer.node("Div", scale, deviation)
        offset = writer.node("Sub", shift, writer.node("Mul", mean, factor))
        factor, offset = self._for_each_channel(hidden, factor), self._for_each_channel(hidden, offset)
        result = writer.node("Add", writer.node("Mul", hidden, factor), offset)
        if hidden in self._squares:
            self._squares[result] = self._squares[hidden]
        return result

    def _scale_and_shift(self, path: str, channels: int) -> tuple[str, str]:
        """The names of the next scales and shifts, each (channels,)."""
        writer = self._writer
        if not self._adjustable:
            return writer.constant(self._weights[f"{path}.weight"]), writer.constant(self._weights[f"{path}.bias"])
        start, end = self._steered_channels_passed, self._steered_channels_passed + channels
        self._steered_channels_passed = end
        if self._fixed_steering is not None:
            scale, shift = self._fixed_steering[:, start:end]
            return writer.constant(scale), writer.constant(shift)
        rows = []
        for row in (0, 1):
            corners = ([0, row, start], [1, row + 1, end], [0, 1, 2])
            part = writer.node("Slice", self._steering, *map(writer.constant, corners))
            rows.append(writer.node("Reshape", part, writer.constant([channels])))
        return rows[0], rows[1]

    def _add_photo(self, hidden: str) -> str:
        """The photo's colors, scaled and shifted, added to those of the last convolution."""
        writer = self._writer
        scale, shift = self._scale_and_shift("", AddPhoto.channels)
        in_squares = self._squares.get(hidden)
        assert in_squares in (None, "DCR")
        photo = self._photo_in_squares() if in_squares else self._photo_colors_first()
        if in_squares:  # the colors of four pixels, one after the other
            scale, shift = (writer.node("Concat", *[values] * 4, axis=0) for values in (scale, shift))
        if self._pixels:
            scale = writer.node("Mul", scale, writer.constant(1 / 255))
        shape = writer.constant([1, 12 if in_squares else 3, 1, 1])
        scale, shift = (writer.node("Reshape", values, shape) for values in (scale, shift))
        added = writer.node("Add", writer.node("Mul", photo, scale), writer.node("Add", hidden, shift))
        if in_squares:
            self._squares[added] = in_squares
        return added

    def _photo_colors_first(self) -> str:
        """The padded photo without noise, (batch, 3, height, width), in the unit that the images have."""
        if not self._pixels:
            return self._images
        return self._writer.node("Cast", self._writer.node("Transpose", self._images, perm=[0, 3, 1, 2]), to=FLOAT)

    def _photo_in_squares(self) -> str:
        """The same with each 2x2 square of pixels as channels: by place in the square, then color."""
        writer = self._writer
        if not self._pixels:
            return writer.node("SpaceToDepth", self._images, blocksize=2)
        return writer.node("Cast", self._unshuffle_bytes(self._images, 2), to=FLOAT)

    def _measure(self, hidden: str, channels: int) -> tuple[str, str]:
        """The names of the mean and the biased variance of each channel, each (batch, channels, 1, 1)."""
        mean = self._average(hidden, hidden, channels)
        centerd = self._writer.node("Sub", hidden, self._for_each_channel(hidden, mean))
        return mean, self._average(hidden, self._writer.node("Mul", centerd, centerd), channels)

    def _average(self, hidden: str, values: str, channels: int) -> str:
        average = self._average_picture(values, channels * (4 if hidden in self._squares else 1))
        if hidden not in self._squares:
            return average
        places = self._writer.node("Reshape", average, self._writer.constant([-1, channels, 4, 1]))
        return self._writer.node("ReduceMean", places, self._writer.constant([2]))

    def _average_picture(self, values: str, channels: int) -> str:
        writer, axes = self._writer, self._writer.constant([2, 3])
        if not self._convolve_sums:
            return writer.node("ReduceMean", values, axes)
        # Beyond the edges there are zeros, so that the last squares may be incomplete.
        sums = writer.node(
            "Conv",
            values,
            writer.constant(np.ones((channels, 1, _SUMMED, _SUMMED), np.float32)),
            kernel_shape=[_SUMMED] * 2,
            strides=[_SUMMED] * 2,
            pads=[0, 0, _SUMMED - 1, _SUMMED - 1],
            group=channels,
        )
        pixels = writer.node("ReduceProd", writer.node("Shape", values, start=2, end=4), keepdims=0)
        return writer.node("Div", writer.node("ReduceSum", sums, axes), writer.node("Cast", pixels, to=FLOAT))

    def _for_each_channel(self, hidden: str, values: str) -> str:
        """What holds for a channel, (batch, channels, 1, 1), for each of the four that it is in squares."""
        if hidden not in self._squares:
            return values
        four = self._writer.node("Mul", values, self._writer.constant(np.ones((1, 1, 4, 1), np.float32)))
        if self._size is not None:
            return self._writer.node("Reshape", four, self._writer.constant([1, -1, 1, 1]))
        batch = self._writer.node("Shape", hidden, start=0, end=2)
        return self._writer.node(
            "Reshape", four, self._writer.node("Concat", batch, self._writer.constant([1, 1]), axis=0)
        )

    def _mix(self, mean: str, variance: str, channels: int) -> tuple[str, str]:
        """The mean and the variance to use: the measured ones, mixed with those given."""
        writer, start = self._writer, self._channels_passed
        self._channels_passed += channels
        used = []
        for row, measured in enumerate((mean, variance)):
            corners = ([0, row, start], [1, row + 1, start + channels], [0, 1, 2])
            part = writer.node("Slice", "given", *map(writer.constant, corners))
            given = writer.node("Reshape", part, writer.constant([1, channels, 1, 1]))
            difference = writer.node("Sub", given, measured)
            used.append(writer.node("Add", measured, writer.node("Mul", "smoothing", difference)))
        rows = [writer.node("Reshape", values, writer.constant([-1, 1, channels])) for values in used]
        self._used.append(writer.node("Concat", *rows, axis=1))
        return used[0], used[1]

    def _upsample(self, factor: int, hidden: str) -> str:
        return self._writer.node(
            "Resize",
            hidden,
            "",
            self._writer.constant([1.0, 1.0, float(factor), float(factor)]),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def _finish(self, stylized: str) -> str:
        """Squares of pixels laid out, and colors, which are within [0, 1] already, turned to bytes."""
        writer = self._writer
        if not self._pixels:
            return self._shuffle(stylized)
        levels = writer.node("Round", writer.node("Mul", stylized, writer.constant(255.0)))
        levels = writer.node("Cast", levels, to=UINT8)
        if self._squares.get(stylized) != "DCR":
            if stylized in self._squares:
                levels = writer.node("DepthToSpace", levels, blocksize=2, mode="CRD")
            return writer.node("Transpose", levels, perm=[0, 2, 3, 1])
        # By bytes, and by rows of squares: 6 bytes at a time.
        rows = writer.node("Transpose", levels, perm=[0, 2, 3, 1])
        shape = writer.node("Shape", rows, start=0, end=3)
        squares = writer.node("Reshape", rows, writer.node("Concat", shape, writer.constant([2, 6]), axis=0))
        laid_out = writer.node("Transpose", squares, perm=[0, 1, 3, 2, 4])
        size = writer.node(
            "Concat", writer.node("Mul", shape, writer.constant([1, 2, 2])), writer.constant([3]), axis=0
        )
        return writer.node("Reshape", laid_out, size)

    def _cut(self, stylized: str, height_width: str) -> str:
        """Without what was padded."""
        axes = [1, 2] if self._pixels else [2, 3]
        constants = [self._writer.constant([0, 0]), height_width, self._writer.constant(axes)]
        return self._writer.node("Slice", stylized, *constants)


def _convolution_of_squares(weight: np.ndarray) -> np.ndarray:
    """The kernel (4 * out, 4 * in, 3, 3) that does to squares of pixels what (out, in, 3, 3) does to pixels.

    What goes in is ordered by channel, then place in the square; what comes out by place, then channel.
    """
    result = np.zeros((2, 2, weight.shape[0], weight.shape[1], 2, 2, 3, 3), np.float32)
    for row, column, tap_row, tap_column in itertools.product((0, 1), (0, 1), range(3), range(3)):
        # Where the tap looks, in pixels from the upper left of the square: its square, and its place in that.
        (down, from_row), (right, from_column) = divmod(row + tap_row - 1, 2), divmod(column + tap_column - 1, 2)
        result[row, column, :, :, from_row, from_column, down + 1, right + 1] = weight[:, :, tap_row, tap_column]
    return result.reshape(4 * weight.shape[0], 4 * weight.shape[1], 3, 3)


def _block_first(channels: int, factor: int) -> np.ndarray:
    """Which of PixelUnshuffle's channels (color, row, column) each one has in the order row, column, color."""
    return np.arange(channels * factor**2).reshape(channels, factor, factor).transpose(1, 2, 0).ravel()
