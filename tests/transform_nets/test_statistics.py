import pytest
import torch
from torch import Tensor, nn

from nst_fast.transform_nets import JohnsonNet, RealtimeNet
from nst_fast.transform_nets.statistics import (
    InstanceNorm,
    Statistics,
    blank_statistics,
    count_statistics,
    paint_with_statistics,
)


def build_network(kind: type[nn.Module]) -> nn.Module:
    """A network in float64 whose normalisations are random too, as after training."""
    torch.manual_seed(0)
    network = kind(width=4)
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.double().eval().requires_grad_(False)


def photos(*seeds: int, side: int = 32) -> Tensor:
    """One photo of noise for each seed, each of a brightness and a contrast of its own."""
    draws = [torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed)).double() for seed in seeds]
    return torch.stack([draw * (0.3 + 0.1 * seed) + 0.05 * seed for seed, draw in zip(seeds, draws, strict=True)])


@pytest.fixture(params=[JohnsonNet, RealtimeNet])
def network(request):
    return build_network(request.param)


def test_all_measured_is_the_usual_network(network):
    """With share 1 the painting is that of the network without statistics, whatever is given."""
    batch = photos(1, 2)
    for given in (blank_statistics(network), torch.randn(2, 2, count_statistics(network)).abs()):
        painted, _ = paint_with_statistics(network, batch, given, 1.0)
        torch.testing.assert_close(painted, network(batch), rtol=0, atol=1e-9)


def test_own_statistics_change_nothing(network):
    """What a pass measured, given to the next pass on the same photo, paints the same and comes back unchanged."""
    batch = photos(1, 2)
    painted, measured = paint_with_statistics(network, batch, blank_statistics(network), 1.0)
    again, used = paint_with_statistics(network, batch, measured, 0.0)
    torch.testing.assert_close(again, painted, rtol=0, atol=1e-6)  # blank statistics are float32
    assert torch.equal(used, measured)


def test_statistics_are_those_of_every_layer(network):
    """The packed tensor holds the mean and the biased variance of what each normalisation gets, in order."""
    seen: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            module.register_forward_pre_hook(lambda _module, given: seen.append(given[0].clone()))
    batch = photos(1, 2)
    _, measured = paint_with_statistics(network, batch, blank_statistics(network), 1.0)
    means = torch.cat([hidden.flatten(2).mean(2) for hidden in seen], 1)
    variances = torch.cat([hidden.flatten(2).var(2, correction=0) for hidden in seen], 1)
    assert measured.shape == (2, 2, count_statistics(network))
    torch.testing.assert_close(measured, torch.stack([means, variances], 1), rtol=1e-6, atol=1e-6)


def test_given_statistics_decide(network):
    """With share 0 a part of a photo is painted as it is within the whole, away from the new edges."""
    whole = photos(3, side=160)
    painted, measured = paint_with_statistics(network, whole, blank_statistics(network), 1.0)
    part, _ = paint_with_statistics(network, whole[..., :128], measured, 0.0)
    assert (part[..., :16] - painted[..., :16]).abs().max() < 1e-6
    assert (network(whole[..., :128])[..., :16] - painted[..., :16]).abs().max() > 1e-3


def test_a_share_mixes():
    """Any share between gives the mixture of what is given and what is measured, as a number or as a tensor."""
    given, hidden = torch.rand(1, 2, 3), torch.rand(2, 3, 5, 7)
    measured = torch.stack([hidden.mean((2, 3)), hidden.var((2, 3), correction=0)], 1)
    for share in (0.25, torch.tensor(0.25)):
        statistics = Statistics(given, share)
        mean, variance = statistics.choose(hidden)
        expected = 0.75 * given + 0.25 * measured
        torch.testing.assert_close(statistics.used[0], expected)
        torch.testing.assert_close(torch.stack([mean[..., 0, 0], variance[..., 0, 0]], 1), expected)


def test_nothing_is_measured_at_share_0():
    """With share 0 the picture itself is not looked at: not even NaN in it reaches the statistics."""
    given = torch.rand(1, 2, 3)
    statistics = Statistics(given, 0.0)
    statistics.choose(torch.full((1, 3, 2, 2), torch.nan))
    assert torch.equal(statistics.used[0], given)


def test_without_statistics_it_is_torchs_own_layer():
    """The usual network normalises as torch's layer does, gradients included, under the same names of weights."""
    layer, torchs = InstanceNorm(3), nn.InstanceNorm2d(3, affine=True)
    with torch.no_grad():
        layer.weight.uniform_(), layer.bias.uniform_()
    torchs.load_state_dict(layer.state_dict())
    hidden = torch.rand(2, 3, 5, 7, requires_grad=True)
    torch.testing.assert_close(layer(hidden), torchs(hidden))
    first, second = (torch.autograd.grad(norm(hidden).square().sum(), hidden)[0] for norm in (layer, torchs))
    torch.testing.assert_close(first, second)
