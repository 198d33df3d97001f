"""A checkpoint as a torch network, which the loss can judge without rounding its output to bytes."""

from pathlib import Path

import torch
from torch import Tensor

from nst_fast.memory import keep_freed_memory
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from nst_fast.networks.torch_any_size import AnySizeNetwork
from nst_fast.networks.torch_network import network_from_checkpoint


class TrainedNetwork:
    """The network of a checkpoint, in float32 on one device.

    Args:
        checkpoint: a shipped style's name, a file, or a loaded checkpoint.
        device: where the network runs.

    Attributes:
        info: what the checkpoint says about itself.
        digest: SHA-256 of the network, in hexadecimal.

    Raises:
        CheckpointError: neither a shipped style nor a checkpoint file.
    """

    def __init__(self, checkpoint: str | Path | Checkpoint, device: torch.device) -> None:
        loaded = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
        if device.type == "cpu":
            keep_freed_memory()
        self.info: CheckpointInfo = loaded.info
        self.digest = loaded.digest
        self.device = device
        self._network = AnySizeNetwork(network_from_checkpoint(loaded).to(device), pixels=False)

    @torch.no_grad()
    def stylize(self, photos: Tensor) -> Tensor:
        """Stylize one photo, or several of one size.

        Args:
            photos: shape (3, H, W) or (B, 3, H, W), float32, RGB in [0, 1], on the network's device.

        Returns:
            The stylized images, same shape and range.
        """
        batch = photos if photos.ndim == 4 else photos.unsqueeze(0)
        stylized = self._network(batch)
        return stylized if photos.ndim == 4 else stylized.squeeze(0)
