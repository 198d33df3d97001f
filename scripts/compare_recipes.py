#!/usr/bin/env python3
"""Train again and again with one setting changed: the table of docs/experiments/training.md.

    python scripts/compare_recipes.py --style starry_night.jpg --content photos/ --init wave \\
        [--optimizer adam] [NAME ...]

All results are measured alike, by VGG-19 on held-out photos and with the default loss, against the style image at 384
pixels. The trainings are short (300 steps of two crops of 128 pixels, unless the name
says otherwise), so they show what learns faster. What wins after hours may be something else. Run the same command
again to resume.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from nst_fast.data.content_images import list_photos
from nst_fast.data.held_out import hold_out_photos, read_held_out
from nst_fast.data.images import load_image
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.networks.torch_network import load_network
from nst_fast.training.loop import train
from nst_fast.training.settings import TrainSettings

STEPS = 300
LEARNING_RATES = {"muon": 1e-2, "adam": 5e-3}
# As many are held out as usual, and half of them measured.
ALL_HELD_OUT_PHOTOS, HELD_OUT_PHOTOS = 64, 32
# What is changed. The learning rate is given as a factor.
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "content relu2_2": {"content_taps": {"relu2_2": 1.0}},
    "content relu3_2": {"content_taps": {"relu3_2": 1.0}},
    "content relu4_2": {"content_taps": {"relu4_2": 1.0}},
    "Gram matrices": {"style_statistic": "gram"},
    "no bands": {"band_share": 0.0},
    "no tones": {"tone_weight": 0.0},
    "no temporal loss": {"temporal_weight": 0.0},
    "style relu1_2 to relu4_2": {"style_taps": dict.fromkeys(("relu1_2", "relu2_2", "relu3_2", "relu4_2"), 1.0)},
    "style down to relu5_1": {"style_taps": {**DEFAULT_STYLE_TAPS, "relu5_1": 1.0}},
    "style image at 256 px": {"style_short_side": 256},
    "style image at 512 px": {"style_short_side": 512},
    "8 crops of 64 px": {"crop_size": 64, "batch_size": 8},
    "1 crop of 180 px": {"crop_size": 180, "batch_size": 1},
    "photos at their own scale": {"largest_crop": 1.0},
    "no moving average": {"ema_decay": 0.0},
    "half the learning rate": {"learning_rate": 0.5},
    "twice the learning rate": {"learning_rate": 2.0},
    "total variation 10": {"total_variation_weight": 10.0},
    "no loss against grid artifacts": {"grid_weight": 0.0},
    "no input noise": {"input_noise": 0.0},
    "twice the input noise": {"input_noise": 0.032},
    "width 24": {"width": 24},
    "width 48": {"width": 48},
    "150 steps": {"steps": 150},
    "600 steps": {"steps": 600},
    "compact for 200 of 300 steps": {"compact_share": 2 / 3},
    "compact for 900 of 1,100 steps": {"steps": 1100, "compact_share": 9 / 11},
    "from the network of another style": {},
}


def main() -> None:
    """Train, measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {'; '.join(VARIANTS)} (default: all)")
    parser.add_argument("--style", required=True, type=Path)
    parser.add_argument("--content", required=True, type=Path)
    parser.add_argument("--init", required=True, help="the network of another style")
    parser.add_argument("--optimizer", choices=LEARNING_RATES, default="muon")
    parser.add_argument("--runs", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--weights", default="imagenet", help="of VGG-19, a word or a file (default: imagenet)")
    options = parser.parse_args()
    if unknown := set(options.names) - VARIANTS.keys():
        parser.error(f"{min(unknown)!r} is not a variant; there are {', '.join(VARIANTS)}")

    taps = [*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS]
    judge = build_loss_network("vgg19", taps=taps, weights=options.weights).to(memory_format=torch.channels_last)
    _, held_out_files = hold_out_photos(list_photos(options.content), options.content, ALL_HELD_OUT_PHOTOS)
    photos = read_held_out(held_out_files[:HELD_OUT_PHOTOS])
    loss = build_relative_loss(judge, load_image(options.style, short_side=384), photos)
    print("| what is different | seconds | style | content | tone | total |\n| --- | --- | --- | --- | --- | --- |")
    for name in options.names or VARIANTS:
        changes = {
            "steps": STEPS,
            "crop_size": 128,
            "batch_size": 2,
            "loss_network.name": "vgg19",
            "weights": options.weights,
            **VARIANTS[name],
            "optimizer": options.optimizer,
            "learning_rate": LEARNING_RATES[options.optimizer] * VARIANTS[name].get("learning_rate", 1.0),
        }
        settings = TrainSettings.build(
            preset=None,
            style=options.style,
            content=options.content,
            output=options.runs / options.optimizer / name.replace(" ", "_"),
            init=options.init if name.startswith("from") else None,
            held_out_photos=ALL_HELD_OUT_PHOTOS,
            show_progress=False,
            **changes,
        )
        began = time.monotonic()
        result = train(settings)
        seconds = time.monotonic() - began
        terms = measure_losses(load_network(result.checkpoint), loss, photos)
        figures = f"{terms['style']:.3f} | {terms['content']:.2f} | {terms['tone']:.3f} | {terms['total']:.2f}"
        print(f"| {name} | {seconds:.0f} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
