import pytest
import torch
from torch import Tensor, nn

from nst_fast.networks.torch_layers import InstanceNorm
from nst_fast.networks.torch_network import blank_statistics, stylize_with_statistics
from nst_fast.networks.torch_statistics import RelayedStatistics, Statistics, measure_statistics


def photos(*seeds: int, side: int = 32) -> Tensor:
    """One photo of noise for each seed, each of a brightness and a contrast of its own."""
    draws = [torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed)).double() for seed in seeds]
    return torch.stack([draw * (0.3 + 0.1 * seed) + 0.05 * seed for seed, draw in zip(seeds, draws, strict=True)])


@pytest.fixture(params=["johnson", "realtime"])
def network(request, random_network):
    """A network in float64."""
    return random_network(request.param).double()


def test_all_measured_is_the_usual_network(network):
    """With smoothing 0 the stylized image is that of the network without statistics, whatever is given."""
    batch = photos(1, 2)
    for given in (blank_statistics(network), torch.randn(2, 2, network.description.statistics_channels).abs()):
        stylized, _ = stylize_with_statistics(network, batch, given, 0.0)
        torch.testing.assert_close(stylized, network(batch), rtol=0, atol=1e-9)


def test_own_statistics_change_nothing(network):
    """What a pass measured, given to the next pass on the same photo, gives the same and comes back unchanged."""
    batch = photos(1, 2)
    stylized, measured = stylize_with_statistics(network, batch, blank_statistics(network), 0.0)
    again, used = stylize_with_statistics(network, batch, measured, 1.0)
    torch.testing.assert_close(again, stylized, rtol=0, atol=1e-6)  # blank statistics are float32
    assert torch.equal(used, measured)


def test_statistics_are_those_of_every_layer(network):
    """The packed tensor holds the mean and the biased variance of what each normalization gets, in order."""
    seen: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            module.register_forward_pre_hook(lambda _module, given: seen.append(given[0].clone()))
    batch = photos(1, 2)
    _, measured = stylize_with_statistics(network, batch, blank_statistics(network), 0.0)
    means = torch.cat([hidden.flatten(2).mean(2) for hidden in seen], 1)
    variances = torch.cat([hidden.flatten(2).var(2, correction=0) for hidden in seen], 1)
    assert measured.shape == (2, 2, network.description.statistics_channels)
    torch.testing.assert_close(measured, torch.stack([means, variances], 1), rtol=1e-6, atol=1e-6)


def test_given_statistics_decide(network):
    """With smoothing 1 a part of a photo is stylized as it is within the whole, away from the new edges."""
    whole = photos(3, side=160)
    stylized, measured = stylize_with_statistics(network, whole, blank_statistics(network), 0.0)
    part, _ = stylize_with_statistics(network, whole[..., :128], measured, 1.0)
    assert (part[..., :16] - stylized[..., :16]).abs().max() < 1e-6
    assert (network(whole[..., :128])[..., :16] - stylized[..., :16]).abs().max() > 1e-3


def test_smoothing_mixes():
    """Any smoothing between gives the mixture of what is measured and what is given, as a number or as a tensor."""
    given, hidden = torch.rand(1, 2, 3), torch.rand(2, 3, 5, 7)
    measured = torch.stack([hidden.mean((2, 3)), hidden.var((2, 3), correction=0)], 1)
    for smoothing in (0.75, torch.tensor(0.75)):
        statistics = Statistics(given, smoothing)
        mean, variance = statistics.choose(hidden)
        expected = 0.75 * given + 0.25 * measured
        torch.testing.assert_close(statistics.used[0], expected)
        torch.testing.assert_close(torch.stack([mean[..., 0, 0], variance[..., 0, 0]], 1), expected)


def test_nothing_is_measured_at_smoothing_1():
    """With smoothing 1 the image itself is not looked at: not even NaN in it reaches the statistics."""
    given = torch.rand(1, 2, 3)
    statistics = Statistics(given, 1.0)
    statistics.choose(torch.full((1, 3, 2, 2), torch.nan))
    assert torch.equal(statistics.used[0], given)


def test_without_statistics_it_is_torchs_own_layer():
    """Without statistics a network normalizes as torch's layer does, gradients and names of weights included."""
    layer, torchs = InstanceNorm(3), nn.InstanceNorm2d(3, affine=True)
    with torch.no_grad():
        layer.weight.uniform_(), layer.bias.uniform_()
    torchs.load_state_dict(layer.state_dict())
    hidden = torch.rand(2, 3, 5, 7, requires_grad=True)
    torch.testing.assert_close(layer(hidden), torchs(hidden))
    first, second = (torch.autograd.grad(norm(hidden).square().sum(), hidden)[0] for norm in (layer, torchs))
    torch.testing.assert_close(first, second)


def test_relayed_statistics_mix_with_those_of_the_frame_before():
    """Each frame mixes what it measures, layer by layer, with what the frame before used; the first only measures."""
    layers = [torch.rand(1, 3, 5, 7) + number for number in range(2)]
    first = RelayedStatistics(None, 0.75)
    second = RelayedStatistics(first, 0.75)
    for hidden in layers:
        first.choose(hidden)
    for hidden in layers:
        used = torch.stack([one[..., 0, 0] for one in second.choose(2 * hidden)], 1)
        expected = 0.25 * measure_statistics(2 * hidden) + 0.75 * measure_statistics(hidden)
        torch.testing.assert_close(used, expected)


def test_a_frame_that_was_given_up_ends_the_next():
    """Where the frame before gives up, the next one does not wait for ever."""
    first = RelayedStatistics(None, 0.5)
    first.give_up()
    with pytest.raises(RuntimeError, match="the frame before could not be stylized"):
        RelayedStatistics(first, 0.5).choose(torch.rand(1, 3, 5, 7))
