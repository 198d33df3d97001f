#!/usr/bin/env python3
"""Compares a loss network with random weights to the trained one and the compact one: the table in the docs.

    python scripts/compare_random_weights.py --content photo.jpg --style painting.jpg

Style: the style alone from noise, judged by the trained VGG-19 (the share of its Gram matrices that is missing).
Content: the photo from `relu3_2` alone, from noise, as the signal-to-noise ratio of its pixels.
"""

import argparse
import dataclasses
import os
import tempfile
from pathlib import Path

import torch

from nst_fast.data.images import load_image
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.optimization.optimize import optimize_image
from nst_fast.optimization.settings import OptimizeSettings
from nst_fast.settings.networks import LossNetworkSettings

# Style and content alone, since tones would help a loss network that knows nothing.
LOSS = LossSettings(style_statistic="gram", tone_weight=0.0, content_taps={"relu3_2": 1.0})
TRAINED = os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet")
NETWORKS = {
    ("trained", "max"): LossNetworkSettings(weights=TRAINED),
    ("trained", "average"): LossNetworkSettings(weights=TRAINED, pooling="average"),
    ("compact", "max"): LossNetworkSettings(name="compact", weights="shipped"),
    ("random", "max"): LossNetworkSettings(weights="random"),
    ("random", "average"): LossNetworkSettings(weights="random", pooling="average"),
}


def main() -> None:
    """Optimize, judge, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, required=True)
    parser.add_argument("--style", type=Path, required=True)
    parser.add_argument("--short-side", type=int, default=72)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    judge = build_loss_network("vgg19", taps=[*LOSS.content_taps, *LOSS.style_taps], weights=TRAINED)
    style = load_image(options.style, short_side=options.short_side)
    loss = PerceptualLoss(judge, style, LOSS, feature_variance=dict.fromkeys(LOSS.content_taps, 1.0))
    photo = load_image(options.content, short_side=options.short_side)
    print("| weights | pooling | style alone, from noise | photo from `relu3_2` alone |\n| --- | --- | --- | --- |")
    for (weights, pooling), network in NETWORKS.items():
        styles, contents = [], []
        for seed in range(options.seeds):
            parts = {
                "style": dataclasses.replace(LOSS, content_weight=0.0),
                "content": dataclasses.replace(LOSS, style_strength=0.0),
            }
            stylized = {}
            for part, loss_settings in parts.items():
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "stylized.png"
                    optimize_image(
                        OptimizeSettings(
                            content=str(options.content),
                            style=(str(options.style),),
                            output=str(file),
                            start="noise",
                            seed=seed,
                            short_side=options.short_side,
                            iterations=options.iterations,
                            loss=loss_settings,
                            loss_network=network,
                            show_progress=False,
                        )
                    )
                    stylized[part] = load_image(file)
            with torch.no_grad():
                styles.append(float(loss(stylized["style"][None], photo[None])[1]["style"]))
            contents.append(-10 * float((stylized["content"] - photo).square().mean().log10()))
        cells = [", ".join(f"{value:.2f}" for value in styles), ", ".join(f"{value:.1f}" for value in contents)]
        print(f"| {weights} | {pooling} | {cells[0]} | {cells[1]} dB |", flush=True)


if __name__ == "__main__":
    main()
