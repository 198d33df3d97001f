"""Running the server: the socket it listens on, in this thread or in one of its own."""

import asyncio
import contextlib
import functools
import ipaddress
import logging
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette

from nst_fast.errors import SettingError
from nst_fast.live import limits
from nst_fast.live.connections import LimitedHttpProtocol, LimitedWebSocketProtocol

PREFERRED_PORT = 8765
_LINGER_SECONDS = 0.5  # after the end, for what a network is computing


def is_local(host: str) -> bool:
    """Whether only this computer can reach a server that listens on this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_listener(host: str, port: int | None) -> socket.socket:
    """A listening socket.

    Args:
        host: the address to listen on.
        port: None: `PREFERRED_PORT`, or any free one if that is taken.

    Raises:
        SettingError: the address or the port is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    candidates = (PREFERRED_PORT, 0) if port is None else (port,)
    reason = ""
    for candidate in candidates:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            # On Windows it would let others take the port away; elsewhere it lets a server start again at once.
            if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, candidate))
            listener.listen(128)
            return listener
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
    raise SettingError(f"cannot listen on {host}, port {candidates[0]} ({reason}); give another port or host")


def address_of(listener: socket.socket, *, https: bool = False, token: str | None = None) -> str:
    """What to open in a browser on this computer."""
    host: str = listener.getsockname()[0]
    return _build_address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), listener, https, token)


def network_address_of(listener: socket.socket, *, https: bool = False, token: str | None = None) -> str | None:
    """What to open in a browser on another computer of the network; None: only this computer can reach it."""
    host: str | None = listener.getsockname()[0]
    if host in ("0.0.0.0", "::"):
        host = _own_address(listener.family)
    if host is None or is_local(host):
        return None
    return _build_address(host, listener, https, token)


def _build_address(host: str, listener: socket.socket, https: bool, token: str | None) -> str:
    host = f"[{host}]" if ":" in host else host
    query = "" if token is None else f"?token={quote(token, safe='')}"
    return f"{'https' if https else 'http'}://{host}:{listener.getsockname()[1]}/{query}"


def _own_address(family: int) -> str | None:
    """This computer's address in its network. Nothing is sent: connecting a datagram socket only picks the route."""
    elsewhere = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"  # reserved for documentation
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((elsewhere, 9))
        return probe.getsockname()[0]
    return None


def check_certificate(certificate: Path, key: Path | None) -> None:
    """Raises: SettingError, unless these are a certificate and its key, in PEM files without a password."""

    def refuse() -> str:
        raise SettingError(f"the key in {key or certificate} has a password; give a key without one")

    for path in (certificate, key):
        if path is not None and not path.is_file():
            raise SettingError(f"{path} does not exist; give a PEM file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, refuse)
    except OSError as error:  # ssl.SSLError too
        parts = f"{certificate} and {key}" if key else f"{certificate}"
        raise SettingError(
            f"{parts} are no certificate and its key ({error.strerror or error}); give two PEM files"
        ) from error


class Server(uvicorn.Server):
    """uvicorn's server, which answers whoever waits for work when it ends, and is quick to drop a TLS handshake."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        if self.config.is_ssl:
            # uvicorn has no setting for it; the default of asyncio is a minute, in which nothing counts the connection.
            create_server = functools.partial(loop.create_server, ssl_handshake_timeout=limits.TLS_HANDSHAKE_SECONDS)
            loop.create_server = create_server  # pyright: ignore[reportAttributeAccessIssue]
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End. What clients still wait for is cut off after a moment, which is meant and not worth a traceback."""
        logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
        self.config.app.state.pool.stop()  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]
        await super().shutdown(sockets)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    is_cancelled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not is_cancelled and not record.getMessage().startswith("Cancel ")


def build_server(app: Starlette, *, certificate: Path | None = None, key: Path | None = None) -> Server:
    """A server that is not running yet; `server.run(sockets=[listener])` runs it until Ctrl-C.

    Args:
        app: of `build_app`.
        certificate, key: PEM files, see `check_certificate`. None: http, not https.
    """
    config = uvicorn.Config(
        app,
        http=LimitedHttpProtocol,
        ws=LimitedWebSocketProtocol,
        # Frames are JPEG: compressing them once more only costs time.
        ws_per_message_deflate=False,
        ws_max_size=limits.MAX_FRAME_BYTES,
        timeout_graceful_shutdown=limits.SHUTDOWN_SECONDS,
        # Not "warning": a client's garbage is not worth a line each.
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="on",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    return Server(config)


@contextlib.contextmanager
def running_in_thread(app: Starlette, listener: socket.socket, **options: Path | None) -> Iterator[Server]:
    """The server runs while the block does, in a thread of its own.

    Args:
        options: of `build_server`.
    """
    server = build_server(app, **options)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), name="live-server", daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(limits.SHUTDOWN_SECONDS + 5)
        listener.close()


def end_process_if_busy(app: Starlette) -> None:
    """End the process now, status 0, if a network is still computing after the server has ended.

    Such a call cannot be interrupted, and Python's own end would pull the interpreter from under it.
    """
    if not app.state.pool.wait(_LINGER_SECONDS):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
