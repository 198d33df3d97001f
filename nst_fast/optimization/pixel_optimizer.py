"""Lowers a loss of one image by changing its pixels."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nst_fast.optimization.settings import check_method

# L-BFGS approximates the curvature from this many pairs of images and gradients; each pair takes 24 bytes per pixel.
LBFGS_HISTORY = 20
# Mean change of a color value, in [0, 1], in the first step of L-BFGS and of gradient descent.
FIRST_STEP = 0.01
ADAM_LEARNING_RATE = 0.02
# At most this many evaluations of the loss in one line search.
MAX_EVALUATIONS = 25
# L-BFGS ignores curvature below 1e-10, so the loss is scaled to start at this value.
SCALED_START = 1e4

Loss = Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]


class PixelOptimizer:
    """One image whose pixels are optimized.

    An iteration gives one new image. For `lbfgs` it is one line search along one L-BFGS direction: it evaluates the
    loss once, rarely more often (strong Wolfe conditions), and never ends with a higher loss than it started with.
    For `adam` and `gradient_descent` it is one step, after which the loss may be higher. Johnson et al. 2016 (section
    4.1) count L-BFGS iterations the same way.

    The image stays within [0, 1]. The loss sees the image clamped, as it will be saved, and each iteration ends by
    clamping the image itself, which therefore leaves the loss unchanged. Johnson et al. clip in each iteration, too.

    Args:
        image: the initial image, shape (1, 3, H, W), RGB in [0, 1], float32; it is not modified.
        loss: returns the total and the named terms of an image. It is called once for each evaluation, and its
            gradient is computed.
        method: `lbfgs`, `adam`, or `gradient_descent`.
        learning_rate: None: 0.02 for `adam`; for `gradient_descent` such that the first step changes colors by 0.01
            on average. `lbfgs` chooses its own steps and takes no learning rate.
        ema_decay: decay d of the exponential moving average of the images, average <- d * average + (1 - d) * image;
            0: no average.

    Attributes:
        terms: named loss terms of the current image, on its device.
        evaluations: how often the loss has been computed.
        converged: L-BFGS finds no image with a lower loss, not even after forgetting its history.

    Raises:
        SettingError: an unknown method, or a number out of range.
    """

    def __init__(
        self,
        image: Tensor,
        loss: Loss,
        *,
        method: str = "lbfgs",
        learning_rate: float | None = None,
        ema_decay: float = 0.0,
    ) -> None:
        check_method(method, learning_rate, ema_decay)
        self.method = method
        self.ema_decay = ema_decay
        self.converged = False
        self.evaluations = 0
        self.terms: Mapping[str, Tensor] = {}
        self._loss = loss
        self._image = torch.nn.Parameter(image.detach().clamp(0, 1).clone())
        self._average = self._image.detach().clone() if ema_decay > 0 else None
        self._averaged = 0
        self._scale = 1.0
        self._evaluate()
        start = abs(float(self._total))
        self._scale = SCALED_START / start if start > 0 else 1.0
        self._learning_rate = self._choose_learning_rate(learning_rate)
        self._optimizer = self._build_optimizer()

    @property
    def image(self) -> Tensor:
        """The current image, or the average of the images if there is one: shape (1, 3, H, W), in [0, 1]."""
        return (self._image if self._average is None else self._average).detach()

    @property
    def total(self) -> float:
        """The loss of the current image (not of the average). Reading it waits for the device."""
        return float(self._total)

    def take_iteration(self) -> None:
        """Compute the next image."""
        if self.method == "lbfgs":
            self._take_lbfgs_iteration()
        else:
            self._set_gradient()
            self._optimizer.step()
            with torch.no_grad():
                self._image.clamp_(0, 1)
            self._evaluate()
        if self._average is not None:
            # As for the weights in training: the average soon forgets the first, poor images.
            decay = min(self.ema_decay, (1 + self._averaged) / (10 + self._averaged))
            self._average.lerp_(self._image.detach(), 1 - decay)
            self._averaged += 1

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to continue with exactly the same images."""
        return {
            "image": self._image.detach(),
            "average": self._average,
            "averaged": self._averaged,
            "scale": self._scale,
            "learning_rate": self._learning_rate,
            "converged": self.converged,
            "evaluations": self.evaluations,
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        with torch.no_grad():
            self._image.copy_(state["image"])
            if self._average is not None:
                self._average.copy_(state["average"])
        self._averaged = state["averaged"]
        self._scale = state["scale"]
        self._learning_rate = state["learning_rate"]
        self._optimizer = self._build_optimizer()
        self._optimizer.load_state_dict(state["optimizer"])
        self._evaluate()
        self.converged = state["converged"]
        self.evaluations = state["evaluations"]

    def _take_lbfgs_iteration(self) -> None:
        before, total_before = self._image.detach().clone(), self._total
        is_fresh = not self._optimizer.state
        # An iteration starts where the last one ended, so the loss and gradient are known already.
        known = True

        def evaluate() -> Tensor:
            nonlocal known
            if not known:
                self._evaluate()
            known = False
            self._set_gradient()
            return self._total * self._scale

        self._optimizer.step(evaluate)  # type: ignore[call-overload]  # a tensor is allowed, but not by its types
        self._optimizer.param_groups[0]["lr"] = 1.0
        # The line search may end at another image than the one that it evaluated last.
        if not torch.equal(self._image.detach().clamp(0, 1), self._evaluated):
            self._evaluate()
        if not self._total < total_before:
            # The cause is rounding, or curvature from an image that has since been clamped: forget the history.
            self._image.data.copy_(before)
            self._evaluate()
            self._optimizer = self._build_optimizer()
            self.converged = is_fresh
        self._image.data.clamp_(0, 1)

    def _evaluate(self) -> None:
        image = self._image.detach().clamp(0, 1).requires_grad_()
        total, terms = self._loss(image)
        (self._gradient,) = torch.autograd.grad(total, image)
        self._evaluated, self._total, self.terms = image.detach(), total.detach(), terms
        self.evaluations += 1

    def _set_gradient(self) -> None:
        # At 0 and 1 a value can only move inwards; moving it outwards would not change the clamped image.
        outwards = ((self._image <= 0) & (self._gradient > 0)) | ((self._image >= 1) & (self._gradient < 0))
        self._image.grad = self._gradient.masked_fill(outwards, 0).mul_(self._scale)

    def _choose_learning_rate(self, given: float | None) -> float:
        if self.method == "adam":
            return given or ADAM_LEARNING_RATE
        if self.method == "gradient_descent" and given is not None:
            return given / self._scale  # the gradient is scaled, but the user's rate is meant for the unscaled loss
        mean_size = float(self._gradient.abs().mean()) * self._scale
        return FIRST_STEP / mean_size if mean_size > 0 else 1.0

    def _build_optimizer(self) -> torch.optim.Optimizer:
        if self.method == "adam":
            return torch.optim.Adam([self._image], self._learning_rate)
        if self.method == "gradient_descent":
            return torch.optim.SGD([self._image], self._learning_rate)
        return torch.optim.LBFGS(
            [self._image],
            # torch divides lr by |gradient|_1 in the first step, so each value changes by FIRST_STEP on average.
            lr=FIRST_STEP * self._image.numel(),
            max_iter=1,
            max_eval=MAX_EVALUATIONS,
            tolerance_grad=0,
            tolerance_change=0,
            history_size=LBFGS_HISTORY,
            line_search_fn="strong_wolfe",
        )
