"""Who may talk to the server: its own page, and programs that can reach it, but no other site in the same browser.

A site that is open in the same browser can send requests to this server too. `Origin` and `Sec-Fetch-Site`, which
browsers set and pages cannot change, tell it apart. A site whose name was made to point at this computer (DNS
rebinding) is told apart by `Host`, which holds that name.
"""

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst_fast.live import limits
from nst_fast.live.connections import client_of_scope
from nst_fast.live.uploads import Uploads, too_large

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
# The pages by their addresses; links from other sites lead to the main one only.
PAGES = {"/": "index.html", "/index.html": "index.html", "/obs": "obs.html"}
LINKED_PATHS = ("/", "/index.html")
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src 'self' blob:; manifest-src 'self'; media-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'"
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
    """Middleware that refuses foreign requests and WebSockets, bounds bodies, and adds the security headers.

    Args:
        app: what is guarded.
        names: host names, without port, that the server may be called by.
        port: that it listens on.
        any_address: whether every literal IP address is allowed as well, for a server that listens beyond this
            computer. A rebound name is never one.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str], port: int, any_address: bool = False) -> None:
        self.app = app
        self.names = frozenset(name.lower() for name in names)
        self.port = port
        self.any_address = any_address
        self.uploads = Uploads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge by the headers alone, before anything of the body is read."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = self._refuse(scope, Headers(scope=scope))
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
        upload = self.uploads.begin(client_of_scope(scope), receive)
        try:
            await self.app(scope, upload.receive, send_with_headers)
        finally:
            upload.end()

    def _refuse(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and reason, or None for a request that is let in."""
        hosts = headers.getlist("host")
        default_port = "443" if scope.get("scheme") in ("https", "wss") else "80"
        if len(hosts) != 1 or not self._is_ours(hosts[0], default_port):
            return 421, "this server is not known by that name; use the address that nst-fast live printed"
        origins = headers.getlist("origin")
        if any(
            origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()) for origin in origins
        ):
            return 403, "another site may not use this server"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _follows_link(scope, headers):
            return 403, "another site may not use this server"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or len(length) > 15 or int(length) > limits.MAX_BODY_BYTES:
            return 413, too_large()
        return None

    def _is_ours(self, host: str, default_port: str) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or "]" in port:  # no port, or the colon of an IPv6 address
            name, port = host, default_port
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


def _follows_link(scope: Scope, headers: Headers) -> bool:
    """Whether the user follows a link from another site to the page, which shows that site nothing."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and scope["path"] in LINKED_PATHS
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
