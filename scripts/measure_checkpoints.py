#!/usr/bin/env python3
"""The losses of checkpoints on photos that were not trained on, by VGG-19: the figures of checkpoints/README.md.

    python scripts/measure_checkpoints.py --content PHOTOS --style wave=IMAGE.jpg [--style ...] [CHECKPOINT ...]

Style loss: the style image at 384 px short side, taps relu1_1, relu2_1, relu3_1, relu4_1, the share of the style
image's squared Gram norm that is missing. Content loss: tap relu3_2, mean squared difference over the variance of the
photos' features. Grid: the color variance that repeats every four pixels, in 1e-4; then that of the style image itself.
Photos: the 64 of PHOTOS that `nst-fast train` holds out, their middle 256 px. Without CHECKPOINT: the shipped ones
whose style image is given.
"""

import argparse
import os
import sys
from pathlib import Path

import torch

from nst_fast.data.content_images import list_photos
from nst_fast.data.held_out import hold_out_photos, read_held_out
from nst_fast.data.images import load_image
from nst_fast.errors import NstFastError
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.grid import grid_power
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.networks.checkpoint import load_checkpoint
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.networks.torch_network import network_from_checkpoint


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", metavar="CHECKPOINT", help="files or names of shipped styles")
    parser.add_argument("--content", required=True, type=Path, help="the folder that was trained on")
    parser.add_argument("--style", action="append", required=True, metavar="NAME=FILE", help="a style's image")
    parser.add_argument(
        "--weights",
        default=os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet"),
        help="of VGG-19 (default: the file in NST_FAST_VGG19_WEIGHTS, else torchvision's)",
    )
    parser.add_argument("--photos", type=int, default=64, help="how many (default: 64)")
    options = parser.parse_args()
    style_images = dict(pair.split("=", 1) for pair in options.style)
    loss_network = build_loss_network(
        "vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights=options.weights
    )
    photos = list_photos(options.content)
    _, held_out_files = hold_out_photos(photos, options.content, options.photos)
    held_out = read_held_out(held_out_files)
    titles = f"{'checkpoint':<28}{'style':>8}{'content':>9}{'20*style+content':>18}{'grid':>9}{'style image':>13}"
    print(f"{titles}   ({len(held_out)} photos, grid {1e4 * grid_power(held_out):.1f})")
    for given in options.checkpoints or list_shipped_checkpoints():
        checkpoint = load_checkpoint(given)
        name = checkpoint.info.style.get("name", "")
        if name not in style_images:
            continue
        style_image = load_image(style_images[name], short_side=384)
        loss = build_relative_loss(loss_network, style_image, held_out)
        with torch.inference_mode():
            terms = measure_losses(network_from_checkpoint(checkpoint), loss, held_out)
        figures = f"{terms['style']:8.4f}{terms['content']:9.3f}{terms['total']:18.3f}{1e4 * terms['grid']:9.1f}"
        print(f"{given:<28}{figures}{1e4 * grid_power(style_image[None]):13.1f}")


if __name__ == "__main__":
    try:
        main()
    except NstFastError as error:
        sys.exit(f"error: {error}")
