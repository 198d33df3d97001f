"""`nst-fast live`: the page that paints the webcam, photos and films."""

import argparse
import contextlib
import importlib.util
import socket
import sys
import threading
import webbrowser
from pathlib import Path

from nst_fast.errors import SettingError

_EXAMPLES = """\
examples:
  nst-fast live                                          with the shipped styles
  nst-fast live --style runs/painting/painting.safetensors wave
  nst-fast live --port 9000 --no-browser
  nst-fast live --fetch-runtime                          paints in the browser too
  nst-fast live --export-site site                       a folder for any web host

Nothing leaves this computer. Ctrl-C ends it.
"""


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast live`; returns the exit status.

    Raises:
        NstFastError: a mistake or a circumstance that the user can mend.
    """
    options = build_parser().parse_args(arguments)
    check_extra()
    # Only here, since they take seconds, which --help need not wait for.
    from nst_fast.device import choose_device
    from nst_fast.live.gallery import list_styles
    from nst_fast.live.guard import LOCAL_NAMES
    from nst_fast.live.running import address_of, build_server, open_listener
    from nst_fast.live.server import build_app
    from nst_fast.live.site import export_site
    from nst_fast.live.web_runtime import fetch_runtime

    choose_device(options.device)
    if options.fetch_runtime is not None:
        fetch_runtime(Path(options.fetch_runtime) if options.fetch_runtime else None, say=print)
    styles = list_styles(
        options.style,
        device=options.device,
        precision=options.precision,
        engine=options.engine,
        threads=options.threads,
    )
    if not styles:
        raise SettingError("there is no style to paint with; train one with nst-fast train and give it with --style")
    next(iter(styles.values())).stylizer  # noqa: B018 - what is wrong with it is said now, not in the browser
    if options.export_site is not None:
        export_site(options.export_site, styles.values())
        print(f"wrote {options.export_site}: put it on any web host; to try it, python -m http.server -d DIR")
        return 0
    is_local = options.host in ("127.0.0.1", "::1", "localhost")
    listener = open_listener("127.0.0.1" if options.host == "localhost" else options.host, options.port)
    app = build_app(
        styles,
        port=listener.getsockname()[1],
        names=LOCAL_NAMES if is_local else (*LOCAL_NAMES, options.host, socket.gethostname()),
        any_address=not is_local,
    )
    address = address_of(listener)
    print(f"the live page is at {address} (Ctrl-C ends it)", flush=True)
    if not is_local:
        print(
            f"nst-fast: everyone who can reach {options.host} can use it; cameras work on this computer only, "
            "since browsers ask for https elsewhere",
            file=sys.stderr,
        )
    if not options.no_browser:
        open_browser(address)
    with contextlib.suppress(KeyboardInterrupt):
        build_server(app).run(sockets=[listener])
    print("stopped")
    return 0


def open_browser(address: str) -> None:
    """In a thread, since some browsers keep the caller waiting; the socket takes connections already."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def check_extra() -> None:
    """Raises: SettingError, if what the server needs is not installed."""
    if any(
        importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn", "websockets", "python_multipart")
    ):
        raise SettingError("the live page needs an extra: install nst-fast[live], in a checkout uv sync --extra live")


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="nst-fast live",
        description="Open a page in the browser that paints the webcam, photos and films. It is served by this "
        "computer and for this computer only.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--style",
        nargs="+",
        default=[],
        metavar="NAME|FILE",
        help="styles to begin with: shipped ones or checkpoint files (default: the shipped ones, which always follow)",
    )
    parser.add_argument("--port", type=_port, metavar="N", help="to listen on (default: 8765, or a free one)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="to listen on; 0.0.0.0 lets in the whole network (default: %(default)s, this computer only)",
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1 or mps (default: cuda, mps, cpu)")
    parser.add_argument(
        "--precision", default="fp32", metavar="TYPE", help="fp32, bf16 or fp16 (default: %(default)s)"
    )
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="NAME",
        help="what computes: torch, compile, onnxruntime, openvino or auto (default: %(default)s, the fastest here)",
    )
    parser.add_argument(
        "--threads", type=_threads, metavar="N", help="of the processor (default: the engine's choice)"
    )
    parser.add_argument(
        "--fetch-runtime",
        nargs="?",
        const="",
        metavar="FILE",
        help="first get onnxruntime-web (33 MB, once), which paints in the browser: from npm, or out of the FILE that "
        "npm pack wrote",
    )
    parser.add_argument(
        "--export-site",
        type=Path,
        metavar="DIR",
        help="write the page with all styles as static files that paint in the browser, for any web host, and end",
    )
    return parser


def _threads(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a whole number from 1 to 1024")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port; give a whole number from 1 to 65535, or 0 for a free one"
        )
    return int(text)
