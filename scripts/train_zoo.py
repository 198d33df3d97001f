#!/usr/bin/env python3
"""Train the shipped networks again, one after the other: python scripts/train_zoo.py STYLES PHOTOS [NAME ...]

STYLES holds NAME.jpg for each style image, PHOTOS some 1,300 natural photos with a short side of 288 pixels or more.
The first network of an architecture starts from random weights, the others start from the first and take most steps
with the compact loss network, in minutes. All have one style_strength.

Two networks were trained again when the loss against grid artifacts was added, because they had the worst. The others
are older than that loss.

Finished networks are skipped, and interrupted ones resumed, so you can run the same command again and again. A finished
network is copied into checkpoints/. NST_FAST_VGG19_WEIGHTS names a file with the weights of VGG-19, to avoid the
download. On a GPU the settings are those of preset=full, and every network starts from random weights.
"""

import argparse
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Artwork:
    """What a checkpoint says about its style image."""

    title: str
    artist: str
    year: int


ARTWORKS = {
    "wave": Artwork("The Great Wave off Kanagawa", "Katsushika Hokusai", 1831),
    "starry_night": Artwork("The Starry Night", "Vincent van Gogh", 1889),
    "the_scream": Artwork("The Scream", "Edvard Munch", 1893),
    "composition_vii": Artwork("Composition VII", "Wassily Kandinsky", 1913),
    "udnie": Artwork("Udnie", "Francis Picabia", 1913),
    "the_shipwreck_of_the_minotaur": Artwork("The Shipwreck of the Minotaur", "J. M. W. Turner", 1810),
}

FIRST = "wave"
REALTIME = ("preset=laptop",)
FROM_FIRST = (*REALTIME, "steps=1150", "compact_share=0.609", f"init={FIRST}")
# For those that are older than the loss against grid artifacts.
NO_GRID_LOSS = "grid_weight=0"
JOHNSON = ("preset=laptop", "network=johnson")
# Name of the checkpoint -> style image, and the settings on a CPU.
NETWORKS: dict[str, tuple[str, tuple[str, ...]]] = {
    FIRST: (FIRST, (*REALTIME, "steps=1400", "compact_share=0", NO_GRID_LOSS)),
    **{name: (name, FROM_FIRST) for name in ("starry_night", "the_shipwreck_of_the_minotaur")},
    **{name: (name, (*FROM_FIRST, NO_GRID_LOSS)) for name in ("the_scream", "composition_vii", "udnie")},
    f"{FIRST}_johnson": (FIRST, (*JOHNSON, "steps=1500", "compact_share=0.7", NO_GRID_LOSS)),
    "the_scream_johnson": (
        "the_scream",
        (*JOHNSON, "steps=700", "compact_share=0.6", NO_GRID_LOSS, f"init={FIRST}_johnson"),
    ),
}


def main() -> None:
    """Train the networks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("styles", type=Path, metavar="STYLES")
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.names) - NETWORKS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: not a shipped network; there are {', '.join(NETWORKS)}")
    for name, (style, settings) in NETWORKS.items():
        if options.names and name not in options.names:
            continue
        if torch.cuda.is_available():
            settings = ("preset=full", *(s for s in settings if s.startswith("network=")))
        about = ARTWORKS[style]
        run = ROOT / "runs" / "zoo" / name
        command = [
            str(Path(sys.executable).with_name("nst-fast")),
            "train",
            f"style={options.styles / style}.jpg",
            f"content={options.photos}",
            f"output={run}",
            f"name={name}",
            f"title={about.title}",
            f"artist={about.artist}",
            f"year={about.year}",
            *settings,
        ]
        print(f"{name}: {' '.join(settings)}", flush=True)
        if code := subprocess.run(command).returncode:
            sys.exit(code)
        shutil.copy2(run / f"{name}.safetensors", ROOT / "checkpoints")


if __name__ == "__main__":
    main()
