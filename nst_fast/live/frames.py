"""A WebSocket that takes frames and gives paintings: the latest frame wins, and nothing ever queues up.

The page sends a frame as a message of bytes: its number, four bytes, the highest first, then a JPEG. Back comes the
same number and the painted JPEG. A frame that arrives while another waits takes its place; the page knows by the
numbers. Messages of text are JSON: `{"style": NAME, "steadiness": 0.5}` from the page, each key at will;
`{"error": TEXT, "frame": NUMBER or null}` to the page.
"""

import asyncio
import json
from collections.abc import Callable

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nst_fast.errors import NstFastError, SettingError
from nst_fast.inference.steady import SteadyStylizer
from nst_fast.inference.stylizer import Stylizer
from nst_fast.live.painter import Painter

NUMBER_BYTES = 4
MOST_MESSAGE_BYTES = 4_000_000
MOST_TEXT_CHARACTERS = 1_000
MOST_STEADINESS = 0.95


class LatestFrame:
    """Room for one frame: what is put in takes the place of what was there."""

    def __init__(self) -> None:
        self._content: tuple[bytes, Callable[[np.ndarray], np.ndarray]] | None = None
        self._filled = asyncio.Event()

    def put(self, message: bytes, stylize: Callable[[np.ndarray], np.ndarray]) -> None:
        """A frame, and how it is to be painted."""
        self._content = (message, stylize)
        self._filled.set()

    async def take(self) -> tuple[bytes, Callable[[np.ndarray], np.ndarray]]:
        """The frame put in last; waits for one."""
        await self._filled.wait()
        self._filled.clear()
        assert self._content is not None
        content, self._content = self._content, None
        return content


class Brush:
    """How one connection has its frames painted: the style, and how steady one frame follows the other."""

    def __init__(self, painter: Painter) -> None:
        self.painter = painter
        self.style = next(iter(painter.styles.values()))
        self.steadiness = 0.0
        self._stylize = self._build()

    def set(self, text: str) -> None:
        """Take a message of text from the page.

        Raises:
            SettingError: it is not what the page sends.
        """
        try:
            wanted = json.loads(text) if len(text) <= MOST_TEXT_CHARACTERS else None
        except (ValueError, RecursionError):
            wanted = None
        if not isinstance(wanted, dict) or not wanted.keys() <= {"style", "steadiness"}:
            raise SettingError('a message of text is JSON such as {"style": "wave", "steadiness": 0.5}')
        style = self.painter.find_style(str(wanted.get("style", self.style.name)))
        steadiness = wanted.get("steadiness", self.steadiness)
        if type(steadiness) not in (int, float) or not 0 <= steadiness <= MOST_STEADINESS:
            raise SettingError(f"steadiness is {str(steadiness)[:20]}; give 0 to {MOST_STEADINESS}")
        if (style, steadiness) != (self.style, self.steadiness):
            self.style, self.steadiness = style, steadiness
            self._stylize = self._build()

    @property
    def stylize(self) -> Callable[[np.ndarray], np.ndarray]:
        """Paints pixels (height, width, 3), uint8; for the painting thread only."""
        return self._stylize

    def _build(self) -> Callable[[np.ndarray], np.ndarray]:
        style, steadiness = self.style, self.steadiness
        stylizer: Stylizer | None = None
        steady: SteadyStylizer | None = None

        def stylize(pixels: np.ndarray) -> np.ndarray:
            # The network is loaded here, in the thread for it; one in training is another after some steps.
            nonlocal stylizer, steady
            if steady is None or style.stylizer is not stylizer:
                stylizer = style.stylizer
                steady = stylizer.steady(steadiness)
            return steady.stylize_pixels(pixels)

        return stylize


async def serve_frames(websocket: WebSocket, painter: Painter) -> None:
    """Paint for one connection until either side ends it."""
    await websocket.accept()
    latest, brush = LatestFrame(), Brush(painter)
    painting = asyncio.create_task(_paint_latest(websocket, painter, latest))
    receiving = asyncio.create_task(_receive(websocket, latest, brush))
    try:
        done, _ = await asyncio.wait((painting, receiving), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except WebSocketDisconnect:
        pass
    except RuntimeError:
        # What Starlette raises where one of the two tasks meets a connection that the other saw end.
        if websocket.client_state == websocket.application_state == WebSocketState.CONNECTED:
            raise
    finally:
        for task in (painting, receiving):
            task.cancel()
        await asyncio.gather(painting, receiving, return_exceptions=True)


async def _receive(websocket: WebSocket, latest: LatestFrame, brush: Brush) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        data, text = message.get("bytes"), message.get("text")
        try:
            if text is not None:
                brush.set(text)
            elif data is not None and len(data) > NUMBER_BYTES:
                latest.put(data, brush.stylize)
            else:
                raise SettingError(f"a frame is {NUMBER_BYTES} bytes of number and then a JPEG")
        except SettingError as error:
            await _send(websocket, json.dumps({"error": str(error), "frame": None}))


async def _paint_latest(websocket: WebSocket, painter: Painter, latest: LatestFrame) -> None:
    while True:
        message, stylize = await latest.take()
        number = message[:NUMBER_BYTES]
        try:
            answer: bytes | str = number + await painter.paint_frame(message[NUMBER_BYTES:], stylize)
        except NstFastError as error:
            answer = json.dumps({"error": str(error), "frame": int.from_bytes(number)})
        await _send(websocket, answer)


async def _send(websocket: WebSocket, answer: bytes | str) -> None:
    """Waits while the other side does not read; `running.ImpatientProtocol` ends that.

    Raises:
        WebSocketDisconnect: the other side is gone.
    """
    await (websocket.send_text(answer) if isinstance(answer, str) else websocket.send_bytes(answer))
