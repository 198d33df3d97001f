#!/usr/bin/env python3
"""Make the styles anew: python scripts/train_zoo.py STYLES PHOTOS [NAME ...]

STYLES holds the style images as FILE.jpg, see ARTWORKS, also in subfolders; PHOTOS some 1,300 natural photos with a
short side of 288 pixels or more. With --codes, the predictor reads each style off its image, which takes seconds:

- `checkpoints/base/codes.safetensors` gets the codes of the styles that have networks of their own, for blends;
- `checkpoints/NAME.safetensors` becomes the code of a style that has none;
- `docs/style_images` gets thumbnails.

Without it, a network is trained for each style by one recipe, from the network that is shipped for it, or from the base
network. They appear as runs/zoo/NAME/NAME.safetensors. Where a training went on from a shipped network, a mean of the
weights of both is written as runs/zoo/NAME.safetensors (Wortsman et al. 2022, arXiv 2109.01903, there of classifiers):
the strokes of the one and the subject of the other, with fewer artifacts than either.

Finished ones are skipped, and interrupted ones resumed, so you can run the same command again and again.
NST_FAST_VGG19_WEIGHTS names a file with the weights of VGG-19, to avoid the download. On a GPU the settings are those
of preset=full. Which of these networks are shipped, checkpoints/README.md says.
"""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
import torch
from PIL import Image

from nst_fast.files.atomic import replace_atomically
from nst_fast.networks.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from nst_fast.networks.description import STEERING
from nst_fast.stylize.style_image import predict_style
from nst_fast.stylize.styles import CODES_FILE

ROOT = Path(__file__).resolve().parent.parent


class Artwork(NamedTuple):
    """A style image: what its checkpoint says about it, its file name, and whether a network of its own is shipped."""

    title: str
    artist: str
    year: int
    file: str
    has_network: bool = False


# The first six are also found elsewhere; the others are numbered as in the collection of the Art Institute of Chicago.
ARTWORKS = {
    "wave": Artwork("The Great Wave off Kanagawa", "Katsushika Hokusai", 1831, "wave", True),
    "starry_night": Artwork("The Starry Night", "Vincent van Gogh", 1889, "starry_night", True),
    "the_scream": Artwork("The Scream", "Edvard Munch", 1893, "the_scream", True),
    "composition_vii": Artwork("Composition VII", "Wassily Kandinsky", 1913, "composition_vii", True),
    "udnie": Artwork("Udnie", "Francis Picabia", 1913, "udnie", True),
    "the_shipwreck_of_the_minotaur": Artwork(
        "The Shipwreck of the Minotaur", "J. M. W. Turner", 1810, "the_shipwreck_of_the_minotaur", True
    ),
    "cliff_walk": Artwork("Cliff Walk at Pourville", "Claude Monet", 1882, "14620"),
    "grande_jatte": Artwork("Oil Sketch for “La Grande Jatte”", "Georges Seurat", 1884, "61616"),
    "chrysanthemums": Artwork("Chrysanthemums", "Pierre-Auguste Renoir", 1882, "16617"),
    "arlesiennes": Artwork("Arlésiennes (Mistral)", "Paul Gauguin", 1888, "19339"),
    "saint_george": Artwork("Saint George and the Dragon", "Bernat Martorell", 1435, "15468"),
    "ballet_dancers": Artwork("Ballet Dancers", "Henri de Toulouse-Lautrec", 1886, "9148"),
}


# On a CPU: VGG-19 alone, larger crops and fewer of them, twelve minutes on one core. From networks that have strokes
# already, a lower strength brings more of the subject and loses little of them.
RECIPE = [
    "style_strength=5",
    "loss_network=vgg19",
    "compact_share=0",
    "steps=600",
    "batch_size=2",
    "crop_size=224",
    "largest_crop=1.5",
    "learning_rate=0.005",
]


# Of the trained network in the average with the one that it went on from.
SHARE = 0.6


def main() -> None:
    """Train the networks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("styles", type=Path, metavar="STYLES")
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ARTWORKS)}; default: all")
    parser.add_argument("--codes", action="store_true", help="predict the styles and train nothing")
    options = parser.parse_intermixed_args()
    if unknown := set(options.names) - ARTWORKS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: not a shipped network; there are {', '.join(ARTWORKS)}")
    for name, artwork in ARTWORKS.items():
        if options.names and name not in options.names:
            continue
        found = sorted(options.styles.rglob(f"{artwork.file}.jpg"))
        if not found:
            parser.error(f"there is no {artwork.file}.jpg in {options.styles}")
        if options.codes:
            keep_thumbnail(name, found[0])
            keep_code(name, artwork, found[0])
        else:
            train(name, artwork, found[0], options.photos, ["preset=full"] if torch.cuda.is_available() else RECIPE)
            if artwork.has_network:
                average(name, ROOT / "runs" / "zoo")


def train(name: str, artwork: Artwork, style: Path, photos: Path, recipe: list[str]) -> None:
    """Train one network in runs/zoo/NAME."""
    run = ROOT / "runs" / "zoo" / name
    command = [
        str(Path(sys.executable).with_name("nst-fast")),
        "train",
        f"style={style}",
        f"content={photos}",
        f"output={run}",
        f"name={name}",
        f"title={artwork.title}",
        f"artist={artwork.artist}",
        f"year={artwork.year}",
        f"init={name if artwork.has_network else 'base'}",
        *recipe,
    ]
    print(name, *recipe, flush=True)
    if code := subprocess.run(command).returncode:
        sys.exit(code)


def average(name: str, folder: Path) -> None:
    """Write FOLDER/NAME.safetensors, the mean of the shipped network and of FOLDER/NAME/NAME.safetensors."""
    before, after = load_checkpoint(name), load_checkpoint(folder / name / f"{name}.safetensors")
    weights = {key: (1 - SHARE) * before.weights[key] + SHARE * weight for key, weight in after.weights.items()}
    info = dataclasses.replace(after.info, training={**after.info.training, "share_in_average": SHARE})
    averaged = dataclasses.replace(after, weights=weights, info=info)
    save_checkpoint(folder / f"{name}.safetensors", averaged, dtype="fp16")


def keep_thumbnail(name: str, style: Path) -> None:
    """Write a style image with a long side of 256 px."""
    folder = ROOT / "docs" / "style_images"
    folder.mkdir(exist_ok=True)
    with Image.open(style) as image:
        image.thumbnail((256, 256))
        image.convert("RGB").save(folder / f"{name}.jpg", quality=85)


def keep_code(name: str, artwork: Artwork, style: Path) -> None:
    """Keep the predicted code of a style: as a checkpoint of its own, or among the codes."""
    checkpoint = predict_style(style)
    if not artwork.has_network:
        about = {"name": name, "title": artwork.title, "artist": artwork.artist, "year": artwork.year}
        checkpoint = dataclasses.replace(checkpoint, info=CheckpointInfo(style=about))
        path = ROOT / "checkpoints" / f"{name}.safetensors"
        save_checkpoint(path, checkpoint, dtype="fp16", without_shared=True)
        return
    file = ROOT / "checkpoints" / "base" / CODES_FILE
    codes = safetensors.numpy.load_file(file) if file.is_file() else {}
    codes[name] = checkpoint.weights[STEERING].astype(np.float16)
    data = safetensors.numpy.save(dict(sorted(codes.items())))
    with replace_atomically(file) as temporary:
        temporary.write_bytes(data)


if __name__ == "__main__":
    main()
