#!/usr/bin/env python3
"""How much of a photo's structure the strength knob keeps: python scripts/measure_strengths.py PHOTOS STYLE [...]

PHOTOS is the folder that was trained on; 12 of the photos that training holds out are measured. Structure is that of
`scripts/measure_checkpoints.py`: the correlation of the luminance of photo and output in windows of 11 pixels.
"""

import argparse
import statistics
from pathlib import Path

import measure_checkpoints as measuring

from nst_fast.data.content_images import list_photos
from nst_fast.data.held_out import hold_out_photos
from nst_fast.data.images import to_tensor, to_uint8
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


def main() -> None:
    """Print a row for each style."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("styles", nargs="+", metavar="STYLE")
    options = parser.parse_args()
    _, files = hold_out_photos(list_photos(options.photos), options.photos, 64)
    photos = measuring.read_whole_photos(files[:12])
    print(f"{'strength':<24}", *(f"{strength:5g}" for strength in STRENGTHS))
    for style in options.styles:
        stylizer = Stylizer(style)
        row = []
        for strength in STRENGTHS:
            stylizer.look = Look(strength=strength)
            outputs = [to_tensor(stylizer.stylize_pixels(to_uint8(photo[0])))[None] for photo in photos]
            pairs = zip(photos, outputs, strict=True)
            row.append(statistics.fmean(measuring.local_correlation(photo, output) for photo, output in pairs))
        print(f"{style:<24}", *(f"{structure:.3f}" for structure in row), flush=True)


if __name__ == "__main__":
    main()
