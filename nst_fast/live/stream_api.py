"""The addresses of the stream: `/obs`, `/api/stream` for who watches, `/api/stream/source` for the page on air.

On `/api/stream` the server sends the state as JSON, see `Stream.describe`, and frames as a number in four bytes,
big-endian, and a JPEG. The viewer sends `{"next": NUMBER}` to get the newest frame as soon as it is another one than
that; so a slow viewer gets fewer frames, and nothing queues up. It may send settings, see `check_settings`.

On `/api/stream/source` the page sends its settings as JSON, and stylized frames as JPEG. The server sends
`{"viewers": NUMBER}`, and `{"change": SETTINGS}` where a viewer wishes for other settings. There is one page on air: a
second one takes its place, and the first one is closed with `CLOSED_TAKEN`.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from nst_fast.errors import NstFastError, SettingError
from nst_fast.live import limits
from nst_fast.live.connection_tasks import run_until_end, send
from nst_fast.live.connections import client_of_scope
from nst_fast.live.frames import NUMBER_BYTES
from nst_fast.live.lanes import Lane
from nst_fast.live.sessions import Session, Sessions
from nst_fast.live.stream import Stream, check_settings

CLOSED_TAKEN = 4001
CLOSED_CAMERA = 4002
_JPEG_START = b"\xff\xd8\xff"


class StreamApi:
    """What these addresses answer.

    Args:
        stream: of the server.
        sessions: all open WebSockets.
        codec: encodes frames.
    """

    def __init__(self, stream: Stream, sessions: Sessions, codec: Lane) -> None:
        self._stream = stream
        self._sessions = sessions
        self._codec = codec
        self._page: _Page | None = None
        self.routes = [
            WebSocketRoute("/api/stream", self.watch),
            WebSocketRoute("/api/stream/source", self.take_frames),
        ]

    async def watch(self, websocket: WebSocket) -> None:
        """Send the newest frames, and the state."""
        async with self._session(websocket) as session:
            if session is None:
                return
            viewer = _Viewer(websocket, session, self._stream, self._codec)
            self._stream.tell(viewers=self._stream.viewers + 1)
            try:
                await run_until_end(websocket, session, viewer.listen(), viewer.send_frames(), viewer.send_states())
            finally:
                self._stream.tell(viewers=self._stream.viewers - 1)

    async def take_frames(self, websocket: WebSocket) -> None:
        """A page is on air."""
        async with self._session(websocket) as session:
            if session is None:
                return
            if self._stream.source == "camera":
                await websocket.close(CLOSED_CAMERA, "the camera of the server is on air")
                return
            if self._page is not None:
                self._page.taken.set()
            page = self._page = _Page(websocket, session, self._stream)
            self._stream.begin("page", page.change)
            try:
                await run_until_end(
                    websocket, session, page.listen(), page.send_viewers(), page.send_changes(), page.wait_for_other()
                )
            finally:
                self._stream.end(page.change)
                if self._page is page:
                    self._page = None

    @contextlib.asynccontextmanager
    async def _session(self, websocket: WebSocket) -> AsyncIterator[Session | None]:
        """An accepted connection's session; None: there are too many, and it was closed."""
        session = self._sessions.open(client_of_scope(websocket.scope))
        if session is None:
            await websocket.close(1013, "too many pages are open")
            yield None
            return
        await websocket.accept()
        try:
            yield session
        finally:
            self._sessions.close(session)


class _Viewer:
    """One that watches."""

    def __init__(self, websocket: WebSocket, session: Session, stream: Stream, codec: Lane) -> None:
        self._websocket = websocket
        self._session = session
        self._stream = stream
        self._codec = codec
        self._wanted: int | None = None  # it wants another frame than this one
        self._asked = asyncio.Event()

    async def listen(self) -> None:
        """Take what the viewer sends, until it is gone."""
        while (message := await _receive(self._websocket)) is not None:
            self._session.touch()
            try:
                wanted = _read_json(message)
                if wanted.keys() == {"next"} and type(wanted["next"]) is int:
                    self._wanted = wanted["next"]
                    self._asked.set()
                else:
                    self._stream.change_settings(check_settings(wanted))
            except SettingError as error:
                await send(self._websocket, json.dumps({"error": str(error)}))

    async def send_frames(self) -> None:
        """The newest frame, each time that it is asked for."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            assert self._wanted is not None
            frame = await self._stream.next_frame(self._wanted)
            self._asked.clear()  # asked again meanwhile, which is answered now
            try:
                jpeg = await self._codec.run(lambda frame=frame: frame.jpeg, self._session.client)
            except NstFastError as error:
                await send(self._websocket, json.dumps({"error": str(error)}))
                continue
            await send(self._websocket, frame.number.to_bytes(NUMBER_BYTES) + jpeg)
            self._session.touch()

    async def send_states(self) -> None:
        """The state, now and each time that it changes."""
        number = -1
        while True:
            number, state = await self._stream.next_state(number)
            await send(self._websocket, json.dumps(state))


class _Page:
    """The page on air."""

    def __init__(self, websocket: WebSocket, session: Session, stream: Stream) -> None:
        self.taken = asyncio.Event()
        self._websocket = websocket
        self._session = session
        self._stream = stream
        self._changes: dict[str, Any] = {}  # not told yet
        self._changed = asyncio.Event()

    def change(self, wanted: dict[str, Any]) -> None:
        """See `Stream.change_settings`."""
        self._changes.update(wanted)
        self._changed.set()

    async def listen(self) -> None:
        """Take settings and frames, until the page is gone."""
        while (message := await _receive(self._websocket)) is not None:
            self._session.touch()
            if self.taken.is_set():
                return
            try:
                if isinstance(message, str):
                    self._stream.tell(settings=check_settings(_read_json(message)))
                elif message.startswith(_JPEG_START):
                    self._stream.publish(jpeg=message)
                else:
                    raise SettingError("a frame is a JPEG")
            except SettingError as error:
                await send(self._websocket, json.dumps({"error": str(error)}))

    async def send_viewers(self) -> None:
        """How many watch, now and each time that it changes."""
        number, told = -1, -1
        while True:
            number, state = await self._stream.next_state(number)
            if state["viewers"] != told:
                told = state["viewers"]
                await send(self._websocket, json.dumps({"viewers": told}))

    async def send_changes(self) -> None:
        """What viewers wish for."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            changes, self._changes = self._changes, {}
            await send(self._websocket, json.dumps({"change": changes}))

    async def wait_for_other(self) -> None:
        """Until another page takes its place."""
        await self.taken.wait()
        await self._websocket.close(CLOSED_TAKEN, "another page is on air now")


async def _receive(websocket: WebSocket) -> str | bytes | None:
    """The next message; None: the other side is gone."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        return None
    text = message.get("text")
    return message.get("bytes") or b"" if text is None else text


def _read_json(message: str | bytes) -> dict[str, Any]:
    try:
        wanted = (
            json.loads(message) if isinstance(message, str) and len(message) <= limits.MAX_TEXT_CHARACTERS else None
        )
    except (ValueError, RecursionError):
        wanted = None
    if not isinstance(wanted, dict):
        raise SettingError('a text message is JSON such as {"next": 0} or {"style": "wave"}')
    return wanted
