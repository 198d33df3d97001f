#!/usr/bin/env python3
"""Distill the compact loss network from VGG-19: this made checkpoints/loss_networks/compact.safetensors.

    python scripts/distill_loss_network.py --photos photos/ --style-images a.jpg b.jpg c.jpg --output runs/compact

Run the same command again to resume. A student that only sees photos and style images is soon cheated: an image
transformation network trained against it finds images that please it but not VGG. So the distillation is on-policy:
beside the student, transformation networks (the policies) train against it, each for a style image of its own and for a
limited time, and the images that they make are in every batch. NST_FAST_VGG19_WEIGHTS names the weights.
"""

import argparse
import json
import os
import random
import time
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nst_fast.data.content_images import ContentImages, list_photos
from nst_fast.data.held_out import hold_out_photos, read_held_out
from nst_fast.data.images import load_image
from nst_fast.data.sampler import iterate_batches
from nst_fast.files.atomic import replace_atomically
from nst_fast.files.interruption import Interruption
from nst_fast.loss_networks.network import LossNetwork, adapt_taps, list_taps
from nst_fast.loss_networks.weights import build_loss_network, list_parameters
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.style import gram_matrix
from nst_fast.losses.tones import PhotoTones
from nst_fast.networks.torch_network import build_network
from nst_fast.runs.state import check_identity, load_state, restore_parts, save_state
from nst_fast.training.ema import WeightAverage
from nst_fast.training.optimizers import build_optimizers
from nst_fast.training.schedule import learning_rate_at

TAPS = list_taps("compact")
LOSS = adapt_taps(LossSettings(), "compact")  # of the policies
# A network that is trained with the student cheats it most at the deep taps.
WEIGHTS = {"relu1_1": 0.5, "relu2_1": 1.0, "relu3_1": 2.0, "relu3_2": 1.0, "relu4_1": 3.0}
CROP = 128
POLICIES = 2  # each stylizes two photos per step
LIFETIMES = (60, 150, 400, 1000)  # steps of a policy; long ones find how to cheat the student
POLICY_LEARNING_RATE = 1e-2
SAVE_EVERY_STEPS = 200
LOG_EVERY_STEPS = 50
PHOTO_AS_PAINTING = 0.3  # share of the policies whose style image is a photo
STYLE_SHORT_SIDE = 256


class Student(nn.Module):
    """The compact network with the projections from its activations to those of VGG-19.

    Args:
        scale: by tap, the mean square of VGG's activations over photos.
    """

    def __init__(self, scale: dict[str, float], seed: int) -> None:
        super().__init__()
        self.scale = scale
        self.network = build_loss_network("compact", taps=TAPS, weights="random", seed=seed)
        self.network.layers.requires_grad_(True)
        channels = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu3_2": 256, "relu4_1": 512}
        # In units of VGG's root mean square, so that one learning rate suits them all.
        self._projections = nn.ParameterDict(
            {
                tap: nn.Parameter(torch.randn(channels[tap], metric.in_channels) / metric.in_channels**0.5)
                for tap, metric in self.network.metrics.items()
            }
        )

    def projection(self, tap: str) -> Tensor:
        """From the network's activations to VGG's: shape (channels of VGG, channels of the network)."""
        return self._projections[tap] * self.scale[tap] ** 0.5

    @torch.no_grad()
    def settle_metrics(self) -> None:
        """Let the taps give activations in VGG's metric, by the projections of this moment."""
        for tap, metric in self.network.metrics.items():
            triangle = torch.linalg.qr(self.projection(tap), mode="r").R
            metric.weight.copy_(triangle[:, :, None, None])


class Policy:
    """An image transformation network that trains against the student for one style image, for a while."""

    def __init__(
        self, student: Student, style_image: Tensor, lifetime: int, variance: dict[str, float], tones: PhotoTones
    ) -> None:
        self.student = student
        self.style_image = style_image
        self.lifetime = lifetime
        self.variance = variance
        self.tones = tones
        self.age = 0
        self.network = build_network("realtime", width=32).to(memory_format=torch.channels_last)
        self.optimizers = build_optimizers(self.network.parameters(), "muon", POLICY_LEARNING_RATE)
        self.loss: PerceptualLoss | None = None

    def stylize_and_learn(self, photos: Tensor) -> Tensor:
        """Train one step on photos (B, 3, H, W), RGB in [0, 1]; returns them stylized, as before the step."""
        if self.age % 20 == 0:  # the student has changed
            self.student.settle_metrics()
            self.loss = PerceptualLoss(
                self.student.network, self.style_image, LOSS, feature_variance=self.variance, photo_tones=self.tones
            )
        stylized = self.network(photos)
        total, _ = self.loss(stylized, photos)
        self.network.zero_grad()
        total.backward(inputs=list(self.network.parameters()))
        step_all(
            self.optimizers,
            learning_rate_at(self.age, steps=self.lifetime, peak=POLICY_LEARNING_RATE, warmup_steps=20),
        )
        self.age += 1
        return stylized.detach().clamp(0, 1)


def step_all(optimizers: dict[str, torch.optim.Optimizer], learning_rate: float) -> None:
    """Take a step with each optimizer at this learning rate."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()


def disguise(style_image: Tensor, generator: random.Random) -> Tensor:
    """The style image mirrored, with its colors exchanged, or inverted: for a loss network, another style image."""
    style_image = style_image[generator.sample(range(3), 3)] if generator.random() < 0.6 else style_image
    style_image = style_image.flip(generator.choice([1, 2])) if generator.random() < 0.7 else style_image
    return 1 - style_image if generator.random() < 0.2 else style_image


def disturb(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures with noise of one of three noises, strong in some and weak in others, clipped to [0, 1]."""
    noise = torch.zeros_like(pictures)
    for picture in noise:
        input_noise = int(torch.randint(0, 3, (), generator=generator))
        size = CROP // 2**input_noise
        field = torch.randn(1, 3, size, size, generator=generator)
        strength = 0.3 * float(torch.rand((), generator=generator)) ** 2
        picture += strength * F.interpolate(field, (CROP, CROP), mode="nearest")[0]
    return (pictures + noise).clamp(0, 1)


def crop(style_image: Tensor, generator: torch.Generator) -> Tensor:
    """A square of CROP pixels of a style image."""
    top, left = (int(torch.randint(0, side - CROP + 1, (), generator=generator)) for side in style_image.shape[1:])
    return style_image[:, top : top + CROP, left : left + CROP]


def compare(student: Student, teacher: LossNetwork, pictures: Tensor) -> dict[str, Tensor]:
    """How far the student is from VGG on each image, in the features and in the Gram matrices of each tap.

    Features are relative to the mean square of VGG's activations over photos, Gram matrices to their squared norm.
    """
    with torch.no_grad():
        targets = teacher(pictures, TAPS)
    errors = {}
    for tap, hidden in student.network.activate(pictures, TAPS).items():
        projection = student.projection(tap)
        predicted = F.conv2d(hidden, projection[:, :, None, None])
        errors[f"features.{tap}"] = (predicted - targets[tap]).square().mean((1, 2, 3)) / student.scale[tap]
        gram = gram_matrix(targets[tap])
        own = projection @ gram_matrix(hidden) @ projection.T
        errors[f"gram.{tap}"] = (own - gram).square().sum((1, 2)) / gram.square().sum((1, 2))
    return errors


def distil(options: argparse.Namespace) -> None:
    """Train from the saved state, or from the start."""
    torch.manual_seed(options.seed)
    teacher = build_loss_network("vgg19", taps=list(TAPS)).to(memory_format=torch.channels_last)
    files, held_out_files = hold_out_photos(list_photos(options.photos), options.photos, 64)
    photos = ContentImages(files, CROP * 2)
    photos.read_into_memory(os.cpu_count() or 1)
    held_out = read_held_out(held_out_files[:16])
    tones = PhotoTones(held_out)
    style_images = [load_image(path, short_side=STYLE_SHORT_SIDE) for path in options.style_images]

    with torch.no_grad():
        activations = teacher(held_out.contiguous(memory_format=torch.channels_last), TAPS)
    student = Student({tap: float(features.square().mean()) for tap, features in activations.items()}, options.seed)
    del activations
    student.network.to(memory_format=torch.channels_last)
    trained = [*student.network.layers.parameters(), *student._projections.parameters()]
    optimizers = build_optimizers(trained, "muon", options.learning_rate)
    average = WeightAverage(student, 0.99)
    parts = {"student": student, "average": average, **optimizers}
    recipe = {key: getattr(options, key) for key in ("steps", "learning_rate", "seed", "gram")}
    state_path = options.output / "state.pt"
    start = 0
    if state_path.exists():
        state = load_state(state_path)
        check_identity(state["identity"], recipe, options.output)
        restore_parts(state, parts)
        start = state["step"]
        print(f"resuming at step {start}", flush=True)

    chance = random.Random(options.seed + start)
    generator = torch.Generator().manual_seed(options.seed + start)
    policies: list[Policy | None] = [None] * POLICIES
    batches = iterate_batches(
        photos, crop_size=CROP, batch_size=5, seed=options.seed, steps=range(start, options.steps), workers=0
    )
    sums: dict[str, float] = {}
    began = time.monotonic()
    with Interruption() as interruption:
        for step, batch in enumerate(batches, start):
            stylized = []
            for number, policy in enumerate(policies):
                if policy is None or policy.age >= policy.lifetime:
                    as_style_image = chance.random() < PHOTO_AS_PAINTING
                    style_image = batch[4] if as_style_image else disguise(chance.choice(style_images), chance)
                    student.settle_metrics()
                    with torch.no_grad():
                        variance = measure_feature_variance(student.network, held_out[:8].split(4), LOSS.content_taps)
                    policy = Policy(student, style_image, chance.choice(LIFETIMES), dict(variance), tones)
                    policies[number] = policy
                own = batch[2 * number : 2 * number + 2].contiguous(memory_format=torch.channels_last)
                stylized += policy.stylize_and_learn(own)
            pictures = torch.stack(
                [
                    *stylized[:3],
                    *disturb(torch.stack([stylized[3].lerp(batch[3], chance.random() ** 2), batch[1]]), generator),
                    batch[4],
                    crop(disguise(chance.choice(style_images), chance), generator),
                ]
            ).contiguous(memory_format=torch.channels_last)
            errors = compare(student, teacher, pictures)
            features = sum(WEIGHTS[tap] * errors[f"features.{tap}"].mean() for tap in TAPS)
            grams = sum(WEIGHTS[tap] * errors[f"gram.{tap}"].clamp(max=4).mean() for tap in TAPS)
            student.zero_grad()
            (features + options.gram * grams).backward(inputs=trained)
            nn.utils.clip_grad_norm_(trained, 5.0)
            step_all(
                optimizers,
                learning_rate_at(step, steps=options.steps, peak=options.learning_rate, warmup_steps=100),
            )
            average.update(student)
            for name, error in errors.items():
                sums[f"stylized.{name}"] = sums.get(f"stylized.{name}", 0) + float(error.detach()[:3].mean())
                sums[f"photos.{name}"] = sums.get(f"photos.{name}", 0) + float(error.detach()[5])
            done = step + 1
            if done % LOG_EVERY_STEPS == 0:
                mean = {name: value / LOG_EVERY_STEPS for name, value in sums.items()}
                sums = {}
                shown = "; ".join(
                    f"{kind} " + " ".join(f"{mean[f'{kind}.{tap}']:.3f}" for tap in TAPS)
                    for kind in ("stylized.features", "stylized.gram", "photos.features", "photos.gram")
                )
                print(
                    f"{done} of {options.steps}, {(time.monotonic() - began) / (done - start):.2f} s per step: {shown}",
                    flush=True,
                )
            ends = done == options.steps or interruption.signal_number is not None
            if done % SAVE_EVERY_STEPS == 0 or ends:
                save_state(state_path, identity=recipe, step=done, parts=parts)
                save_network(average.network, options.output / "compact.safetensors", done, held_out, teacher)
            if interruption.signal_number is not None:
                break
    interruption.act()


@torch.no_grad()
def save_network(student: Student, path: Path, steps: int, held_out: Tensor, teacher: LossNetwork) -> None:
    """Write the network in float16, with its origin and its errors on held-out photos."""
    student.settle_metrics()
    errors = compare(student, teacher, held_out)
    metadata = {
        "origin": "distilled from VGG-19 (Simonyan and Zisserman 2014) by scripts/distill_loss_network.py",
        "license": "CC BY 4.0, as the weights of VGG-19",
        "steps": steps,
        "held_out": {name: round(float(error.mean()), 4) for name, error in errors.items()},
    }
    parameters = list_parameters(student.network)
    weights = {name: parameter.half().contiguous() for name, (_, parameter) in parameters.items()}
    with replace_atomically(path) as temporary:
        safetensors.torch.save_file(weights, temporary, metadata={"nst_fast": json.dumps(metadata)})


def main() -> None:
    """Run it; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--style-images", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--gram", type=float, default=1.0, help="weight of the Gram matrices beside the features")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    distil(options)


if __name__ == "__main__":
    main()
