"""`nst-fast live`: a page that stylizes the webcam, photos and films."""

import argparse
import contextlib
import importlib.util
import logging
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from nst_fast.errors import SettingError

_NEEDED = ("platformdirs", "python_multipart", "starlette", "uvicorn", "websockets")
_EXAMPLES = """\
examples:
  nst-fast live                                       with the shipped styles
  nst-fast live --style runs/mine/mine.safetensors wave
  nst-fast live --port 9000 --no-browser
  nst-fast live --fetch-runtime                       lets the browser stylize, too
  nst-fast live --export-site site                    writes a folder for any web host
  nst-fast live --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
                                                      for other computers, with their cameras

Nothing leaves this computer unless you give --host. Ctrl-C ends it.
"""
# What the library calls its parameters, and what they are called here.
_FLAGS = {
    "give it as the archive": "give it with --fetch-runtime FILE",
    "call fetch_runtime first": "add --fetch-runtime",
    "give another port or host": "give another --port or --host",
}


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast live`; returns the exit status.

    Raises:
        NstFastError: a mistake or a circumstance that the user can fix.
    """
    options = build_parser().parse_args(arguments)
    check_extra()
    with _flags_in_errors():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    # Only here, since it takes time that --help need not.
    from nst_fast.live.access import check_token
    from nst_fast.live.gallery import list_styles
    from nst_fast.live.running import check_certificate, open_listener
    from nst_fast.live.site import export_site
    from nst_fast.live.web_runtime import fetch_runtime

    if options.token is not None:
        check_token(options.token)
    if options.tls_key is not None and options.tls_cert is None:
        raise SettingError("--tls-key needs --tls-cert FILE, the certificate")
    if options.tls_cert is not None:
        check_certificate(options.tls_cert, options.tls_key)
    if options.fetch_runtime is not None:
        fetch_runtime(Path(options.fetch_runtime) if options.fetch_runtime else None)
    styles = list_styles(
        options.style,
        device=options.device,
        precision=options.precision,
        engine=options.engine,
        threads=options.threads,
    )
    if not styles:
        raise SettingError("there is no style; train one with nst-fast train and give it with --style")
    next(iter(styles.values())).stylizer  # noqa: B018 - so that a mistake is reported here, not in the browser
    if options.export_site is not None:
        export_site(options.export_site, styles.values())
        print(f"wrote {options.export_site}: put it on any web host; to try it, python -m http.server -d DIR")
        return 0
    return _serve(options, styles, open_listener(_literal(options.host), options.port))


def _serve(options: argparse.Namespace, styles: dict, listener: socket.socket) -> int:
    from nst_fast.live.access import new_token
    from nst_fast.live.guard import LOCAL_NAMES
    from nst_fast.live.running import (
        address_of,
        build_server,
        end_process_if_busy,
        is_local,
        network_address_of,
    )
    from nst_fast.live.server import build_app

    local = is_local(options.host)
    name = socket.gethostname()
    token = options.token if local or options.token is not None else new_token()
    app = build_app(
        styles,
        port=listener.getsockname()[1],
        names=LOCAL_NAMES if local else (*LOCAL_NAMES, options.host, name, f"{name}.local"),
        any_address=not local,
        token=token,
    )
    https = options.tls_cert is not None
    address = address_of(listener, https=https, token=token)
    print(f"the live page is at {address} (Ctrl-C ends it)", flush=True)
    if elsewhere := network_address_of(listener, https=https, token=token):
        print(f"from other computers: {elsewhere}", flush=True)
    if not local and not https:
        print(
            "nst-fast: without --tls-cert the network can read along, and cameras work on this computer only, "
            "since browsers ask for https elsewhere",
            file=sys.stderr,
        )
    if not options.no_browser:
        open_browser(address)
    logging.getLogger("nst_fast.stylize").setLevel(logging.WARNING)  # no line for each picture that is sent
    with contextlib.suppress(KeyboardInterrupt):
        build_server(app, certificate=options.tls_cert, key=options.tls_key).run(sockets=[listener])
    print("stopped")
    end_process_if_busy(app)
    return 0


def open_browser(address: str) -> None:
    """In a thread, since some browsers keep the caller waiting; the socket takes connections already."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def check_extra() -> None:
    """Raises: SettingError, if what the server needs is not installed."""
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise SettingError("the live page needs an extra: install nst-fast[live], in a checkout uv sync --extra live")


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
    return parser


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
    parser.add_argument("--precision", default="fp32", metavar="TYPE", help="fp32, bf16 or fp16 (default: %(default)s)")
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="NAME",
        help="what computes: torch, compile, onnxruntime, openvino or auto (default: %(default)s, the fastest here)",
    )
    parser.add_argument("--threads", type=_threads, metavar="N", help="of the processor (default: the engine's choice)")


@contextlib.contextmanager
def _flags_in_errors() -> Iterator[None]:
    """Errors of the library name its parameters; here they name the flags."""
    try:
        yield
    except SettingError as error:
        text = str(error)
        for parameter, flag in _FLAGS.items():
            text = text.replace(parameter, flag)
        if text.startswith("token "):
            text = f"--{text}"
        if text == str(error):
            raise
        raise SettingError(text) from error


def _literal(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host


def _threads(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a whole number from 1 to 1024")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port; give a whole number from 1 to 65535, or 0 for a free one"
        )
    return int(text)
