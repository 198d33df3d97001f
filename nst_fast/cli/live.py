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
from typing import TYPE_CHECKING

from nst_fast.cli.file_reports import FileReports, reporting_files
from nst_fast.cli.live_options import build_parser
from nst_fast.errors import SettingError

if TYPE_CHECKING:
    from nst_fast.live.streaming import StreamOptions

_NEEDED = ("platformdirs", "python_multipart", "starlette", "uvicorn", "websockets")
# What the library calls its parameters, and what they are called here.
_FLAGS = {
    "give it as the archive": "give it with --fetch-runtime FILE",
    "call fetch_runtime first": "add --fetch-runtime",
    "photos '": "--photos '",
    "virtual camera of ": "--virtual-camera ",
    "give another port or host": "give another --port or --host",
}


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast live`; returns the exit status.

    Raises:
        NstFastError: a mistake or a circumstance that the user can fix.
    """
    options = build_parser().parse_args(arguments)
    check_extra()
    with _flags_in_errors(), reporting_files(as_json=options.json) as reports:
        return _run(options, reports)


def _run(options: argparse.Namespace, reports: FileReports) -> int:
    # Only here, since it takes time that --help need not.
    from nst_fast.live.access import check_token
    from nst_fast.live.gallery import list_styles
    from nst_fast.live.refiner import check_photos
    from nst_fast.live.running import check_certificate, open_listener
    from nst_fast.live.site import export_site
    from nst_fast.live.web_runtime import fetch_runtime

    if options.json and options.export_site is None:
        raise SettingError("--json needs --export-site DIR; nothing else writes files here")
    if options.token is not None:
        check_token(options.token)
    if options.tls_key is not None and options.tls_cert is None:
        raise SettingError("--tls-key needs --tls-cert FILE, the certificate")
    if options.tls_cert is not None:
        check_certificate(options.tls_cert, options.tls_key)
    if options.photos is not None:
        check_photos(options.photos)
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
        export_site(options.export_site, styles.values(), lambda path: reports.add(path, "written"))
        print(f"wrote {options.export_site}: put it on any web host; to try it, python -m http.server -d DIR")
        return 0
    stream = _open_stream(options)
    return _serve(options, styles, open_listener(_literal(options.host), options.port), stream)


def _open_stream(options: argparse.Namespace) -> "StreamOptions":
    """The camera and the virtual camera that are asked for; a mistake is reported before the page opens."""
    from nst_fast.live.camera import Camera, find_device
    from nst_fast.live.streaming import StreamOptions, settings_file
    from nst_fast.live.virtual_camera import VirtualCamera, open_output

    camera = virtual_camera = None
    if options.camera is not None:
        camera = Camera(find_device(options.camera or None))
    if options.virtual_camera is not None:
        width, height, rate = options.virtual_camera
        virtual_camera = VirtualCamera(open_output(width, height, rate), width, height, rate)
    return StreamOptions(camera, settings_file(), not options.style, virtual_camera)


def _serve(options: argparse.Namespace, styles: dict, listener: socket.socket, stream: "StreamOptions") -> int:
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
    from nst_fast.live.streaming import obs_address_of

    local = is_local(options.host)
    name = socket.gethostname()
    token = options.token if local or options.token is not None else new_token()
    app = build_app(
        styles,
        port=listener.getsockname()[1],
        names=LOCAL_NAMES if local else (*LOCAL_NAMES, options.host, name, f"{name}.local"),
        any_address=not local,
        token=token,
        photos=options.photos,
        stream=stream,
    )
    https = options.tls_cert is not None
    address = address_of(listener, https=https, token=token)
    print(f"the live page is at {address} (Ctrl-C ends it)", flush=True)
    if elsewhere := network_address_of(listener, https=https, token=token):
        print(f"from other computers: {elsewhere}", flush=True)
    if stream.camera is not None:
        print(f"for OBS: {obs_address_of(address)}", flush=True)
    if stream.virtual_camera is not None:
        print(f"for calls: choose the camera {stream.virtual_camera.output.device}", flush=True)
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
