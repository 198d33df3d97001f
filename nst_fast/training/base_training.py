"""The training of the base network: one network for all styles, and the predictor that steers it by a style image."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nst_fast.data.sampler import mix_seed
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.style_targets import stack_targets
from nst_fast.losses.temporal import temporal_loss
from nst_fast.networks.description import interpolate_strength
from nst_fast.networks.input_noise import PERIOD
from nst_fast.networks.torch_network import StyleNetwork, mix_strengths
from nst_fast.networks.torch_style_predictor import StylePredictor
from nst_fast.training.conditions import allow_steering, draw_second_frames, draw_strengths, keep_photo_out
from nst_fast.training.ema import WeightAverage
from nst_fast.training.optimizers import build_optimizers
from nst_fast.training.run import draw_noise_origin
from nst_fast.training.schedule import learning_rate_at
from nst_fast.training.style_pool import MeasuredStyle, StylePool

# Of the kernels of the network, of its other parameters, and of the predictor, whose layers add up many features.
_LEARNING_RATES = {"muon": 1e-2, "adam": 5e-3, "predictor": 5e-4}
# Of the noise on standardized features, and the share of them that is hidden: the predictor must not learn the few
# style images by heart.
_FEATURE_NOISE, _FEATURES_HIDDEN = 0.1, 0.1


class BaseNetwork(nn.Module):
    """The network that all styles share, and the predictor of its steering.

    Args:
        network: an adjustable network, whose own steering is what the predictor adds to. Both are held to
            `allow_steering`.
        predictor: of its steering.
    """

    allowed: Tensor

    def __init__(self, network: StyleNetwork, predictor: StylePredictor) -> None:
        super().__init__()
        self.network = network
        self.predictor = predictor
        self.register_buffer("allowed", allow_steering(network.steering.detach()), persistent=False)
        keep_photo_out(network)
        with torch.no_grad():
            predictor.to_steering.weight.mul_(self.allowed.flatten()[:, None])
            predictor.to_steering.bias.mul_(self.allowed.flatten())

    def predict_tables(self, standardized: Tensor) -> Tensor:
        """The steering at every strength, (B, strengths, 2, channels), from standardized features."""
        return self.network.steering + self.predictor(standardized) * self.allowed


class BaseTraining:
    """All that changes from step to step.

    Args:
        base: on the device of the training.
        temporal_weight: of the temporal loss.
        seed: decides everything that is random.
        steps: of the whole training, over which the learning rate falls.
        average_gradients: called after each backward pass with all parameters: where several processes train together,
            it averages their gradients.
        rank, processes: which share of each batch is trained here.
    """

    def __init__(
        self,
        base: BaseNetwork,
        *,
        temporal_weight: float,
        seed: int,
        steps: int,
        average_gradients: Callable[[list[nn.Parameter]], None] = lambda parameters: None,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.base = base
        self.temporal_weight = temporal_weight
        self.seed = seed
        self.steps = steps
        self.step = 0
        self.average = WeightAverage(base, 0.998)
        self.parameters = [*base.parameters()]
        self.optimizers = {
            **build_optimizers(base.network.parameters(), "muon", _LEARNING_RATES["muon"]),
            "predictor": build_optimizers(base.predictor.parameters(), "adam", _LEARNING_RATES["predictor"])["adam"],
        }
        self._average_gradients = average_gradients
        self._rank, self._processes = rank, processes

    def take_step(self, photos: Tensor, pool: StylePool, loss: PerceptualLoss) -> dict[str, Tensor]:
        """Train one step.

        Args:
            photos: (B, 3, H, W), RGB in [0, 1]: the whole batch of all processes, of which each takes its equal share.
            pool: where the style images come from, measured by `loss`.
            loss: content and style.

        Returns:
            The terms of this process's share, without gradients.
        """
        count = len(photos)
        mine = slice(count * self._rank // self._processes, count * (self._rank + 1) // self._processes)
        strengths = draw_strengths(self.seed, self.step, count)[mine]
        styles = pool.draw(self.step, count)[mine]
        photos = photos[mine]
        total, terms = self._measure(photos, styles, strengths, loss, range(count)[mine].start)
        for parameter in self.parameters:
            parameter.grad = None
        total.backward()
        self._average_gradients(self.parameters)
        for name, optimizer in self.optimizers.items():
            peak = _LEARNING_RATES[name]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(
                    self.step, steps=self.steps, peak=peak, warmup_steps=100, constant_until=self.steps // 2
                )
            optimizer.step()
        self.average.update(self.base)
        self.step += 1
        return terms

    def parts(self) -> dict[str, Any]:
        """What is saved and restored."""
        return {"base": self.base, "average": self.average, **self.optimizers}

    def _measure(
        self,
        photos: Tensor,
        styles: list[MeasuredStyle],
        strengths: list[float],
        loss: PerceptualLoss,
        first_number: int,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        base, device = self.base, photos.device
        features = base.predictor.standardize(torch.cat([style.features for style in styles]))
        # A generator for each image, so that several processes draw what one would.
        noise, kept = (
            torch.stack([self._draw(features.shape[1], kind, first_number + place) for place in range(len(styles))])
            for kind in (torch.randn, torch.rand)
        )
        features = (features + _FEATURE_NOISE * noise.to(device)) * (kept.to(device) > _FEATURES_HIDDEN)
        shares = torch.tensor([interpolate_strength(strength) for strength in strengths], device=device)
        steering = mix_strengths(base.predict_tables(features), shares)
        origin = draw_noise_origin(self.seed, self.step).to(device)
        stylized = base.network(photos, origin=origin, steering=steering)
        targets = stack_targets([style.targets for style in styles])
        strength = torch.tensor(strengths, device=device)
        total, terms = loss(stylized, photos, strengths=strength, targets=targets, symmetric=True)
        if self.temporal_weight:
            # For every other image, since it costs as much as stylizing them again.
            places = [place for place in range(len(photos)) if (first_number + place) % 2 == 0]
            temporal = stylized.sum() * 0
            for place in places:
                one = slice(place, place + 1)
                moved, motion = draw_second_frames(photos[one], mix_seed(self.seed, self.step, 5, first_number + place))
                again = base.network(moved, origin=(origin + motion.camera) % PERIOD, steering=steering[one])
                temporal = temporal + temporal_loss(stylized[one], again, motion).sum()
            temporal = temporal / (len(photos) / 2)
            total = total + self.temporal_weight * temporal
            terms = {**terms, "total": total.detach(), "temporal": temporal.detach()}
        return total, terms

    def _draw(self, count: int, kind: Callable[..., Tensor], number: int) -> Tensor:
        generator = torch.Generator().manual_seed(mix_seed(self.seed, self.step, 6, number))
        return kind(count, generator=generator)
