"""What is written is read back by the package `onnx`, which knows the format best."""

import numpy as np
import pytest

from nst_fast.networks.onnx_writer import FLOAT, IR_VERSION, OPSET, UINT8, GraphWriter

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def read_back(writer: GraphWriter, name: str = "graph", **metadata: str) -> "onnx.ModelProto":
    """The file as `onnx` reads it; it must hold nothing that `onnx` does not know."""
    data = writer.finish(name, metadata)
    model = onnx.load_from_string(data)
    assert model.SerializeToString(deterministic=True) == onnx.load_from_string(data).SerializeToString(
        deterministic=True
    )
    assert len(model.SerializeToString()) == len(data)
    return model


def test_attributes_of_each_kind():
    """Integers of 64 bits with either sign, floats, texts and lists of integers come back as they were given."""
    given = {
        "zero": 0,
        "small": 127,
        "two_bytes": 128,
        "negative": -1,
        "largest": 2**63 - 1,
        "smallest": -(2**63),
        "real": 0.1,
        "negative_real": -1e-30,
        "text": "DCR",
        "unicode": "große 大波",
        "empty_text": "",
        "list": [0, -1, 300, -(2**40), 2**40],
        "shape": (3, 3),
        "empty_list": [],
    }
    writer = GraphWriter()
    writer.node("Any", "x", **given)
    (node,) = read_back(writer).graph.node
    assert [attribute.name for attribute in node.attribute] == list(given)
    kinds = onnx.AttributeProto
    for attribute, value in zip(node.attribute, given.values(), strict=True):
        if isinstance(value, int):
            assert (attribute.type, attribute.i) == (kinds.INT, value)
        elif isinstance(value, float):
            assert (attribute.type, np.float32(attribute.f)) == (kinds.FLOAT, np.float32(value))
        elif isinstance(value, str):
            assert (attribute.type, attribute.s.decode()) == (kinds.STRING, value)
        else:
            assert (attribute.type, list(attribute.ints)) == (kinds.INTS, list(value))


def test_nodes_keep_their_order_and_names():
    """Nodes come in the order of writing, each with one output of its own name; an input may be left out."""
    writer = GraphWriter()
    first = writer.node("Relu", "x")
    second = writer.node("Resize", first, "", "scales")
    third = writer.node("Relu", second)
    nodes = read_back(writer).graph.node
    assert [node.op_type for node in nodes] == ["Relu", "Resize", "Relu"]
    assert [list(node.input) for node in nodes] == [["x"], [first, "", "scales"], [second]]
    assert [list(node.output) for node in nodes] == [[first], [second], [third]]
    assert len({node.name for node in nodes}) == len({first, second, third}) == 3


@pytest.mark.parametrize(
    "values",
    [
        1.5,
        -3,
        [0, -1, 2**62, -(2**63)],
        [[0.5, -0.25], [1e-40, np.inf]],
        np.float64(0.1),
        np.zeros((2, 0, 3), np.float32),
        np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.array(7, np.uint8),
    ],
    ids=str,
)
def test_constants(values):
    """Floats are kept as float32, integers as int64, in their shape, whatever their order in memory."""
    writer = GraphWriter()
    name = writer.constant(values)
    (tensor,) = read_back(writer).graph.initializer
    assert tensor.name == name
    found, expected = onnx.numpy_helper.to_array(tensor), np.asarray(values)
    assert found.dtype == (np.int64 if expected.dtype.kind in "iu" else np.float32)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected.astype(found.dtype))


def test_equal_constants_are_kept_once():
    """A constant that was given before has the same name; another shape, type or value has another."""
    writer = GraphWriter()
    names = [writer.constant(one) for one in ([1, 2], np.array([1, 2]), [1.0, 2.0], [[1, 2]], [1, 3], 0.0, -0.0)]
    assert names[0] == names[1] and len(set(names)) == 6
    assert len(read_back(writer).graph.initializer) == 6


def test_inputs_and_outputs():
    """Inputs and outputs have their number types; sides are numbers or free by a name, or there are none."""
    writer = GraphWriter()
    shapes = {
        "images": ("uint8", ["batch", "height", "width", 3]),
        "given": ("float32", [1, 2, 300]),
        "smoothing": ("float32", []),
        "origin": ("int64", [2]),
    }
    for name, (number_type, shape) in shapes.items():
        assert writer.add_input(name, number_type, shape) == name
    writer.add_output(writer.node("Cast", "images", to=FLOAT), "stylized", "float32", ["batch", "height", "width", 3])
    graph = read_back(writer).graph
    types = {"uint8": onnx.TensorProto.UINT8, "float32": onnx.TensorProto.FLOAT, "int64": onnx.TensorProto.INT64}
    assert (types["float32"], types["uint8"]) == (FLOAT, UINT8)
    found = {
        value.name: (
            value.type.tensor_type.elem_type,
            [getattr(side, side.WhichOneof("value")) for side in value.type.tensor_type.shape.dim],
        )
        for value in [*graph.input, *graph.output]
    }
    expected = {**shapes, "stylized": ("float32", ["batch", "height", "width", 3])}
    assert found == {name: (types[number_type], shape) for name, (number_type, shape) in expected.items()}
    assert all(value.type.tensor_type.HasField("shape") for value in graph.input), "a number without sides has a shape"
    assert graph.node[-1].op_type == "Identity" and list(graph.node[-1].output) == ["stylized"]


def test_names_versions_and_metadata():
    """The graph's name, the versions and the metadata are there, also in letters beyond ASCII and longer than 127."""
    metadata = {"style": "Die große Welle 大波 🌊", "empty": "", "ключ": "x" * 100_000}
    model = read_back(GraphWriter(), "сеть", **metadata)
    assert model.graph.name == "сеть"
    assert (model.ir_version, model.producer_name) == (IR_VERSION, "nst-fast")
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    assert {entry.key: entry.value for entry in model.metadata_props} == metadata


def test_a_graph_runs():
    """ONNX Runtime runs a written graph, gives what NumPy gives, and reads the metadata."""
    writer = GraphWriter()
    x = writer.add_input("x", "float32", ["batch", 3])
    shifted = writer.node("Add", writer.node("Transpose", x, perm=[1, 0]), writer.constant([[1.0], [-2.0], [0.5]]))
    writer.add_output(shifted, "y", "float32", [3, "batch"])
    data = writer.finish("sum", {"a": "ä"})
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    given = np.random.default_rng(0).random((5, 3), np.float32)
    (result,) = session.run(None, {"x": given})
    np.testing.assert_allclose(result, given.T + np.array([[1], [-2], [0.5]], np.float32))
    assert session.get_modelmeta().custom_metadata_map == {"a": "ä"}
