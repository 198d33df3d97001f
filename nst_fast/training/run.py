"""One run: everything that changes from step to step, and how it is saved."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.data.sampler import mix_seed
from nst_fast.errors import SettingError, TrainingError
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.run_state import load_state, restore_parts, save_state
from nst_fast.training.divergence import DivergenceGuard
from nst_fast.training.optimisers import build_optimisers
from nst_fast.training.recipe import Recipe
from nst_fast.training.schedule import learning_rate_at
from nst_fast.training.weight_average import WeightAverage
from nst_fast.transform_nets import TransformNet, build_transform_net
from nst_fast.transform_nets.grain import PERIOD

STATE_FILE = "state.pt"
AUTOCAST_TYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def draw_grain_origin(seed: int, step: int) -> Tensor:
    """Where in the grain the crops of a step lie, (2,): each elsewhere, so that no piece of it is learnt by heart."""
    generator = torch.Generator().manual_seed(mix_seed(seed, step, 3))
    return torch.randint(PERIOD, (2,), generator=generator)


def choose_autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The number type of autocast, or None for float32 throughout.

    Args:
        precision: `fp32`, `bf16`, `fp16`, or `auto`: bf16 on CUDA, float32 elsewhere, where it is faster.
    """
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else None
    if precision not in AUTOCAST_TYPES:
        raise SettingError(f"precision {precision!r} is unknown; allowed: auto, {', '.join(AUTOCAST_TYPES)}")
    return AUTOCAST_TYPES[precision]


def _compile(compute: Callable[..., Any]) -> Callable[..., Any]:
    """`compute` through torch.compile, which does its work, and finds what it lacks, at the first call."""
    from torch._dynamo.exc import TorchDynamoException  # slow, and needed here only

    compiled = torch.compile(compute)

    def call(*tensors: Tensor) -> Any:
        try:
            return compiled(*tensors)
        except TorchDynamoException as error:
            reason = next(line.strip() for line in str(error).splitlines() if line.strip())
            raise SettingError(
                f"torch.compile does not work here ({reason[:200]}); it needs a compiler for C++, such as g++, and on "
                f"a GPU Triton; give compile=false to go without"
            ) from error

    return call


class Run:
    """The network under training with its optimisers, average, and guard.

    Args:
        recipe: of the run.
        identity: plain values that tell whether a saved state belongs to this run.
        loss: on the device of the run.
        opening_loss: in its place for the recipe's `compact_share`; None: none.
        folder: of the run.
        initial: whose weights the network starts with; None: random ones, by the recipe's seed.
    """

    def __init__(
        self,
        recipe: Recipe,
        identity: Mapping[str, Any],
        loss: PerceptualLoss,
        folder: Path,
        *,
        opening_loss: PerceptualLoss | None = None,
        initial: TransformNet | None = None,
        device: torch.device,
        autocast_type: torch.dtype | None,
        channels_last: bool,
        compile: bool,
    ) -> None:
        self.recipe = recipe
        self.identity = dict(identity)
        self.loss = loss
        self.opening_steps = round(recipe.compact_share * recipe.steps) if opening_loss is not None else 0
        self.state_path = folder / STATE_FILE
        self.device = device
        self.autocast_type = autocast_type
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.step = 0
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers are none of our business
            torch.manual_seed(recipe.seed)
            network = build_transform_net(recipe.transform_net, width=recipe.width, grain=recipe.grain)
        if initial is not None:
            network.load_state_dict(initial.state_dict())
        self.network = network.to(device).to(memory_format=self.memory_format).train()
        self.average = WeightAverage(self.network, recipe.average_decay)
        self.optimisers = build_optimisers(self.network.parameters(), recipe.optimiser, recipe.learning_rate)
        # float16 gradients underflow without it; it does nothing for the other types.
        self.scaler = torch.amp.GradScaler(device.type, enabled=autocast_type == torch.float16)
        self.guard = DivergenceGuard()
        prepare = _compile if compile else lambda compute: compute
        self._losses = prepare(functools.partial(self._compute_losses, loss))
        self._opening_losses = prepare(functools.partial(self._compute_losses, opening_loss or loss))
        # Summed where they are computed: reading a number off a GPU each step would stall it.
        self._term_names: list[str] = []
        self._term_sum: Tensor | None = None
        self._steps_summed = 0

    @property
    def learning_rate(self) -> float:
        """For the step to come. It falls once the opening steps are over: the others have to mend what these leave."""
        recipe = self.recipe
        return learning_rate_at(
            self.step,
            steps=recipe.steps,
            peak=recipe.learning_rate,
            warmup_steps=recipe.warmup_steps,
            stays_until=self.opening_steps if recipe.cosine else recipe.steps,
        )

    def take_step(self, photos: Tensor) -> None:
        """One step on a batch of photos, shape (B, 3, H, W), RGB in [0, 1], on any device."""
        photos = photos.to(self.device, non_blocking=True).contiguous(memory_format=self.memory_format)
        compute_losses = self._opening_losses if self.step < self.opening_steps else self._losses
        total, terms = compute_losses(photos, draw_grain_origin(self.recipe.seed, self.step).to(self.device))
        self.network.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate
            self.scaler.step(optimiser)
        self.scaler.update()
        self.average.update(self.network)
        self.step += 1
        stacked = torch.stack(list(terms.values()))
        self._term_names = list(terms)
        self._term_sum = stacked if self._term_sum is None else self._term_sum + stacked
        self._steps_summed += 1

    def look(self) -> dict[str, float]:
        """The mean terms since the last look.

        Raises:
            TrainingError: the loss is no number, or exploded.
        """
        if self._term_sum is None:
            return {}
        values = (self._term_sum / self._steps_summed).tolist()
        steps_summed, self._term_sum, self._steps_summed = self._steps_summed, None, 0
        terms = dict(zip(self._term_names, values, strict=True))
        trouble = self.guard.diagnose(terms["total"])
        if trouble is None and not all(bool(weight.isfinite().all()) for weight in self.network.parameters()):
            trouble = "the weights are no longer numbers"
        if trouble:
            raise TrainingError(f"{trouble} between steps {self.step - steps_summed} and {self.step}")
        return terms

    @torch.no_grad()
    def paint(self, photos: Tensor) -> Tensor:
        """What the averaged weights make of photos, shape (B, 3, H, W), RGB in [0, 1]."""
        return self.average.network(photos.to(self.device)).float()

    def save(self) -> None:
        """Write the state; call it after a look, so that only a good one is ever written."""
        save_state(self.state_path, recipe=self.identity, step=self.step, parts=self._parts())

    def restore(self) -> None:
        """Go back, or on, to the state on disk."""
        state = load_state(self.state_path)
        restore_parts(state, self._parts())
        self.step = state["step"]
        self._term_sum, self._steps_summed = None, 0

    def _parts(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "average": self.average,
            "scaler": self.scaler,
            "guard": self.guard,
            **self.optimisers,
        }

    def _compute_losses(
        self, loss: PerceptualLoss, photos: Tensor, origin: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.autocast(self.device.type, self.autocast_type, enabled=self.autocast_type is not None):
            return loss(self.network(photos, origin=origin), photos)
