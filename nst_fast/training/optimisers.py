"""What turns gradients into steps: Muon for the kernels of convolutions, Adam for everything else; or Adam for all."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nst_fast.training.recipe import check_optimiser


def build_optimisers(
    parameters: Iterable[nn.Parameter], name: str, learning_rate: float
) -> dict[str, torch.optim.Optimizer]:
    """The optimisers to step one after the other, by name; together they have every parameter once.

    Args:
        parameters: to be trained.
        name: one of `recipe.OPTIMISERS`; `muon` takes Adam for whatever is no kernel of a convolution.
        learning_rate: of each of them.

    Raises:
        SettingError: unknown name.
    """
    check_optimiser(name)
    parameters = list(parameters)
    kernels = [parameter for parameter in parameters if name == "muon" and parameter.ndim == 4]
    others = [parameter for parameter in parameters if name != "muon" or parameter.ndim != 4]
    optimisers: dict[str, torch.optim.Optimizer] = {}
    if kernels:
        optimisers["muon"] = Muon(kernels, learning_rate)
    if others:
        fused = others[0].device.type != "mps"
        optimisers["adam"] = torch.optim.Adam(others, learning_rate, fused=fused)
    return optimisers


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is an orthogonal matrix (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    A kernel (out, in, height, width) is taken as the matrix (out, in * height * width). Its momentum, U S V^T, becomes
    about U V^T: all directions are learnt at one pace, also those of which the gradient has little. The step's size is
    that of Liu et al. 2025 (arXiv 2502.16982, section 2.2), at which a learning rate means about what it does to Adam.

    torch.optim.Muon takes matrices only, and bfloat16, which is slow on most CPUs.

    Args:
        parameters: each of two dimensions or more.
        momentum: share of the past in the gradient's running sum, looked ahead by as Nesterov does.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": learning_rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step down the gradients that are there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                ahead = parameter.grad.add(state["momentum"], alpha=group["momentum"]).flatten(1)
                # Of orthogonal rows the root mean square is 1 / sqrt(the longer side); of Adam's steps, about 0.2.
                size = 0.2 * math.sqrt(max(ahead.shape)) * group["lr"]
                parameter.sub_(orthogonalise(ahead).view_as(parameter), alpha=size)


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """U W V^T for a matrix U S V^T, where W has 0.7 to 1.2 on its diagonal: near enough, for a step.

    By Newton and Schulz's iteration with the coefficients of Jordan et al. 2024, which few rounds of suffice.

    Args:
        matrix: (rows, columns), float32; any scale.
    """
    # The shorter side first, for the smaller products.
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(iterations):
        square = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * square + 2.0315 * square @ square) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
