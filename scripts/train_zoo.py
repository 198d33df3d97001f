#!/usr/bin/env python3
"""Train the shipped networks again, one after the other: python scripts/train_zoo.py PAINTINGS PHOTOS [NAME ...]

PAINTINGS holds NAME.jpg for each painting, PHOTOS some 1,300 natural photos of 288 px or more on the short side. All
have one style_strength. The first of a kind
starts from random weights, the others from the first, most steps with the compact loss network, in minutes. Two were
trained once more when the loss against lattices came, since they had the worst; the others are of before.

What is finished is skipped, and what was cut is continued, so the same command can be given again and again. A network
goes into checkpoints/ when it is finished. NST_FAST_VGG19_WEIGHTS names the weights of VGG-19, if they are not to be
downloaded. On a GPU the steps are those of preset=full, and all of them from random weights.
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
class Painting:
    """What a checkpoint says of its painting."""

    title: str
    artist: str
    year: int


PAINTINGS = {
    "wave": Painting("The Great Wave off Kanagawa", "Katsushika Hokusai", 1831),
    "starry_night": Painting("The Starry Night", "Vincent van Gogh", 1889),
    "the_scream": Painting("The Scream", "Edvard Munch", 1893),
    "composition_vii": Painting("Composition VII", "Wassily Kandinsky", 1913),
    "udnie": Painting("Udnie", "Francis Picabia", 1913),
    "the_shipwreck_of_the_minotaur": Painting("The Shipwreck of the Minotaur", "J. M. W. Turner", 1810),
}

FIRST = "wave"
REALTIME = ("preset=laptop",)
FROM_FIRST = (*REALTIME, "steps=1150", "compact_share=0.609", f"init={FIRST}")
# Those that were trained before that loss came.
NO_LATTICE_LOSS = "lattice_weight=0"
JOHNSON = ("preset=laptop", "transform_net=johnson")
# name of the checkpoint -> painting, and the settings on a CPU.
NETWORKS: dict[str, tuple[str, tuple[str, ...]]] = {
    FIRST: (FIRST, (*REALTIME, "steps=1400", "compact_share=0", NO_LATTICE_LOSS)),
    **{name: (name, FROM_FIRST) for name in ("starry_night", "the_shipwreck_of_the_minotaur")},
    **{name: (name, (*FROM_FIRST, NO_LATTICE_LOSS)) for name in ("the_scream", "composition_vii", "udnie")},
    f"{FIRST}_johnson": (FIRST, (*JOHNSON, "steps=1500", "compact_share=0.7", NO_LATTICE_LOSS)),
    "the_scream_johnson": (
        "the_scream",
        (*JOHNSON, "steps=700", "compact_share=0.6", NO_LATTICE_LOSS, f"init={FIRST}_johnson"),
    ),
}


def main() -> None:
    """Train what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paintings", type=Path, metavar="PAINTINGS")
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.names) - NETWORKS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: not a network of the zoo; there are {', '.join(NETWORKS)}")
    for name, (painting, settings) in NETWORKS.items():
        if options.names and name not in options.names:
            continue
        if torch.cuda.is_available():
            settings = ("preset=full", *(s for s in settings if s.startswith("transform_net=")))
        about = PAINTINGS[painting]
        run = ROOT / "runs" / "zoo" / name
        command = [
            str(Path(sys.executable).with_name("nst-fast")),
            "train",
            f"style={options.paintings / painting}.jpg",
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
