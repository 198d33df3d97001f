import pytest
import torch

from nst_fast.evaluation.trained_network import TrainedNetwork
from nst_fast.networks.torch_network import build_network, checkpoint_from_network


@pytest.fixture(scope="module")
def torch_network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_network("realtime", width=4).eval()


def test_it_is_the_network_without_rounding(torch_network):
    """For sides that are multiples of the stride the result is that of the network itself, in floats."""
    network = TrainedNetwork(checkpoint_from_network(torch_network), torch.device("cpu"))
    photo = torch.rand(3, 32, 40, generator=torch.Generator().manual_seed(1))
    stylized = network.stylize(photo)
    with torch.no_grad():
        expected = torch_network(photo[None])[0].clamp(0, 1)
    assert torch.allclose(stylized, expected, atol=1e-6)
    assert not torch.equal(stylized * 255, (stylized * 255).round())
    assert not stylized.requires_grad
    assert torch.equal(network.stylize(photo[None])[0], stylized)


@pytest.mark.parametrize("size", [(17, 23), (5, 64)])
def test_any_size_is_kept(torch_network, size):
    """Photos whose sides are not multiples of the stride are padded, and the result has their size."""
    network = TrainedNetwork(checkpoint_from_network(torch_network), torch.device("cpu"))
    assert network.stylize(torch.rand(3, *size)).shape == (3, *size)
