"""What a style image looks like in numbers: moments of the compact loss network's activations, as an ONNX graph.

The predictor of the base network reads them (`style_predictor`). The layers are those of the compact loss network,
whose weights come with the program; `torch_style_predictor.measure_style_features` computes the same in training.
"""

import re
from collections.abc import Mapping

import numpy as np

from nst_fast.networks.onnx_writer import FLOAT, GraphWriter

# Activations of the compact loss network at these taps, by their channels.
FEATURE_CHANNELS = {"relu1_1": 24, "relu2_1": 48, "relu3_1": 96, "relu4_1": 160}
COLOR_FEATURES = 9  # the mean of each color, and the mean of each product of two
FEATURES = 2 * sum(FEATURE_CHANNELS.values()) + COLOR_FEATURES

# The index of each convolution in the file, and where a tap or a pooling follows it.
_TAPS = {0: "relu1_1", 5: "relu2_1", 10: "relu3_1", 19: "relu4_1"}
_POOLED_BEFORE = (3, 8, 15)
_KINDS = ("weight", "bias")
# How the compact loss network expects colors in [0, 1]: as VGG does.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_style_features_graph(weights: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an ONNX file from `images` (1, H, W, 3), uint8, H, W >= 8, to `features` (FEATURES,), float32.

    Features are the mean and the root mean square of each channel at each tap, then the mean of each color and of each
    product of two colors, in [0, 1].

    Args:
        weights: of the compact loss network, by the names in its file.
    """
    writer = GraphWriter()
    images = writer.add_input("images", "uint8", [1, "height", "width", 3])
    colors = writer.node("Cast", writer.node("Transpose", images, perm=[0, 3, 1, 2]), to=FLOAT)
    colors = writer.node("Mul", colors, writer.constant(1 / 255))
    mean, deviation = (np.array(values, np.float32)[:, None, None] for values in (_MEAN, _DEVIATION))
    hidden = writer.node("Div", writer.node("Sub", colors, writer.constant(mean)), writer.constant(deviation))
    features: list[str] = []
    for index in sorted(int(re.sub(r"\D", "", name)) for name in weights if re.fullmatch(r"features\.\d+\.bias", name)):
        if index in _POOLED_BEFORE:
            hidden = writer.node("MaxPool", hidden, kernel_shape=[2, 2], strides=[2, 2])
        kernel, bias = (writer.constant(weights[f"features.{index}.{kind}"].astype(np.float32)) for kind in _KINDS)
        hidden = writer.node("Conv", hidden, kernel, bias, kernel_shape=[3, 3], pads=[1] * 4)
        hidden = writer.node("Relu", hidden)
        if index in _TAPS:
            square = writer.node(
                "ReduceMean", writer.node("Mul", hidden, hidden), writer.constant([0, 2, 3]), keepdims=0
            )
            features.append(writer.node("ReduceMean", hidden, writer.constant([0, 2, 3]), keepdims=0))
            features.append(writer.node("Sqrt", square))
    features.append(writer.node("ReduceMean", colors, writer.constant([0, 2, 3]), keepdims=0))
    for row in range(3):
        for column in range(row, 3):
            pair = [writer.node("Gather", colors, writer.constant([one]), axis=1) for one in (row, column)]
            product = writer.node("Mul", *pair)
            features.append(writer.node("ReduceMean", product, writer.constant([0, 2, 3]), keepdims=0))
    writer.add_output(writer.node("Concat", *features, axis=0), "features", "float32", [FEATURES])
    return writer.finish("style_features", {})
