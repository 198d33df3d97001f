"""The exponential moving average of the weights, which is what a run ships."""

import copy
from typing import Any

import torch

from nst_fast.transform_nets import TransformNet


class WeightAverage:
    """average <- d * average + (1 - d) * weights after each step.

    d grows from 0 to `decay` as (1 + n) / (10 + n) with the number of updates n, so that the first, poor weights are
    soon forgotten.

    Args:
        decay: 0 keeps the latest weights; 0.995 averages over about 200 steps.
    """

    def __init__(self, network: TransformNet, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: TransformNet) -> None:
        """Take the network's present weights into the average."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for average, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {"updates": self.updates, "network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.updates = state["updates"]
        self.network.load_state_dict(state["network"])
