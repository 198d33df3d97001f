"""The stream of one server and all that belongs to it: its camera, its virtual camera, and its addresses."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

from nst_fast.live.camera import Camera
from nst_fast.live.camera_source import CameraSource
from nst_fast.live.lanes import Lane
from nst_fast.live.sessions import Sessions
from nst_fast.live.stream import Stream
from nst_fast.live.stream_api import StreamApi
from nst_fast.live.stylize_pool import StylizePool
from nst_fast.live.virtual_camera import VirtualCamera
from nst_fast.live.web_runtime import runtime_folder


@dataclasses.dataclass(frozen=True)
class StreamOptions:
    """What a server owns besides the page.

    Attributes:
        camera: whose frames are streamed. None: a page may be put on air.
        memory: a file that keeps the settings of that camera, see `CameraSource`. None: they are forgotten.
        recalls_style: whether the style is among them; the first style of the server counts otherwise.
        virtual_camera: to which the stream is sent. None: there is none.
    """

    camera: Camera | None = None
    memory: Path | None = None
    recalls_style: bool = True
    virtual_camera: VirtualCamera | None = None


def settings_file() -> Path:
    """Where the settings of the server's camera are kept: beside the browser's runtime, see `runtime_folder`."""
    return runtime_folder().parent / "camera.json"


def obs_address_of(address: str) -> str:
    """The address of the view for OBS, from that of the page."""
    base, mark, query = address.partition("?")
    return f"{base}obs{mark}{query}"


class Streaming:
    """Runs the stream.

    Args:
        options: what the server owns.
        pool: stylizes the frames of the camera.
        sessions: all open WebSockets of the server.

    Attributes:
        routes: the addresses.
        camera: the name of the server's camera. None: it has none.
    """

    def __init__(self, options: StreamOptions, pool: StylizePool, sessions: Sessions) -> None:
        self._options = options
        self._stream = Stream()
        self._codec = Lane("live-stream-codec", threads=2)
        self.routes = StreamApi(self._stream, sessions, self._codec).routes
        self.camera: str | None = None
        self._source: CameraSource | None = None
        if options.camera is not None:
            self.camera = options.camera.device.title
            self._source = CameraSource(options.camera, pool, self._codec, self._stream)
            self._source.recall(options.memory, with_style=options.recalls_style)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The camera and the virtual camera work within this block."""
        output = self._options.virtual_camera
        if output is not None:
            self._stream.tell(viewers=1)
            output.start(self._stream)
        source = None if self._source is None else asyncio.create_task(self._source.run())
        try:
            yield
        finally:
            self._codec.stop()
            if source is not None:
                source.cancel()
                await asyncio.gather(source, return_exceptions=True)
            if output is not None:
                await asyncio.to_thread(output.close)
