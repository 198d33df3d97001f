"""`nst-fast export`: a network as a file for other programs."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nst_fast.cli.file_reports import EXIT_STATUSES, JSON_HELP, reporting_files
from nst_fast.cli.numbers import size_in_pixels
from nst_fast.errors import OutputError, SettingError

if TYPE_CHECKING:
    import numpy as np

    from nst_fast.networks.checkpoint import Checkpoint

_EXAMPLES = """\
examples:
  nst-fast export wave --format onnx                            writes wave.onnx; floats in and out
  nst-fast export wave --format onnx --pixels                   bytes in and out, as decoders give them
  nst-fast export wave --format onnx --strength 0.7             fixed at this strength, without the input for it
  nst-fast export wave --format onnx --padding zero --size 640x360      for phones: one size, no reflection
  nst-fast export wave --format onnx --quantize int8 --photos photos/ --style-image wave.jpg
  nst-fast export wave --format pt2 --output app/wave.pt2       a torch.export program (extra: train)
  nst-fast export wave --format coreml --size 1280x720          wave.mlpackage, for Apple's systems (extra: coreml)

Without --size, an ONNX or pt2 file takes any number of images of any size from 8 pixels up, and pads and crops by
itself. Every file carries the checkpoint's metadata and is compared with the original once it is written (Core ML on
macOS only).
"""
_SUFFIXES = {"onnx": ".onnx", "pt2": ".pt2", "coreml": ".mlpackage"}
_COREML_SIZE = (640, 360)


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast export`; returns the exit status.

    Raises:
        NstFastError: a mistake or a circumstance that the user can fix.
    """
    options = build_parser().parse_args(arguments)
    _check(options)
    # Imported here, since it takes time that --help need not wait for.
    from nst_fast.networks.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.style)
    if options.strength is not None:
        from nst_fast.export.fixed_strength import fix_strength

        checkpoint = fix_strength(checkpoint, options.strength)
    plain = checkpoint
    if options.padding == "zero":
        from nst_fast.export.zero_padding import pad_with_zeros

        checkpoint = pad_with_zeros(checkpoint)
    path = options.output or _default_path(checkpoint, options)
    if path.exists() and not options.overwrite:
        raise OutputError(f"{path} exists already; give --overwrite, or another name with --output")
    with reporting_files(as_json=options.json) as reports, reports.watching([path]):
        if options.quantize:
            _export_int8(checkpoint, path, options)
        elif options.format == "coreml":
            _export_coreml(checkpoint, path, options.size or _COREML_SIZE)
        else:
            _export(checkpoint, path, options)
        if options.padding == "zero" and options.style_image:
            _print_losses_of_padding(plain, checkpoint, options)
    return 0


def _default_path(checkpoint: "Checkpoint", options: argparse.Namespace) -> Path:
    """A file here, named after the style: whatever the checkpoint says, without separators and control characters."""
    name = re.sub(r"[^\w -]", "_", str(checkpoint.info.style.get("name") or Path(options.style).stem)).strip()
    return Path((name[:100] or "style") + (".int8.onnx" if options.quantize else _SUFFIXES[options.format]))


def _export(checkpoint: "Checkpoint", path: Path, options: argparse.Namespace) -> None:
    size = options.size and options.size[::-1]
    has_input = options.format == "onnx" and options.strength is None and not size and checkpoint.description.adjustable
    if options.format == "onnx":
        from nst_fast.export.onnx_file import export_onnx

        compared_with = "nst-fast stylize"
        difference = export_onnx(checkpoint, path, pixels=options.pixels, strength_input=has_input, size=size)
    else:
        require_torch()
        from nst_fast.export.pt2_file import export_pt2

        compared_with = "PyTorch"
        difference = export_pt2(checkpoint, path, pixels=options.pixels)
    batch, height, width = (1, *size) if size else ("batch", "height", "width")
    shape = f"({batch}, {height}, {width}, 3) uint8"
    if not options.pixels:
        shape = f"({batch}, 3, {height}, {width}) float32 in [0, 1]"
    knob = ", and strength () float32 in [0, 2], which may be left out" if has_input else ""
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {shape}{knob}")
    print(f"largest difference from {compared_with}: {difference:.4f} of 255 levels")


def require_torch() -> None:
    """Raises SettingError where PyTorch is not installed."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise SettingError("this format needs an extra: install nst-fast[train]")


def _check(options: argparse.Namespace) -> None:
    if options.size and (options.format == "pt2" or options.quantize):
        raise SettingError("--size is for plain --format onnx and coreml, the others take any size; leave it out")
    if options.pixels and options.format == "coreml":
        raise SettingError("--format coreml takes and gives images, which are bytes; leave out --pixels")
    if options.quantize and options.format != "onnx":
        raise SettingError("--quantize is for --format onnx only; leave one of them out")
    if options.quantize and not options.photos:
        raise SettingError("--quantize is fitted to photos like those to be stylized; give a folder with --photos")
    if options.padding == "zero" and (options.format == "pt2" or options.quantize):
        raise SettingError("--padding zero is for plain --format onnx and coreml; leave it out")
    if (options.photos or options.style_image) and not options.quantize and options.padding != "zero":
        raise SettingError(
            "--photos and --style-image are for --quantize int8 and --padding zero; leave them out or add one of these"
        )
    if options.style_image and not options.photos:
        raise SettingError("the losses are measured on photos; give a folder of them with --photos")


def _export_coreml(checkpoint: "Checkpoint", path: Path, size: tuple[int, int]) -> None:
    require_torch()
    from nst_fast.export.coreml_package import export_coreml

    width, height = size
    difference = export_coreml(checkpoint, path, height=height, width=width)
    print(f"{path}: an RGB image of {width}x{height} in and out; experimental")
    if difference is None:
        print("not compared with PyTorch: Core ML runs on macOS only")
    else:
        print(f"largest difference from PyTorch: {difference:.4f} of 255 levels")


def _export_int8(checkpoint: "Checkpoint", path: Path, options: argparse.Namespace) -> None:
    from nst_fast.export.int8 import export_onnx_in_int8, read_calibration_photos
    from nst_fast.networks.onnx_graph import build_onnx_graph

    photos = read_calibration_photos(options.photos)
    difference = export_onnx_in_int8(checkpoint, path, photos.fitted, pixels=options.pixels)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, fitted to {len(photos.fitted)} photos")
    print(f"mean difference from fp32 on them: {difference:.2f} of 255 levels")
    if not options.style_image:
        print("only the loss tells whether its results are as good: give the style image with --style-image")
        return
    graphs = {"fp32": build_onnx_graph(checkpoint, pixels=options.pixels), "int8": path.read_bytes()}
    _print_losses(graphs, photos.judged, "other photos", options)


def _print_losses_of_padding(plain: "Checkpoint", padded: "Checkpoint", options: argparse.Namespace) -> None:
    from nst_fast.export.int8 import read_calibration_photos
    from nst_fast.networks.onnx_graph import build_onnx_graph

    graphs = {
        name: build_onnx_graph(checkpoint, pixels=options.pixels)
        for name, checkpoint in (("reflect", plain), ("zero", padded))
    }
    _print_losses(graphs, read_calibration_photos(options.photos).judged, "photos", options)


def _print_losses(graphs: dict[str, bytes], photos: "np.ndarray", kind: str, options: argparse.Namespace) -> None:
    from nst_fast.export.judging import TERMS, measure_graphs
    from nst_fast.losses.settings import LossSettings, describe_total

    weights = options.loss_network_weights or "imagenet"
    losses = measure_graphs(graphs, options.style_image, photos, pixels=options.pixels, weights=weights)
    first, second = losses
    for term in TERMS:
        before, after = losses[first][term], losses[second][term]
        print(f"{term:<8} {first} {before:.4f}, {second} {after:.4f} ({100 * (after / before - 1):+.1f} %)")
    print(f"on {len(photos)} {kind}; total is {describe_total(LossSettings().style_strength)}, smaller is better")


def _strength(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a number from 0 to 2") from error


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="nst-fast export",
        description="Write a network as a file for other programs.",
        epilog=f"{_EXAMPLES}\n{EXIT_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("style", metavar="NAME|FILE", help="a shipped style or a checkpoint file")
    parser.add_argument("--format", required=True, choices=tuple(_SUFFIXES), help="onnx, pt2 (torch.export), or coreml")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="file to write (default: STYLE with the format's suffix, here)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.add_argument(
        "--pixels",
        action="store_true",
        help="bytes (batch, height, width, 3) in and out (default: floats in [0, 1], (batch, 3, height, width))",
    )
    parser.add_argument(
        "--size",
        type=size_in_pixels,
        metavar="WIDTHxHEIGHT",
        help="of the images (default: any for onnx, 640x360 for coreml)",
    )
    parser.add_argument(
        "--padding",
        choices=("reflect", "zero"),
        default="reflect",
        help="of convolutions: reflect, as the network was trained, or zero, for phones; onnx and coreml only",
    )
    parser.add_argument(
        "--strength",
        type=_strength,
        metavar="X",
        help="how much the network stylizes, 0 to 2, fixed in the file (default: 1; an input of onnx files)",
    )
    parser.add_argument("--quantize", choices=("int8",), help="convolutions in 8 bits; onnx only (default: fp32)")
    parser.add_argument(
        "--photos", type=Path, metavar="FOLDER", help="photos that --quantize is fitted to, and losses are measured on"
    )
    parser.add_argument(
        "--style-image",
        type=Path,
        metavar="FILE",
        help="the style image, to print the loss with int8 or zero padding beside that without (extra: train)",
    )
    parser.add_argument(
        "--loss-network-weights",
        default=None,
        metavar="FILE",
        help="weights of VGG-19 (default: the file in NST_FAST_VGG19_WEIGHTS, else torchvision's)",
    )
    return parser
