"""Writing an ONNX file node by node.

The package `onnx` would do this too, but it takes a quarter of a second to import, half of what stylizing a photo takes
from start to finish. An ONNX file is a protocol buffer, and what a graph needs of the format fits on this page: each
message is a list of fields, each field its number and a varint, four bytes, or a length and bytes (see onnx.proto
of the ONNX project for the numbers). The tests read these files back with `onnx` and have its checker check them.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np

OPSET = 18
# As old as the operators allow, so that older runtimes read the file too.
IR_VERSION = 9
_NUMBER_TYPES = {"float32": 1, "uint8": 2, "int64": 7}  # TensorProto.DataType
FLOAT, UINT8 = _NUMBER_TYPES["float32"], _NUMBER_TYPES["uint8"]


class GraphWriter:
    """Collects the nodes and constants of one graph; tensors go by their names."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._defaults: list[bytes] = []

    def add_input(
        self, name: str, number_type: str, shape: Sequence[str | int], default: np.ndarray | np.generic | None = None
    ) -> str:
        """Declare an input; sides that are texts are free.

        Args:
            default: what it is where the caller leaves it out. None: it must be given.
        """
        self._inputs.append(_value_info(name, number_type, shape))
        if default is not None:
            self._defaults.append(_tensor(name, number_type, default.shape, default.tobytes()))
        return name

    def add_output(self, tensor: str, name: str, number_type: str, shape: Sequence[str | int]) -> None:
        """Declare an existing tensor as an output of this name."""
        self._nodes.append(_node("Identity", [tensor], name, f"{name}_output", {}))
        self._outputs.append(_value_info(name, number_type, shape))

    def constant(self, values: np.ndarray | Sequence[int | float] | float) -> str:
        """The name of a constant: float32 for floats, int64 for integers; equal ones are kept once."""
        array = np.asarray(values)
        array = np.ascontiguousarray(array, np.int64 if array.dtype.kind in "iu" else np.float32).reshape(array.shape)
        key = (str(array.dtype), array.shape, array.tobytes())
        return self._constants.setdefault(key, f"constant_{len(self._constants)}")

    def node(self, operator: str, *inputs: str, **attributes: int | float | str | Sequence[int]) -> str:
        """Append a node with one output and return the name of that."""
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(_node(operator, inputs, output, output, attributes))
        return output

    def finish(self, name: str, metadata: Mapping[str, str]) -> bytes:
        """The bytes of the file.

        Args:
            name: of the graph.
            metadata: readable in every runtime, such as ONNX Runtime's `custom_metadata_map`.
        """
        graph = b"".join(
            [
                *(_message(1, node) for node in self._nodes),
                _text(2, name),
                *(_message(5, _tensor(constant, *key)) for key, constant in self._constants.items()),
                *(_message(5, default) for default in self._defaults),
                *(_message(11, value) for value in self._inputs),
                *(_message(12, value) for value in self._outputs),
            ]
        )
        return b"".join(
            [
                _number(1, IR_VERSION),
                _text(2, "nst-fast"),
                _message(7, graph),
                _message(8, _text(1, "") + _number(2, OPSET)),
                *(_message(14, _text(1, key) + _text(2, value)) for key, value in metadata.items()),
            ]
        )


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers as 64 bits of two's complement
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _node(operator: str, inputs: Sequence[str], output: str, name: str, attributes: Mapping[str, object]) -> bytes:
    """A NodeProto."""
    fields = [*(_text(1, tensor) for tensor in inputs), _text(2, output), _text(3, name), _text(4, operator)]
    return b"".join([*fields, *(_message(5, _attribute(key, value)) for key, value in attributes.items())])


def _attribute(name: str, value: object) -> bytes:
    """An AttributeProto; its type is the last field of each."""
    if isinstance(value, int):
        content = _number(3, value) + _number(20, 2)
    elif isinstance(value, float):
        content = _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    elif isinstance(value, str):
        content = _text(4, value) + _number(20, 3)
    else:
        assert isinstance(value, Sequence)
        content = b"".join(_number(8, one) for one in value) + _number(20, 7)
    return _text(1, name) + content


def _tensor(name: str, number_type: str, shape: tuple[int, ...], data: bytes) -> bytes:
    """A TensorProto."""
    sides = b"".join(_number(1, side) for side in shape)
    return sides + _number(2, _NUMBER_TYPES[number_type]) + _text(8, name) + _message(9, data)


def _value_info(name: str, number_type: str, shape: Sequence[str | int]) -> bytes:
    """A ValueInfoProto."""
    sides = (_text(2, side) if isinstance(side, str) else _number(1, side) for side in shape)
    tensor_type = _number(1, _NUMBER_TYPES[number_type]) + _message(2, b"".join(_message(1, side) for side in sides))
    return _text(1, name) + _message(2, _message(1, tensor_type))
