"""The token that a server beyond this computer asks for: in the address once, then in a cookie."""

import hashlib
import hmac
import secrets
from urllib.parse import urlencode

from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from nst_fast.errors import SettingError
from nst_fast.live.guard import PAGES

MIN_TOKEN_CHARACTERS = 12
MAX_TOKEN_CHARACTERS = 200


def new_token() -> str:
    """A random token that nobody guesses: 192 bits."""
    return secrets.token_urlsafe(24)


def check_token(token: str) -> None:
    """Raises: SettingError, for a token that is too short, too long, or not printable ASCII without spaces."""
    if not MIN_TOKEN_CHARACTERS <= len(token) <= MAX_TOKEN_CHARACTERS:
        raise SettingError(
            f"token has {len(token)} characters; give {MIN_TOKEN_CHARACTERS} to {MAX_TOKEN_CHARACTERS}, "
            f"or none for a random one"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingError("token must be printable ASCII without spaces; give letters and digits")


class TokenGate:
    """Middleware that lets in who knows the token.

    A browser opens the page with `?token=TOKEN` and gets a cookie, by which it is known from then on; the answer
    leads to the address without the token. A program sends `Authorization: Bearer TOKEN`.

    Args:
        app: what is behind the gate: the page, the API, the WebSocket and the training.
        token: see `check_token`.
        port: of the server; cookies do not tell ports apart, so it is part of the cookie's name.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self.app = app
        self._token = token.encode()
        self.cookie_name = f"nst-fast-{port}"
        # Not the token itself, so that whoever sees the cookie cannot open the page elsewhere with it.
        self._cookie = hmac.new(self._token, self.cookie_name.encode(), hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the headers and the address only."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        query = QueryParams(scope["query_string"])
        opens_page = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in PAGES
        if opens_page and "token" in query and self._is_token(query["token"]):
            await self._welcome(scope, query)(scope, receive, send)
            return
        if self._is_known(Headers(scope=scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "the token is missing"})
        else:
            text = "this server asks for its token: open the whole address that nst-fast live printed\n"
            await PlainTextResponse(text, 401, headers={"www-authenticate": "Bearer"})(scope, receive, send)

    def _is_token(self, given: str) -> bool:
        # In constant time, so that the time of an answer tells nothing about the token.
        return secrets.compare_digest(given.encode(), self._token)

    def _is_known(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return True
        cookie = cookie_parser(headers.get("cookie", "")).get(self.cookie_name, "")
        return secrets.compare_digest(cookie.encode(), self._cookie.encode())

    def _welcome(self, scope: Scope, query: QueryParams) -> RedirectResponse:
        rest = urlencode([(key, value) for key, value in query.multi_items() if key != "token"])
        response = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
        response.set_cookie(
            self.cookie_name,
            self._cookie,
            httponly=True,
            # Not "strict", with which a link from a mail or chat to the address would lead to a page without cookie.
            samesite="lax",
            secure=scope.get("scheme") == "https",
        )
        return response
