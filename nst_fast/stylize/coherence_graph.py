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
    now, before = (
        _to_channels(writer, writer.add_input(name, "uint8", (1, *compared, 3))) for name in ("now", "before")
    )
    guess = writer.add_input("flow", "float32", (1, 2, *compared))
    carried, stylized = (
        _to_channels(writer, writer.add_input(name, "uint8", (1, height, width, 3))) for name in ("carried", "stylized")
    )
    share = writer.add_input("share", "float32", ())
    flow, match = _refine_flow(writer, before, now, guess, compared)
    enlarged = _enlarge(writer, flow, match, (height, width), compared, step)
    moved, inside = _carry(writer, carried, enlarged[:2], (height, width))
    node, constant = writer.node, writer.constant
    weight = node("Mul", node("Mul", enlarged[2], inside), share)
    blended = node("Add", stylized, node("Mul", node("Sub", moved, stylized), weight))
    pixels = node("Cast", node("Clip", node("Round", blended), constant(0.0), constant(255.0)), to=UINT8)
    writer.add_output(node("Transpose", pixels, perm=(0, 2, 3, 1)), "coherent", "uint8", (1, height, width, 3))
    return writer.finish("coherence", {})


def _to_channels(writer: GraphWriter, pixels: str) -> str:
    return writer.node("Transpose", writer.node("Cast", pixels, to=FLOAT), perm=(0, 3, 1, 2))


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
    differs most, 0 to 1, (1, 1, h, w)."""
    node, constant = writer.node, writer.constant
    green, green_before = (node("Slice", image, constant([1]), constant([2]), constant([1])) for image in (now, before))
    padded = node("Pad", green, constant([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge")
    kernel = np.zeros((1, 1, 3, 3))
    kernel[..., 1, ::2] = -0.5, 0.5
    right, down = (node("Conv", padded, constant(one)) for one in (kernel, kernel.swapaxes(2, 3)))
    energy, mixed, other = (
        _average(writer, node("Mul", *pair), _WINDOW) for pair in ((right, right), (right, down), (down, down))
    )
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
    change = node("Sub", _look_up(writer, green_before, flow, compared), green)
    along = [_average(writer, node("Mul", slope, change), _WINDOW) for slope in (right, down)]
    energy, other = node("Add", energy, noise), node("Add", other, noise)
    determinant = node("Sub", node("Mul", energy, other), node("Mul", mixed, mixed))
    steps = [
        node("Div", node("Sub", node("Mul", one, there), node("Mul", mixed, across)), determinant)
        for one, there, across in ((other, along[0], along[1]), (energy, along[1], along[0]))
    ]
    step = node("Clip", node("Concat", *steps, axis=1), constant(-_LARGEST_STEP), constant(_LARGEST_STEP))
    flow = node(
        "Div",
        _average(writer, node("Mul", node("Sub", flow, step), certainty), _SMOOTHED),
        _average(writer, certainty, _SMOOTHED),
    )
    change = node("Sub", _look_up(writer, before, flow, compared), now)
    change = node("ReduceMax", _average_once(writer, node("Abs", change), 1), constant([1]), keepdims=1)
    change = node("Mul", change, constant(1 / _DIFFERENCE))
    return flow, node("Exp", node("Neg", node("Mul", change, change)))


def _look_up(writer: GraphWriter, image: str, flow: str, size: tuple[int, int]) -> str:
    """(1, C, h, w) at where its pixels were, linearly interpolated."""
    height, width = size
    centers = np.stack(np.meshgrid(_normalize(width), _normalize(height)))[None]
    grid = writer.node(
        "Add",
        writer.node("Mul", flow, writer.constant(np.reshape([2 / width, 2 / height], (1, 2, 1, 1)))),
        writer.constant(centers),
    )
    grid = writer.node("Transpose", grid, perm=(0, 2, 3, 1))
    return writer.node("GridSample", image, grid, mode="bilinear", padding_mode="border", align_corners=0)


def _normalize(side: int) -> np.ndarray:
    """The centers of the pixels of a side where its ends are -1 and 1."""
    return (2 * np.arange(side) + 1) / side - 1


def _enlarge(
    writer: GraphWriter, flow: str, match: str, size: tuple[int, int], compared: tuple[int, int], step: int
) -> list[str]:
    """The flow to the right and down in pixels of the frame, and how well it matches; (1, 1, height, width) each."""
    node, constant = writer.node, writer.constant
    combined = node("Concat", node("Mul", flow, constant(float(step))), match, axis=1)
    if step > 1:
        combined = node("Resize", combined, "", constant([1.0, 1.0, float(step), float(step)]), mode="linear")
    missing = [side - step * small for side, small in zip(size, compared, strict=True)]
    combined = node("Pad", combined, constant([0, 0, 0, 0, 0, 0, *missing]), mode="edge")
    return [node("Slice", combined, constant([number]), constant([number + 1]), constant([1])) for number in range(3)]


def _carry(writer: GraphWriter, carried: str, flow: list[str], size: tuple[int, int]) -> tuple[str, str]:
    """(1, 3, height, width) from where it was, and 1 where that is inside of the frame, else 0.

    Cubic interpolation, since linear interpolation would blur a little more with every frame.
    """
    node, constant = writer.node, writer.constant
    height, width = size
    centers = [_normalize(width).reshape(1, 1, 1, width), _normalize(height).reshape(1, 1, height, 1)]
    places = [
        node("Add", node("Mul", one, constant(2 / side)), constant(center))
        for one, side, center in zip(flow, (width, height), centers, strict=True)
    ]
    grid = node("Transpose", node("Concat", *places, axis=1), perm=(0, 2, 3, 1))
    moved = node("GridSample", carried, grid, mode="bicubic", padding_mode="border", align_corners=0)
    # One up to the center of the outermost pixels, then falling to zero over one pixel.
    within = [
        node("Mul", node("Sub", constant(1 + 1 / side), node("Abs", place)), constant(side / 2))
        for place, side in zip(places, (width, height), strict=True)
    ]
    within = [node("Clip", one, constant(0.0), constant(1.0)) for one in within]
    return moved, node("Mul", *within)
