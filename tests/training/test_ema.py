import copy

import pytest
import torch

from nst_fast.networks.torch_network import build_network
from nst_fast.training.ema import WeightAverage


def list_networks(count: int) -> list:
    torch.manual_seed(0)
    return [build_network("realtime", width=4) for _ in range(count)]


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
def test_the_average_follows_the_recursion(decay):
    """After each update it is d * average + (1 - d) * weights with d = min(decay, (1 + n) / (10 + n)), in float64."""
    first, *networks = list_networks(30)
    average = WeightAverage(first, decay)
    expected = {name: weight.double() for name, weight in first.state_dict().items()}
    for n, network in enumerate(networks):
        average.update(network)
        d = min(decay, (1 + n) / (10 + n))
        for name, weight in network.state_dict().items():
            expected[name] = d * expected[name] + (1 - d) * weight.double()
    for name, weight in average.network.state_dict().items():
        assert (weight.double() - expected[name]).abs().max() < 1e-6


def test_no_decay_keeps_the_latest_weights():
    """With decay 0 the average is the network itself."""
    first, second = list_networks(2)
    average = WeightAverage(first, 0.0)
    average.update(second)
    assert all(torch.equal(weight, second.state_dict()[name]) for name, weight in average.network.state_dict().items())


def test_the_first_weights_are_forgotten():
    """The untrained weights have lost nearly all of their share after 100 updates, though the decay is 0.999."""
    first, second = list_networks(2)
    start = copy.deepcopy(first.state_dict())
    average = WeightAverage(first, 0.999)
    for _ in range(100):
        average.update(second)
    for name, weight in average.network.state_dict().items():
        assert torch.allclose(weight, second.state_dict()[name], atol=1e-5)
        assert torch.equal(first.state_dict()[name], start[name])


def test_the_averaged_network_is_for_painting():
    """It neither shares weights with the network under training nor collects gradients."""
    network = list_networks(1)[0].train()
    average = WeightAverage(network, 0.9)
    assert not average.network.training
    assert not any(weight.requires_grad for weight in average.network.parameters())
    assert {weight.data_ptr() for weight in network.parameters()}.isdisjoint(
        weight.data_ptr() for weight in average.network.parameters()
    )


def test_a_restored_average_goes_on():
    """Saved after some updates and loaded into a fresh one, it ends where one that was never saved ends."""
    first, *networks = list_networks(12)
    straight, cut = WeightAverage(first, 0.9), WeightAverage(first, 0.9)
    for network in networks:
        straight.update(network)
    for network in networks[:5]:
        cut.update(network)
    resumed = WeightAverage(networks[-1], 0.9)
    resumed.load_state_dict(copy.deepcopy(cut.state_dict()))
    for network in networks[5:]:
        resumed.update(network)
    for name, weight in straight.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name])
