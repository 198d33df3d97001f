"""A camera of this computer, which the server owns: FFmpeg's device input, read by a thread of its own.

What comes faster than it is used is dropped: there is one frame at a time, the newest.
"""

import asyncio
import contextlib
import dataclasses
import importlib.util
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from nst_fast.errors import ImageError, SettingError
from nst_fast.media.resizing import size_for_long_side

RETRY_SECONDS = 2.0  # after which a camera that is gone is looked for again
# The first one that the camera takes; the last one is as the camera likes it.
_WISHES = (
    {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"},
    {"video_size": "1280x720", "framerate": "30"},
    {"video_size": "640x480", "framerate": "30"},
    {},
)
_SYSTEMS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclasses.dataclass(frozen=True)
class Device:
    """A camera as FFmpeg calls it.

    Attributes:
        name: such as `/dev/video0` or `video=Integrated Webcam`.
        system: FFmpeg's input format, such as v4l2.
    """

    name: str
    system: str

    @property
    def title(self) -> str:
        """The name as users know it."""
        return self.name.removeprefix("video=").removesuffix(":none")


def find_device(given: str | None, platform: str = sys.platform) -> Device:
    """The camera that a user means.

    Args:
        given: on Linux a device file or its number, on macOS a number or a name, on Windows a name. None: the first
            camera.
        platform: as `sys.platform`.

    Raises:
        SettingError: PyAV is missing, there is no camera, or this system has none that FFmpeg reads.
    """
    if importlib.util.find_spec("av") is None:
        raise SettingError("a camera of the server needs PyAV; install the extra: pip install 'nst-fast[camera]'")
    if platform not in _SYSTEMS:
        raise SettingError(f"cameras of {platform} cannot be read here; use the camera on the page")
    system = _SYSTEMS[platform]
    if system == "dshow":
        return Device(f"video={given or _first_name(system)}", system)
    if system == "avfoundation":
        return Device(f"{given or 0}:none", system)
    if given is not None and not given.isdecimal():
        return Device(given, system)
    if given is None:
        devices = sorted(Path("/dev").glob("video*"), key=lambda path: (len(path.name), path.name))
        if not devices:
            raise SettingError("there is no camera: no /dev/video* exists; plug one in")
        return Device(str(devices[0]), system)
    return Device(f"/dev/video{given}", system)


def _first_name(system: str) -> str:
    import av.device

    for device in av.device.enumerate_input_devices(system):
        if "video" in device.media_types:
            return device.description or device.name
    raise SettingError("there is no camera; plug one in")


class Camera:
    """Reads a camera from `start` to `close`, and looks for it again when it is gone.

    Args:
        device: see `find_device`.

    Attributes:
        problem: one line that says why there are no frames. None: there are, or will be.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.problem: str | None = None
        self._newest: Any = None  # an av.VideoFrame
        self._filled = asyncio.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="live-camera", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Read; frames are for the event loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """Read no more; the camera is free after its next frame."""
        self._closing.set()

    async def next_frame(self) -> Any:
        """The newest frame, as PyAV's VideoFrame; None: the camera has a problem, or had one."""
        await self._filled.wait()
        self._filled.clear()
        return self._newest

    def _read(self) -> None:
        while not self._closing.is_set():
            try:
                self._read_until_gone()
                self._put(None, f"camera {self.device.title} sends no more; plug it in again")
            except ImageError as error:
                self._put(None, str(error))
            self._closing.wait(RETRY_SECONDS)

    def _read_until_gone(self) -> None:
        from av.error import FFmpegError

        try:
            with open_device(self.device) as container:
                for frame in container.decode(video=0):
                    if self._closing.is_set():
                        return
                    self._put(frame, None)
        except (FFmpegError, OSError, ValueError) as error:
            raise ImageError(explain_camera(self.device, error)) from error

    def _put(self, frame: Any, problem: str | None) -> None:
        def put() -> None:
            self._newest, self.problem = frame, problem
            self._filled.set()

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(put)


def open_device(device: Device) -> Any:
    """PyAV's container of a camera, at a size and rate that it has; raises what PyAV raises."""
    import av
    from av.error import FFmpegError

    error: Exception | None = None
    for wish in _WISHES:
        if "input_format" in wish and device.system != "v4l2":
            continue
        try:
            return av.open(device.name, format=device.system, options=dict(wish))
        except (FileNotFoundError, PermissionError):
            raise
        except (FFmpegError, OSError, ValueError) as refusal:
            error = refusal
    assert error is not None
    raise error


def explain_camera(device: Device, error: Exception) -> str:
    """One line that says why a camera cannot be read, and what to do."""
    name = device.title
    if isinstance(error, FileNotFoundError):
        return f"camera {name} does not exist; plug it in, or give another one"
    if isinstance(error, PermissionError):
        return f"camera {name} may not be used; allow it in the system's settings (Linux: join the group video)"
    if isinstance(error, OSError) and "busy" in str(error).lower():
        return f"camera {name} is in use; close the other program or page"
    return f"camera {name} cannot be read ({' '.join(str(error).split())}); plug it in again, or give another one"


def read_pixels(frame: Any, long_side: int) -> np.ndarray:
    """A frame of PyAV as (H, W, 3), uint8, at this long side in pixels, or smaller if the camera is; sides are even."""
    long_side = min(long_side, max(frame.height, frame.width))
    height, width = (max(2, side // 2 * 2) for side in size_for_long_side(frame.height, frame.width, long_side))
    return frame.to_ndarray(format="rgb24", height=height, width=width)
