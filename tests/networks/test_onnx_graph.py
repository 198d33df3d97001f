"""The ONNX graph in ONNX Runtime against the network in PyTorch."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from nst_fast.networks.checkpoint import Checkpoint, load_checkpoint
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.networks.description import (
    Conv,
    NetworkDescription,
    PixelUnshuffle,
    Sequence,
    Upsample,
    sequence,
    smooth_upsample_conv_norm,
    to_colors,
)
from nst_fast.networks.onnx_graph import build_onnx_graph
from nst_fast.networks.registry import NETWORKS
from nst_fast.networks.torch_any_size import AnySizeNetwork
from nst_fast.networks.torch_network import (
    StyleNetwork,
    blank_statistics,
    checkpoint_from_network,
    network_from_checkpoint,
    stylize_with_statistics,
)

onnxruntime = pytest.importorskip("onnxruntime")

# Whether an input is bytes, whether statistics are given, whether an origin is.
VARIANTS = list(itertools.product((False, True), repeat=3))
SIZES = [(8, 8), (9, 31), (40, 27)]


def run(graph: bytes, **inputs: torch.Tensor | np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {name: np.asarray(values) for name, values in inputs.items()})


@pytest.fixture(params=NETWORKS)
def network(request, random_network):
    return random_network(request.param, width=8, input_noise=0.1)


@pytest.mark.parametrize("size", SIZES)
def test_images(network, size):
    """From floats, batches of any size give what PyTorch gives."""
    images = torch.rand(2, 3, *size)
    (stylized,) = run(build_onnx_graph(checkpoint_from_network(network), pixels=False), images=images)
    np.testing.assert_allclose(stylized, AnySizeNetwork(network, pixels=False)(images).numpy(), atol=1e-5)


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize(
    ("name", "arguments"), [*((name, {}) for name in NETWORKS), ("realtime", {"adjustable": True})]
)
def test_zero_padding(random_network, name, arguments, pixels):
    """With zeros in place of reflections, the graph still gives what PyTorch gives, and the borders differ."""
    reflecting = random_network(name, width=8, input_noise=0.1, **arguments)
    checkpoint = checkpoint_from_network(reflecting)
    padded = dataclasses.replace(checkpoint, description=dataclasses.replace(checkpoint.description, zero_padding=True))
    images = torch.randint(0, 256, (2, 24, 32, 3), dtype=torch.uint8)
    images = images if pixels else images.permute(0, 3, 1, 2).float() / 255
    (stylized,) = run(build_onnx_graph(padded, pixels=pixels), images=images)
    expected = AnySizeNetwork(network_from_checkpoint(padded), pixels=pixels)(images).numpy()
    assert np.abs(stylized.astype(float) - expected).max() <= (1 if pixels else 1e-5)
    (reflected,) = run(build_onnx_graph(checkpoint, pixels=pixels), images=images)
    assert np.abs(reflected.astype(float) - stylized).max() > (2 if pixels else 0.01)


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_one_size(random_network, name, pixels):
    """A graph for one size gives what one for all sizes gives, and with floats holds nothing that depends on sizes."""
    onnx = pytest.importorskip("onnx")
    checkpoint = checkpoint_from_network(random_network(name, width=8, input_noise=0.1))
    padded = dataclasses.replace(checkpoint, description=dataclasses.replace(checkpoint.description, zero_padding=True))
    images = torch.randint(0, 256, (1, 24, 32, 3), dtype=torch.uint8)
    images = images if pixels else images.permute(0, 3, 1, 2).float() / 255
    (expected,) = run(build_onnx_graph(padded, pixels=pixels), images=images)
    graph = build_onnx_graph(padded, pixels=pixels, size=(24, 32))
    (stylized,) = run(graph, images=images)
    assert np.abs(stylized.astype(float) - expected).max() <= (1 if pixels else 1e-6)
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    sides = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    assert sides == list(images.shape)
    if not pixels:
        assert {"Shape", "Range", "Pad", "Slice", "Gather"} & {node.op_type for node in model.graph.node} == set()


def test_pixels(network):
    """From bytes, the graph gives bytes, at most one level from PyTorch's."""
    pixels = torch.randint(0, 256, (2, 21, 30, 3), dtype=torch.uint8)
    (stylized,) = run(build_onnx_graph(checkpoint_from_network(network), pixels=True), images=pixels)
    assert stylized.dtype == np.uint8
    assert np.abs(stylized.astype(int) - AnySizeNetwork(network, pixels=True)(pixels).numpy()).max() <= 1


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("convolve_sums", "size"), [(False, (16, 24)), (True, (16, 24)), (True, (72, 44))])
def test_statistics(network, smoothing, convolve_sums, size):
    """With statistics given and mixed, stylized images and used statistics are PyTorch's, however they are summed."""
    images = torch.rand(2, 3, *size)
    _, given = stylize_with_statistics(network, torch.rand(1, 3, 32, 32), blank_statistics(network), 0.0)
    stylized, used = run(
        build_onnx_graph(checkpoint_from_network(network), pixels=False, statistics=True, convolve_sums=convolve_sums),
        images=images,
        given=given,
        smoothing=torch.tensor(smoothing),
    )
    expected, expected_used = stylize_with_statistics(network, images, given, torch.tensor(smoothing))
    np.testing.assert_allclose(stylized, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(used, expected_used.numpy(), atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module", params=list_shipped_checkpoints())
def shipped(request) -> Checkpoint:
    return load_checkpoint(request.param)


@pytest.mark.parametrize(("pixels", "statistics", "origin"), VARIANTS)
def test_shipped_networks(shipped, pixels, statistics, origin):
    """Each shipped network, in each variant, is PyTorch's: floats within 1e-4, bytes within one level."""
    network = network_from_checkpoint(shipped)
    graph = build_onnx_graph(shipped, pixels=pixels, statistics=statistics, origin=origin)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    any_size = AnySizeNetwork(network, pixels=pixels)
    generator = torch.Generator().manual_seed(0)
    place = torch.tensor([5000, 12]) if origin else None
    for count, height, width in ((1, 8, 8), (2, 37, 50), (1, 13, 8)):
        images = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)
        if not pixels:
            images = (images / 255).permute(0, 3, 1, 2).contiguous()
        inputs, given, smoothing = {"images": images}, None, torch.tensor(0.7)
        if statistics:
            other = torch.rand(1, 3, 32, 40, generator=generator)
            _, given = stylize_with_statistics(network, other, blank_statistics(network), 0.0)
            inputs |= {"given": given, "smoothing": smoothing}
        if place is not None:
            inputs |= {"origin": place}
        found = session.run(None, {name: np.asarray(values) for name, values in inputs.items()})
        with torch.no_grad():
            expected = any_size(images, given, smoothing, place)
        if statistics:
            expected, used = expected
            np.testing.assert_allclose(found[1], used.numpy(), atol=1e-3, rtol=1e-3)
        assert found[0].dtype == expected.numpy().dtype and found[0].shape == expected.shape
        difference = np.abs(found[0].astype(float) - expected.numpy()).max()
        assert difference <= (1 if pixels else 1e-4)


@pytest.mark.parametrize(("pixels", "statistics", "origin"), VARIANTS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("input_noise", [0.0, 0.1])
def test_the_checker_finds_no_fault(random_network, name, input_noise, pixels, statistics, origin):
    """In every variant the file is what the ONNX standard asks for, with the stated inputs and outputs."""
    onnx = pytest.importorskip("onnx")
    checkpoint = checkpoint_from_network(random_network(name, input_noise=input_noise))
    graph = build_onnx_graph(checkpoint, pixels=pixels, statistics=statistics, origin=origin)
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    inputs = ["images"] + ["given", "smoothing"] * statistics + ["origin"] * origin
    assert [value.name for value in model.graph.input] == inputs
    assert [value.name for value in model.graph.output] == ["stylized"] + ["used"] * statistics


def describe_end() -> NetworkDescription:
    """What works at full resolution, by itself; it doubles the size."""
    decoder = sequence(Conv(3, 4, 1, bias=True), smooth_upsample_conv_norm(4, 3), to_colors(3, 3))
    return NetworkDescription("end", {}, Sequence((("decoder", decoder),)), stride=1, min_side=2)


def test_squares_of_pixels_are_exact_to_the_border():
    """A convolution of squares of pixels is that of pixels, at edges and corners too, down to two squares."""
    onnx = pytest.importorskip("onnx")
    torch.manual_seed(0)
    network = StyleNetwork(describe_end()).requires_grad_(False)
    for height, width in ((2, 2), (3, 5)):
        images = torch.rand(1, 3, height, width)
        model = onnx.load_from_string(build_onnx_graph(checkpoint_from_network(network), pixels=False))
        assert [node.op_type for node in model.graph.node].count("DepthToSpace") == 1, "only at the very end"
        for side in model.graph.output[0].type.tensor_type.shape.dim[2:]:
            side.Clear()  # twice the size of what comes in
        (cut,) = [node for node in model.graph.node if node.op_type == "Slice"]
        cut.op_type = "Identity"
        del cut.input[1:]
        (stylized,) = run(model.SerializeToString(), images=images)
        np.testing.assert_allclose(stylized, network(images).numpy(), atol=1e-6)


@pytest.mark.parametrize("pixels", [False, True])
def test_layers_in_another_order(pixels):
    """Networks that no file describes today are written right too: an unshuffle inside, a smooth end without colors."""
    torch.manual_seed(0)
    inner = sequence(Conv(3, 5, 3), PixelUnshuffle(2), Conv(20, 3, 3), Upsample(2), to_colors(3, 5))
    smooth = sequence(PixelUnshuffle(2), Conv(12, 4, 3), smooth_upsample_conv_norm(4, 3), to_colors(3, 1))
    for body in (inner, smooth):
        network = StyleNetwork(NetworkDescription("other", {}, Sequence((("all", body),)), stride=2, min_side=8))
        network.requires_grad_(False)
        images = torch.randint(0, 256, (2, 12, 14, 3), dtype=torch.uint8)
        if not pixels:
            images = (images / 255).permute(0, 3, 1, 2).contiguous()
        (stylized,) = run(build_onnx_graph(checkpoint_from_network(network), pixels=pixels), images=images)
        expected = AnySizeNetwork(network, pixels=pixels)(images).numpy()
        assert np.abs(stylized.astype(float) - expected).max() <= (1 if pixels else 1e-5)


def test_metadata_and_shapes(random_network):
    """The file says what it was told to, and batch, height and width are free in it."""
    onnx = pytest.importorskip("onnx")
    checkpoint = checkpoint_from_network(random_network("realtime"))
    model = onnx.load_from_string(build_onnx_graph(checkpoint, pixels=True, metadata={"style": "wave"}))
    assert {entry.key: entry.value for entry in model.metadata_props} == {"style": "wave"}
    assert model.graph.name == "realtime"
    (given,), (stylized,) = model.graph.input, model.graph.output
    for tensor in (given, stylized):
        sides = [side.dim_param or side.dim_value for side in tensor.type.tensor_type.shape.dim]
        assert sides == ["batch", "height", "width", 3]


def test_an_unknown_layer_is_no_wrong_graph():
    """What cannot be written or built is refused, not left out."""
    body = Sequence((("all", sequence(Conv(3, 3, 3), "tanh")),))  # pyright: ignore[reportArgumentType]
    description = NetworkDescription("other", {}, body, stride=1, min_side=8)
    weights = {name: np.zeros(shape, np.float32) for name, shape in description.list_parameters().items()}
    with pytest.raises(AssertionError, match="tanh"):
        build_onnx_graph(Checkpoint(description, weights, load_checkpoint("wave").info), pixels=True)
    with pytest.raises(AssertionError, match="tanh"):
        StyleNetwork(description)
