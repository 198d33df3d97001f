"""The network that the benchmarks compare with: the architecture as the common example programs build it."""

from torch import nn

from nst_fast.networks.torch_layers import InstanceNorm
from nst_fast.networks.torch_network import StyleNetwork, build_network


def build_textbook_network(name: str) -> StyleNetwork:
    """A network with random weights, torch's own instance normalization and no input noise."""
    network = build_network(name)
    for parent in list(network.modules()):
        for part_name, part in parent.named_children():
            if isinstance(part, InstanceNorm):
                setattr(parent, part_name, nn.InstanceNorm2d(part.num_features, affine=True))
    return network
