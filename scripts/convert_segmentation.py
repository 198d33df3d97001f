"""Convert MediaPipe's selfie segmentation to the ONNX file that the package ships.

    npm pack @mediapipe/selfie_segmentation && tar xzf mediapipe-selfie_segmentation-*.tgz
    uv run --with ai-edge-litert scripts/convert_segmentation.py package/selfie_segmentation.tflite

Writes nst_fast/stylize/person.onnx and compares it with LiteRT, which runs the original. The network is licensed under
Apache 2.0 by its authors (Google); the ONNX file says so in its metadata, and person.license.txt lies beside it. LiteRT
does not know the last layer but one, a transposed convolution of MediaPipe's own, so it runs what comes before, and
NumPy the rest.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

TARGET = Path(__file__).resolve().parents[1] / "nst_fast" / "stylize" / "person.onnx"
METADATA = {
    "source": "selfie_segmentation.tflite of @mediapipe/selfie_segmentation 0.1.1675465747 (npm), Google",
    "license": "Apache-2.0",
    "changes": "converted to ONNX; takes and gives bytes",
}
_SAME = 0  # Padding of TFLite's schema
_RELU = 1  # ActivationFunctionType
_NAMES = {
    0: "Add",
    1: "AveragePool",
    3: "Conv",
    4: "DepthwiseConv",
    6: "Dequantize",
    14: "Sigmoid",
    18: "Mul",
    19: "Relu",
    23: "Resize",
    32: "TransposedConv",
    117: "HardSwish",
}


class Converter:
    """One TFLite subgraph, read with LiteRT's own schema, as ONNX nodes; images are (1, C, H, W) here."""

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.names: dict[int, str] = {}  # index of a tensor -> its ONNX name
        self.weights: dict[int, np.ndarray] = {}  # index of a tensor -> its values, as half-precision numbers

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The name of the result of one more node."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, values: np.ndarray) -> str:
        """The name of a constant; half-precision numbers are kept so and cast, which halves the file."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return self.node("Cast", name, to=TensorProto.FLOAT) if values.dtype == np.float16 else name

    def convert(self) -> onnx.ModelProto:
        """The whole model, from `images` (1, H, W, 3) to `mask` (1, H, W), both uint8."""
        (index,) = self.graph.inputs
        height, width = (int(side) for side in self.graph.tensors[index].shape[1:3])
        floats = self.node("Cast", self.node("Transpose", "images", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
        self.names[index] = self.node("Mul", floats, self.constant(np.float32(1 / 255)))
        for operation in self.graph.operators:
            self.add(operation)
        levels = self.node("Mul", self.names[self.graph.outputs[0]], self.constant(np.float32(255)))
        levels = self.node("Cast", self.node("Round", levels), to=TensorProto.UINT8)
        self.nodes.append(helper.make_node("Squeeze", [levels, self.constant(np.array([1]))], ["mask"]))
        graph = helper.make_graph(
            self.nodes,
            "person",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, height, width, 3])],
            [helper.make_tensor_value_info("mask", TensorProto.UINT8, [1, height, width])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        helper.set_model_props(model, METADATA)
        onnx.checker.check_model(model, full_check=True)
        return model

    def add(self, operation: Any) -> None:
        """One operation of TFLite."""
        code = self.model.operatorCodes[operation.opcodeIndex]
        name = _NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        inputs, (output,), options = operation.inputs, operation.outputs, operation.builtinOptions
        if name == "Dequantize":
            self.weights[output] = self.values(inputs[0])
            return
        assert getattr(options, "fusedActivationFunction", 0) in (0, _RELU)
        if name == "AveragePool":
            assert [options.filterHeight, options.filterWidth] == list(self.graph.tensors[inputs[0]].shape[1:3])
            result = self.node("GlobalAveragePool", self.names[inputs[0]])
        elif name in ("Conv", "DepthwiseConv"):
            result = self.convolve(name, operation)
        elif name == "TransposedConv":
            result = self.convolve_transposed(operation)
        elif name == "Resize":
            assert options.halfPixelCenters and not options.alignCorners
            size = self.constant(np.array([2 ** (k > 1) for k in range(4)], np.float32))
            result = self.node("Resize", self.names[inputs[0]], "", size, mode="linear")
        else:
            result = self.node(name, *(self.names[index] for index in inputs))
        if getattr(options, "fusedActivationFunction", 0) == _RELU:
            result = self.node("Relu", result)
        self.names[output] = result

    def convolve(self, name: str, operation: Any) -> str:
        """An ordinary or a depthwise convolution; TFLite's weights are (out, H, W, in) and (1, H, W, out)."""
        image, weight, bias = operation.inputs
        options, values = operation.builtinOptions, self.weights[weight]
        values = values.transpose(0, 3, 1, 2) if name == "Conv" else values.transpose(3, 0, 1, 2)
        groups = 1 if name == "Conv" else len(values)
        assert options.dilationHFactor == options.dilationWFactor == 1
        return self.node(
            "Conv",
            self.names[image],
            self.constant(values),
            self.constant(self.weights[bias]),
            strides=[options.strideH, options.strideW],
            auto_pad="SAME_UPPER" if options.padding == _SAME else "VALID",
            group=groups,
        )

    def convolve_transposed(self, operation: Any) -> str:
        """MediaPipe's Convolution2DTransposeBias: 2x2 with stride 2, so that no two places overlap."""
        image, weight, bias = operation.inputs
        values = self.weights[weight]  # (out, H, W, in)
        assert values.shape[1:3] == (2, 2) and bytes(operation.customOptions)[4:] == b"\x02\0\0\0\x02\0\0\0"
        values = self.constant(values.transpose(3, 0, 1, 2))
        return self.node("ConvTranspose", self.names[image], values, self.constant(self.weights[bias]), strides=[2, 2])

    def values(self, index: int) -> np.ndarray:
        """The numbers of a tensor of weights."""
        tensor = self.graph.tensors[index]
        data = self.model.buffers[tensor.buffer].data
        return np.frombuffer(bytes(data), np.float16).reshape(tensor.shape)


def run_original(model: Any, images: np.ndarray, converter: Converter) -> np.ndarray:
    """What LiteRT and, for the last two layers, NumPy give for (1, H, W, 3) in [0, 1]: (H, W) in [0, 1]."""
    import flatbuffers  # pyright: ignore[reportMissingImports] -- comes with LiteRT
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports] -- see the docstring

    *kept, transposed, _ = model.subgraphs[0].operators
    image, weight, bias = transposed.inputs
    model.subgraphs[0].operators, model.subgraphs[0].outputs = kept, [image]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images.astype(np.float32))
    interpreter.invoke()
    hidden = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    values, offset = (converter.weights[index].astype(np.float32) for index in (weight, bias))
    result = np.einsum("hwc,klc->hkwl", hidden, values[0]).reshape(2 * hidden.shape[0], 2 * hidden.shape[1])
    return 1 / (1 + np.exp(-(result + offset)))


def main() -> None:
    """Convert, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="selfie_segmentation.tflite")
    parser.add_argument("--output", type=Path, default=TARGET, help="the file to write (default: %(default)s)")
    options = parser.parse_args()
    from ai_edge_litert import schema_py_generated  # pyright: ignore[reportMissingImports] -- see the docstring

    data = options.model.read_bytes()
    model = schema_py_generated.ModelT.InitFromPackedBuf(data, 0)
    converter = Converter(model)
    content = converter.convert().SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    height, width = session.get_inputs()[0].shape[1:3]
    random = np.random.default_rng(0)
    smooth = random.integers(0, 256, (1, 8, 8, 3)).repeat(height // 8, 1).repeat(width // 8, 2)
    pixels = (smooth * random.uniform(0.7, 1, (1, height, width, 1))).astype(np.uint8)
    (mask,) = session.run(None, {"images": pixels})
    difference = np.abs(np.asarray(mask)[0] - 255 * run_original(model, pixels / 255, converter)).max()
    print(f"largest difference from the original on noise: {difference:.3f} of 255 levels")
    assert difference < 1, "the conversion is wrong"
    options.output.write_bytes(content)
    print(f"{options.output}: {len(content):,} bytes, for images of {width} x {height}")


if __name__ == "__main__":
    main()
