"""Adjustable networks: scales and shifts that come from outside."""

import numpy as np
import onnx
import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.networks.checkpoint import load_checkpoint, save_checkpoint
from nst_fast.networks.description import STRENGTHS, interpolate_strength
from nst_fast.networks.onnx_graph import build_onnx_graph
from nst_fast.networks.registry import describe_network
from nst_fast.networks.torch_network import (
    StyleNetwork,
    build_network,
    checkpoint_from_network,
    network_from_checkpoint,
    stylize_with_statistics,
)
from tests.networks.test_onnx_graph import run


def build_adjustable(input_noise: float = 0.016) -> StyleNetwork:
    """A narrow adjustable network whose steering differs from strength to strength."""
    torch.manual_seed(0)
    network = build_network("realtime", width=8, input_noise=input_noise, adjustable=True)
    with torch.no_grad():
        network.steering.add_(0.3 * torch.randn(network.steering.shape))
    return network.eval().requires_grad_(False)


def test_interpolation() -> None:
    """Between two strengths the steering is their weighted mean, at one of them it is its own, as numpy has it."""
    for strength in (0.0, 0.1, 0.5, 0.8, 1.0, 1.7, 2.0):
        wanted = [np.interp(strength, STRENGTHS, one) for one in np.eye(len(STRENGTHS))]
        assert np.allclose(interpolate_strength(strength), wanted)


def test_steering_is_conditional_instance_normalization() -> None:
    """A steered network equals one without steering whose normalizations have these very scales and shifts."""
    adjustable = build_adjustable()
    plain = build_network("realtime", width=8, input_noise=0.016).eval()
    steering = adjustable.steer(0.7)[0].clone()
    steering[:, -3:] = 0  # the plain network does not add the photo
    state, place = adjustable.state_dict(), 0
    for name, weight in plain.state_dict().items():
        if name in state:
            weight.copy_(state[name])
        elif name.endswith(".weight"):
            weight.copy_(steering[0, place : place + len(weight)])
            plain.state_dict()[name.removesuffix("weight") + "bias"].copy_(steering[1, place : place + len(weight)])
            place += len(weight)
    photos = torch.rand(2, 3, 16, 24)
    assert torch.allclose(adjustable(photos, steering=steering[None]), plain(photos), atol=1e-5)


def test_each_image_has_its_own_steering() -> None:
    """A batch with a strength for each image gives what each image gives alone."""
    network, photos = build_adjustable(), torch.rand(3, 3, 16, 16)
    strengths = [0.0, 0.6, 2.0]
    together = network(photos, steering=network.steer(strengths))
    for photo, strength, stylized in zip(photos, strengths, together, strict=True):
        assert torch.allclose(network(photo[None], steering=network.steer(strength))[0], stylized, atol=1e-5)


def test_each_image_has_its_own_place_in_the_noise() -> None:
    """A batch with an origin for each image gives what each image gives alone there."""
    network, photos = build_adjustable(), torch.rand(2, 3, 16, 16)
    origins = torch.tensor([[3, 70], [4000, 9]])
    together = network(photos, origin=origins)
    for photo, origin, stylized in zip(photos, origins, together, strict=True):
        assert torch.allclose(network(photo[None], origin=origin)[0], stylized, atol=1e-5)


def test_new_network_at_strength_0_adds_most_of_the_photo() -> None:
    """Without the convolutions' part, a new network at strength 0 gives the photo to within 0.08."""
    network = build_network("realtime", width=8, adjustable=True)
    with torch.no_grad():
        last = network.decoder[1][0]
        last.weight.zero_()
        last.bias.zero_()
        photos = torch.rand(1, 3, 16, 16)
        assert (network(photos, steering=network.steer(0.0)) - photos).abs().max() < 0.08


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("strength", [None, 0.0, 0.7, 2.0])
def test_graph_equals_torch(pixels: bool, statistics: bool, strength: float | None) -> None:
    """The ONNX graph of an adjustable network, fixed or with steering as input, gives what PyTorch gives."""
    network = build_adjustable()
    checkpoint = checkpoint_from_network(network)
    asked = 1.3 if strength is None else strength
    photos = torch.rand(2, 3, 20, 24)
    inputs: dict[str, np.ndarray] = {"images": photos.numpy()}
    if pixels:
        levels = (photos * 255).round()
        photos = levels / 255
        inputs["images"] = levels.byte().permute(0, 2, 3, 1).numpy()
    steering = network.steer(asked)
    if strength is None:
        inputs["steering"] = checkpoint.steer(asked)
    if statistics:
        given = torch.rand(1, 2, network.description.statistics_channels) + 0.1
        inputs |= {"given": given.numpy(), "smoothing": np.array(0.4, np.float32)}
        expected, used = stylize_with_statistics(network, photos, given, 0.4, steering=steering)
    else:
        expected, used = network(photos, steering=steering), None
    results = run(build_onnx_graph(checkpoint, pixels=pixels, statistics=statistics, strength=strength), **inputs)
    if pixels:
        assert np.abs(results[0].astype(int) - (expected * 255).round().permute(0, 2, 3, 1).numpy()).max() <= 1
    else:
        assert np.abs(results[0] - expected.numpy()).max() < 1e-4
    if used is not None:
        assert np.abs(results[1] - used.numpy()).max() < 1e-4


@pytest.mark.parametrize("strength", [None, 1.5])
def test_graph_without_the_photo(strength: float | None) -> None:
    """Where the steering adds no photo, a graph can do without those nodes, and gives what PyTorch gives."""
    network = build_adjustable()
    network.steering[2:, :, -3:] = 0
    checkpoint = checkpoint_from_network(network)
    pixels = (torch.rand(1, 20, 24, 3) * 255).byte()
    inputs = {"images": pixels.numpy()} | ({} if strength else {"steering": checkpoint.steer(1.5)})
    graph = build_onnx_graph(checkpoint, pixels=True, strength=strength, photo=False)
    expected = (network(pixels.permute(0, 3, 1, 2) / 255, steering=network.steer(1.5)) * 255).round()
    assert np.abs(run(graph, **inputs)[0].astype(int) - expected.permute(0, 2, 3, 1).numpy()).max() <= 1
    # One cast of the photo's bytes fewer.
    casts = [
        sum(node.op_type == "Cast" for node in onnx.load_from_string(one).graph.node)
        for one in (build_onnx_graph(checkpoint, pixels=True, strength=0.5 if strength else None), graph)
    ]
    assert casts[1] == casts[0] - 1
    # A fixed strength that adds none finds out for itself.
    assert build_onnx_graph(checkpoint, pixels=True, strength=1.5) == build_onnx_graph(
        checkpoint, pixels=True, strength=1.5, photo=False
    )


def test_checkpoint_round_trip(tmp_path) -> None:
    """A saved adjustable network is adjustable again, and stylizes alike."""
    network = build_adjustable()
    save_checkpoint(tmp_path / "a.safetensors", checkpoint_from_network(network), dtype="fp32")
    loaded = network_from_checkpoint(load_checkpoint(tmp_path / "a.safetensors"))
    photos = torch.rand(1, 3, 16, 16)
    for strength in (0.0, 1.4):
        steering = network.steer(strength)
        assert torch.equal(loaded(photos, steering=loaded.steer(strength)), network(photos, steering=steering))


def test_refusals() -> None:
    """A strength out of range, one for a network without the knob, and a wrong argument are each told in one line."""
    checkpoint = checkpoint_from_network(build_adjustable())
    with pytest.raises(SettingError, match=r"^strength is 2.5; give 0 to 2, 1 is as trained$"):
        checkpoint.steer(2.5)
    with pytest.raises(SettingError, match=r"^strength is nan; give 0 to 2"):
        checkpoint.steer(float("nan"))
    with pytest.raises(
        SettingError, match=r"^wave_johnson was trained without the strength knob; .* 1, or choose another style$"
    ):
        load_checkpoint("wave_johnson").steer(0.5)
    with pytest.raises(SettingError, match=r"^network.adjustable is 'yes'; give true or false$"):
        describe_network("realtime", adjustable="yes")
