#!/usr/bin/env python3
"""Compare our training step with a plain textbook step, and the compact loss network with VGG-19: photos per second.

    python scripts/benchmark_training.py [--network realtime] [--size 160] [--batch 4] [--rounds 15]

The steps are timed in turns. Both sides have the same network, loss network, taps, batch and size, with random weights,
because the time does not depend on them. The textbook step is how the common example programs train: float32,
contiguous, torchvision's VGG run to the deepest tap for the photo as for the stylized image, unfused Adam, and every
loss read back with .item() in each step. Ours is the step of `nst-fast train`, with its moving average of the weights.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
import torchvision
from textbook_network import build_textbook_network
from torch import Tensor

from nst_fast.loss_networks.network import adapt_taps
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.losses.tones import PhotoTones
from nst_fast.processor import has_fast_bfloat16
from nst_fast.runs.device import choose_device
from nst_fast.runs.saved_run import SavedRun
from nst_fast.training.run import TrainingRun
from nst_fast.training.settings import TrainSettings

# Where torchvision's VGG-19 has the default taps: relu1_1, relu2_1, relu3_1, relu3_2, relu4_1, relu4_2.
TAP_INDICES = {1: "relu1_1", 6: "relu2_1", 11: "relu3_1", 13: "relu3_2", 20: "relu4_1", 22: "relu4_2"}


class TextbookStep:
    """Content loss, Gram style loss, Adam; nothing clever."""

    def __init__(self, network: str, style_image: Tensor, device: torch.device) -> None:
        self.network = build_textbook_network(network).to(device)
        self.features = torchvision.models.vgg19(weights=None).features[: max(TAP_INDICES) + 1].to(device).eval()
        self.features.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3)
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.mean, self.deviation = mean.view(1, 3, 1, 1).to(device), deviation.view(1, 3, 1, 1).to(device)
        style = self.activations(style_image[None].to(device))
        self.targets = {tap: self.gram(style[tap]) for tap in DEFAULT_STYLE_TAPS}

    def activations(self, image: Tensor) -> dict[str, Tensor]:
        hidden = (image - self.mean) / self.deviation
        taps = {}
        for index, layer in enumerate(self.features):
            hidden = layer(hidden)
            if index in TAP_INDICES:
                taps[TAP_INDICES[index]] = hidden
        return taps

    @staticmethod
    def gram(features: Tensor) -> Tensor:
        batch, channels, height, width = features.shape
        flat = features.view(batch, channels, height * width)
        return flat.bmm(flat.transpose(1, 2)) / (channels * height * width)

    def __call__(self, photos: Tensor) -> tuple[float, float]:
        self.optimizer.zero_grad()
        stylized = self.network(photos)
        stylized_taps, photo_taps = self.activations(stylized), self.activations(photos)
        content = sum(torch.nn.functional.mse_loss(stylized_taps[tap], photo_taps[tap]) for tap in DEFAULT_CONTENT_TAPS)
        style = sum(
            torch.nn.functional.mse_loss(self.gram(stylized_taps[tap]), self.targets[tap].expand(len(photos), -1, -1))
            for tap in DEFAULT_STYLE_TAPS
        )
        (content + 1e5 * style).backward()
        self.optimizer.step()
        return content.item(), style.item()


def build_our_step(
    network: str, loss_name: str, style_image: Tensor, photos: Tensor, precision: str, folder: Path
) -> TrainingRun:
    """What `nst-fast train` builds, on the device of the photos."""
    device = photos.device
    settings = TrainSettings.build(preset=None, style="", content="", network=network, precision=precision)
    of_loss = adapt_taps(settings.loss, loss_name)
    taps = [*of_loss.content_taps, *of_loss.style_taps]
    loss_network = build_loss_network(loss_name, taps=taps, weights="random").to(device)
    if precision == "auto" and device.type == "cpu" and has_fast_bfloat16():
        loss_network.autocast_type = torch.bfloat16
    loss_network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    variance = dict.fromkeys(of_loss.content_taps, 1.0)
    loss = PerceptualLoss(
        loss_network, style_image.to(device), of_loss, feature_variance=variance, photo_tones=PhotoTones(photos)
    )
    return TrainingRun(settings, loss, SavedRun(folder, {}), device=device)


def main() -> None:
    """Measure and print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="realtime", choices=("realtime", "johnson"))
    parser.add_argument("--size", type=int, default=160, help="side of the crops in pixels (default: 160)")
    parser.add_argument("--batch", type=int, default=4, help="crops per step (default: 4)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of one step each (default: 15)")
    parser.add_argument("--device", default=None)
    parser.add_argument(
        "--precision", default="fp32", help="number type of our step; the textbook step has fp32 (default: fp32)"
    )
    options = parser.parse_args()
    device = choose_device(options.device)
    generator = torch.Generator().manual_seed(0)
    style_image = torch.rand(3, 384, 512, generator=generator)
    photos = torch.rand(options.batch, 3, options.size, options.size, generator=generator).to(device)
    with tempfile.TemporaryDirectory() as folder:
        ours, compact = (
            build_our_step(options.network, loss_name, style_image, photos, options.precision, Path(folder))
            for loss_name in ("vgg19", "compact")
        )
        textbook = TextbookStep(options.network, style_image, device)
        steps = {"textbook": textbook, "ours": ours.take_step, "compact": compact.take_step}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(options.rounds + 2):
            for name, step in steps.items():
                began = time.perf_counter()
                step(photos)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                if number >= 2:  # the first two warm up
                    seconds[name].append(time.perf_counter() - began)
    photos_per_second = {name: options.batch / statistics.median(times) for name, times in seconds.items()}
    ratios = {
        f"{quick} / {slow}": statistics.median(
            slowly / quickly for slowly, quickly in zip(seconds[slow], seconds[quick], strict=True)
        )
        for quick, slow in (("ours", "textbook"), ("compact", "ours"))
    }
    print(f"{options.network}, {options.batch} crops of {options.size} px, {device}, {torch.get_num_threads()} threads")
    for name, rate in photos_per_second.items():
        print(f"  {name:<10}{rate:7.2f} photos/s (median of {options.rounds})")
    for name, ratio in ratios.items():
        print(f"  {name}, median of the pairs: {ratio:.2f}")
    json.dump({"photos_per_second": photos_per_second, "ratios": ratios}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
