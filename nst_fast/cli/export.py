"""`nst-fast export`: a network as a file for other programs."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nst_fast.cli.benchmark import size_in_pixels
from nst_fast.errors import OutputError, SettingError

if TYPE_CHECKING:
    from torch import Tensor

    from nst_fast.checkpoint import Checkpoint

_EXAMPLES = """\
examples:
  nst-fast export wave --format onnx                            to wave.onnx; floats in and out
  nst-fast export wave --format onnx --pixels                   bytes in and out, as decoders give them
  nst-fast export wave --format onnx --quantize int8 --photos photos/ --painting wave.jpg
  nst-fast export wave --format pt2 --output app/wave.pt2       a program of torch.export
  nst-fast export wave --format coreml --size 1280x720          to wave.mlpackage, for apps on Apple's systems

An ONNX or pt2 file takes pictures of any number, height and width (from 8 pixels), pads and cuts by itself. All carry
what the checkpoint says of itself, and are compared with PyTorch once they are written (Core ML on macOS only).
"""
# Photos that int8 is fitted to, and others that it is judged by.
_MOST_FITTED, _MOST_JUDGED = 32, 16
_SUFFIXES = {"onnx": ".onnx", "pt2": ".pt2", "coreml": ".mlpackage"}
_COREML_SIZE = (640, 360)


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast export`; returns the exit status.

    Raises:
        NstFastError: a mistake or a circumstance that the user can mend.
    """
    options = build_parser().parse_args(arguments)
    _check(options)
    # Only here, since they take seconds, which --help need not wait for.
    from nst_fast.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.style)
    name = str(checkpoint.info.style.get("name") or Path(options.style).stem)
    path = options.output or Path(name + (".int8.onnx" if options.quantize else _SUFFIXES[options.format]))
    if path.exists() and not options.overwrite:
        raise OutputError(f"{path} exists already; give --overwrite, or another name by --output")
    if options.quantize:
        _export_int8(checkpoint, path, options)
        return 0
    if options.format == "coreml":
        _export_coreml(checkpoint, path, options.size or _COREML_SIZE)
        return 0
    if options.format == "onnx":
        from nst_fast.export.onnx_file import export_onnx as export
    else:
        from nst_fast.export.pt2_file import export_pt2 as export
    difference = export(checkpoint, path, pixels=options.pixels)
    shape = "(batch, height, width, 3) uint8" if options.pixels else "(batch, 3, height, width) float32 in [0, 1]"
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {shape}")
    print(f"largest difference to PyTorch: {difference:.4f} of 255 levels")
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.size and options.format != "coreml":
        raise SettingError("--size is for --format coreml only, the others take pictures of any size; leave it out")
    if options.pixels and options.format == "coreml":
        raise SettingError("--format coreml takes and gives images, which are bytes; leave out --pixels")
    if options.quantize and options.format != "onnx":
        raise SettingError("--quantize is for --format onnx only; leave one of them out")
    if options.quantize and not options.photos:
        raise SettingError(
            "--quantize is fitted to photos like those to be painted; give a folder of them by --photos"
        )
    if (options.photos or options.painting) and not options.quantize:
        raise SettingError("--photos and --painting are for --quantize only; leave them out or give --quantize int8")


def _export_coreml(checkpoint: "Checkpoint", path: Path, size: tuple[int, int]) -> None:
    from nst_fast.export.coreml_package import export_coreml

    width, height = size
    difference = export_coreml(checkpoint, path, height=height, width=width)
    print(f"{path}: an RGB image of {width}x{height} in and out; experimental")
    if difference is None:
        print("not compared with PyTorch: Core ML runs on macOS only")
    else:
        print(f"largest difference to PyTorch: {difference:.4f} of 255 levels")


def _export_int8(checkpoint: "Checkpoint", path: Path, options: argparse.Namespace) -> None:
    from nst_fast.export.onnx_file import export_onnx_in_int8

    fitted, judged = _read_photos(options.photos)
    difference = export_onnx_in_int8(checkpoint, path, fitted, pixels=options.pixels)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, fitted to {len(fitted)} photos")
    print(f"mean difference to fp32 on them: {difference:.2f} of 255 levels")
    if options.painting:
        _judge(checkpoint, path, judged, options)
    else:
        print("whether its paintings are as good, only the loss can tell: give the painting by --painting")


def _read_photos(folder: Path) -> tuple["Tensor", "Tensor"]:
    from nst_fast.data.content_images import list_photos
    from nst_fast.errors import ImageError
    from nst_fast.training.preparation import read_held_out

    files = list_photos(folder)
    # Spread over the folder; no photo is in both.
    judged_files = files[1 :: max(2, len(files) // _MOST_JUDGED)][:_MOST_JUDGED]
    rest = [file for file in files if file not in set(judged_files)]
    fitted_files = rest[:: max(1, len(rest) // _MOST_FITTED)][:_MOST_FITTED]
    fitted, judged = read_held_out(fitted_files, print), read_held_out(judged_files, print)
    if not len(fitted):
        raise ImageError(f"there is no photo that can be read in {folder}; give a folder with at least two")
    return fitted, judged


def _judge(checkpoint: "Checkpoint", path: Path, photos: "Tensor", options: argparse.Namespace) -> None:
    """Print the losses of the int8 network beside those of the fp32 one, on photos that it was not fitted to."""
    import torch

    from nst_fast.export.onnx_file import load_onnx, photo_input
    from nst_fast.images import load_image
    from nst_fast.loss_networks.weights import build_loss_network
    from nst_fast.losses.perceptual import build_relative_loss, measure_losses
    from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

    weights = options.loss_network_weights or os.environ.get("NST_FAST_VGG19_WEIGHTS") or "imagenet"
    loss_network = build_loss_network("vgg19", taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS], weights=weights)
    loss = build_relative_loss(loss_network, load_image(options.painting, short_side=384), photos)
    run = load_onnx(path)

    def paint_in_int8(given: "Tensor") -> "Tensor":
        painted = [torch.from_numpy(run(photo_input(photo, pixels=options.pixels))) for photo in given]
        batch = torch.cat(painted)
        return batch.permute(0, 3, 1, 2).float() / 255 if options.pixels else batch

    with torch.inference_mode():
        plain = measure_losses(checkpoint.network, loss, photos)
        quantized = measure_losses(paint_in_int8, loss, photos)
    for term in ("style", "content", "total"):
        change = 100 * (quantized[term] / plain[term] - 1)
        print(f"{term:<8} fp32 {plain[term]:.4f}, int8 {quantized[term]:.4f} ({change:+.1f} %)")
    print(f"on {len(photos)} other photos; total is 20 * style + content, smaller is better")


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="nst-fast export",
        description="Write a network as a file for other programs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("style", metavar="NAME|FILE", help="a shipped style or a checkpoint file")
    parser.add_argument(
        "--format", required=True, choices=tuple(_SUFFIXES), help="onnx, pt2 of torch.export, or coreml"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="(default: STYLE and the format's suffix, here)")
    parser.add_argument("--overwrite", action="store_true", help="write over a file that exists")
    parser.add_argument(
        "--pixels",
        action="store_true",
        help="bytes (batch, height, width, 3) in and out (default: floats in [0, 1], (batch, 3, height, width))",
    )
    parser.add_argument(
        "--size", type=size_in_pixels, metavar="WIDTHxHEIGHT", help="of the pictures; coreml only (default: 640x360)"
    )
    parser.add_argument("--quantize", choices=("int8",), help="convolutions in 8 bits; onnx only (default: fp32)")
    parser.add_argument(
        "--photos", type=Path, metavar="FOLDER", help="photos that --quantize is fitted to, and judged by"
    )
    parser.add_argument(
        "--painting", type=Path, metavar="FILE", help="the style's painting, to print the loss of int8 beside fp32's"
    )
    parser.add_argument(
        "--loss-network-weights",
        default=None,
        metavar="FILE",
        help="of VGG-19 (default: the file in NST_FAST_VGG19_WEIGHTS, else torchvision's)",
    )
    return parser
