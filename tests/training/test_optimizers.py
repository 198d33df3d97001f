"""The optimizers: what they step, and how Muon's steps compare with the singular value decomposition."""

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.networks.torch_network import build_network
from nst_fast.training.optimizers import Muon, build_optimizers, orthogonalize


@pytest.mark.parametrize("shape", [(8, 72), (72, 8), (16, 16), (1, 5)])
def test_orthogonalize_keeps_the_directions_and_levels_the_strengths(shape):
    """Against the decomposition U S V^T: the same U and V, and strengths between 0.65 and 1.2 whatever the scale."""
    torch.manual_seed(1)
    matrix = torch.randn(shape)
    left, strengths, right = torch.linalg.svd(matrix, full_matrices=False)
    matrix = 1e-4 * left @ (strengths.clamp(min=0.2 * strengths.max())[:, None] * right)
    levelled = left.T @ orthogonalize(matrix) @ right.T
    assert (levelled - levelled.diag().diag()).abs().max() < 1e-4
    assert levelled.diag().min() > 0.65 and levelled.diag().max() < 1.2


def test_a_step_of_muon_is_of_adams_size():
    """Root mean square of a step: 0.2 times the learning rate, for a wide and for a tall kernel, give or take."""
    for shape in ((8, 16, 3, 3), (64, 4, 1, 1)):
        kernel = torch.nn.Parameter(torch.zeros(shape))
        kernel.grad = 100 * torch.randn(shape)
        Muon([kernel], 0.5).step()
        assert float(kernel.detach().square().mean().sqrt()) == pytest.approx(0.2 * 0.5, rel=0.2)


def test_muon_follows_the_gradient_of_nesterov():
    """Two steps against the formulas written out, with the exact decomposition in place of the iteration."""
    torch.manual_seed(0)
    gradients = torch.linalg.qr(torch.randn(12, 12)).Q.view(2, 6, 12)  # rows orthogonal: already level
    kernel = torch.nn.Parameter(torch.zeros(6, 12, 1, 1))
    muon = Muon([kernel], 1.0)
    momentum, expected = torch.zeros(6, 12), torch.zeros(6, 12)
    for gradient in gradients:
        kernel.grad = gradient.clone()[:, :, None, None]
        muon.step()
        momentum = 0.95 * momentum + gradient
        ahead = gradient + 0.95 * momentum
        left, _, right = torch.linalg.svd(ahead, full_matrices=False)
        expected -= 0.2 * 12**0.5 * left @ right
    steps = kernel.detach().view(6, 12)
    assert torch.cosine_similarity(steps.flatten(), expected.flatten(), dim=0) > 0.99


def test_memory_layout_does_not_change_a_step():
    """A kernel in channels_last takes the step of the same kernel in the usual layout."""
    torch.manual_seed(0)
    start, gradient = torch.randn(8, 4, 3, 3), torch.randn(8, 4, 3, 3)
    kernels = []
    for layout in (torch.contiguous_format, torch.channels_last):
        kernel = torch.nn.Parameter(start.clone(memory_format=layout))
        kernel.grad = gradient.clone(memory_format=layout)
        Muon([kernel], 0.1).step()
        kernels.append(kernel.detach())
    torch.testing.assert_close(*kernels)
    assert not torch.equal(kernels[0], start)


@pytest.mark.parametrize("name", ["muon", "adam"])
def test_every_parameter_is_trained_once(name):
    network = build_network("realtime", width=8)
    optimizers = build_optimizers(network.parameters(), name, 0.1)
    assert list(optimizers) == (["muon", "adam"] if name == "muon" else ["adam"])
    stepped = [p for optimizer in optimizers.values() for group in optimizer.param_groups for p in group["params"]]
    assert sorted(map(id, stepped)) == sorted(map(id, network.parameters()))


def test_unknown_name():
    with pytest.raises(SettingError) as caught:
        build_optimizers([], "moun", 0.1)
    assert str(caught.value) == "optimizer 'moun' is unknown; allowed: muon, adam (nearest: muon)"
