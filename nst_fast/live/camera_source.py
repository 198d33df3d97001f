"""The camera of the server as the source of the stream: frame by frame, in the style that the stream has now."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from nst_fast.errors import NstFastError, OutputError, SettingError
from nst_fast.files.atomic import replace_atomically
from nst_fast.live.camera import Camera, read_pixels
from nst_fast.live.camera_size import CameraSize
from nst_fast.live.frames import FrameSettings
from nst_fast.live.lanes import Lane
from nst_fast.live.stream import Stream, check_settings
from nst_fast.live.stylize_pool import StylizePool

CLIENT = "camera"  # in whose name it takes its turns among the pages
DEFAULT_SMOOTHING = 0.5


class CameraSource:
    """Stylizes the camera while somebody watches.

    Args:
        camera: starts with `run`, and is closed after it.
        pool: stylizes.
        codec: turns frames into pixels.
        stream: gets the frames, and the settings that others wish for.
    """

    def __init__(self, camera: Camera, pool: StylizePool, codec: Lane, stream: Stream) -> None:
        self._camera = camera
        self._pool = pool
        self._codec = codec
        self._stream = stream
        self._memory: Path | None = None
        self._frames = FrameSettings(pool)
        self._size = CameraSize()
        style = self._frames.style.name
        self._settings = {"style": style, "smoothing": DEFAULT_SMOOTHING, "coherence": 0, "look": "", "size": None}

    def recall(self, memory: Path | None, *, with_style: bool) -> None:
        """Begin with the settings of the last time, as far as they are still possible.

        Args:
            memory: a file that holds them, and is written when `run` ends. None: nothing is remembered.
            with_style: whether the style is one of them.
        """
        self._memory = memory
        settings = {} if memory is None else _read_settings(memory)
        style = settings.pop("style", None)
        if with_style and style is not None:
            with contextlib.suppress(SettingError):  # it may be gone
                self.change({"style": style})
        self.change(settings)

    async def run(self) -> None:
        """Until it is canceled."""
        self._camera.start()
        self._stream.begin("camera", self.change)
        try:
            while True:
                await self._stylize_next()
        finally:
            self._camera.close()
            self._stream.end(self.change)
            self._remember()

    def change(self, wanted: dict[str, Any]) -> None:
        """See `Stream.change_settings`."""
        settings = {**self._settings, **wanted}
        self._frames.update(json.dumps({name: value for name, value in settings.items() if name != "size"}))
        self._size.fixed = settings["size"]
        self._size.restart()
        self._settings = settings
        self._stream.tell(settings=settings)

    async def _stylize_next(self) -> None:
        frame = await self._camera.next_frame()
        if frame is None:
            self._report(self._camera.problem)
            return
        if not self._stream.viewers:
            return
        stylize, began = self._frames.stylize, time.perf_counter()
        try:
            pixels = await self._codec.run(lambda: read_pixels(frame, self._size.long_side), CLIENT)
            stylized = await self._pool.run(lambda: stylize(pixels), CLIENT)
        except NstFastError as error:
            self._report(str(error))
            return
        self._size.count(time.perf_counter() - began)
        self._report(None)
        self._stream.publish(pixels=stylized)

    def _report(self, problem: str | None) -> None:
        if problem != self._stream.problem:
            self._stream.tell(problem=problem)

    def _remember(self) -> None:
        if self._memory is None:
            return
        with contextlib.suppress(OutputError), replace_atomically(self._memory) as temporary:
            temporary.write_text(json.dumps(self._settings), encoding="utf-8")


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        return check_settings(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, SettingError):  # there is none, or one of another version
        return {}
