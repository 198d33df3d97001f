"""One thread that paints for everyone who is connected, and two beside it that read and write JPEG."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from nst_fast.errors import ImageError, SettingError, nearest_name
from nst_fast.images import decode_picture
from nst_fast.live.gallery import Style, encode_jpeg
from nst_fast.pictures import Picture

MOST_FRAME_PIXELS = 1920 * 1200
FRAME_QUALITY = 88
MOST_WAITING_PICTURES = 4

_Result = TypeVar("_Result")


class Painter:
    """Paints one after the other, in the order in which it is asked; each connection has one frame in here at most.

    Networks are not for several threads at a time, and two of them would only share the same cores.

    Args:
        styles: name -> style; the first is what is painted where nothing is said.
    """

    def __init__(self, styles: Mapping[str, Style]) -> None:
        self.styles = styles
        self.waiting_pictures = 0
        self._paint = ThreadPoolExecutor(1, "paint")
        self._codec = ThreadPoolExecutor(2, "jpeg")

    def close(self) -> None:
        """What is being painted is finished, the rest is dropped."""
        self._paint.shutdown(cancel_futures=True)
        self._codec.shutdown(cancel_futures=True)

    def find_style(self, name: str) -> Style:
        """Raises: SettingError, if there is no style of this name."""
        if name not in self.styles:
            allowed = list(self.styles)
            raise SettingError(
                f"style {name[:80]!r} is unknown; allowed: {', '.join(allowed)}{nearest_name(name, allowed)}"
            )
        return self.styles[name]

    async def paint_frame(self, frame: bytes, stylize: Callable[[np.ndarray], np.ndarray]) -> bytes:
        """A JPEG out of a picture's bytes.

        Args:
            frame: a picture of at most `MOST_FRAME_PIXELS`.
            stylize: takes and gives shape (height, width, 3), uint8; called in the painting thread.

        Raises:
            ImageError: no picture, damaged, or too large.
        """
        pixels = await self.code(lambda: decode_frame(frame))
        painted = await self.run(lambda: stylize(pixels))
        return await self.code(lambda: encode_jpeg(painted, quality=FRAME_QUALITY))

    async def paint_picture(self, picture: Picture, style: Style, size: int | None) -> Picture:
        """A whole picture, see `Stylizer.stylize_picture`.

        Raises:
            ImageError: it does not fit into memory, or too many are waiting.
        """
        if self.waiting_pictures >= MOST_WAITING_PICTURES:
            raise BusyError(f"{MOST_WAITING_PICTURES} pictures are waiting already; try again in a moment")
        self.waiting_pictures += 1
        try:
            return await self.run(lambda: style.stylizer.stylize_picture(picture, size=size))
        finally:
            self.waiting_pictures -= 1

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Whatever uses a network, in the thread for it."""
        return await asyncio.get_running_loop().run_in_executor(self._paint, work)

    async def code(self, work: Callable[[], _Result]) -> _Result:
        """Reading and writing of pictures, beside the painting."""
        return await asyncio.get_running_loop().run_in_executor(self._codec, work)


class BusyError(ImageError):
    """Too much is waiting to be painted."""


def decode_frame(frame: bytes) -> np.ndarray:
    """Pixels (height, width, 3), uint8.

    Raises:
        ImageError: no picture, damaged, or too large.
    """
    return decode_picture(frame, name="the frame", max_pixels=MOST_FRAME_PIXELS).rgb
