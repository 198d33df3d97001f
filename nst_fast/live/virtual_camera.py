"""The stream as a camera of this computer, which Zoom, Meet and Discord see: pyvirtualcam sends it.

What is sent has one size and one rate, whatever the stream does: frames are fitted into it on black, a frame that is
still the newest is sent again, and without a stream it is black.
"""

import importlib.util
import logging
import threading
import time
from typing import Protocol

import numpy as np

from nst_fast.errors import ImageError, SettingError
from nst_fast.live.stream import Stream, StreamFrame
from nst_fast.media.resizing import resize_pixels

MAX_SIDE = 3840
MAX_RATE = 60

_log = logging.getLogger(__name__)


class Output(Protocol):
    """What frames are sent to. `pyvirtualcam.Camera` is one."""

    @property
    def device(self) -> str:
        """What other programs call it."""
        ...

    def send(self, frame: np.ndarray) -> None:
        """A frame of the agreed size: (H, W, 3), uint8, RGB."""
        ...

    def close(self) -> None:
        """The end."""
        ...


def check_format(width: int, height: int, rate: float) -> None:
    """Raises: SettingError, for a size or a rate (frames per second) that no virtual camera has."""
    if not (16 <= width <= MAX_SIDE and 16 <= height <= MAX_SIDE) or width % 2 or height % 2:
        raise SettingError(f"virtual camera of {width}x{height}; give two even sides from 16 to {MAX_SIDE} pixels")
    if not 1 <= rate <= MAX_RATE:
        raise SettingError(f"virtual camera of {rate:g} frames per second; give 1 to {MAX_RATE}")


def open_output(width: int, height: int, rate: float) -> Output:
    """The first virtual camera that is installed and free.

    Args:
        width, height: in pixels.
        rate: frames per second.

    Raises:
        SettingError: pyvirtualcam is missing, or there is no virtual camera.
    """
    check_format(width, height, rate)
    if importlib.util.find_spec("pyvirtualcam") is None:
        raise SettingError("a virtual camera needs pyvirtualcam; install the extra: pip install 'nst-fast[camera]'")
    import pyvirtualcam  # pyright: ignore[reportMissingImports]

    try:
        return pyvirtualcam.Camera(width, height, rate)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise SettingError(
            f"there is no virtual camera that is free ({reason}); install one (Windows and macOS: OBS, Linux: "
            f"v4l2loopback), and stop other programs that send to it"
        ) from error


class VirtualCamera:
    """Sends the stream to an output, in a thread of its own.

    Args:
        output: closed by `close`.
        width, height: of the output in pixels.
        rate: frames per second.
    """

    def __init__(self, output: Output, width: int, height: int, rate: float) -> None:
        self.output = output
        self._width = width
        self._height = height
        self._rate = rate
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, stream: Stream) -> None:
        """Send this stream from now on."""
        self._thread = threading.Thread(target=self._send, args=(stream,), name="live-virtual-camera", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send no more."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self.output.close()

    def _send(self, stream: Stream) -> None:
        black = np.zeros((self._height, self._width, 3), np.uint8)
        fitted, last = black, None
        due = time.monotonic()
        while not self._closing.wait(max(0.0, due - time.monotonic())):
            frame = stream.frame
            if frame is not last:
                fitted, last = self._fit(frame, black), frame
            try:
                self.output.send(fitted)
            except RuntimeError as error:
                _log.warning("the virtual camera %s takes no more frames (%s)", self.output.device, error)
                return
            # After a delay no frames are made up for.
            due = max(due + 1 / self._rate, time.monotonic())

    def _fit(self, frame: StreamFrame | None, black: np.ndarray) -> np.ndarray:
        if frame is None:
            return black
        try:
            return fit_pixels(frame.pixels, self._width, self._height)
        except ImageError:  # a page has sent something else
            return black


def fit_pixels(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Pixels (H, W, 3), uint8, as large as they fit into a black frame of this size, in its middle."""
    factor = min(width / pixels.shape[1], height / pixels.shape[0])
    inner_width, inner_height = (max(1, round(side * factor)) for side in (pixels.shape[1], pixels.shape[0]))
    resized = resize_pixels(pixels, inner_height, inner_width)
    if resized.shape[:2] == (height, width):
        return np.ascontiguousarray(resized)
    fitted = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    fitted[top : top + inner_height, left : left + inner_width] = resized
    return fitted
