"""Connections that cannot be used to lock others out: whoever keeps the server waiting is dropped.

uvicorn alone waits forever for the headers of a request, and refuses everybody once there are enough connections. Here
each connection has deadlines, and beyond the limits (see `nst_fast.live.limits`) a new connection takes the place of
the one that has kept the server waiting longest. An honest client sends its request at once, so it is never that one.
"""

import asyncio
import ipaddress
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from nst_fast.live import limits

_CHECK_SECONDS = 1.0


def client_of(address: str) -> str:
    """What limits count as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class LimitedHttpProtocol(H11Protocol):
    """An HTTP connection with deadlines for headers, body and response, which makes room among the others."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The client has connected, over TLS after the handshake."""
        super().connection_made(transport)
        self.client_key = client_of(self.client[0] if self.client else "")
        self.waiting_since = self._last_data = self.loop.time()
        self._received = 0
        self._write_paused_since: float | None = None
        self._check_timer = self.loop.call_later(_CHECK_SECONDS, self._check)
        self._make_room()

    @property
    def keeps_waiting(self) -> bool:
        """Whether the server waits for the client: for headers, the rest of a body, or a response to be read."""
        return self._write_paused_since is not None or self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def data_received(self, data: bytes) -> None:
        """Part of a request has come."""
        self._last_data = self.loop.time()
        self._received += len(data)
        super().data_received(data)

    def on_response_complete(self) -> None:
        """The response is written; the next request may come."""
        self.waiting_since = self._last_data = self.loop.time()
        self._received = 0
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The buffers on the way to the client are full."""
        self._write_paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._write_paused_since = None
        super().resume_writing()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """From here on the connection is another protocol's."""
        self._check_timer.cancel()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Either side has ended it."""
        self._check_timer.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        if self._is_overdue():
            self.transport.abort()
        else:
            self._check_timer = self.loop.call_later(_CHECK_SECONDS, self._check)

    def _is_overdue(self) -> bool:
        now = self.loop.time()
        waited = now - self.waiting_since
        if self._write_paused_since is not None and now - self._write_paused_since > limits.WRITE_STALL_SECONDS:
            return True
        if self.conn.their_state is h11.IDLE:
            return waited > limits.REQUEST_HEADER_SECONDS
        if self.conn.their_state is h11.SEND_BODY:
            expected = limits.MIN_BODY_BYTES_PER_SECOND * (waited - limits.BODY_GRACE_SECONDS)
            return now - self._last_data > limits.BODY_STALL_SECONDS or self._received < expected
        return False

    def _make_room(self) -> None:
        """Drop the connection that keeps the server waiting longest, if there are too many; else this one."""
        others = [
            other
            for other in self.connections
            if isinstance(other, LimitedHttpProtocol) and other is not self and not other.transport.is_closing()
        ]
        counts = Counter(other.client_key for other in others)
        if counts[self.client_key] >= limits.MAX_CONNECTIONS_PER_CLIENT:
            others = [other for other in others if other.client_key == self.client_key]
        elif len(others) < limits.MAX_CONNECTIONS:
            return
        # The client with the most connections loses one first.
        waiting = [other for other in others if other.keeps_waiting]
        waiting.sort(key=lambda other: (-counts[other.client_key], other.waiting_since))
        (waiting[0] if waiting else self).transport.abort()


class LimitedWebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that drops a client which does not read, and keeps no answers for it meanwhile."""

    _write_timer: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The buffers on the way to the client are full."""
        super().pause_writing()
        # Closing politely takes a reader too.
        self._write_timer = self.loop.call_later(limits.WRITE_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._stop_waiting()

    def handle_ping(self) -> None:
        """Answer, unless answers pile up: a flood of pings must not fill the memory."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the answer, which is dropped

    def connection_lost(self, exc: Exception | None) -> None:
        """Either side has ended it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def client_of_scope(scope: Any) -> str:
    """The client of an ASGI request or WebSocket."""
    client = scope.get("client")
    return client_of(client[0]) if client else ""
