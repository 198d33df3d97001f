"""Make the sheets of docs/guide/knobs.md: one row for each knob, from less to more.

    python scripts/make_knob_pictures.py [--style udnie] [--long-side 420]

Writes docs/pictures/knob_KNOB.jpg for the knobs that the style has; old checkpoints lack the strength.
"""

import argparse
from pathlib import Path

from PIL import Image

from nst_fast.figures.sheets import draw_sheet
from nst_fast.media.pictures import read_picture
from nst_fast.media.resizing import resize_pixels, size_for_long_side
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "docs" / "examples" / "photos" / "astronaut.jpg"
PICTURES = ROOT / "docs" / "pictures"
WORK_SIDE = 1024  # pixels of the photo: the network still sees a quarter of it with the largest strokes
STEPS = {
    "strength": ("strength=0", "strength=0.5", "strength=1", "strength=2"),
    "stroke_size": ("stroke_size=0.5", "stroke_size=1", "stroke_size=2", "stroke_size=4"),
    "keep_color": ("", "keep_color=luminance", "keep_color=match"),
    "region": ("", "region=person", "region=background"),
}


def main() -> None:
    """Draw and write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="udnie", help="a shipped style or a checkpoint file (default: %(default)s)")
    parser.add_argument("--long-side", type=int, default=420, help="pixels of each image (default: %(default)s)")
    options = parser.parse_args()
    photo = read_picture(PHOTO).rgb
    photo = resize_pixels(photo, *size_for_long_side(*photo.shape[:2], WORK_SIDE))
    stylizer = Stylizer(options.style)
    for knob, looks in STEPS.items():
        if knob == "strength" and not stylizer.checkpoint.description.adjustable:
            continue
        row = [("photo", photo)]
        for look in looks:
            stylizer.look = Look.parse(look)
            row.append((look or "without", stylizer.stylize_pixels(photo)))
        size = size_for_long_side(*photo.shape[:2], options.long_side)
        sheet = draw_sheet([[(label, resize_pixels(pixels, *size)) for label, pixels in row]])
        path = PICTURES / f"knob_{knob}.jpg"
        Image.fromarray(sheet).save(path, quality=85, optimize=True, progressive=True)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
