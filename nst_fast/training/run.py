"""One training run: everything that changes from step to step, and how it is saved."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nst_fast.data.sampler import mix_seed
from nst_fast.errors import SettingError, TrainingError
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.recent_style import Company, RecentStyle, StyleStatistics, choose_joining
from nst_fast.losses.temporal import Motion, temporal_loss
from nst_fast.networks.description import STEERING, interpolate_strength
from nst_fast.networks.input_noise import PERIOD
from nst_fast.networks.torch_network import StyleNetwork, build_network, mix_strengths
from nst_fast.runs.saved_run import SavedRun
from nst_fast.runs.state import restore_parts
from nst_fast.settings.networks import NetworkSettings
from nst_fast.training.conditions import draw_second_frames, draw_strengths, keep_photo_out, keep_strength_one
from nst_fast.training.divergence import DivergenceGuard
from nst_fast.training.ema import WeightAverage
from nst_fast.training.optimizers import build_optimizers
from nst_fast.training.preparation import Initial
from nst_fast.training.schedule import learning_rate_at
from nst_fast.training.settings import TrainSettings

# The share of the steps over which the weight of the temporal loss grows to its full value.
TEMPORAL_RAMP = 0.2
AUTOCAST_TYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def draw_noise_origin(seed: int, step: int) -> Tensor:
    """Where in the input noise the crops of a step lie, (2,), so that the network cannot learn one piece by heart."""
    generator = torch.Generator().manual_seed(mix_seed(seed, step, 3))
    return torch.randint(PERIOD, (2,), generator=generator)


def choose_autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The number type of autocast; None: float32 throughout.

    Args:
        precision: `fp32`, `bf16`, `fp16`, or `auto`: bf16 on CUDA, float32 elsewhere, where it is faster.
        device: of the training.
    """
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else None
    return AUTOCAST_TYPES[precision]


def _compile(compute: Callable[..., Any]) -> Callable[..., Any]:
    """`compute` through torch.compile, which does its work, and finds what it lacks, in the first call."""
    from torch._dynamo.exc import TorchDynamoException  # slow, and only needed here

    compiled = torch.compile(compute)

    def call(*tensors: Tensor) -> Any:
        try:
            return compiled(*tensors)
        except TorchDynamoException as error:
            reason = next(line.strip() for line in str(error).splitlines() if line.strip())
            raise SettingError(
                f"torch.compile does not work here ({reason[:200]}); it needs a C++ compiler such as g++, and on a "
                f"GPU Triton; set compile to false to train without it"
            ) from error

    return call


def _build_network(settings: NetworkSettings) -> StyleNetwork:
    # Only where it is on, since just one of the networks knows it.
    knobs = {"adjustable": True} if settings.adjustable else {}
    return build_network(settings.name, width=settings.width, input_noise=settings.input_noise, **knobs)


class TrainingRun:
    """The network in training, with its optimizers, average and divergence guard.

    Args:
        settings: of the training.
        loss: to train with, on the device of the run.
        saved_run: the folder of the run.
        opening_loss: replaces `loss` for the first `compact_share` of the steps; None: `loss` for all.
        initial: where to start from; None: random weights from the seed.
        finish: the last touch, see `finish`; a function from a network to a finished copy of it.
        device: to train on.
    """

    def __init__(
        self,
        settings: TrainSettings,
        loss: PerceptualLoss,
        saved_run: SavedRun,
        *,
        opening_loss: PerceptualLoss | None = None,
        initial: Initial | None = None,
        finish: Callable[[StyleNetwork], StyleNetwork] = copy.deepcopy,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.loss = loss
        self.saved_run = saved_run
        self.opening_steps = round(settings.compact_share * settings.steps) if opening_loss is not None else 0
        # The steps that train scales and shifts alone.
        self.code_steps = round(settings.code_share * settings.steps) if initial is not None and initial.is_base else 0
        self._finish = finish
        self._finished: tuple[int, StyleNetwork] | None = None
        self.device = device
        self.autocast_type = choose_autocast_type(settings.precision, device)
        self.memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.step = 0
        with torch.random.fork_rng(devices=[]):  # so that the caller's random state stays as it is
            torch.manual_seed(settings.seed)
            network = _build_network(settings.network)
        if initial is not None:
            network.load_state_dict(initial.network.state_dict())
        self.network = network.to(device).to(memory_format=self.memory_format).train()
        if settings.network.adjustable:
            keep_photo_out(self.network)
        if settings.train_only == "strength":
            keep_strength_one(self.network)
        # What is trained beside the scales and shifts.
        self._shared_weights = [
            weight for name, weight in self.network.named_parameters() if name != STEERING and weight.requires_grad
        ]
        self.average = WeightAverage(self.network, settings.ema_decay)
        self.optimizers = build_optimizers(self.network.parameters(), *settings.optimization)
        # float16 gradients underflow without it. It does nothing for other number types.
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.autocast_type == torch.float16)
        self.guard = DivergenceGuard()
        # One for each loss network, since each has its own taps. None: each crop is compared by itself.
        self._recent = self._build_recent(loss)
        self._opening_recent = None if opening_loss is None else self._build_recent(opening_loss)
        prepare = _compile if settings.compile else lambda compute: compute
        self._losses = prepare(functools.partial(self._compute_losses, loss))
        self._opening_losses = prepare(functools.partial(self._compute_losses, opening_loss or loss))
        # Summed on the device: reading a number from a GPU in every step would stall it.
        self._term_names: list[str] = []
        self._term_sum: Tensor | None = None
        self._steps_summed = 0

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step.

        It decays only after the opening steps, because the later steps have to correct what those leave.
        """
        settings = self.settings
        return learning_rate_at(
            self.step,
            steps=settings.steps,
            peak=settings.optimization.learning_rate,
            warmup_steps=settings.warmup_steps,
            constant_until=self.opening_steps if settings.cosine else settings.steps,
        )

    def take_step(self, photos: Tensor) -> None:
        """Train one step on a batch of photos, shape (B, 3, H, W), RGB in [0, 1], on any device."""
        photos = photos.to(self.device, non_blocking=True).contiguous(memory_format=self.memory_format)
        opens = self.step < self.opening_steps
        compute_losses, recent = (self._opening_losses, self._opening_recent) if opens else (self._losses, self._recent)
        for weight in self._shared_weights:  # without gradients they stay as they are, and steps are faster
            weight.requires_grad_(self.step >= self.code_steps)
        conditions = self._draw_conditions(photos)
        total, terms, measured = compute_losses(None if recent is None else recent.recall(), *conditions)
        if recent is not None:
            recent.remember(measured, choose_joining(photos, strengths=conditions[2]))
        self.network.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate
            self.scaler.step(optimizer)
        self.scaler.update()
        self.average.update(self.network)
        self.step += 1
        stacked = torch.stack(list(terms.values()))
        self._term_names = list(terms)
        self._term_sum = stacked if self._term_sum is None else self._term_sum + stacked
        self._steps_summed += 1

    def collect_terms(self) -> dict[str, float]:
        """The mean of each loss term since the last call; empty without a step in between.

        Raises:
            TrainingError: the loss is not a number, or it exploded.
        """
        if self._term_sum is None:
            return {}
        values = (self._term_sum / self._steps_summed).tolist()
        steps_summed, self._term_sum, self._steps_summed = self._steps_summed, None, 0
        terms = dict(zip(self._term_names, values, strict=True))
        problem = self.guard.diagnose(terms["total"])
        if problem is None and not all(bool(weight.isfinite().all()) for weight in self.network.parameters()):
            problem = "the weights are no longer numbers"
        if problem:
            raise TrainingError(f"{problem} between steps {self.step - steps_summed} and {self.step}")
        return terms

    def finish(self) -> StyleNetwork:
        """What the training leaves if it ends now: the network with the averaged weights and the last touch.

        A copy, and the same one until the next step: the last touch may take as long as a few steps.
        """
        if self._finished is None or self._finished[0] != self.step:
            self._finished = self.step, self._finish(self.average.network)
        return self._finished[1]

    def save(self) -> None:
        """Save the state. Call it after `collect_terms`, so that only a good state is ever written."""
        self.saved_run.save(step=self.step, parts=self._parts())

    def restore(self) -> None:
        """Return to the saved state."""
        state = self.saved_run.load()
        restore_parts(state, self._parts())
        self.step = state["step"]
        self._term_sum, self._steps_summed = None, 0
        self._finished = None

    def _parts(self) -> dict[str, Any]:
        recent = {"recent_style": self._recent, "opening_recent_style": self._opening_recent}
        return {
            "network": self.network,
            "average": self.average,
            "scaler": self.scaler,
            "guard": self.guard,
            **{name: one for name, one in recent.items() if one is not None},
            **self.optimizers,
        }

    def _build_recent(self, loss: PerceptualLoss) -> RecentStyle | None:
        settings = self.settings
        if settings.crop_share == 1 or settings.train_only == "strength" or not settings.loss.compares_moments:
            return None
        in_bands = settings.loss.band_share > 0
        return RecentStyle(loss.targets, in_bands=in_bands, share=settings.crop_share).to(self.device)

    def _draw_conditions(self, photos: Tensor) -> tuple[Any, ...]:
        """The photos of a step and all that is random about it, as `_compute_losses` takes them."""
        settings, step = self.settings, self.step
        strengths, shares, moved, motion, temporal_weight = None, None, None, None, None
        if settings.network.adjustable:
            drawn = draw_strengths(settings.seed, step, len(photos), other_than_one=settings.train_only == "strength")
            strengths = torch.tensor(drawn, device=self.device)
            shares = torch.tensor([interpolate_strength(strength) for strength in drawn], device=self.device)
        if settings.temporal_weight > 0:
            # For half of the photos, since it costs as much as stylizing them again.
            moved, motion = draw_second_frames(photos[: (len(photos) + 1) // 2], mix_seed(settings.seed, step, 5))
            ramp = min(1.0, (step + 1) / (TEMPORAL_RAMP * settings.steps))
            temporal_weight = torch.tensor(settings.temporal_weight * ramp, device=self.device)
        origin = draw_noise_origin(settings.seed, step).to(self.device)
        return photos, origin, strengths, shares, moved, motion, temporal_weight

    def _compute_losses(
        self,
        loss: PerceptualLoss,
        company: Company | None,
        photos: Tensor,
        origin: Tensor,
        strengths: Tensor | None,
        shares: Tensor | None,
        moved: Tensor | None,
        motion: Motion | None,
        temporal_weight: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor], StyleStatistics | None]:
        with torch.autocast(self.device.type, self.autocast_type, enabled=self.autocast_type is not None):
            steering = None if shares is None else mix_strengths(self.network.steering, shares)
            stylized = self.network(photos, origin=origin, steering=steering)
            measured = None
            if company is None:
                total, terms = loss(stylized, photos, strengths=strengths)
            else:
                total, terms, measured = loss.compare_among(stylized, photos, company, strengths=strengths)
            if moved is None or motion is None or temporal_weight is None:
                return total, terms, measured
            half = len(moved)
            again = self.network(
                moved, origin=(origin + motion.camera) % PERIOD, steering=None if steering is None else steering[:half]
            )
            temporal = temporal_loss(stylized[:half], again, motion).mean()
            total = total + temporal_weight * temporal
            return total, {**terms, "total": total.detach(), "temporal": temporal.detach()}, measured
