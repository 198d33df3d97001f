#!/usr/bin/env python3
"""How fast Refine gets good, by where it starts: python scripts/measure_refinement.py STYLE PHOTOS --output FOLDER

What *Refine* on the live page does with STYLE is done here by itself, once for each of --starts: `base` (the predicted
style, as on the page), `random`, or the name of a shipped style. At each of --seconds, counted in training steps alone,
and at the end, the network so far is kept as FOLDER/START_SECONDS.safetensors. Then all of them are measured on photos
that were not trained on, with VGG-19, and a row is printed for each; the columns are those of
`scripts/measure_checkpoints.py`. --picture FILE.png adds a sheet: a row for each start, a column for each moment.

Checkpoints that are there already are measured and not trained again.
"""

import argparse
import tempfile
import time
from pathlib import Path

import measure_checkpoints as measuring
import numpy as np
from PIL import Image

from nst_fast.data.images import load_image
from nst_fast.figures.sheets import draw_sheet
from nst_fast.live.torch_refining import Request, list_stages
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.media.pictures import read_picture
from nst_fast.media.resizing import resize_pixels, size_for_long_side
from nst_fast.networks.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from nst_fast.networks.torch_network import checkpoint_from_network
from nst_fast.stylize.stylizer import Stylizer
from nst_fast.training.loop import Moment, train

COLUMN = 320  # pixels, the long side of a picture on the sheet


class Keeper:
    """Keeps the network of a training at some moments.

    Args:
        path: where to, given the seconds or "end".
        seconds: of training, at which to keep it.
    """

    def __init__(self, path, seconds: list[float]) -> None:
        self._path = path
        self._left = sorted(seconds)
        self._trained = 0.0
        self._resumed_at: float | None = None

    def watch(self, moment: Moment) -> None:
        """What `train` calls."""
        if self._resumed_at is not None:
            self._trained += time.monotonic() - self._resumed_at
        while self._left and self._trained >= self._left[0]:
            self._save(moment, f"{self._left.pop(0):g}")
        # A stage begins with preparations, which do not count.
        self._resumed_at = None if moment.step == moment.steps else time.monotonic()
        self._last = moment

    def finish(self) -> None:
        """Keep the last network."""
        print(f"{self._trained:.0f} s", flush=True)
        self._save(self._last, "end")

    def _save(self, moment: Moment, name: str) -> None:
        info = CheckpointInfo(style={"name": name}, training={"steps": moment.step})
        save_checkpoint(self._path(name), checkpoint_from_network(moment.take_network(), info), dtype="fp16")


def main() -> None:
    """Train what is not there yet, then measure."""
    options = parse_options()
    moments = [*(f"{second:g}" for second in sorted(options.seconds)), "end"]

    def path_of(start: str, moment: str) -> Path:
        return options.output / f"{start}_{moment}.safetensors"

    for start in options.starts:
        if path_of(start, "end").is_file():
            continue
        print(start, flush=True)
        keeper = Keeper(lambda name, start=start: path_of(start, name), options.seconds)
        with tempfile.TemporaryDirectory() as folder:
            request = Request(folder, str(options.style), str(options.photos), options.style.stem, start)
            for settings in list_stages(request, with_vgg=True):
                train(settings, on_moment=keeper.watch)
        keeper.finish()
    rows = [{f"{start} {moment}": path_of(start, moment) for moment in moments} for start in options.starts]
    rows = [{name: path for name, path in row.items() if path.is_file()} for row in rows]
    measure(options, {name: path for row in rows for name, path in row.items()})
    if options.picture:
        save_sheet(rows, options)


def measure(options: argparse.Namespace, checkpoints: dict[str, Path]) -> None:
    """Print a row for each checkpoint."""
    taps = sorted({*measuring.STYLE_TAPS, *measuring.CONTENT_TAPS})
    photos = measuring.read_unseen_photos(options.photos, options.count)
    meter = measuring.WholePhotoMeter(build_loss_network("vgg19", taps=taps), photos)
    style_image = load_image(options.style, short_side=measuring.STYLE_SHORT_SIDE)
    print(measuring.format_title())
    for name, path in checkpoints.items():
        figures = meter.measure(measuring.build_stylize(load_checkpoint(path)), style_image)
        print(measuring.format_row(name, figures), flush=True)


def save_sheet(rows: list[dict[str, Path]], options: argparse.Namespace) -> None:
    """What the checkpoints, by their labels, make of one photo, side by side."""
    photo = read_picture(options.photo).rgb
    photo = resize_pixels(photo, *size_for_long_side(*photo.shape[:2], 2 * COLUMN))

    def stylize(path: Path) -> np.ndarray:
        stylized = Stylizer(path).stylize_pixels(photo)
        return resize_pixels(stylized, *size_for_long_side(*photo.shape[:2], COLUMN))

    sheet = draw_sheet([[(label, stylize(path)) for label, path in row.items()] for row in rows])
    Image.fromarray(sheet).save(options.picture)


def parse_options() -> argparse.Namespace:
    """The command line."""
    examples = Path(__file__).resolve().parents[1] / "docs" / "examples" / "photos"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("style", type=Path, metavar="STYLE")
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="for the checkpoints")
    parser.add_argument("--starts", nargs="+", default=["base", "random", "wave"], help="default: base random wave")
    parser.add_argument(
        "--seconds", type=float, nargs="+", default=[0, 30, 60, 120, 240], help="default: 0 30 60 120 240"
    )
    parser.add_argument("--count", type=int, default=8, help="photos to measure on (default: 8)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write a sheet of what they make of a photo")
    parser.add_argument("--photo", type=Path, default=examples / "astronaut.jpg", help="of the sheet")
    return parser.parse_args()


if __name__ == "__main__":
    main()
