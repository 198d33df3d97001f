#!/usr/bin/env python3
"""A loss network with random weights beside the trained one and the compact one: the table of docs/loss_networks.md.

    python scripts/compare_random_weights.py --content photo.jpg --style painting.jpg

Style: the style alone from noise, judged by the trained VGG-19 (the share of the painting's style that is missing).
Content: the photo from `relu3_2` alone, from noise, as the signal-to-noise ratio of its pixels.
"""

import argparse
import os
import tempfile
from pathlib import Path

import torch

from nst_fast.gatys.optimize import optimize_image
from nst_fast.gatys.plan import Plan
from nst_fast.images import load_image
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

TRAINED = os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet")
NETWORKS = {
    ("trained", "max"): {"weights": TRAINED},
    ("trained", "average"): {"weights": TRAINED, "pooling": "average"},
    ("compact", "max"): {"loss_network": "compact", "weights": "shipped"},
    ("random", "max"): {"weights": "random"},
    ("random", "average"): {"weights": "random", "pooling": "average"},
}


def main() -> None:
    """Optimise, judge, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, required=True)
    parser.add_argument("--style", type=Path, required=True)
    parser.add_argument("--short-side", type=int, default=72)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    judge = build_loss_network("vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights=TRAINED)
    painting = load_image(options.style, short_side=options.short_side)
    loss = PerceptualLoss(judge, painting, feature_variance=dict.fromkeys(DEFAULT_CONTENT_TAPS, 1.0))
    photo = load_image(options.content, short_side=options.short_side)
    print("| weights | pooling | style alone, from noise | photo from `relu3_2` alone |\n| --- | --- | --- | --- |")
    for (weights, pooling), network in NETWORKS.items():
        styles, contents = [], []
        for seed in range(options.seeds):
            parts = {"style": {"content_weight": 0.0}, "content": {"style_strength": 0.0}}
            painted = {}
            for part, strengths in parts.items():
                plan = Plan(
                    start="noise",
                    seed=seed,
                    short_side=options.short_side,
                    iterations=options.iterations,
                    **strengths,
                    **network,
                )
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "painted.png"
                    optimize_image(
                        options.content, options.style, file, plan, show_progress=False, say=lambda line: None
                    )
                    painted[part] = load_image(file)
            with torch.no_grad():
                styles.append(float(loss(painted["style"][None], photo[None])[1]["style"]))
            contents.append(-10 * float((painted["content"] - photo).square().mean().log10()))
        cells = [", ".join(f"{value:.2f}" for value in styles), ", ".join(f"{value:.1f}" for value in contents)]
        print(f"| {weights} | {pooling} | {cells[0]} | {cells[1]} dB |", flush=True)


if __name__ == "__main__":
    main()
