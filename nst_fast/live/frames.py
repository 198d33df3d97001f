"""A WebSocket that takes frames and gives them back stylized: the latest frame wins, and nothing queues up.

The page sends a frame as a message of bytes: its number in four bytes, big-endian, then a JPEG. Back comes the same
number and the stylized JPEG. A frame that arrives while another waits takes its place; the page can tell by the
numbers. Text messages are JSON: `{"style": NAME, "smoothing": 0.5, "coherence": 0.6, "look": "strength=0.7"}` from the
page, with any of these keys; `{"error": TEXT, "frame": NUMBER or null}` to the page.

The server closes with `CLOSED_IDLE` a connection that has been idle, see `nst_fast.live.sessions`. A client connects
again when it has something to send.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.websockets import WebSocket

from nst_fast.errors import NstFastError, SettingError
from nst_fast.live import limits
from nst_fast.live.connection_tasks import run_until_end, send
from nst_fast.live.gallery import LastFrame, Style, open_frames
from nst_fast.live.sessions import Session
from nst_fast.live.stylize_pool import StylizePool, check_frame_work, check_look
from nst_fast.stylize.look import Look
from nst_fast.stylize.smoothing import FrameStylizer
from nst_fast.stylize.stylizer import Stylizer

NUMBER_BYTES = 4
MAX_SHARE = 0.95  # of what a frame takes over from the frames before

StylizeFunction = Callable[[np.ndarray], np.ndarray]


def read_share(wanted: dict[str, Any], name: str, current: float) -> float:
    """The value of `smoothing` or `coherence` among settings as a client sends them.

    Raises:
        SettingError: a value that is not allowed.
    """
    share = wanted.get(name, current)
    if type(share) not in (int, float) or not 0 <= share <= MAX_SHARE:
        raise SettingError(f"{name} is {str(share)[:20]}; give 0 to {MAX_SHARE}")
    return share


class LatestFrame:
    """Room for one frame: what is put in replaces what was there."""

    def __init__(self) -> None:
        self._content: tuple[bytes, StylizeFunction] | None = None
        self._filled = asyncio.Event()

    def put(self, message: bytes, stylize: StylizeFunction) -> None:
        """A frame, and how to stylize it."""
        self._content = (message, stylize)
        self._filled.set()

    async def take(self) -> tuple[bytes, StylizeFunction]:
        """The frame put in last; waits for one."""
        await self._filled.wait()
        self._filled.clear()
        assert self._content is not None
        content, self._content = self._content, None
        return content


class FrameSettings:
    """How one connection wants its frames: style, look, and how much each frame takes over from the frame before."""

    def __init__(self, pool: StylizePool) -> None:
        self.pool = pool
        self.style = next(iter(pool.styles.values()))
        self.smoothing = self.coherence = 0.0
        self.look = Look()
        self._stylize = self._build()

    def update(self, text: str) -> None:
        """Take a text message from the page.

        Raises:
            SettingError: it is not what the page sends.
        """
        try:
            wanted = json.loads(text) if len(text) <= limits.MAX_TEXT_CHARACTERS else None
        except (ValueError, RecursionError):
            wanted = None
        if not isinstance(wanted, dict) or not wanted.keys() <= {"style", "smoothing", "coherence", "look"}:
            raise SettingError(
                'a text message is JSON such as {"style": "wave", "smoothing": 0.5, "coherence": 0.6, "look": ""}'
            )
        style = self.pool.find_style(str(wanted.get("style", self.style.name)))
        smoothing = read_share(wanted, "smoothing", self.smoothing)
        coherence = read_share(wanted, "coherence", self.coherence)
        look = Look.parse(str(wanted["look"])) if "look" in wanted else self.look
        check_look(look)
        if (style, smoothing, coherence, look) != (self.style, self.smoothing, self.coherence, self.look):
            self.style, self.smoothing, self.coherence, self.look = style, smoothing, coherence, look
            self._stylize = self._build()

    @property
    def stylize(self) -> StylizeFunction:
        """Stylizes pixels (height, width, 3), uint8; for the thread of frames only."""
        return self._stylize

    def _build(self) -> StylizeFunction:
        style, smoothing, coherence, look = self.style, self.smoothing, self.coherence, self.look
        used: Stylizer | None = None
        frames: FrameStylizer | None = None

        def stylize(pixels: np.ndarray) -> np.ndarray:
            # The network is loaded here, in its thread; one in training is replaced now and then.
            nonlocal used, frames
            check_frame_work(pixels, look)
            stylizer = style.stylizer
            if frames is None or stylizer is not used:
                used, frames = stylizer, open_frames(stylizer, smoothing, coherence)
            stylizer.look = look  # other connections share it, and have looks of their own
            if isinstance(style, Style):
                style.last_frame = LastFrame(pixels, smoothing, coherence, look)
            return frames.stylize_pixels(pixels)

        return stylize


async def serve_frames(websocket: WebSocket, pool: StylizePool, session: Session) -> None:
    """Stylize for one connection until either side ends it."""
    await websocket.accept()
    latest, settings = LatestFrame(), FrameSettings(pool)
    await run_until_end(
        websocket,
        session,
        _stylize_latest(websocket, pool, session, latest),
        _receive(websocket, session, latest, settings),
    )


async def _receive(websocket: WebSocket, session: Session, latest: LatestFrame, settings: FrameSettings) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        session.touch()
        data, text = message.get("bytes"), message.get("text")
        try:
            if text is not None:
                settings.update(text)
            elif data is not None and len(data) > NUMBER_BYTES:
                latest.put(data, settings.stylize)
            else:
                raise SettingError(f"a frame is {NUMBER_BYTES} bytes of number and then a JPEG")
        except SettingError as error:
            await send(websocket, json.dumps({"error": str(error), "frame": None}))


async def _stylize_latest(websocket: WebSocket, pool: StylizePool, session: Session, latest: LatestFrame) -> None:
    while True:
        message, stylize = await latest.take()
        number = message[:NUMBER_BYTES]
        session.working = True
        try:
            stylized = await pool.stylize_frame(message[NUMBER_BYTES:], stylize, session.client)
            answer: bytes | str = number + stylized
        except NstFastError as error:
            answer = json.dumps({"error": str(error), "frame": int.from_bytes(number)})
        finally:
            session.working = False
            session.touch()
        await send(websocket, answer)
        session.touch()
