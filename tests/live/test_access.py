"""The token: nothing is reached without it, and everything with it."""

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from nst_fast.errors import SettingError
from nst_fast.live.access import check_token, new_token
from nst_fast.live.server import build_app
from nst_fast.live.training_view import TrainingView
from nst_fast.networks.torch_network import checkpoint_from_network

TOKEN = "open sesame, please".replace(" ", "-")
PATHS = ("/", "/app.js", "/api/styles", "/api/styles/wave/thumbnail.jpg", "/api/training", "/api/training/strip.jpg")


@pytest.fixture
def client(styles, tmp_path):
    """A program that talks to a server with a token, beside a training."""
    (tmp_path / "strip.jpg").write_bytes(b"strip")
    app = build_app(
        styles, port=8765, token=TOKEN, training=TrainingView("sunset", tmp_path / "strip.jpg", checkpoint_from_network)
    )
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        yield client


def reaches_frames(client, **options) -> bool:
    """Whether the WebSocket opens."""
    try:
        with client.websocket_connect("ws://127.0.0.1:8765/api/frames", **options):
            return True
    except WebSocketDisconnect:
        return False


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer été"},
        {"cookie": f"nst-fast-8765={TOKEN}"},
        {"cookie": "nst-fast-8765="},
    ],
)
def test_nothing_is_reached_without_the_token(client, headers, encode, photo):
    """Neither page, API, WebSocket, strip nor losses; the answer says what is missing and holds nothing else."""
    headers = {name: value.encode() for name, value in headers.items()}
    for path in (*PATHS, "/nothing", "/?token=", f"/?token={TOKEN}x", f"/app.js?token={TOKEN}"):
        answer = client.get(path, headers=headers, follow_redirects=False)
        assert (answer.status_code, "asks for its token" in answer.text) == (401, True)
        assert "set-cookie" not in answer.headers
    assert client.post("/api/stylize", content=encode(photo), headers=headers).status_code == 401
    assert not reaches_frames(client, headers=headers)


def test_a_program_sends_the_token_in_a_header(client, encode, photo):
    """With `Authorization: Bearer` everything is reached."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert [client.get(path, headers=headers).status_code for path in PATHS] == [200] * len(PATHS)
    assert client.post("/api/stylize", content=encode(photo), headers=headers).status_code == 200
    assert reaches_frames(client, headers=headers)


def test_a_browser_opens_the_address_once(client):
    """The token in the address becomes a cookie that scripts cannot read, and leaves the address."""
    answer = client.get(f"/?token={TOKEN}&provider=wasm", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?provider=wasm")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and TOKEN not in cookie
    assert [client.get(path).status_code for path in PATHS] == [200] * len(PATHS)
    assert reaches_frames(client)


def test_a_cookie_does_not_let_other_sites_in(client):
    """Host, Origin and Sec-Fetch-Site are checked as without a token."""
    client.get(f"/?token={TOKEN}")
    assert client.get("/api/styles", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/api/styles", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/api/styles", headers={"host": "evil.example:8765"}).status_code == 421
    assert not reaches_frames(client, headers={"origin": "http://evil.example"})


def test_cookies_of_two_servers_do_not_clash(styles):
    """Cookies do not tell ports apart, so each server has a name and a value of its own."""
    cookies = set()
    for port in (8765, 9000):
        with TestClient(build_app(styles, port=port, token=TOKEN), base_url=f"http://127.0.0.1:{port}") as client:
            client.get(f"/?token={TOKEN}")
            cookies |= set(client.cookies.items())
    assert len({name for name, _ in cookies}) == len({value for _, value in cookies}) == 2


def test_over_https_the_cookie_stays_there(styles):
    """The cookie is marked so that browsers never send it unencrypted."""
    with TestClient(build_app(styles, port=443, token=TOKEN), base_url="https://127.0.0.1") as client:
        answer = client.get(f"/?token={TOKEN}", follow_redirects=False)
    assert "Secure" in answer.headers["set-cookie"]


def test_tokens_are_long_enough():
    """A random one is accepted and never the same; short ones and those that do not fit a header are refused."""
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100 and all(len(token) >= 32 for token in tokens)
    for token in tokens:
        check_token(token)
    for token, words in (("short", "has 5 characters"), ("x" * 201, "201 characters"), ("spaces are out", "printable")):
        with pytest.raises(SettingError, match=words):
            check_token(token)
