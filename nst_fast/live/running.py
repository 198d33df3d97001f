"""Running the server: the socket it listens on, in this thread or in one of its own."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from nst_fast.errors import SettingError
from nst_fast.live.frames import MOST_MESSAGE_BYTES

PREFERRED_PORT = 8765
MOST_SOCKETS = 100
SHUTDOWN_SECONDS = 2
PATIENCE_SECONDS = 20.0


class ImpatientProtocol(WebSocketsSansIOProtocol):
    """Drops a client that has not read for `PATIENCE_SECONDS`; to close the connection politely takes a reader too."""

    _patience: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The buffers on the way to the client are full."""
        super().pause_writing()
        self._patience = self.loop.call_later(PATIENCE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Either side ended it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def open_listener(host: str, port: int | None) -> socket.socket:
    """A listening socket.

    Args:
        host: the address to listen on.
        port: None: `PREFERRED_PORT`, or any free one where that is taken.

    Raises:
        SettingError: the address or the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    candidates = (PREFERRED_PORT, 0) if port is None else (port,)
    reason = ""
    for candidate in candidates:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            # On Windows it would let others take the port away; elsewhere it lets a server start anew at once.
            if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, candidate))
            listener.listen(128)
            return listener
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
    raise SettingError(f"cannot listen on {host}, port {candidates[0]} ({reason}); give another --port or --host")


def address_of(listener: socket.socket) -> str:
    """What to open in a browser on this computer."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}/"


def build_server(app: Starlette) -> uvicorn.Server:
    """A server that is not running yet; `server.run(sockets=[listener])` does until Ctrl-C."""
    config = uvicorn.Config(
        app,
        ws=ImpatientProtocol,
        # Frames are JPEG: compressing them once more only costs time.
        ws_per_message_deflate=False,
        ws_max_size=MOST_MESSAGE_BYTES,
        limit_concurrency=MOST_SOCKETS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def running_in_thread(app: Starlette, listener: socket.socket) -> Iterator[uvicorn.Server]:
    """The server runs beside what is done in the block, and is stopped after it."""
    server = build_server(app)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), name="live-server", daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(SHUTDOWN_SECONDS + 5)
        listener.close()
