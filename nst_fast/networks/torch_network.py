"""A described network as a PyTorch module: what is trained, and what the torch engine runs.

Nothing that stylizes without PyTorch imports this module or the other `torch_` modules.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from nst_fast.networks.description import NetworkDescription
from nst_fast.networks.registry import describe_network
from nst_fast.networks.torch_layers import Chain, InputNoise
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
        for name, part in Chain(description.body).named_children():
            self.add_module(name, part)

    def forward(
        self, photos: Tensor, statistics: StatisticsSource | None = None, origin: Tensor | None = None
    ) -> Tensor:
        """Photos to stylized images: (B, 3, H, W), RGB in [0, 1], H and W multiples of the stride, to the same shape.

        Args:
            statistics: of the normalizations, see `stylize_with_statistics`. None: measured on each photo.
            origin: (2,), int64: where the photos lie in the pictures that they are tiles of, down and right in pixels,
                for the input noise. None: at (0, 0).
        """
        hidden = self.input_noise(photos, origin)
        for name in self._parts:
            hidden = getattr(self, name)(hidden, statistics)
        return hidden


def build_network(name: str, **arguments: Any) -> StyleNetwork:
    """A network with random weights, such as `build_network("realtime", width=32)`.

    Raises:
        SettingError: see `describe_network`.
    """
    return StyleNetwork(describe_network(name, **arguments))


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
    network: StyleNetwork, photos: Tensor, given: Tensor, smoothing: float | Tensor, origin: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Stylize with statistics that are given, or mixed with those that are measured.

    Args:
        photos: (B, 3, H, W) in [0, 1].
        given: (B or 1, 2, total channels), such as an earlier call returned; see `Statistics`.
        smoothing: 1.0: only what is given. 0.0: only what is measured on each photo.
        origin: see `StyleNetwork.forward`.

    Returns:
        The stylized images, shape and range of `photos`; and the statistics used, (B or 1, 2, total channels).
    """
    statistics = Statistics(given, smoothing)
    stylized = network(photos, statistics, origin)
    return stylized, torch.cat(statistics.used, 2)
