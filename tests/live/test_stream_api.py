"""The addresses of the stream: a page on air, viewers, and what they wish for."""

import contextlib
import json

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from nst_fast.live import limits
from nst_fast.live.connection_tasks import CLOSED_IDLE
from nst_fast.live.frames import NUMBER_BYTES
from nst_fast.live.server import build_app
from nst_fast.live.stream_api import CLOSED_TAKEN

SETTINGS = {"style": "wave", "smoothing": 0.5, "coherence": 0, "look": "", "size": None}


def read_state(viewer, **expected):
    """States, until one has these values."""
    while True:
        state = viewer.receive_json()
        if {key: state.get(key) for key in expected} == expected:
            return state


def read_frame(viewer, after: int = 0) -> tuple[int, bytes]:
    """The number and the JPEG of the newest frame; states before it are skipped."""
    viewer.send_json({"next": after})
    while (message := viewer.receive()).get("bytes") is None:
        pass
    return int.from_bytes(message["bytes"][:NUMBER_BYTES]), message["bytes"][NUMBER_BYTES:]


def test_a_viewer_gets_what_the_page_on_air_sends(client, photo, encode):
    """Byte for byte, with its settings; the newest frame to a late viewer; nothing after the page has left."""
    frames = [encode(np.roll(photo, shift, 1)) for shift in (0, 9, 18)]
    with client.websocket_connect("ws://127.0.0.1:8765/api/stream") as viewer:
        assert read_state(viewer)["source"] is None
        with client.websocket_connect("ws://127.0.0.1:8765/api/stream/source") as page:
            assert page.receive_json() == {"viewers": 1}
            page.send_json(SETTINGS)
            read_state(viewer, source="page", settings=SETTINGS)
            page.send_bytes(frames[0])
            assert read_frame(viewer) == (1, frames[0])
            page.send_bytes(frames[1])
            page.send_bytes(frames[2])
            assert read_frame(viewer, 2) == (3, frames[2])
            with client.websocket_connect("ws://127.0.0.1:8765/api/stream") as late:
                assert page.receive_json() == {"viewers": 2}
                assert read_frame(late) == (3, frames[2])
            assert page.receive_json() == {"viewers": 1}
        read_state(viewer, source=None)


def test_a_viewer_that_asks_for_nothing_gets_nothing(client, photo, encode):
    """However many frames the page sends, a viewer has one for each time that it asks, and that is the newest."""
    frame, newest = encode(photo), encode(photo[::-1])
    with (
        client.websocket_connect("ws://127.0.0.1:8765/api/stream") as viewer,
        client.websocket_connect("ws://127.0.0.1:8765/api/stream/source") as page,
    ):
        page.receive_json()
        for _ in range(200):
            page.send_bytes(frame)
        page.send_bytes(newest)
        page.send_bytes(b"no JPEG")
        assert "a frame is a JPEG" in page.receive_json()["error"]  # so that all of them have been taken
        assert read_frame(viewer) == (201, newest)


def test_what_a_viewer_wishes_for_is_told_to_the_page(client):
    """Settings of `/obs` go to the page on air; wrong ones come back as one line."""
    with (
        client.websocket_connect("ws://127.0.0.1:8765/api/stream") as viewer,
        client.websocket_connect("ws://127.0.0.1:8765/api/stream/source") as page,
    ):
        page.receive_json()
        viewer.send_json({"style": "wave", "look": "strength=0.4"})
        assert page.receive_json() == {"change": {"style": "wave", "look": "strength=0.4"}}
        for wrong, words in (
            ({"size": 1}, "size is 1;"),
            ({"next": "x"}, "settings are JSON"),
            (["x"], "JSON such as"),
        ):
            viewer.send_json(wrong)
            while "error" not in (answer := viewer.receive_json()):
                pass
            assert words in answer["error"]
        viewer.send_text("{" * limits.MAX_TEXT_CHARACTERS)
        assert "JSON such as" in viewer.receive_json()["error"]
        viewer.send_bytes(b"{}")
        assert "JSON such as" in viewer.receive_json()["error"]
        page.send_json({"style": 3})
        assert "must be text" in page.receive_json()["error"]


def test_a_second_page_takes_the_air(client, photo, encode):
    """The first one is told and closed; frames come from the second."""
    with (
        client.websocket_connect("ws://127.0.0.1:8765/api/stream") as viewer,
        client.websocket_connect("ws://127.0.0.1:8765/api/stream/source") as first,
    ):
        first.receive_json()
        with client.websocket_connect("ws://127.0.0.1:8765/api/stream/source") as second:
            with pytest.raises(WebSocketDisconnect) as closed:
                first.receive_json()
            assert closed.value.code == CLOSED_TAKEN
            second.send_bytes(encode(photo))
            assert read_frame(viewer) == (1, encode(photo))


def test_who_says_nothing_is_dropped(client, monkeypatch):
    """Like every WebSocket: a viewer that does not even ask is closed as idle, and counts no more."""
    with client.websocket_connect("ws://127.0.0.1:8765/api/stream/source") as page:
        assert page.receive_json() == {"viewers": 0}
        monkeypatch.setattr(limits, "SESSION_IDLE_SECONDS", 0.3)
        with (
            client.websocket_connect("ws://127.0.0.1:8765/api/stream") as viewer,
            pytest.raises(WebSocketDisconnect) as closed,
        ):
            while True:
                viewer.receive_json()
        assert closed.value.code == CLOSED_IDLE
        assert page.receive_json() == {"viewers": 1}


def test_there_are_not_too_many(client, monkeypatch):
    """Viewers and pages count among the WebSockets of a client."""
    monkeypatch.setattr(limits, "MAX_SESSIONS_PER_CLIENT", 1)
    with client.websocket_connect("ws://127.0.0.1:8765/api/stream"):
        for address in ("/api/stream", "/api/stream/source"):
            with (
                pytest.raises(WebSocketDisconnect) as closed,
                client.websocket_connect("ws://127.0.0.1:8765" + address),
            ):
                pass
            assert closed.value.code == 1013


@pytest.mark.parametrize("address", ["/api/stream", "/api/stream/source"])
@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"host": "evil.example:8765"}])
def test_other_sites_see_nothing(client, address, headers):
    """Neither another site in the same browser nor a rebound name may watch, or send."""
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://127.0.0.1:8765" + address, headers=headers):
        pass


def test_the_view_for_obs_is_served_with_the_same_protections(client):
    """It is a page of its own; no other site may embed it, or lead to it."""
    answer = client.get("/obs?style=wave")
    assert answer.status_code == 200 and "<canvas" in answer.text and "frame-ancestors 'none'" in str(answer.headers)
    foreign = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/obs", headers=foreign).status_code == 403


def test_beyond_this_computer_the_stream_asks_for_the_token(styles):
    """The address with the token opens the view, which keeps its place and its query; without it there is no stream."""
    app = build_app(styles, port=8765, token="a-random-token-here")
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        assert client.get("/obs").status_code == 401
        for address in ("/api/stream", "/api/stream/source"):
            with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://127.0.0.1:8765" + address):
                pass
        answer = client.get("/obs?fit=contain&token=a-random-token-here", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/obs?fit=contain")
        with contextlib.ExitStack() as stack:
            viewer = stack.enter_context(client.websocket_connect("ws://127.0.0.1:8765/api/stream"))
            assert json.loads(viewer.receive_text())["source"] is None
