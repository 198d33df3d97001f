"""Writing an ONNX graph node by node."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
# As old as the operators allow, so that older runtimes read it too.
IR_VERSION = 9
NUMBER_TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


class GraphWriter:
    """Collects the nodes and constants of one graph; tensors go by their names."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def add_input(self, name: str, number_type: str, shape: list[str | int]) -> str:
        """Declare an input; sides that are texts are free."""
        self._inputs.append(helper.make_tensor_value_info(name, NUMBER_TYPES[number_type], shape))
        return name

    def add_output(self, tensor: str, name: str, number_type: str, shape: list[str | int]) -> None:
        """Declare an existing tensor as an output of this name."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=f"{name}_output"))
        self._outputs.append(helper.make_tensor_value_info(name, NUMBER_TYPES[number_type], shape))

    def constant(self, values: np.ndarray | Sequence[int | float] | float) -> str:
        """The name of a constant: float32 for floats, int64 for integers; equal ones are kept once."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        key = f"{array.dtype}{array.shape}{array.tobytes()!r}"
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"constant_{len(self._constants)}")
        return self._constants[key].name

    def node(self, operator: str, *inputs: str, **attributes) -> str:
        """Append a node with one output and return the name of that."""
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def finish(self, name: str, metadata: dict[str, str]) -> onnx.ModelProto:
        """The model, checked against ONNX's own rules."""
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, initializer=list(self._constants.values())
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="nst-fast"
        )
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model
