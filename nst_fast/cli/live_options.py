"""The options of `nst-fast live`."""

import argparse
import re
from pathlib import Path

from nst_fast.cli.file_reports import JSON_HELP
from nst_fast.cli.numbers import whole_number

_EXAMPLES = """\
examples:
  nst-fast live                                       with the shipped styles
  nst-fast live --style runs/mine/mine.safetensors wave
  nst-fast live --photos holiday/                     lets you refine styles that you make from images
  nst-fast live --port 9000 --no-browser
  nst-fast live --camera --virtual-camera             stylizes a camera for OBS, Zoom, Meet and Discord
  nst-fast live --fetch-runtime                       lets the browser stylize, too
  nst-fast live --export-site site                    writes a folder for any web host
  nst-fast live --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
                                                      for other computers, with their cameras

Nothing leaves this computer unless you give --host. Ctrl-C ends it.
"""


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="nst-fast live",
        description="Open a page in the browser that stylizes the webcam, photos and films. This computer serves it, "
        "to itself only unless you give --host.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--style",
        nargs="+",
        default=[],
        metavar="NAME|FILE",
        help="styles to list first: shipped ones or checkpoint files (default: the shipped ones, which always follow)",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="photos to train on when you refine a style on the page, some hundred; needs the extra train",
    )
    _add_stream_options(parser)
    parser.add_argument("--port", type=_port, metavar="N", help="to listen on (default: 8765, or a free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    _add_network_options(parser)
    _add_engine_options(parser)
    parser.add_argument(
        "--fetch-runtime",
        nargs="?",
        const="",
        metavar="FILE",
        help="first get onnxruntime-web (33 MB, once), with which the browser can stylize: from npm, or from the FILE "
        "that npm pack writes",
    )
    parser.add_argument(
        "--export-site",
        type=Path,
        metavar="DIR",
        help="write the page and all styles as static files for any web host, where the browser stylizes, and end",
    )
    parser.add_argument("--json", action="store_true", help=f"with --export-site: {JSON_HELP}")
    return parser


def _add_stream_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--camera",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="a camera of this computer for the page and for OBS, which shows it at the address that ends in /obs "
        "(default of DEVICE: the first camera); needs the extra camera",
    )
    parser.add_argument(
        "--virtual-camera",
        nargs="?",
        const=(1280, 720, 30.0),
        type=_video_format,
        metavar="FORMAT",
        help="send the stylized image to a virtual camera, which Zoom, Meet and Discord see, as WIDTHxHEIGHT or "
        "WIDTHxHEIGHT@RATE (default of FORMAT: 1280x720@30); needs the extra camera",
    )


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="to listen on; 0.0.0.0 lets in the whole network, with a token (default: %(default)s, this computer only)",
    )
    parser.add_argument(
        "--token",
        metavar="TEXT",
        help="that everyone must know to use the page, at least 12 characters (default: a random one with --host, "
        "none without; other users of this computer can see it among the running commands)",
    )
    parser.add_argument(
        "--tls-cert",
        type=Path,
        metavar="FILE",
        help="serve https with this certificate (PEM), as cameras elsewhere need",
    )
    parser.add_argument(
        "--tls-key", type=Path, metavar="FILE", help="the certificate's key (PEM; default: in the file of --tls-cert)"
    )


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1 or mps (default: cuda, mps, cpu)")
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="TYPE",
        help="fp32, bf16 or fp16 (default: bf16 where the processor makes it twice as fast, else fp32)",
    )
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="NAME",
        help="what computes: torch, compile, onnxruntime, openvino or auto (default: %(default)s, the fastest here)",
    )
    parser.add_argument(
        "--threads", type=whole_number(1, 1024), metavar="N", help="of the processor (default: the engine's choice)"
    )


def _video_format(text: str) -> tuple[int, int, float]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})(?:@(\d{1,3}(?:\.\d+)?))?", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no format; give WIDTHxHEIGHT or WIDTHxHEIGHT@RATE: 1280x720@30")
    return int(found[1]), int(found[2]), float(found[3] or 30)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port; give a whole number from 1 to 65535, or 0 for a free one"
        )
    return int(text)
