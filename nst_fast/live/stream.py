"""What goes to OBS and to a virtual camera: the newest stylized frame, where it comes from, and how it is stylized.

There is one stream for each server. Its source is the camera that the server owns, or a page that was put on air. A
viewer always gets the newest frame, however slow it is, and never slows the source.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from nst_fast.errors import SettingError
from nst_fast.live.frames import read_share
from nst_fast.live.gallery import encode_jpeg
from nst_fast.live.stylize_pool import FRAME_QUALITY, check_look, decode_frame
from nst_fast.stylize.look import Look

SETTINGS = ("style", "smoothing", "coherence", "look", "size")
MIN_SIDE, MAX_SIDE = 64, 1920


class StreamFrame:
    """One stylized frame, as a JPEG and as pixels. Whichever is missing is made on first use, in that thread.

    Args:
        number: counts the frames of a stream, from 1.
        pixels: (H, W, 3), uint8. None: those of `jpeg`.
        jpeg: None: that of `pixels`.
    """

    def __init__(self, number: int, *, pixels: np.ndarray | None = None, jpeg: bytes | None = None) -> None:
        self.number = number
        self._pixels = pixels
        self._jpeg = jpeg
        self._lock = threading.Lock()

    @property
    def jpeg(self) -> bytes:
        """The bytes of a file."""
        with self._lock:
            if self._jpeg is None:
                assert self._pixels is not None
                self._jpeg = encode_jpeg(self._pixels, quality=FRAME_QUALITY)
            return self._jpeg

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3), uint8; raises: ImageError, for a JPEG that is damaged or too large."""
        with self._lock:
            if self._pixels is None:
                assert self._jpeg is not None
                self._pixels = decode_frame(self._jpeg)
            return self._pixels


class Stream:
    """The newest frame, and the state of the stream. All but reading `frame` is for the thread of the server.

    Attributes:
        frame: the newest one. None: nothing is streamed.
        source: "camera" or "page". None: nothing is streamed.
        settings: how the source stylizes, see `check_settings`.
        problem: one line that says why there are no frames. None: there is no problem.
        viewers: how many there are, a virtual camera included.
    """

    def __init__(self) -> None:
        self.frame: StreamFrame | None = None
        self.source: str | None = None
        self.settings: dict[str, Any] = {}
        self.problem: str | None = None
        self.viewers = 0
        self._change: Callable[[dict[str, Any]], None] | None = None
        self._number = 0
        self._state_number = 0
        self._new_frame = asyncio.Event()
        self._new_state = asyncio.Event()

    def begin(self, source: str, change: Callable[[dict[str, Any]], None]) -> None:
        """From now on frames come from here.

        Args:
            source: see the attribute.
            change: asks the source to stylize with other settings; see `change_settings`.
        """
        self.source, self._change, self.problem = source, change, None
        self.tell()

    def end(self, change: Callable[[dict[str, Any]], None]) -> None:
        """The source that gave this function sends no more; harmless where another one has begun since."""
        if self._change == change:
            self.source, self._change, self.frame = None, None, None
            self.tell()

    def publish(self, *, pixels: np.ndarray | None = None, jpeg: bytes | None = None) -> None:
        """A frame, which takes the place of the one before; see `StreamFrame`."""
        self._number += 1
        self.frame = StreamFrame(self._number, pixels=pixels, jpeg=jpeg)
        self._new_frame = _wake(self._new_frame)

    def tell(self, **changed: Any) -> None:
        """Set these attributes, and tell every viewer the state."""
        for name, value in changed.items():
            setattr(self, name, value)
        self._state_number += 1
        self._new_state = _wake(self._new_state)

    def change_settings(self, wanted: dict[str, Any]) -> None:
        """Ask the source to stylize like this; without a source nothing happens.

        Args:
            wanted: some of the settings that `check_settings` allows.

        Raises:
            SettingError: the source cannot.
        """
        if self._change is not None:
            self._change(wanted)

    def describe(self) -> dict[str, Any]:
        """The state, for viewers."""
        return {"source": self.source, "settings": self.settings, "problem": self.problem, "viewers": self.viewers}

    async def next_frame(self, after: int) -> StreamFrame:
        """The newest frame, as soon as its number is another one than `after`."""
        while self.frame is None or self.frame.number == after:
            await self._new_frame.wait()
        return self.frame

    async def next_state(self, after: int) -> tuple[int, dict[str, Any]]:
        """The state and its number, as soon as that is another one than `after`; the first state has the number 0."""
        while self._state_number == after:
            await self._new_state.wait()
        return self._state_number, self.describe()


def _wake(event: asyncio.Event) -> asyncio.Event:
    """Wake all who wait for the event now; the new one is for those who wait from now on."""
    event.set()
    return asyncio.Event()


def check_settings(wanted: Any) -> dict[str, Any]:
    """Settings as a client sends them: some of `style`, `smoothing`, `coherence`, `look` and `size`.

    `size` is the long side of the frames in pixels, or None: as large as stays fast. Styles are checked where they are
    used, since a page may have others than the server.

    Raises:
        SettingError: something else, or a value that is not allowed.
    """
    if not isinstance(wanted, dict) or not wanted.keys() <= set(SETTINGS):
        raise SettingError(
            'settings are JSON such as {"style": "wave", "smoothing": 0.5, "coherence": 0.6, "look": "", "size": 640}'
        )
    if not isinstance(wanted.get("style", ""), str) or not isinstance(wanted.get("look", ""), str):
        raise SettingError("style and look must be text")
    check_look(Look.parse(wanted.get("look", "")))
    for name in ("smoothing", "coherence"):
        read_share(wanted, name, 0)
    size = wanted.get("size")
    if size is not None and (type(size) is not int or not MIN_SIDE <= size <= MAX_SIDE):
        raise SettingError(f"size is {str(size)[:20]}; give {MIN_SIDE} to {MAX_SIDE} pixels, or null for automatic")
    return wanted
