import numpy as np
import pytest
import torch
from torch import nn

from nst_fast.transform_nets import TRANSFORM_NETS
from nst_fast.transform_nets.layers import SmoothUpsampleConvNorm, ToColours
from nst_fast.transform_nets.painter import Painter
from nst_fast.transform_nets.statistics import Chain, InstanceNorm, blank_statistics, paint_with_statistics

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from nst_fast.export.onnx_graph import build_onnx_graph  # noqa: E402


def randomise(network: nn.Module) -> nn.Module:
    """Normalisations that are random too, as after training."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval().requires_grad_(False)


def build_network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return randomise(TRANSFORM_NETS[name](width=8, grain=0.1))


def run(model: "onnx.ModelProto", **inputs: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (40, 27)])
@pytest.mark.parametrize("name", TRANSFORM_NETS)
def test_images(name, size):
    """Of floats, batches of any size give what the Painter in PyTorch gives."""
    network, images = build_network(name), torch.rand(2, 3, *size)
    (painted,) = run(build_onnx_graph(network, pixels=False), pictures=images)
    np.testing.assert_allclose(painted, Painter(network, pixels=False)(images).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", TRANSFORM_NETS)
def test_pixels(name):
    """Of bytes, the graph takes and gives bytes, at most one level from PyTorch's."""
    network, pixels = build_network(name), torch.randint(0, 256, (2, 21, 30, 3), dtype=torch.uint8)
    (painted,) = run(build_onnx_graph(network, pixels=True), pictures=pixels)
    assert painted.dtype == np.uint8
    assert np.abs(painted.astype(int) - Painter(network, pixels=True)(pixels).numpy()).max() <= 1


@pytest.mark.parametrize("name", TRANSFORM_NETS)
def test_statistics(name):
    """With statistics given and mixed, paintings and used statistics are PyTorch's."""
    network, images = build_network(name), torch.rand(2, 3, 16, 24)
    _, given = paint_with_statistics(network, torch.rand(1, 3, 32, 32), blank_statistics(network), 1.0)
    share = torch.tensor(0.3)
    painted, used = run(
        build_onnx_graph(network, pixels=False, statistics=True), pictures=images, given=given, share=share
    )
    expected, expected_used = paint_with_statistics(network, images, given, share)
    np.testing.assert_allclose(painted, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(used, expected_used.numpy(), atol=1e-4, rtol=1e-4)


class OnlyTheEnd(nn.Module):
    """What works at full resolution, by itself; it doubles the size."""

    stride, min_side = 1, 2

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Chain(nn.Conv2d(3, 4, 1), SmoothUpsampleConvNorm(4, 3), ToColours(3, 3))

    def forward(self, photos, statistics=None, origin=None):
        return self.decoder(photos, statistics)


def test_squares_of_pixels_are_exact_to_the_border():
    """A convolution of squares of pixels is that of pixels, at edges and corners too, down to two squares."""

    network = randomise(OnlyTheEnd())
    for height, width in ((2, 2), (3, 5)):
        images = torch.rand(1, 3, height, width)
        model = build_onnx_graph(network, pixels=False)
        assert [node.op_type for node in model.graph.node].count("DepthToSpace") == 1, "only at the very end"
        for output in model.graph.output[0].type.tensor_type.shape.dim[2:]:
            output.Clear()  # twice the size of what comes in
        slices = [node for node in model.graph.node if node.op_type == "Slice"]
        slices[-1].op_type = "Identity"
        del slices[-1].input[1:]
        (painted,) = run(model, pictures=images)
        np.testing.assert_allclose(painted, network(images).numpy(), atol=1e-6)


def test_metadata_and_shapes():
    """The file says what it was told to, and batch, height and width are free in it."""
    model = build_onnx_graph(build_network("realtime"), pixels=True, metadata={"style": "wave"})
    assert {entry.key: entry.value for entry in model.metadata_props} == {"style": "wave"}
    (given,), (painted,) = model.graph.input, model.graph.output
    for tensor in (given, painted):
        sides = [side.dim_param or side.dim_value for side in tensor.type.tensor_type.shape.dim]
        assert sides == ["batch", "height", "width", 3]
    onnx.checker.check_model(model, full_check=True)


def test_an_unknown_layer_is_no_wrong_graph():
    """What cannot be written is refused, not left out."""
    network = build_network("realtime")
    network.decoder.append(nn.Tanh())
    with pytest.raises(NotImplementedError, match="tanh"):
        build_onnx_graph(network, pixels=True)
