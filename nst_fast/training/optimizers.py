"""The optimizers: Muon for the kernels of convolutions and Adam for everything else; or Adam for all."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nst_fast.errors import SettingError, nearest_name
from nst_fast.training.settings import OPTIMIZERS


def build_optimizers(
    parameters: Iterable[nn.Parameter], name: str, learning_rate: float
) -> dict[str, torch.optim.Optimizer]:
    """The optimizers by name, to step one after the other; each parameter belongs to one of them.

    Args:
        parameters: to train.
        name: one of OPTIMIZERS; with `muon`, Adam takes whatever is not the kernel of a convolution.
        learning_rate: of each optimizer.

    Raises:
        SettingError: unknown name.
    """
    if name not in OPTIMIZERS:
        raise SettingError(
            f"optimizer {name!r} is unknown; allowed: {', '.join(OPTIMIZERS)}{nearest_name(name, list(OPTIMIZERS))}"
        )
    parameters = list(parameters)
    kernels = [parameter for parameter in parameters if name == "muon" and parameter.ndim == 4]
    others = [parameter for parameter in parameters if name != "muon" or parameter.ndim != 4]
    optimizers: dict[str, torch.optim.Optimizer] = {}
    if kernels:
        optimizers["muon"] = Muon(kernels, learning_rate)
    if others:
        fused = others[0].device.type != "mps"
        optimizers["adam"] = torch.optim.Adam(others, learning_rate, fused=fused)
    return optimizers


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonal steps (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    A kernel (out, in, height, width) is treated as the matrix (out, in * height * width). Its momentum U S V^T becomes
    about U V^T, so that all directions are learned at one pace, even those that the gradient has little of. The size
    of the steps is that of Liu et al. 2025 (arXiv 2502.16982, section 2.2), with which a learning rate means about the
    same as for Adam.

    torch.optim.Muon only takes matrices, and computes in bfloat16, which is slow on most CPUs.

    Args:
        parameters: each with two dimensions or more.
        learning_rate: as for Adam.
        momentum: share of the past in the running sum of gradients; used with Nesterov's look-ahead.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": learning_rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step down the gradients; parameters without one stay as they are."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                ahead = parameter.grad.add(state["momentum"], alpha=group["momentum"]).flatten(1)
                # Orthogonal rows have a root mean square of 1 / sqrt(longer side), Adam's steps one of about 0.2.
                size = 0.2 * math.sqrt(max(ahead.shape)) * group["lr"]
                parameter.sub_(orthogonalize(ahead).view_as(parameter), alpha=size)


def orthogonalize(matrix: Tensor, iterations: int = 5) -> Tensor:
    """U W V^T for a matrix U S V^T, where W has 0.7 to 1.2 on its diagonal, which is close enough for a step.

    This is the Newton-Schulz iteration with the coefficients of Jordan et al. 2024, of which a few rounds suffice.

    Args:
        matrix: (rows, columns), float32; any scale.
        iterations: rounds.
    """
    # The shorter side first, so that the products are smaller.
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(iterations):
        square = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * square + 2.0315 * square @ square) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
