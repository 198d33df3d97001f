#!/usr/bin/env python3
"""The pictures of the README and of docs, by the shipped networks, by networks given, or by the slow method.

    python scripts/make_pictures.py gallery --long-side 220
    python scripts/make_pictures.py strengths 5=WEAK.safetensors 20=MIDDLE.safetensors 80=STRONG.safetensors
    python scripts/make_pictures.py grains 0=NONE.safetensors 0.016=SOME.safetensors 0.032=MUCH.safetensors
    python scripts/make_pictures.py compact vgg19=wave compact=COMPACT.safetensors
    python scripts/make_pictures.py random_weights --long-side 168

The networks of each ladder come from one sweep:

    nst-fast train -m style=starry_night.jpg content=photos preset=laptop steps=400 batch_size=2 crop_size=128 \\
        compact_share=0 lattice_weight=0 style_strength=5,20,80
    nst-fast train -m style=wave.jpg content=photos preset=laptop steps=300 compact_share=0 \\
        lattice_weight=0 transform_net.grain=0,0.008,0.016,0.032
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from nst_fast.checkpoint import list_shipped_checkpoints, load_checkpoint
from nst_fast.gatys.optimize import optimize_image
from nst_fast.gatys.plan import Plan
from nst_fast.images import load_image, resize, size_for_long_side
from nst_fast.inference.stylizer import Stylizer
from nst_fast.sheets import draw_sheet

ROOT = Path(__file__).parent.parent
PHOTOS = ROOT / "docs" / "examples" / "photos"
PICTURES = ROOT / "docs" / "pictures"
GALLERY_PHOTOS = ("china", "astronaut", "chelsea", "coffee", "flower", "rocket")
RANDOM_WEIGHTS_PHOTO = "china"
# picture -> the photo, and the setting that differs from network to network
LADDERS = {
    "strengths": ("china", "style_strength"),
    "grains": ("rocket", "grain"),
    "compact": ("china", "loss_network"),
}
PAINTING = ROOT / "docs" / "examples" / "painting.jpg"


def load_photo(name: str, long_side: int) -> Tensor:
    """A bundled photo at the size at which it is shown, shape (3, H, W)."""
    photo = load_image(PHOTOS / f"{name}.jpg")
    return resize(photo, *size_for_long_side(photo.shape[1], photo.shape[2], long_side))


def make_gallery(long_side: int) -> np.ndarray:
    """The bundled photos, and below them a row for each shipped network: what it makes of them."""
    # One shape for all, at the cost of what is below.
    photos = [load_photo(name, long_side)[:, : long_side * 2 // 3] for name in GALLERY_PHOTOS]
    rows = [[("photo" if number == 0 else "", photo) for number, photo in enumerate(photos)]]
    for name, path in list_shipped_checkpoints().items():
        stylizer = Stylizer(load_checkpoint(path))
        rows.append([(name if number == 0 else "", stylizer.stylize(photo)) for number, photo in enumerate(photos)])
    return draw_sheet(rows)


def make_ladder(photo_name: str, setting: str, labelled: list[str], long_side: int) -> np.ndarray:
    """One photo as networks that differ in one setting paint it."""
    photo = load_photo(photo_name, long_side)
    row = [("photo", photo)]
    for pair in labelled:
        value, _, path = pair.partition("=")
        row.append((f"{setting}={value}", Stylizer(path).stylize(photo)))
    return draw_sheet([row])


def make_random_weights(long_side: int) -> np.ndarray:
    """One photo by the slow method, and the style alone from noise, with a loss network that is trained or is not."""
    photo = load_photo(RANDOM_WEIGHTS_PHOTO, long_side)
    short_side = min(photo.shape[1:])
    rows = [[("photo", photo)], [("painting", load_image(PAINTING, short_side=short_side))]]
    networks = {
        "trained, max": (os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet"), "max"),
        "random, average": ("random", "average"),
        "random, max": ("random", "max"),
    }
    with tempfile.TemporaryDirectory() as folder:
        for label, (weights, pooling) in networks.items():
            for row, (start, content_weight) in zip(rows, (("content", 1.0), ("noise", 0.0)), strict=True):
                plan = Plan(
                    start=start,
                    content_weight=content_weight,
                    weights=weights,
                    pooling=pooling,
                    short_side=short_side,
                    iterations=50,
                )
                painted = Path(folder) / f"{label}-{start}.png"
                optimize_image(PHOTOS / f"{RANDOM_WEIGHTS_PHOTO}.jpg", PAINTING, painted, plan)
                row.append((label, load_image(painted)))
    return draw_sheet(rows)


def main() -> None:
    """Make one of the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("gallery", *LADDERS, "random_weights"))
    parser.add_argument("checkpoints", nargs="*", metavar="VALUE=CHECKPOINT")
    parser.add_argument("--long-side", type=int, default=400, help="pixels of each picture (default: 400)")
    options = parser.parse_args()
    if options.which == "gallery":
        sheet = make_gallery(options.long_side)
    elif options.which == "random_weights":
        sheet = make_random_weights(options.long_side)
    else:
        sheet = make_ladder(*LADDERS[options.which], options.checkpoints, options.long_side)
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{options.which}.jpg"
    Image.fromarray(sheet).save(path, quality=88)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
