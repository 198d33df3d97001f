"""The ONNX graph that carries a stylized frame along the motion of the scene and blends it with the next one.

A graph, since whatever runs the network runs it too, several times as fast as NumPy.
"""

import numpy as np

from nst_fast.networks.onnx_writer import FLOAT, UINT8, GraphWriter

# Pixels around each one that move as it does, as the radius of an average that is taken twice.
_WINDOW = 2
# Radius in the same sense of the average over flows, of which those count that are certain. So flat areas, which show
# no motion, move like the edges around them.
_SMOOTHED = 3
# Squared slopes, in levels for a pixel, that may come from noise.
_NOISE = 4.0
# What a flow without any evidence counts, in the same unit.
_LEAST_CERTAINTY = 0.1
# A pixel of the compared frames: the motion of the whole picture is known, so what is left of one is small.
_LARGEST_STEP = 1.0
# The weight falls to exp(-1) where the photo differs by so many levels of 255 from the one before.
_DIFFERENCE = 12.0


def build_coherence_graph(height: int, width: int, compared: tuple[int, int], step: int) -> bytes:
    """The bytes of an ONNX file for frames of one size.

    Inputs:
        before, now: (1, h, w, 3), uint8, two photos as `shrink` makes them.
        flow: (1, 2, h, w), float32: how far each pixel of `now` has to go, right and down, to be where it was before.
        carried: (1, height, width, 3), uint8: the output for the frame before.
        stylized: the same of this frame, as the network gives it.
        share: (), float32, of what is carried over, 0 to below 1.

    Output `coherent`: (1, height, width, 3), uint8. Each pixel is stylized + weight * (carried - stylized), where
    `carried` is taken from where the pixel was. The weight is `share` where both photos show the same, and falls to 0
    where they differ, or where the pixel was outside of the frame.

    Args:
        compared: h and w.
        step: side of the squares in pixels that the pixels of `before` and `now` stand for.
    """
    writer = GraphWriter()
    node, constant = writer.node, writer.constant
    now, before = (
        _to_channels(writer, writer.add_input(name, "uint8", (1, *compared, 3))) for name in ("now", "before")
    )
    guess = writer.add_input("flow", "float32", (1, 2, *compared))
    carried, stylized = (
        _to_channels(writer, writer.add_input(name, "uint8", (1, height, width, 3))) for name in ("carried", "stylized")
    )
    share = writer.add_input("share", "float32", ())
    flow, match = _refine_flow(writer, before, now, guess, compared)
    flow, match = (_enlarge(writer, one, (height, width), compared, step) for one in (flow, match))
    places = _find_places(writer, flow, (height, width), step)
    weight = node("Mul", node("Mul", match, _weigh_inside(writer, places, (height, width))), share)
    # Cubic interpolation, since linear interpolation would blur a little more with every frame.
    grid = node("Transpose", places, perm=(0, 2, 3, 1))
    moved = node("GridSample", carried, grid, mode="bicubic", padding_mode="border", align_corners=0)
    blended = node("Add", stylized, node("Mul", node("Sub", moved, stylized), weight))
    pixels = node("Cast", node("Clip", node("Round", blended), constant(0.0), constant(255.0)), to=UINT8)
    writer.add_output(node("Transpose", pixels, perm=(0, 2, 3, 1)), "coherent", "uint8", (1, height, width, 3))
    return writer.finish("coherence", {})


def _to_channels(writer: GraphWriter, pixels: str) -> str:
    return writer.node("Transpose", writer.node("Cast", pixels, to=FLOAT), perm=(0, 3, 1, 2))


def _take(writer: GraphWriter, image: str, first: int, last: int | None = None) -> str:
    """Channels `first` up to and with `last`; one channel if that is left out."""
    end = (first if last is None else last) + 1
    return writer.node("Slice", image, writer.constant([first]), writer.constant([end]), writer.constant([1]))


def _average(writer: GraphWriter, image: str, radius: int) -> str:
    """Twice the mean over a square, which is nearly a Gaussian."""
    for _ in range(2):
        image = _average_once(writer, image, radius)
    return image


def _average_once(writer: GraphWriter, image: str, radius: int) -> str:
    side = (2 * radius + 1,) * 2
    return writer.node("AveragePool", image, kernel_shape=side, pads=(radius,) * 4, count_include_pad=0)


def _refine_flow(writer: GraphWriter, before: str, now: str, flow: str, compared: tuple[int, int]) -> tuple[str, str]:
    """A step of Lucas and Kanade (1981) for each pixel, by green, and how well the frames match then in the color that
    differs most, 0 to 1, (1, 1, h, w).

    What is averaged is averaged together, as the channels of one image: on images as small as these, each operator
    costs more than its arithmetic.
    """
    node, constant = writer.node, writer.constant
    green, green_before = (_take(writer, image, 1) for image in (now, before))
    padded = node("Pad", green, constant([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge")
    kernel = np.zeros((2, 1, 3, 3))
    kernel[0, 0, 1, ::2] = kernel[1, 0, ::2, 1] = -0.5, 0.5
    slopes = node("Conv", padded, constant(kernel))  # to the right, and down
    change = node("Sub", _look_up(writer, green_before, flow, compared), green)
    crossed = node("Mul", _take(writer, slopes, 0), _take(writer, slopes, 1))
    products = node("Concat", node("Mul", slopes, slopes), crossed, node("Mul", slopes, change), axis=1)
    averaged = _average(writer, products, _WINDOW)
    energy, other, mixed, along, across = (_take(writer, averaged, number) for number in range(5))
    noise = constant(_NOISE)
    # About the smaller eigenvalue: how well both directions of the motion can be told.
    certainty = node(
        "Add",
        node(
            "Div",
            node("Sub", node("Mul", energy, other), node("Mul", mixed, mixed)),
            node("Add", node("Add", energy, other), noise),
        ),
        constant(_LEAST_CERTAINTY),
    )
    energy, other = node("Add", energy, noise), node("Add", other, noise)
    determinant = node("Sub", node("Mul", energy, other), node("Mul", mixed, mixed))
    steps = [
        node("Div", node("Sub", node("Mul", one, there), node("Mul", mixed, back)), determinant)
        for one, there, back in ((other, along, across), (energy, across, along))
    ]
    step = node("Clip", node("Concat", *steps, axis=1), constant(-_LARGEST_STEP), constant(_LARGEST_STEP))
    counted = node("Concat", node("Mul", node("Sub", flow, step), certainty), certainty, axis=1)
    counted = _average(writer, counted, _SMOOTHED)
    flow = node("Div", _take(writer, counted, 0, 1), _take(writer, counted, 2))
    change = node("Sub", _look_up(writer, before, flow, compared), now)
    change = node("ReduceMax", _average_once(writer, node("Abs", change), 1), constant([1]), keepdims=1)
    change = node("Mul", change, constant(1 / _DIFFERENCE))
    return flow, node("Exp", node("Neg", node("Mul", change, change)))


def _look_up(writer: GraphWriter, image: str, flow: str, size: tuple[int, int]) -> str:
    """(1, C, h, w) at where its pixels were, linearly interpolated."""
    grid = writer.node("Transpose", _find_places(writer, flow, size), perm=(0, 2, 3, 1))
    return writer.node("GridSample", image, grid, mode="bilinear", padding_mode="border", align_corners=0)


def _find_places(writer: GraphWriter, flow: str, size: tuple[int, int], scale: float = 1.0) -> str:
    """Where the pixels of an image were, (1, 2, H, W), right and down, from -1 to 1 between its edges.

    Args:
        flow: (1, 2, H, W).
        scale: how many pixels a flow of 1 stands for.
    """
    height, width = size
    node, constant = writer.node, writer.constant
    right, down = np.zeros((1, 2, 1, width)), np.zeros((1, 2, height, 1))
    right[0, 0, 0], down[0, 1, :, 0] = ((2 * np.arange(side) + 1) / side - 1 for side in (width, height))
    moved = node("Mul", flow, constant(np.reshape([2 * scale / width, 2 * scale / height], (1, 2, 1, 1))))
    # One after the other, since together they would be as large as the image.
    return node("Add", node("Add", moved, constant(right)), constant(down))


def _weigh_inside(writer: GraphWriter, places: str, size: tuple[int, int]) -> str:
    """1 up to the center of the outermost pixels, then falling to 0 over one pixel, (1, 1, H, W)."""
    node, constant = writer.node, writer.constant
    sides = np.reshape(size[::-1], (1, 2, 1, 1))
    within = node("Mul", node("Sub", constant(1 + 1 / sides), node("Abs", places)), constant(sides / 2))
    within = node("ReduceMin", within, constant([1]), keepdims=1)
    return node("Clip", within, constant(0.0), constant(1.0))


def _enlarge(writer: GraphWriter, image: str, size: tuple[int, int], compared: tuple[int, int], step: int) -> str:
    """(1, C, h, w) to (1, C, height, width), linearly; what is left over on the right and below repeats the edge.

    As two products of matrices, which take a fraction of the time of an operator for resizing.
    """
    rows, columns = (_interpolate(*sides, step) for sides in zip(size, compared, strict=True))
    return writer.node("MatMul", writer.constant(rows), writer.node("MatMul", image, writer.constant(columns.T)))


def _interpolate(side: int, compared: int, step: int) -> np.ndarray:
    """How much each pixel of the compared side counts for each pixel of the whole one, (side, compared)."""
    places = ((np.arange(side) + 0.5) / step - 0.5).clip(0, compared - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(compared)))
