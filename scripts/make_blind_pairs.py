#!/usr/bin/env python3
"""Make shuffled pairs out of two folders of stylized images for a blind vote, then count the votes.

    python scripts/make_blind_pairs.py make FIRST SECOND PAIRS [--photos PHOTOS] [--style FILE] [--seed 0]
    python scripts/make_blind_pairs.py count PAIRS VOTES.csv

`make` pairs the images that have the same name in both folders; their suffixes may differ. The pairs come in random
order as PAIRS/pair_001.png and so on, with a random one of the two on the left (A) and the other on the right (B).
With --photos, the photo of that name stands between them; with --style, a small style image stands at the right end.
PAIRS/key.json says which image is which: do not look at it before you have voted.

VOTES.csv has a line for each pair and question, `pair,question,vote`, such as `1,overall,A`. A vote is A, B or tie.
"""

import argparse
import csv
import json
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from nst_fast.errors import ImageError, NstFastError, SettingError
from nst_fast.media.listing import find_images
from nst_fast.media.pictures import Picture, flatten_onto_white, read_picture, write_picture
from nst_fast.media.resizing import resize_pixels, size_for_short_side

GAP = 12  # white pixels between two images
STYLE_SHARE = 0.4  # short side of the style image over the height of the outputs


def read_rgb(path: Path) -> np.ndarray:
    """The pixels of an image file, (H, W, 3), uint8; transparent areas are white."""
    return flatten_onto_white(read_picture(path))


def pair_by_name(first: Path, second: Path) -> list[tuple[str, Path, Path]]:
    """The images that both folders have: name without suffix, file in `first`, file in `second`.

    Raises:
        ImageError: there is none.
    """
    of_first, of_second = ({file.stem: file for file in find_images(folder)} for folder in (first, second))
    pairs = [(name, of_first[name], of_second[name]) for name in sorted(of_first.keys() & of_second.keys())]
    if not pairs:
        raise ImageError(f"{first} and {second} have no image of the same name")
    return pairs


def put_side_by_side(images: list[np.ndarray]) -> np.ndarray:
    """Images, each (H, W, 3), uint8, of any height, on one white sheet (height, width, 3), aligned at the top."""
    height = max(image.shape[0] for image in images)
    columns = []
    for number, image in enumerate(images):
        margins = ((0, height - image.shape[0]), (GAP if number else 0, 0), (0, 0))
        columns.append(np.pad(image, margins, constant_values=255))
    return np.concatenate(columns, 1)


def make_pairs(
    first: Path, second: Path, output: Path, *, photos: Path | None = None, style: Path | None = None, seed: int = 0
) -> int:
    """Write the pairs and their key, and return how many pairs there are.

    Raises:
        ImageError: the folders share no name, or an image cannot be read.
        SettingError: `output` has a key already: its votes would be counted by the wrong key.
    """
    if (output / "key.json").exists():
        raise SettingError(f"{output} holds pairs already; give another folder")
    pairs = pair_by_name(first, second)
    photo_files = {file.stem: file for file in find_images(photos)} if photos else {}
    chance = random.Random(seed)
    chance.shuffle(pairs)
    output.mkdir(parents=True, exist_ok=True)
    key: dict[str, dict[str, str]] = {}
    for number, (name, of_first, of_second) in enumerate(pairs, 1):
        left, right = read_rgb(of_first), read_rgb(of_second)
        height, width = left.shape[:2]
        right = resize_pixels(right, height, width)  # so that the size does not give it away
        first_is = chance.choice("AB")
        if first_is == "B":
            left, right = right, left
        between = [resize_pixels(read_rgb(photo_files[name]), height, width)] if name in photo_files else []
        shown = [left, *between, right]
        if style is not None:
            style_image = read_rgb(style)
            small = size_for_short_side(*style_image.shape[:2], max(1, round(STYLE_SHARE * height)))
            shown.append(resize_pixels(style_image, *small))
        write_picture(output / f"pair_{number:03d}.png", Picture(put_side_by_side(shown)))
        key[str(number)] = {"name": name, "first": first_is}
    text = json.dumps({"first": str(first), "second": str(second), "pairs": key}, indent=1)
    (output / "key.json").write_text(text, encoding="utf-8")
    return len(pairs)


def count_votes(pairs: Path, votes: Path) -> dict[str, Counter[str]]:
    """For each question, how many votes `first`, `second` and `tie` have.

    Raises:
        SettingError: a line that is no vote, or a vote for a pair that does not exist.
    """
    key = json.loads((pairs / "key.json").read_text(encoding="utf-8"))["pairs"]
    counts: dict[str, Counter[str]] = {}
    with votes.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0] == "pair":
                continue
            if len(cells) != 3 or cells[0] not in key or cells[2] not in ("A", "B", "tie"):
                raise SettingError(f"{','.join(row)!r} is no vote; give the number of a pair, a question, A, B or tie")
            number, question, vote = cells
            winner = "tie" if vote == "tie" else "first" if vote == key[number]["first"] else "second"
            counts.setdefault(question, Counter())[winner] += 1
    return counts


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("make", help="make pairs out of two folders")
    make.add_argument("first", type=Path, metavar="FIRST")
    make.add_argument("second", type=Path, metavar="SECOND")
    make.add_argument("output", type=Path, metavar="PAIRS")
    make.add_argument("--photos", type=Path, help="a folder with the photos, under the same names")
    make.add_argument("--style", type=Path, help="the style image")
    make.add_argument("--seed", type=int, default=0, help="of the order and the sides (default: 0)")
    count = verbs.add_parser("count", help="count the votes")
    count.add_argument("pairs", type=Path, metavar="PAIRS")
    count.add_argument("votes", type=Path, metavar="VOTES.csv")
    return parser.parse_args()


def main() -> None:
    """Make pairs or count votes."""
    given = parse_arguments()
    if given.verb == "make":
        number = make_pairs(
            given.first, given.second, given.output, photos=given.photos, style=given.style, seed=given.seed
        )
        print(f"{number} pairs in {given.output}; do not look at {given.output / 'key.json'} before you have voted")
        return
    print(f"{'question':<16}{'first':>8}{'second':>8}{'tie':>8}")
    for question, counts in count_votes(given.pairs, given.votes).items():
        print(f"{question:<16}" + "".join(f"{counts[name]:>8}" for name in ("first", "second", "tie")))


if __name__ == "__main__":
    try:
        main()
    except NstFastError as error:
        sys.exit(f"error: {error}")
