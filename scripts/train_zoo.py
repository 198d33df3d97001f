#!/usr/bin/env python3
"""Make the styles anew: python scripts/train_zoo.py STYLES PHOTOS [NAME ...]

STYLES holds the style images as FILE.jpg, see ARTWORKS, also in subfolders; PHOTOS some 1,300 natural photos with a
short side of 288 pixels or more.

All styles are made by one recipe: the base network, in the style that the predictor reads off the image, is trained
further in runs/zoo/NAME, and a mean of the weights before and after is written as runs/zoo/NAME.safetensors (Wortsman
et al. 2022, arXiv 2109.01903, there of classifiers): the strokes of the one and the subject of the other, with fewer
artifacts than either. checkpoints/README.md says how the shipped styles were made, and what blind judges preferred.

Finished trainings are skipped, and interrupted ones resumed, so you can run the same command again and again.
NST_FAST_VGG19_WEIGHTS names a file with the weights of VGG-19, to avoid the download. On a GPU the settings are those
of preset=full.

--codes trains nothing, and takes seconds: `checkpoints/base/codes.safetensors` gets the predicted code of each style,
for blends, and `docs/style_images` a thumbnail. Where no network is shipped, the code becomes
`checkpoints/NAME.safetensors`.
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
    "ballet_dancers": Artwork("Ballet Dancers", "Henri de Toulouse-Lautrec", 1886, "9148", True),
}


# On a CPU, eight to twenty minutes on one core. By VGG-19 alone and on large crops, since small ones are not what whole
# pictures are. Colors need no fitting: crops are compared together, so all of them are found.
SETTINGS = [
    "loss_network=vgg19",
    "compact_share=0",
    "steps=240",
    "batch_size=2",
    "crop_size=224",
    "largest_crop=1.5",
    "learning_rate=0.005",
    "fit_colors=false",
]

# Of the trained network in the mean with the one that it began as.
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
            make(name, found[0], options.photos)


def make(name: str, style: Path, photos: Path) -> None:
    """Train one network, and write runs/zoo/NAME.safetensors."""
    before, after = predict_style(style), load_checkpoint(train(name, style, photos))
    weights = {key: (1 - SHARE) * before.weights[key] + SHARE * weight for key, weight in after.weights.items()}
    training = {**after.info.training, "share_in_average": SHARE}
    info = dataclasses.replace(after.info, training=training, held_out={})  # which were those of the trained network
    path = ROOT / "runs" / "zoo" / f"{name}.safetensors"
    save_checkpoint(path, dataclasses.replace(after, weights=weights, info=info), dtype="fp16")


def train(name: str, style: Path, photos: Path) -> Path:
    """Train in runs/zoo/NAME; gives the checkpoint."""
    artwork, run = ARTWORKS[name], ROOT / "runs" / "zoo" / name
    settings = ["preset=full", "fit_colors=false"] if torch.cuda.is_available() else SETTINGS
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
        "init=base",
        *settings,
    ]
    print(name, *settings, flush=True)
    if code := subprocess.run(command).returncode:
        sys.exit(code)
    return run / f"{name}.safetensors"


def keep_thumbnail(name: str, style: Path) -> None:
    """Write a style image with a long side of 256 px."""
    folder = ROOT / "docs" / "style_images"
    folder.mkdir(exist_ok=True)
    with Image.open(style) as image:
        image.thumbnail((256, 256))
        image.convert("RGB").save(folder / f"{name}.jpg", quality=85)


def keep_code(name: str, artwork: Artwork, style: Path) -> None:
    """Keep the predicted code of a style among the codes, and as its checkpoint if no network is shipped."""
    checkpoint = predict_style(style)
    file = ROOT / "checkpoints" / "base" / CODES_FILE
    codes = safetensors.numpy.load_file(file) if file.is_file() else {}
    codes[name] = checkpoint.weights[STEERING].astype(np.float16)
    data = safetensors.numpy.save(dict(sorted(codes.items())))
    with replace_atomically(file) as temporary:
        temporary.write_bytes(data)
    if not artwork.has_network:
        about = {"name": name, "title": artwork.title, "artist": artwork.artist, "year": artwork.year}
        checkpoint = dataclasses.replace(checkpoint, info=CheckpointInfo(style=about))
        path = ROOT / "checkpoints" / f"{name}.safetensors"
        save_checkpoint(path, checkpoint, dtype="fp16", without_shared=True)


if __name__ == "__main__":
    main()
