"""A network as an ONNX graph, written layer by layer.

torch.onnx.export would do too, but takes 5 to 90 seconds for what takes 50 ms here, too long for an engine that
paints a single photo; and it knows nothing of what is gained by leaving pixels unshuffled:

What a network computes at full resolution has few channels, and processors compute 16 at a time. So behind a
`SmoothUpsampleConv` the four pixels of each 2x2 square stay where they are, as channels at half of the resolution,
until they are painted: a 3x3 convolution of 8 to 3 channels there is one of 32 to 12 here, exactly, borders too, and
takes a third less time in spite of its four times as many operations.
"""

import itertools
import operator

import numpy as np
import onnx
from torch import Tensor, fx, nn

from nst_fast.export.onnx_nodes import GraphWriter
from nst_fast.transform_nets import TransformNet
from nst_fast.transform_nets.grain import PERIOD, Grain
from nst_fast.transform_nets.layers import SmoothUpsampleConv
from nst_fast.transform_nets.statistics import InstanceNorm, count_statistics

_LEAVES = (
    Grain,
    SmoothUpsampleConv,
    nn.Conv2d,
    InstanceNorm,
    nn.ReLU,
    nn.Sigmoid,
    nn.Upsample,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
)


class _LayerTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _LEAVES)


def build_onnx_graph(
    network: TransformNet,
    *,
    pixels: bool,
    statistics: bool = False,
    origin: bool = False,
    metadata: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """The graph of a `Painter` of this network, in float32; batch, height and width are free.

    Its input `pictures` and its output `paintings` are (batch, height, width, 3) uint8 with `pixels`, else
    (batch, 3, height, width) float32 in [0, 1]; the sides must be at least `network.min_side`.

    Args:
        statistics: True: two more inputs, `given` (1, 2, total channels) and `share` (), and one more output, `used`;
            see `paint_with_statistics`.
        origin: True: one more input, `origin` (2,) int64, see `Grain`; for networks that have grain.
        metadata: goes into the file's own.
    """
    return _NetworkWriter(network, pixels, statistics, origin).write(metadata or {})


class _NetworkWriter:
    def __init__(self, network: TransformNet, pixels: bool, statistics: bool, origin: bool) -> None:
        self._network = network
        self._pixels = pixels
        self._writer = GraphWriter()
        self._with_statistics = statistics
        self._with_origin = origin
        # The grain of the pictures, (1, 1, H, W), to be added once they are floats; empty: none.
        self._grain = ""
        self._channels_passed = 0
        self._used: list[str] = []
        # Of tensors whose channels stand in another order than the network's: which of its channels stands where.
        self._orders: dict[str, np.ndarray] = {}
        # Tensors that hold 2x2 squares of pixels as channels: in which order, as DepthToSpace calls it.
        self._squares: dict[str, str] = {}

    def write(self, metadata: dict[str, str]) -> onnx.ModelProto:
        writer, channels = self._writer, count_statistics(self._network)
        number_type, shape = (
            ("uint8", ["batch", "height", "width", 3])
            if self._pixels
            else ("float32", ["batch", 3, "height", "width"])
        )
        pictures = writer.add_input("pictures", number_type, shape)
        if self._with_statistics:
            writer.add_input("given", "float32", [1, 2, channels])
            writer.add_input("share", "float32", [])
        if self._with_origin:
            writer.add_input("origin", "int64", [2])
        height_width = writer.node("Shape", pictures, start=1 if self._pixels else 2, end=3 if self._pixels else 4)
        painted = self._write_network(self._pad(pictures, height_width))
        painted = self._cut(self._finish(painted), height_width)
        writer.add_output(painted, "paintings", number_type, shape)
        if self._with_statistics:
            used = writer.node("Concat", *self._used, axis=2)
            writer.add_output(used, "used", "float32", ["batch", 2, channels])
        return writer.finish(type(self._network).__name__, metadata)

    def _pad(self, pictures: str, height_width: str) -> str:
        """Mirrored on the right and below up to multiples of the stride, see `pad_to_stride`."""
        if self._network.stride == 1:
            return pictures
        writer = self._writer
        # ONNX's modulo of integers has the divisor's sign, as Python's.
        missing = writer.node("Mod", writer.node("Neg", height_width), writer.constant([self._network.stride] * 2))
        before, after = ([0] * 5, [0]) if self._pixels else ([0] * 6, [])
        ends = [writer.constant(before), missing] + ([writer.constant(after)] if after else [])
        return writer.node("Pad", pictures, writer.node("Concat", *ends, axis=0), mode="reflect")

    def _write_network(self, pictures: str) -> str:
        graph = _LayerTracer().trace(self._network)
        modules = dict(self._network.named_modules())
        names: dict[fx.Node, str] = {}
        for node in graph.nodes:
            if node.op == "placeholder":
                names[node] = pictures
            elif node.op == "call_module":
                hidden = names[node.args[0]]
                names[node] = self._write_layer(modules[node.target], hidden, is_picture=hidden == pictures)
            elif node.op == "call_function" and node.target is operator.add:
                names[node] = self._writer.node("Add", *(self._shuffle(names[argument]) for argument in node.args))
            elif node.op == "output":
                return names[node.args[0]]
            else:
                raise NotImplementedError(f"{node.op} {node.target} in {type(self._network).__name__}")
        raise AssertionError("a traced graph has an output")

    def _write_layer(self, layer: nn.Module, hidden: str, *, is_picture: bool) -> str:
        if isinstance(layer, Grain):
            self._grain = self._write_grain(layer, hidden) if layer.strength else ""
            return hidden
        if is_picture:
            if isinstance(layer, nn.PixelUnshuffle):
                return self._unshuffle_pictures(hidden, layer.downscale_factor)
            hidden = self._to_colours_first(hidden)
        if isinstance(layer, nn.ReLU | nn.Sigmoid):
            result = self._writer.node("Relu" if isinstance(layer, nn.ReLU) else "Sigmoid", hidden)
            if hidden in self._squares:
                self._squares[result] = self._squares[hidden]
            return result
        if isinstance(layer, InstanceNorm):
            return self._normalise(layer, hidden)
        if isinstance(layer, nn.Conv2d):
            if hidden in self._squares and layer.kernel_size == (3, 3) and layer.stride == (1, 1):
                return self._convolve_squares(layer, hidden)
            return self._convolve(layer, self._shuffle(hidden))
        hidden = self._shuffle(hidden)
        if isinstance(layer, SmoothUpsampleConv):
            return self._upsample_smoothly(layer, hidden)
        if isinstance(layer, nn.Upsample):
            return self._upsample(layer, hidden)
        if isinstance(layer, nn.PixelShuffle):
            return self._writer.node("DepthToSpace", hidden, blocksize=layer.upscale_factor, mode="CRD")
        assert isinstance(layer, nn.PixelUnshuffle)
        return self._unshuffle(hidden, layer.downscale_factor)

    def _shuffle(self, hidden: str) -> str:
        """The squares of pixels laid out as pixels, if they are not."""
        if hidden not in self._squares:
            return hidden
        return self._writer.node("DepthToSpace", hidden, blocksize=2, mode=self._squares[hidden])

    def _upsample_smoothly(self, layer: SmoothUpsampleConv, hidden: str) -> str:
        padded = self._writer.node("Pad", hidden, self._writer.constant([0, 0, 1, 1] * 2), mode="reflect")
        result = self._writer.node("Conv", padded, self._writer.constant(_to_array(layer.build_kernels())))
        self._squares[result] = "CRD"
        return result

    def _convolve_squares(self, layer: nn.Conv2d, squares: str) -> str:
        """A 3x3 convolution of pixels as one of squares of pixels.

        Mirroring pixels, without the outermost, and mirroring squares with the outermost give it the same neighbours.
        """
        mode = {"reflect": "edge"}[layer.padding_mode]
        padded = self._writer.node("Pad", squares, self._writer.constant([0, 0, 1, 1] * 2), mode=mode)
        arguments = [padded, self._writer.constant(_convolution_of_squares(_to_array(layer.weight)))]
        if layer.bias is not None:
            arguments.append(self._writer.constant(np.tile(_to_array(layer.bias), 4)))
        result = self._writer.node("Conv", *arguments)
        self._squares[result] = "DCR"
        return result

    def _write_grain(self, layer: Grain, pictures: str) -> str:
        writer = self._writer
        both = (layer.row_frequencies, layer.row_phases), (layer.column_frequencies, layer.column_phases)
        waves = []
        for axis, (frequencies, phases) in enumerate(both):
            side_axis = axis + (1 if self._pixels else 2)
            side = writer.node("Squeeze", writer.node("Shape", pictures, start=side_axis, end=side_axis + 1))
            positions = writer.node("Range", writer.constant(0), side, writer.constant(1))
            if self._with_origin:
                start = writer.node("Slice", "origin", writer.constant([axis]), writer.constant([axis + 1]))
                positions = writer.node("Add", positions, start)
            cycles = writer.node(
                "Mul", writer.node("Unsqueeze", positions, writer.constant([1])), writer.constant(frequencies.numpy())
            )
            angles = writer.node("Add", cycles, writer.constant(phases.numpy()))
            angles = writer.node("Mod", angles, writer.constant(PERIOD))
            waves.append(writer.node("Gather", writer.constant(layer.cosines.numpy()), angles))
        plane = writer.node("MatMul", waves[0], writer.node("Transpose", waves[1], perm=[1, 0]))
        return writer.node("Unsqueeze", plane, writer.constant([0, 1]))

    def _to_colours_first(self, pictures: str) -> str:
        if self._pixels:
            pictures = self._to_float(self._writer.node("Transpose", pictures, perm=[0, 3, 1, 2]))
        return self._writer.node("Add", pictures, self._grain) if self._grain else pictures

    def _to_float(self, pixels: str) -> str:
        cast = self._writer.node("Cast", pixels, to=onnx.TensorProto.FLOAT)
        return self._writer.node("Mul", cast, self._writer.constant(1 / 255))

    def _unshuffle_pictures(self, pictures: str, factor: int) -> str:
        """Pixel-unshuffle of the input; from pixels by one copy of bytes."""
        if not self._pixels:
            return self._unshuffle(self._to_colours_first(pictures), factor)
        writer = self._writer
        batch = writer.node("Shape", pictures, start=0, end=1)
        small = writer.node("Div", writer.node("Shape", pictures, start=1, end=3), writer.constant([factor] * 2))
        height, width = (writer.node("Slice", small, *map(writer.constant, ([i], [i + 1]))) for i in (0, 1))
        rows = writer.node("Concat", batch, height, writer.constant([factor]), width, writer.constant([-1]), axis=0)
        squares = writer.node("Transpose", writer.node("Reshape", pictures, rows), perm=[0, 1, 3, 2, 4])
        columns = writer.node("Concat", batch, height, width, writer.constant([3 * factor**2]), axis=0)
        small_pictures = writer.node("Reshape", squares, columns)
        result = self._to_float(writer.node("Transpose", small_pictures, perm=[0, 3, 1, 2]))
        if self._grain:
            grain = writer.node("SpaceToDepth", self._grain, blocksize=factor)
            places = writer.constant(np.repeat(np.arange(factor**2), 3))  # the same for all three colours
            result = writer.node("Add", result, writer.node("Gather", grain, places, axis=1))
        self._orders[result] = _block_first(3, factor)
        return result

    def _unshuffle(self, hidden: str, factor: int) -> str:
        result = self._writer.node("SpaceToDepth", hidden, blocksize=factor)
        self._orders[result] = _block_first(3, factor)
        return result

    def _convolve(self, layer: nn.Conv2d, hidden: str) -> str:
        weight = _to_array(layer.weight)
        if hidden in self._orders:
            weight = weight[:, self._orders[hidden]]
        pad = layer.kernel_size[0] // 2
        if pad and layer.padding_mode != "zeros":
            mode = {"reflect": "reflect", "replicate": "edge"}[layer.padding_mode]
            hidden = self._writer.node("Pad", hidden, self._writer.constant([0, 0, pad, pad] * 2), mode=mode)
            pad = 0
        arguments = [hidden, self._writer.constant(weight)]
        if layer.bias is not None:
            arguments.append(self._writer.constant(_to_array(layer.bias)))
        return self._writer.node(
            "Conv", *arguments, kernel_shape=list(layer.kernel_size), strides=list(layer.stride), pads=[pad] * 4
        )

    def _normalise(self, layer: InstanceNorm, hidden: str) -> str:
        writer = self._writer
        scale, shift = _to_array(layer.weight), _to_array(layer.bias)
        if not self._with_statistics and hidden not in self._squares:
            constants = (writer.constant(scale), writer.constant(shift))
            return writer.node("InstanceNormalization", hidden, *constants, epsilon=layer.eps)
        mean, variance = self._measure(hidden, layer.num_features)
        if self._with_statistics:
            mean, variance = self._mix(mean, variance, layer.num_features)
        deviation = writer.node("Sqrt", writer.node("Add", variance, writer.constant(layer.eps)))
        factor = writer.node("Div", writer.constant(scale[:, None, None]), deviation)
        offset = writer.node("Sub", writer.constant(shift[:, None, None]), writer.node("Mul", mean, factor))
        factor, offset = self._for_each_channel(hidden, factor), self._for_each_channel(hidden, offset)
        result = writer.node("Add", writer.node("Mul", hidden, factor), offset)
        if hidden in self._squares:
            self._squares[result] = self._squares[hidden]
        return result

    def _measure(self, hidden: str, channels: int) -> tuple[str, str]:
        """The names of the mean and the biased variance of each channel, each (batch, channels, 1, 1)."""
        mean = self._average(hidden, hidden, channels)
        centred = self._writer.node("Sub", hidden, self._for_each_channel(hidden, mean))
        return mean, self._average(hidden, self._writer.node("Mul", centred, centred), channels)

    def _average(self, hidden: str, values: str, channels: int) -> str:
        average = self._writer.node("ReduceMean", values, self._writer.constant([2, 3]))
        if hidden not in self._squares:
            return average
        places = self._writer.node("Reshape", average, self._writer.constant([-1, channels, 4, 1]))
        return self._writer.node("ReduceMean", places, self._writer.constant([2]))

    def _for_each_channel(self, hidden: str, values: str) -> str:
        """What holds for a channel, (batch, channels, 1, 1), for each of the four that it is in squares."""
        if hidden not in self._squares:
            return values
        four = self._writer.node("Mul", values, self._writer.constant(np.ones((1, 1, 4, 1), np.float32)))
        batch = self._writer.node("Shape", hidden, start=0, end=2)
        return self._writer.node(
            "Reshape", four, self._writer.node("Concat", batch, self._writer.constant([1, 1]), axis=0)
        )

    def _mix(self, mean: str, variance: str, channels: int) -> tuple[str, str]:
        """The mean and the variance to use: the given ones mixed with these, see `Statistics`."""
        writer, start = self._writer, self._channels_passed
        self._channels_passed += channels
        used = []
        for row, measured in enumerate((mean, variance)):
            corners = ([0, row, start], [1, row + 1, start + channels], [0, 1, 2])
            part = writer.node("Slice", "given", *map(writer.constant, corners))
            given = writer.node("Reshape", part, writer.constant([1, channels, 1, 1]))
            difference = writer.node("Sub", measured, given)
            used.append(writer.node("Add", given, writer.node("Mul", "share", difference)))
        rows = [writer.node("Reshape", values, writer.constant([-1, 1, channels])) for values in used]
        self._used.append(writer.node("Concat", *rows, axis=1))
        return used[0], used[1]

    def _upsample(self, layer: nn.Upsample, hidden: str) -> str:
        factor = float(layer.scale_factor)  # pyright: ignore[reportArgumentType] -- one number for both sides
        scales = self._writer.constant([1.0, 1.0, factor, factor])
        how = (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            if layer.mode == "nearest"
            else {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        )
        return self._writer.node("Resize", hidden, "", scales, **how)

    def _finish(self, painted: str) -> str:
        """Squares of pixels laid out, and colours, which are within [0, 1] already, turned to bytes."""
        writer = self._writer
        if not self._pixels:
            return self._shuffle(painted)
        levels = writer.node("Round", writer.node("Mul", painted, writer.constant(255.0)))
        levels = writer.node("Cast", levels, to=onnx.TensorProto.UINT8)
        if self._squares.get(painted) != "DCR":
            if painted in self._squares:
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

    def _cut(self, painted: str, height_width: str) -> str:
        """Without what was padded."""
        axes = [1, 2] if self._pixels else [2, 3]
        constants = [self._writer.constant([0, 0]), height_width, self._writer.constant(axes)]
        return self._writer.node("Slice", painted, *constants)


def _to_array(weight: Tensor) -> np.ndarray:
    return weight.detach().float().cpu().numpy()


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
    """Which of PixelUnshuffle's channels (colour, row, column) each one has in the order row, column, colour."""
    return np.arange(channels * factor**2).reshape(channels, factor, factor).transpose(1, 2, 0).ravel()
