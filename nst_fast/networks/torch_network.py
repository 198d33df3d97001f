"""A described network as a PyTorch module: what is trained, and what the torch engine runs.

Nothing that stylizes without PyTorch imports this module or the other `torch_` modules.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from nst_fast.networks.description import STRENGTHS, NetworkDescription, interpolate_strength
from nst_fast.networks.registry import describe_network
from nst_fast.networks.torch_layers import Chain, Conditions, InputNoise
from nst_fast.networks.torch_statistics import Statistics, StatisticsSource


class StyleNetwork(nn.Module):
    """An image transformation network: photos in, stylized images out, in one forward pass.

    Args:
        description: of the network; the weights are random, from torch's seed.

    Attributes:
        description: as given.
        stride, min_side: in pixels, see `NetworkDescription`.
    """

    def __init__(self, description: NetworkDescription) -> None:
        super().__init__()
        self.description = description
        self.stride = description.stride
        self.min_side = description.min_side
        self.input_noise = InputNoise(description.input_noise)
        self._parts = [name for name, _ in description.body.layers]
        body = Chain(description.body, steered=description.adjustable, zero_padding=description.zero_padding)
        for name, part in body.named_children():
            self.add_module(name, part)
        if description.adjustable:
            self.steering = nn.Parameter(_start_steering(description))

    def steer(self, strengths: float | Sequence[float]) -> Tensor:
        """The steering at these strengths, 0 to 2 each: (1 or B, 2, steering channels); for adjustable networks."""
        strengths = [strengths] if isinstance(strengths, float | int) else strengths
        shares = torch.tensor([interpolate_strength(strength) for strength in strengths], device=self.steering.device)
        return mix_strengths(self.steering, shares)

    def forward(
        self,
        photos: Tensor,
        statistics: StatisticsSource | None = None,
        origin: Tensor | None = None,
        steering: Tensor | None = None,
    ) -> Tensor:
        """Photos to stylized images: (B, 3, H, W), RGB in [0, 1], H and W multiples of the stride, to the same shape.

        Args:
            statistics: of the normalizations, see `stylize_with_statistics`. None: measured on each photo.
            origin: (2,) or (B, 2), int64: where the photos lie in the pictures that they are tiles of, down and right
                in pixels, for the input noise. None: at (0, 0).
            steering: (1 or B, 2, steering channels), for adjustable networks. None: that of strength 1.
        """
        if self.description.adjustable and steering is None:
            steering = self.steer(1.0)
        conditions = Conditions(photos, statistics, steering)
        hidden = self.input_noise(photos, origin)
        for name in self._parts:
            hidden = getattr(self, name)(hidden, conditions)
        return hidden


def mix_strengths(steering: Tensor, shares: Tensor) -> Tensor:
    """The weighted sum over strengths, in full precision also under autocast, which products of matrices would not be.

    Args:
        steering: (strengths, 2, channels), or one for each image: (B, strengths, 2, channels).
        shares: (B, strengths), see `interpolate_strength`.

    Returns:
        (B, 2, channels).
    """
    return (steering * shares[:, :, None, None]).sum(1)


def _start_steering(description: NetworkDescription) -> Tensor:
    """Scales of 1 and shifts of 0; the photo passes around the network the more, the weaker the style."""
    steering = torch.zeros(len(STRENGTHS), 2, description.steering_channels)
    steering[:, 0] = 1
    for one, strength in zip(steering, STRENGTHS, strict=True):
        # A sigmoid of 5 (x - 1/2) is within 0.02 of x in [0.1, 0.9].
        share = max(0.0, 1 - strength)
        one[0, -3:], one[1, -3:] = 5 * share, -2.5 * share
    return steering


def build_network(name: str, **arguments: Any) -> StyleNetwork:
    """A network with random weights, such as `build_network("realtime", width=32)`.

    Raises:
        SettingError: see `describe_network`.
    """
    return StyleNetwork(describe_network(name, **arguments))


def make_adjustable(network: StyleNetwork) -> StyleNetwork:
    """A network with the strength knob that has a trained network's weights, and its scales and shifts throughout."""
    description = network.description
    result = build_network(description.name, **{**description.arguments, "adjustable": True})
    trained, state = network.state_dict(), result.state_dict()
    steering, place = state["steering"], 0
    for name, weight in trained.items():
        if name in state:
            state[name] = weight
        elif name.endswith(".weight"):
            steering[:, 0, place : place + len(weight)] = weight
            steering[:, 1, place : place + len(weight)] = trained[name.removesuffix("weight") + "bias"]
            place += len(weight)
    result.load_state_dict(state)
    return result


def network_from_checkpoint(checkpoint: Checkpoint) -> StyleNetwork:
    """The checkpoint's network: float32, on the CPU, in evaluation mode, without gradients."""
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they would have been
        network = StyleNetwork(checkpoint.description)
    network.load_state_dict({name: torch.from_numpy(weight.copy()) for name, weight in checkpoint.weights.items()})
    return network.eval().requires_grad_(False)


def load_network(name_or_path: str | Path) -> StyleNetwork:
    """The network of a shipped style, or of a checkpoint file; see `network_from_checkpoint`.

    Raises:
        CheckpointError: see `load_checkpoint`.
    """
    return network_from_checkpoint(load_checkpoint(name_or_path))


def checkpoint_from_network(network: StyleNetwork, info: CheckpointInfo | None = None) -> Checkpoint:
    """A checkpoint with a copy of the network's weights as they are now.

    Args:
        info: what the checkpoint says about itself. None: nothing.
    """
    weights = {name: tensor.detach().cpu().float().numpy().copy() for name, tensor in network.state_dict().items()}
    return Checkpoint(network.description, weights, info or CheckpointInfo(style={}))


@torch.no_grad()
def round_weights(network: nn.Module, dtype: torch.dtype) -> None:
    """Round the weights, in place, to what a checkpoint of this number type will hold."""
    for weight in network.parameters():
        weight.copy_(weight.to(dtype))


def blank_statistics(network: StyleNetwork) -> Tensor:
    """Zeros, (1, 2, total channels), to be given where everything is measured (smoothing 0)."""
    like = next(network.parameters())
    channels = network.description.statistics_channels
    return torch.zeros(1, 2, channels, dtype=torch.float32, device=like.device)


def stylize_with_statistics(
    network: StyleNetwork,
    photos: Tensor,
    given: Tensor,
    smoothing: float | Tensor,
    origin: Tensor | None = None,
    steering: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Stylize with statistics that are given, or mixed with those that are measured.

    Args:
        photos: (B, 3, H, W) in [0, 1].
        given: (B or 1, 2, total channels), such as an earlier call returned; see `Statistics`.
        smoothing: 1.0: only what is given. 0.0: only what is measured on each photo.
        origin, steering: see `StyleNetwork.forward`.

    Returns:
        The stylized images, shape and range of `photos`; and the statistics used, (B or 1, 2, total channels).
    """
    statistics = Statistics(given, smoothing)
    stylized = network(photos, statistics, origin, steering)
    return stylized, torch.cat(statistics.used, 2)
