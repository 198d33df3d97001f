"""Who may talk to the server: a page of its own, and programs on this computer, but no other site in the browser.

A site that is open in the same browser can send requests to 127.0.0.1 too. It is told apart by `Origin` and
`Sec-Fetch-Site`, which browsers set and pages cannot; and a site whose name was made to point at 127.0.0.1 (DNS
rebinding) by `Host`, which holds that name.
"""

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY + "; frame-ancestors 'none'",
    # These two let the page use threads in WebAssembly, and keep other sites from embedding anything of ours.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Middleware that refuses foreign requests and WebSockets, bounds bodies, and adds the headers of security.

    Args:
        app: what is guarded.
        names: host names, without port, that the server may be called by.
        port: that it listens on.
        any_address: whether every literal IP address will do as well, for a server that is told to listen beyond
            this computer. A rebound name is never one.
        most_body_bytes: of a request's body.
    """

    def __init__(
        self, app: ASGIApp, *, names: Iterable[str], port: int, any_address: bool = False, most_body_bytes: int
    ) -> None:
        self.app = app
        self.names = frozenset(name.lower() for name in names)
        self.port = port
        self.any_address = any_address
        self.most_body_bytes = most_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge by the headers alone, before anything of the body is read."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refuse(headers)
        if scope["type"] == "websocket":
            if refusal:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
                return
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if refusal:
            status, reason = refusal
            await PlainTextResponse(reason + "\n", status)(scope, receive, send_with_headers)
            return
        await self.app(scope, self._bound(receive), send_with_headers)

    def _refuse(self, headers: Headers) -> tuple[int, str] | None:
        """Status and reason, or None for a request that is let in."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return 421, "this server is not known by that name; use the address that nst-fast live printed"
        origins = headers.getlist("origin")
        if any(
            origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()) for origin in origins
        ):
            return 403, "another site may not use this server"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "another site may not use this server"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or len(length) > 15 or int(length) > self.most_body_bytes:
            return 413, self._too_large()
        return None

    def _is_ours(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or "]" in port:  # no port, or the colon of an IPv6 address
            name, port = host, "80"
        if port != str(self.port):
            return False
        if name.lower() in self.names:
            return True
        if not self.any_address:
            return False
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True

    def _bound(self, receive: Receive) -> Receive:
        taken = 0

        async def receive_bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most_body_bytes:  # sent in chunks, without a length
                raise HTTPException(413, self._too_large())
            return message

        return receive_bounded

    def _too_large(self) -> str:
        return f"the body is larger than {self.most_body_bytes // 1_000_000} MB"
