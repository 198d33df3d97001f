"""Bodies in memory: bounded for one client and for all, and forgotten with their requests."""

import asyncio

import pytest
from starlette.exceptions import HTTPException

from nst_fast.live import limits
from nst_fast.live.uploads import Uploads


def receive_of(*sizes: int):
    """A request's body in parts of these sizes."""
    parts = iter(sizes)

    async def receive():
        return {"type": "http.request", "body": bytes(next(parts)), "more_body": True}

    return receive


def test_one_client_and_all_together_are_bounded(monkeypatch):
    """What does not fit gets status 503 and is told to come back; there is room again when a request has ended."""
    monkeypatch.setattr(limits, "MAX_BODY_BYTES_IN_FLIGHT", 100)
    monkeypatch.setattr(limits, "MAX_BODY_BYTES_IN_FLIGHT_PER_CLIENT", 60)

    async def upload():
        uploads = Uploads()
        first, second = (uploads.begin("a", receive_of(30, 30)) for _ in range(2))
        other = uploads.begin("b", receive_of(30, 30))
        for each in (first, second, other):
            await each.receive()
        for full in (first, second):
            with pytest.raises(HTTPException) as raised:
                await full.receive()
            assert (raised.value.status_code, raised.value.headers) == (503, {"retry-after": "2"})
        with pytest.raises(HTTPException):
            await uploads.begin("c", receive_of(20)).receive()
        first.end()
        await uploads.begin("c", receive_of(20)).receive()
        second.end()
        other.end()
        return uploads.total_bytes

    assert asyncio.run(upload()) == 20


def test_a_request_that_ends_gives_its_bytes_back(client, encode, photo, monkeypatch):
    """Whether it is answered or refused, nothing stays counted."""
    guards = []
    begin = Uploads.begin
    monkeypatch.setattr(Uploads, "begin", lambda self, *args: guards.append(self) or begin(self, *args))
    for content in (encode(photo), b"garbage"):
        client.post("/api/stylize", content=content)
    monkeypatch.setattr(limits, "MAX_BODY_BYTES_IN_FLIGHT", 10)
    answer = client.post("/api/stylize", content=encode(photo))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert guards and guards[0].total_bytes == 0
