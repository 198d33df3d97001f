"""Lowers a loss of one picture by changing its pixels."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nst_fast.errors import SettingError, nearest_name

METHODS = ("lbfgs", "adam", "gradient_descent")
# Pairs of pictures and gradients that stand for the curvature; each takes 24 bytes a pixel.
LBFGS_HISTORY = 20
# Mean change of a colour value, in [0, 1], in the first step of L-BFGS and of gradient descent.
FIRST_STEP = 0.01
ADAM_LEARNING_RATE = 0.02
# At most so many in one line search.
MOST_LOOKS = 25
# L-BFGS drops curvature below 1e-10; losses whose unit makes them tiny are scaled to start here.
SCALED_START = 1e4

Loss = Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]


class PixelOptimiser:
    """One picture on its way to a lower loss.

    An iteration is one new picture: for `lbfgs` one search along one L-BFGS direction, which looks at the loss once,
    rarely more often (strong Wolfe conditions), and never ends higher than it began; for `adam` and
    `gradient_descent` one step, which may. Johnson et al. 2016 (section 4.1) count L-BFGS iterations likewise.

    The picture stays within [0, 1]: the loss sees it clamped, as it will be saved, and each iteration ends by
    clamping it, which that leaves without effect on the loss. Johnson et al. clip at each iteration, too.

    Args:
        image: where to start, shape (1, 3, H, W), RGB in [0, 1], float32; it is not changed.
        loss: gives a picture's total, and named terms; it is called once for each look, with its gradient.
        method: `lbfgs`, `adam`, or `gradient_descent`.
        learning_rate: None: 0.02 for `adam`; for `gradient_descent` such that the first step changes colours by 0.01
            on average. `lbfgs` chooses its steps itself and takes none.
        average_decay: d of the moving average of the pictures, average <- d * average + (1 - d) * picture; 0: none.

    Attributes:
        terms: of the present picture, on its device.
        evaluations: how often the loss was computed.
        converged: L-BFGS finds no lower picture, also when it starts afresh from this one.

    Raises:
        SettingError: unknown method, or a number out of range.
    """

    def __init__(
        self,
        image: Tensor,
        loss: Loss,
        *,
        method: str = "lbfgs",
        learning_rate: float | None = None,
        average_decay: float = 0.0,
    ) -> None:
        check_method(method, learning_rate, average_decay)
        self.method = method
        self.average_decay = average_decay
        self.converged = False
        self.evaluations = 0
        self.terms: Mapping[str, Tensor] = {}
        self._loss = loss
        self._image = torch.nn.Parameter(image.detach().clamp(0, 1).clone())
        self._average = self._image.detach().clone() if average_decay > 0 else None
        self._averaged = 0
        self._scale = 1.0
        self._evaluate()
        start = abs(float(self._total))
        self._scale = SCALED_START / start if start > 0 else 1.0
        self._learning_rate = self._choose_learning_rate(learning_rate)
        self._optimiser = self._build_optimiser()

    @property
    def picture(self) -> Tensor:
        """The present picture, or the average where there is one: shape (1, 3, H, W), in [0, 1]."""
        return (self._image if self._average is None else self._average).detach()

    @property
    def total(self) -> float:
        """The loss of the present picture (not of the average); reading it waits for the device."""
        return float(self._total)

    def take_iteration(self) -> None:
        """Go to the next picture."""
        if self.method == "lbfgs":
            self._take_lbfgs_iteration()
        else:
            self._set_gradient()
            self._optimiser.step()
            with torch.no_grad():
                self._image.clamp_(0, 1)
            self._evaluate()
        if self._average is not None:
            # As for the weights in training: the first, poor pictures are soon forgotten.
            decay = min(self.average_decay, (1 + self._averaged) / (10 + self._averaged))
            self._average.lerp_(self._image.detach(), 1 - decay)
            self._averaged += 1

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on as if never stopped."""
        return {
            "image": self._image.detach(),
            "average": self._average,
            "averaged": self._averaged,
            "scale": self._scale,
            "learning_rate": self._learning_rate,
            "converged": self.converged,
            "evaluations": self.evaluations,
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        with torch.no_grad():
            self._image.copy_(state["image"])
            if self._average is not None:
                self._average.copy_(state["average"])
        self._averaged = state["averaged"]
        self._scale = state["scale"]
        self._learning_rate = state["learning_rate"]
        self._optimiser = self._build_optimiser()
        self._optimiser.load_state_dict(state["optimiser"])
        self._evaluate()
        self.converged = state["converged"]
        self.evaluations = state["evaluations"]

    def _take_lbfgs_iteration(self) -> None:
        before, total_before = self._image.detach().clone(), self._total
        is_fresh = not self._optimiser.state
        # What an iteration begins with is what the last one ended with: its loss and gradient are known.
        known = True

        def look() -> Tensor:
            nonlocal known
            if not known:
                self._evaluate()
            known = False
            self._set_gradient()
            return self._total * self._scale

        self._optimiser.step(look)  # type: ignore[call-overload]  # it takes a tensor, whatever its types say
        self._optimiser.param_groups[0]["lr"] = 1.0
        # The search need not end at the picture that it looked at last.
        if not torch.equal(self._image.detach().clamp(0, 1), self._evaluated):
            self._evaluate()
        if not self._total < total_before:
            # Rounding, or curvature from a picture that has since been clamped: forget it and start afresh.
            self._image.data.copy_(before)
            self._evaluate()
            self._optimiser = self._build_optimiser()
            self.converged = is_fresh
        self._image.data.clamp_(0, 1)

    def _evaluate(self) -> None:
        picture = self._image.detach().clamp(0, 1).requires_grad_()
        total, terms = self._loss(picture)
        (self._gradient,) = torch.autograd.grad(total, picture)
        self._evaluated, self._total, self.terms = picture.detach(), total.detach(), terms
        self.evaluations += 1

    def _set_gradient(self) -> None:
        # At the limits of the range only what leads inwards counts: outwards the clamped picture stays the same.
        outwards = ((self._image <= 0) & (self._gradient > 0)) | ((self._image >= 1) & (self._gradient < 0))
        self._image.grad = self._gradient.masked_fill(outwards, 0).mul_(self._scale)

    def _choose_learning_rate(self, given: float | None) -> float:
        if self.method == "adam":
            return given or ADAM_LEARNING_RATE
        if self.method == "gradient_descent" and given is not None:
            return given / self._scale  # the gradient is scaled, the user's rate belongs to the loss itself
        mean_size = float(self._gradient.abs().mean()) * self._scale
        return FIRST_STEP / mean_size if mean_size > 0 else 1.0

    def _build_optimiser(self) -> torch.optim.Optimizer:
        if self.method == "adam":
            return torch.optim.Adam([self._image], self._learning_rate)
        if self.method == "gradient_descent":
            return torch.optim.SGD([self._image], self._learning_rate)
        return torch.optim.LBFGS(
            [self._image],
            # torch takes lr / |gradient|_1 for the first step: so it changes each value by FIRST_STEP on average.
            lr=FIRST_STEP * self._image.numel(),
            max_iter=1,
            max_eval=MOST_LOOKS,
            tolerance_grad=0,
            tolerance_change=0,
            history_size=LBFGS_HISTORY,
            line_search_fn="strong_wolfe",
        )


def check_method(method: str, learning_rate: float | None, average_decay: float) -> None:
    """Raises SettingError unless PixelOptimiser takes these."""
    if method not in METHODS:
        raise SettingError(
            f"method {method!r} is unknown; allowed: {', '.join(METHODS)}{nearest_name(method, list(METHODS))}"
        )
    if learning_rate is not None and method == "lbfgs":
        raise SettingError("learning_rate is given, but method lbfgs chooses its steps itself; leave it out")
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise SettingError(f"learning_rate is {learning_rate}; it must be a number more than 0")
    if not 0 <= average_decay < 1:
        raise SettingError(f"average_decay is {average_decay}; it must be at least 0 and less than 1")
