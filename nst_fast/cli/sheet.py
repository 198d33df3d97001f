"""`nst-fast sheet`: every style on one photo, as one labeled picture to choose from."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nst_fast.cli.file_reports import EXIT_STATUSES, JSON_HELP, FileReports, reporting_files
from nst_fast.cli.numbers import whole_number
from nst_fast.cli.terminal import printable
from nst_fast.errors import OutputError

if TYPE_CHECKING:
    import numpy as np

_EXAMPLES = """\
examples:
  nst-fast sheet photo.jpg                              writes stylized/photo-styles.jpg
  nst-fast sheet photo.jpg -o sheet.png --style runs/udnie/udnie.safetensors painting.jpg

A label is what --style of nst-fast stylize takes, without the folder. Strokes are those of nst-fast stylize --size 640;
on a larger photo without --size they are finer.
"""
# Pixels: the long side at which the styles work, the width of the sheet, and the font of the labels.
_WORK_SIDE, _SHEET_WIDTH, _FONT_PIXELS = 640, 1920, 22
_MOST_COLUMNS = 6
_SCREEN_ASPECT = 1.6


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast sheet`; returns the exit status.

    Raises:
        NstFastError: a mistake or a circumstance that the user can fix.
    """
    options = build_parser().parse_intermixed_args(arguments)
    with reporting_files(as_json=options.json) as reports:
        _make_sheet(options, reports)
    return 0


def _make_sheet(options: argparse.Namespace, reports: FileReports) -> None:
    started = time.perf_counter()
    # Imported only now, so that --help need not wait for them.
    from nst_fast.figures.sheets import draw_sheet
    from nst_fast.files.overwrites import check_overwrites
    from nst_fast.media.pictures import Picture, check_picture_suffix, write_picture

    path = options.output or Path("stylized", f"{options.photo.stem}-styles.jpg")
    check_picture_suffix(path.suffix, str(path))
    check_overwrites([options.photo, *options.style], [path])
    if path.exists() and not options.overwrite:
        raise OutputError(f"{path} exists already; give --overwrite, or another name with --output")
    with reports.watching([path]):
        cells = _stylize_in_every_style(options.photo, options.style, options.size)
        write_picture(path, Picture(draw_sheet(arrange(cells), font_pixels=_FONT_PIXELS)))
    print(printable(f"{len(cells) - 1} styles in {time.perf_counter() - started:.1f} s -> {path}"))


def _stylize_in_every_style(photo: Path, given: list[str], size: int) -> "list[tuple[str, np.ndarray]]":
    """The photo and what each style makes of it, each with its label, at a long side of `size` pixels at most."""
    from tqdm import tqdm

    from nst_fast.media.pictures import flatten_onto_white, read_picture
    from nst_fast.media.resizing import resize_pixels, size_for_long_side
    from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
    from nst_fast.stylize.stylizer import Stylizer

    pixels = flatten_onto_white(read_picture(photo, min_short_side=size))
    height, width = pixels.shape[:2]
    pixels = resize_pixels(pixels, *size_for_long_side(height, width, min(size, max(height, width))))
    styles = list(dict.fromkeys([*list_shipped_checkpoints(), *given]))
    stylizers = {style: Stylizer(style, engine="onnxruntime") for style in given}  # mistakes are told before the work
    cells = [("photo", pixels)]
    for style in tqdm(styles, unit=" styles", dynamic_ncols=True, disable=None, leave=False):
        # OpenVINO takes longer to start than one image takes.
        stylizer = stylizers.get(style) or Stylizer(style, engine="onnxruntime")
        cells.append((_label(style), stylizer.stylize_pixels(pixels)))
    return cells


def _label(style: str) -> str:
    path = Path(style)
    return path.name if path.is_file() else style


def arrange(cells: "list[tuple[str, np.ndarray]]") -> "list[list[tuple[str, np.ndarray]]]":
    """Rows of equal cells that together fit the width of a screen, and its height as well as can be.

    Args:
        cells: for each its label and its pixels, (height, width, 3), uint8, all of one size.

    Returns:
        The cells row by row, scaled down where they are larger than their place.
    """
    from nst_fast.figures.sheets import GAP
    from nst_fast.media.resizing import resize_pixels

    height, width = cells[0][1].shape[:2]

    def miss(columns: int) -> float:
        rows = -(-len(cells) // columns)
        aspect = columns * width / (rows * height)
        return max(aspect / _SCREEN_ASPECT, _SCREEN_ASPECT / aspect)

    columns = min(range(1, min(_MOST_COLUMNS, len(cells)) + 1), key=miss)
    cell_width = min(width, (_SHEET_WIDTH - GAP) // columns - GAP)
    cell_height = max(1, round(height * cell_width / width))
    scaled = [(label, resize_pixels(pixels, cell_height, cell_width)) for label, pixels in cells]
    return [scaled[start : start + columns] for start in range(0, len(scaled), columns)]


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="nst-fast sheet",
        description="Show one photo in every style, as one labeled picture to choose from.",
        epilog=f"{_EXAMPLES}\n{EXIT_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a photo")
    parser.add_argument(
        "--style",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME|FILE",
        help="more styles, beside the shipped ones: checkpoints, style images or blends",
    )
    parser.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="picture to write (default: stylized/PHOTO-styles.jpg)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument(
        "--size",
        type=whole_number(32, 4096),
        default=_WORK_SIDE,
        metavar="PX",
        help="long side in pixels at which each style works (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    return parser
