#!/usr/bin/env python3
"""The losses of checkpoints on photos that were not trained on, by VGG-19: the figures of checkpoints/README.md.

    python scripts/measure_checkpoints.py --content PHOTOS --style wave=PAINTING.jpg [--style ...] [CHECKPOINT ...]

Style: the painting at 384 px short side, taps relu1_1, relu2_1, relu3_1, relu4_1, the share of the painting's squared
Gram norm that is missing. Content: tap relu3_2, mean squared difference over the variance of the photos' features.
Lattice: the variance of the colours that repeats every four pixels, in 1e-4; then that of the painting itself.
Photos: the 64 of PHOTOS that `nst-fast train` holds out, their middle 256 px. Without CHECKPOINT: the shipped ones
whose painting is given.
"""

import argparse
import os
import sys
from pathlib import Path

import torch

from nst_fast.checkpoint import list_shipped_checkpoints, load_checkpoint
from nst_fast.data.content_images import hold_out_photos, list_photos
from nst_fast.errors import NstFastError
from nst_fast.images import load_image
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.lattice import lattice_power
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.training.preparation import read_held_out


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", metavar="CHECKPOINT", help="files or names of shipped styles")
    parser.add_argument("--content", required=True, type=Path, help="the folder that was trained on")
    parser.add_argument("--style", action="append", required=True, metavar="NAME=FILE", help="a style's painting")
    parser.add_argument(
        "--weights",
        default=os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet"),
        help="of VGG-19 (default: the file in NST_FAST_VGG19_WEIGHTS, else torchvision's)",
    )
    parser.add_argument("--photos", type=int, default=64, help="how many (default: 64)")
    options = parser.parse_args()
    paintings = dict(pair.split("=", 1) for pair in options.style)
    loss_network = build_loss_network(
        "vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights=options.weights
    )
    photos = list_photos(options.content)
    _, held_out_files = hold_out_photos(photos, options.content, options.photos)
    held_out = read_held_out(held_out_files, print)
    titles = f"{'checkpoint':<28}{'style':>8}{'content':>9}{'20*style+content':>18}{'lattice':>9}{'painting':>10}"
    print(f"{titles}   ({len(held_out)} photos, lattice {1e4 * lattice_power(held_out):.1f})")
    for given in options.checkpoints or list_shipped_checkpoints():
        checkpoint = load_checkpoint(given)
        name = checkpoint.info.style.get("name", "")
        if name not in paintings:
            continue
        painting = load_image(paintings[name], short_side=384)
        loss = build_relative_loss(loss_network, painting, held_out)
        with torch.inference_mode():
            terms = measure_losses(checkpoint.network, loss, held_out)
        figures = f"{terms['style']:8.4f}{terms['content']:9.3f}{terms['total']:18.3f}{1e4 * terms['lattice']:9.1f}"
        print(f"{given:<28}{figures}{1e4 * lattice_power(painting[None]):10.1f}")


if __name__ == "__main__":
    try:
        main()
    except NstFastError as error:
        sys.exit(f"error: {error}")
