#!/usr/bin/env python3
"""Make the figures of the README and docs/: with the shipped networks, with given networks, or by optimization.

    python scripts/make_pictures.py gallery --long-side 220
    python scripts/make_pictures.py blends --long-side 240
    python scripts/make_pictures.py coherence --long-side 360
    python scripts/make_pictures.py strengths 5=WEAK.safetensors 20=MIDDLE.safetensors 80=STRONG.safetensors
    python scripts/make_pictures.py input_noise 0=NONE.safetensors 0.016=SOME.safetensors 0.032=MUCH.safetensors
    python scripts/make_pictures.py compact vgg19=wave compact=COMPACT.safetensors
    python scripts/make_pictures.py random_weights --long-side 168

The networks of each comparison come from one sweep:

    nst-fast train -m style=starry_night.jpg content=photos preset=laptop steps=400 batch_size=2 crop_size=128 \\
        fit_colors=false compact_share=0 grid_weight=0 style_strength=5,20,80
    nst-fast train -m style=wave.jpg content=photos preset=laptop steps=300 compact_share=0 fit_colors=false \\
        grid_weight=0 network.input_noise=0,0.008,0.016,0.032
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from nst_fast.evaluation.motion import Motion, film_photo
from nst_fast.figures.sheets import draw_sheet
from nst_fast.films.film import DEFAULT_COHERENCE, DEFAULT_SMOOTHING
from nst_fast.losses.settings import LossSettings
from nst_fast.media.pictures import read_picture
from nst_fast.media.resizing import resize_pixels, size_for_long_side, size_for_short_side
from nst_fast.motion.camera_motion import CameraMotion
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.optimization.optimize import optimize_image
from nst_fast.optimization.settings import OptimizeSettings
from nst_fast.settings.networks import LossNetworkSettings
from nst_fast.stylize.stylizer import Stylizer

ROOT = Path(__file__).parent.parent
PHOTOS = ROOT / "docs" / "examples" / "photos"
PICTURES = ROOT / "docs" / "pictures"
GALLERY_PHOTOS = ("china", "astronaut", "chelsea", "coffee", "flower", "rocket")
RANDOM_WEIGHTS_PHOTO = "china"
BLENDS_PHOTO = "astronaut"
BLENDED = ("wave", "the_scream")
COHERENCE_PHOTO, COHERENCE_STYLE = "china", "starry_night"
# figure -> the photo, and the setting that differs between the networks
COMPARISONS = {
    "strengths": ("china", "style_strength"),
    "input_noise": ("rocket", "input_noise"),
    "compact": ("china", "loss_network"),
}
STYLE_IMAGE = ROOT / "docs" / "examples" / "painting.jpg"


def load_photo(name: str, long_side: int) -> np.ndarray:
    """Load a bundled photo, scaled to a long side in pixels; shape (height, width, 3), uint8."""
    photo = read_picture(PHOTOS / f"{name}.jpg").rgb
    return resize_pixels(photo, *size_for_long_side(photo.shape[0], photo.shape[1], long_side))


def make_gallery(long_side: int) -> np.ndarray:
    """Draw the bundled photos and, below them, each shipped style image and what its network makes of them."""
    # Crop the bottom, so that all have the same shape.
    photos = [load_photo(name, long_side)[: long_side * 2 // 3] for name in GALLERY_PHOTOS]
    blank = np.full((*photos[0].shape[:2], 3), 255, np.uint8)
    rows = [[("", blank), *((name, photo) for name, photo in zip(GALLERY_PHOTOS, photos, strict=True))]]
    for name in [name for name in list_shipped_checkpoints() if not name.endswith("_johnson")]:
        stylizer = Stylizer(name)
        thumbnail = fit(read_picture(ROOT / "docs" / "style_images" / f"{name}.jpg").rgb, *photos[0].shape[:2])
        rows.append([(name, thumbnail), *(("", stylizer.stylize_pixels(photo)) for photo in photos)])
    return draw_sheet(rows)


def fit(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image scaled to fit into a white area of this size."""
    scale = min(height / image.shape[0], width / image.shape[1])
    small = resize_pixels(image, *(max(1, round(side * scale)) for side in image.shape[:2]))
    area = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    area[top : top + small.shape[0], left : left + small.shape[1]] = small
    return area


def make_blends(long_side: int) -> np.ndarray:
    """Draw a photo on the way from one style to another."""
    photo = load_photo(BLENDS_PHOTO, long_side)
    shares = [(1, 0), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0, 1)]
    styles = [
        ",".join(f"{name}:{share:g}" for name, share in zip(BLENDED, pair, strict=True) if share) for pair in shares
    ]
    return draw_sheet([[(style, Stylizer(style).stylize_pixels(photo)) for style in styles]])


def make_comparison(photo_name: str, setting: str, labeled: list[str], long_side: int) -> np.ndarray:
    """Draw one photo, stylized by networks that differ in one setting."""
    photo = load_photo(photo_name, long_side)
    row = [("photo", photo)]
    for pair in labeled:
        value, _, path = pair.partition("=")
        row.append((f"{setting}={value}", Stylizer(path).stylize_pixels(photo)))
    return draw_sheet([row])


def make_coherence(long_side: int) -> np.ndarray:
    """Draw one row of pixels of a film, frame below frame, with and without coherence: what shimmers looks torn."""
    photo = read_picture(PHOTOS / f"{COHERENCE_PHOTO}.jpg").rgb
    height = long_side * 2 // 3
    motion = Motion("pan", shift=(0.0, 0.6))
    frames = list(film_photo(photo, motion, height=height, width=long_side, frames=long_side // 3, noise=2))
    rows = [("the film", np.stack([frame[height // 2] for frame in frames]))]
    stylizer = Stylizer(COHERENCE_STYLE)
    for coherence in (0.0, DEFAULT_COHERENCE):
        camera, stylizing = CameraMotion(), stylizer.for_frames(DEFAULT_SMOOTHING, coherence)
        outputs = [stylizing.stylize_pixels(frame, camera.follow(frame, is_cut=False)) for frame in frames]
        rows.append((f"coherence {coherence:g}", np.stack([output[height // 2] for output in outputs])))
    return draw_sheet([rows])


def make_random_weights(long_side: int) -> np.ndarray:
    """Draw a photo stylized by optimization, and the style alone, with trained and with random loss networks."""
    photo = load_photo(RANDOM_WEIGHTS_PHOTO, long_side)
    short_side = min(photo.shape[:2])
    style_image = read_picture(STYLE_IMAGE).rgb
    height, width = size_for_short_side(style_image.shape[0], style_image.shape[1], short_side)
    style_image = resize_pixels(style_image, height, width)
    rows = [[("photo", photo)], [("style image", style_image)]]
    networks = {
        "trained, max": (os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet"), "max"),
        "random, average": ("random", "average"),
        "random, max": ("random", "max"),
    }
    with tempfile.TemporaryDirectory() as folder:
        for label, (weights, pooling) in networks.items():
            for row, (start, content_weight) in zip(rows, (("content", 1.0), ("noise", 0.0)), strict=True):
                stylized = Path(folder) / f"{label}-{start}.png"
                optimize_image(
                    OptimizeSettings(
                        content=str(PHOTOS / f"{RANDOM_WEIGHTS_PHOTO}.jpg"),
                        style=(str(STYLE_IMAGE),),
                        output=str(stylized),
                        start=start,
                        loss=LossSettings(content_weight=content_weight),
                        loss_network=LossNetworkSettings(weights=weights, pooling=pooling),
                        short_side=short_side,
                        iterations=50,
                    )
                )
                row.append((label, read_picture(stylized).rgb))
    return draw_sheet(rows)


def main() -> None:
    """Make one of the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("gallery", "blends", "coherence", *COMPARISONS, "random_weights"))
    parser.add_argument("checkpoints", nargs="*", metavar="VALUE=CHECKPOINT")
    parser.add_argument("--long-side", type=int, default=400, help="pixels of each image (default: 400)")
    options = parser.parse_args()
    if options.which == "gallery":
        sheet = make_gallery(options.long_side)
    elif options.which == "blends":
        sheet = make_blends(options.long_side)
    elif options.which == "coherence":
        sheet = make_coherence(options.long_side)
    elif options.which == "random_weights":
        sheet = make_random_weights(options.long_side)
    else:
        sheet = make_comparison(*COMPARISONS[options.which], options.checkpoints, options.long_side)
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{options.which}.jpg"
    Image.fromarray(sheet).save(path, quality=88)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
