#!/usr/bin/env python3
"""One setting of the training after the other changed, all else alike: the table of docs/training.md.

    python scripts/compare_recipes.py --style starry_night.jpg --content photos/ --init wave \\
        [--optimiser adam] [NAME ...]

All are judged alike, by VGG-19 on photos that were not trained on: relu1_1, relu2_1, relu3_1, relu4_1 against the
painting at 384 px, content at relu3_2. They are short (300 steps of two crops of 128 pixels, unless the name says
otherwise), so they tell what learns quicker; what wins after hours may be something else. A run that was cut is
continued.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch

from nst_fast.checkpoint import load_checkpoint
from nst_fast.data.content_images import hold_out_photos, list_photos
from nst_fast.images import load_image
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.training.loop import train
from nst_fast.training.preparation import read_held_out
from nst_fast.training.recipe import Recipe

STEPS = 300
LEARNING_RATES = {"muon": 1e-2, "adam": 5e-3}
HELD_OUT_PHOTOS = 32
# What is changed; of the learning rate, by which factor.
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "content relu2_2": {"content_taps": {"relu2_2": 1.0}},
    "content relu3_3": {"content_taps": {"relu3_3": 1.0}},
    "content relu4_2": {"content_taps": {"relu4_2": 1.0}},
    "style relu1_2 to relu4_2": {"style_taps": dict.fromkeys(("relu1_2", "relu2_2", "relu3_2", "relu4_2"), 1.0)},
    "style down to relu5_1": {"style_taps": {**DEFAULT_STYLE_TAPS, "relu5_1": 1.0}},
    "painting at 256 px": {"style_short_side": 256},
    "painting at 512 px": {"style_short_side": 512},
    "8 crops of 64 px": {"crop_size": 64, "batch_size": 8},
    "1 crop of 180 px": {"crop_size": 180, "batch_size": 1},
    "photos at their own scale": {"largest_crop": 1.0},
    "no moving average": {"average_decay": 0.0},
    "half the learning rate": {"learning_rate": 0.5},
    "twice the learning rate": {"learning_rate": 2.0},
    "total variation 10": {"total_variation_weight": 10.0},
    "no loss against lattices": {"lattice_weight": 0.0},
    "no grain": {"grain": 0.0},
    "twice the grain": {"grain": 0.032},
    "width 24": {"width": 24},
    "width 48": {"width": 48},
    "150 steps": {"steps": 150},
    "600 steps": {"steps": 600},
    "compact for 200 of 300 steps": {"compact_share": 2 / 3},
    "compact for 900 of 1,100 steps": {"steps": 1100, "compact_share": 9 / 11},
    "from the network of another painting": {},
}


def main() -> None:
    """Train, measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {'; '.join(VARIANTS)} (default: all)")
    parser.add_argument("--style", required=True, type=Path)
    parser.add_argument("--content", required=True, type=Path)
    parser.add_argument("--init", required=True, help="the network of another painting")
    parser.add_argument("--optimiser", choices=LEARNING_RATES, default="muon")
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--weights", default=os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet"), help="of VGG-19")
    options = parser.parse_args()
    if unknown := set(options.names) - VARIANTS.keys():
        parser.error(f"{min(unknown)!r} is no variant; there are {', '.join(VARIANTS)}")

    taps = [*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS]
    judge = build_loss_network("vgg19", taps=taps, weights=options.weights).to(memory_format=torch.channels_last)
    _, held_out_files = hold_out_photos(list_photos(options.content), options.content, Recipe().held_out_photos)
    photos = read_held_out(held_out_files[:HELD_OUT_PHOTOS], print)
    loss = build_relative_loss(judge, load_image(options.style, short_side=384), photos)
    print("| what is different | seconds | style | content | 20 * style + content |\n| --- | --- | --- | --- | --- |")
    for name in options.names or VARIANTS:
        settings = {
            "steps": STEPS,
            "crop_size": 128,
            "batch_size": 2,
            "loss_network": "vgg19",
            "weights": options.weights,
            **VARIANTS[name],
            "optimiser": options.optimiser,
            "learning_rate": LEARNING_RATES[options.optimiser] * VARIANTS[name].get("learning_rate", 1.0),
        }
        began = time.monotonic()
        result = train(
            options.style,
            options.content,
            options.runs / options.optimiser / name.replace(" ", "_"),
            Recipe(**settings),
            init=options.init if name.startswith("from") else None,
            show_progress=False,
            say=lambda line: None,
        )
        seconds = time.monotonic() - began
        terms = measure_losses(load_checkpoint(result.checkpoint).network, loss, photos)
        style, content = terms["style"], terms["content"]
        print(f"| {name} | {seconds:.0f} | {style:.3f} | {content:.2f} | {20 * style + content:.2f} |", flush=True)


if __name__ == "__main__":
    main()
