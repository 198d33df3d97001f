"""The exponential moving average (EMA) of the weights: what a training ships."""

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

_Module = TypeVar("_Module", bound=nn.Module)


class WeightAverage(Generic[_Module]):
    """average <- d * average + (1 - d) * weights after each step.

    d grows from 0.1 to `decay` as (1 + n) / (10 + n) with the number of updates n, so that the poor first weights are
    soon forgotten.

    By hand rather than with `torch.optim.swa_utils.AveragedModel`: it would need this recursion as a function of its
    own, replaces the average by the weights in its first update, and takes no fewer lines.

    Args:
        network: whose weights are averaged; it is copied.
        decay: the largest d, at least 0, less than 1. 0 keeps the latest weights; 0.995 averages over about 200 steps.

    Attributes:
        network: holds the averaged weights.
    """

    def __init__(self, network: _Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: _Module) -> None:
        """Take the current weights of the network into the average."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for average, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to resume."""
        return {"updates": self.updates, "network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a saved state."""
        self.updates = state["updates"]
        self.network.load_state_dict(state["network"])
