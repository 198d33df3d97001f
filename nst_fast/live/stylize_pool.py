"""Where the server's work is done: frames, whole pictures, and the reading and writing of both."""

import asyncio
import contextlib
import io
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

import numpy as np

from nst_fast.errors import ImageError, SettingError, nearest_name
from nst_fast.live import limits
from nst_fast.live.blends import Blend, Blends
from nst_fast.live.decoder import DecoderPool
from nst_fast.live.gallery import Style, encode_jpeg
from nst_fast.live.lanes import Lane
from nst_fast.media.jpeg_scans import count_scans
from nst_fast.media.pictures import Picture, decode_picture, encode_picture
from nst_fast.media.resizing import size_for_long_side
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.stylize.look import SUBJECTS, Look, write_note

FRAME_QUALITY = 88  # of the JPEG that goes back
_JPEG_START = b"\xff\xd8\xff"

_Result = TypeVar("_Result")


class BusyError(ImageError):
    """Too many pictures are waiting; the client should try again in a moment."""


class StylizePool:
    """Stylizes frames and pictures for everyone, each client in turn.

    Frames and pictures have a thread each, with networks of their own, so that frames keep coming while a large
    picture is in work; each connection has one frame in here at most.

    Args:
        styles: name -> style; the first is the default. Others may be added and removed later.
    """

    def __init__(self, styles: dict[str, Style]) -> None:
        self.styles = styles
        self._blends = Blends(styles)
        self._frames = Lane("live-frames")
        self._frame_codec = Lane("live-frame-codec", threads=2)
        self._pictures = Lane("live-pictures")
        self._picture_codec = Lane("live-picture-codec", threads=limits.PICTURES_AT_ONCE)
        self._decoders = DecoderPool()
        self._turns = asyncio.Semaphore(limits.PICTURES_AT_ONCE)
        self._waiting: Counter[str] = Counter()

    @property
    def _lanes(self) -> tuple[Lane, ...]:
        return self._frames, self._frame_codec, self._pictures, self._picture_codec

    def stop(self) -> None:
        """Begin nothing more; whoever waits gets a `StoppingError` at once."""
        for lane in self._lanes:
            lane.stop()
        self._decoders.close()

    def wait(self, seconds: float) -> bool:
        """Whether the threads have ended after `stop`; a network's call cannot be interrupted."""
        return all(lane.wait(seconds) for lane in self._lanes)

    def find_style(self, name: str) -> Style | Blend:
        """The style of this name, or a blend such as `wave:0.6,udnie:0.4`.

        Raises:
            SettingError: there is no such style, or it cannot be blended.
        """
        if name not in self.styles and ":" in name:
            return self._blends.find(name)
        if name not in self.styles:
            allowed = list(self.styles)
            raise SettingError(
                f"style {name[:80]!r} is unknown; allowed: {', '.join(allowed)}{nearest_name(name, allowed)}"
            )
        return self.styles[name]

    async def run(self, work: Callable[[], _Result], client: str) -> _Result:
        """Whatever uses the networks of frames, in their thread; such as a thumbnail."""
        return await self._frames.run(work, client)

    async def stylize_frame(self, frame: bytes, stylize: Callable[[np.ndarray], np.ndarray], client: str) -> bytes:
        """A JPEG out of a JPEG.

        Args:
            frame: of at most `limits.MAX_FRAME_PIXELS`.
            stylize: takes and gives shape (height, width, 3), uint8; called in the frames' thread.

        Raises:
            ImageError: no JPEG, damaged, or too large.
        """
        pixels = await self._frame_codec.run(lambda: decode_frame(frame), client)
        stylized = await self._frames.run(lambda: stylize(pixels), client)
        return await self._frame_codec.run(lambda: encode_jpeg(stylized, quality=FRAME_QUALITY), client)

    async def stylize_picture(
        self,
        data: bytes,
        style: Style | Blend,
        size: int | None,
        look: Look,
        image_format: str | None,
        client: str,
        is_gone: Callable[[], Awaitable[bool]],
    ) -> tuple[bytes, str]:
        """A whole picture: the bytes of the stylized file, and its format.

        Args:
            data: the bytes of a picture file.
            size: see `Stylizer.stylize_picture`.
            look: the knobs, which the file's metadata tells.
            image_format: jpg, png or webp. None: png where there is transparency, else jpg.
            is_gone: whether nobody waits for the result any more.

        Raises:
            BusyError: too many are waiting.
            ImageError: no picture, damaged, or too large.
            SettingError: `size` and the stroke size mean too many pixels; or the look is not allowed here.
        """
        check_look(look)
        async with self._decoded(data, client, is_gone) as picture:
            check_work(picture, size, look)
            stylized = await self._pictures.run(lambda: stylize_whole(style, picture, size, look), client)
            suffix = image_format or ("jpg" if picture.alpha is None else "png")
            note = write_note(style.name, look)
            body = await self._picture_codec.run(lambda: encode_picture(stylized, f".{suffix}", note=note), client)
            return body, suffix

    async def predict_style(
        self, data: bytes, name: str, client: str, is_gone: Callable[[], Awaitable[bool]]
    ) -> tuple[Checkpoint, np.ndarray]:
        """A network in the style of an image, and the image, see `nst_fast.stylize.style_image`.

        Args:
            data: the bytes of a picture file.
            name: of the style.
            is_gone: whether nobody waits for the result any more.

        Returns:
            The network, and the image as it was measured, (H, W, 3), uint8.

        Raises:
            BusyError: too many pictures are waiting.
            ImageError: no picture, damaged, or too large.
        """
        from nst_fast.stylize.style_image import predict_style, prepare_style_image  # with ONNX Runtime

        def predict(picture: Picture) -> tuple[Checkpoint, np.ndarray]:
            rgb = prepare_style_image(picture)
            return predict_style(Picture(rgb), name=name), rgb

        async with self._decoded(data, client, is_gone) as picture:
            return await self._pictures.run(lambda: predict(picture), client)

    @contextlib.asynccontextmanager
    async def _decoded(
        self, data: bytes, client: str, is_gone: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Picture]:
        """The picture, when it is its turn; the turn ends with the block."""
        with self._place(client):
            async with self._turns:
                if await is_gone():
                    raise BusyError("the client is gone")
                yield await self._picture_codec.run(lambda: self._decode(data), client)

    def _decode(self, data: bytes) -> Picture:
        return self._decoders.decode(data, max_pixels=limits.MAX_PICTURE_PIXELS)

    @contextlib.contextmanager
    def _place(self, client: str) -> Iterator[None]:
        if self._waiting.total() >= limits.MAX_PICTURES:
            raise BusyError(f"{limits.MAX_PICTURES} pictures are waiting already; try again in a moment")
        if self._waiting[client] >= limits.MAX_PICTURES_PER_CLIENT:
            raise BusyError(f"{limits.MAX_PICTURES_PER_CLIENT} of your pictures are waiting; try again in a moment")
        self._waiting[client] += 1
        try:
            yield
        finally:
            self._waiting[client] -= 1
            self._waiting += Counter()  # forgets clients at zero


def decode_frame(frame: bytes) -> np.ndarray:
    """Pixels (height, width, 3), uint8, of a JPEG; other formats, and many scans, can take long to decode.

    Raises:
        ImageError: no JPEG, damaged, too large, or of too many scans.
    """
    if not frame.startswith(_JPEG_START):
        raise ImageError("the frame is not a JPEG, and frames must be")
    if (scans := count_scans(io.BytesIO(frame))) > limits.MAX_FRAME_SCANS:
        raise ImageError(f"the frame is a JPEG of {scans} scans, more than the limit of {limits.MAX_FRAME_SCANS}")
    return decode_picture(frame, name="the frame", max_pixels=limits.MAX_FRAME_PIXELS).rgb


def check_look(look: Look) -> None:
    """Raises: SettingError, if the look names a mask: files of the server are not for its clients."""
    if look.mask is not None:
        raise SettingError(f"region is {str(look.region)[:40]!r}; allowed here: {', '.join(SUBJECTS)}")


def check_frame_work(pixels: np.ndarray, look: Look) -> None:
    """Raises: SettingError, if small strokes make more of a frame (height, width, 3) than its limit of pixels."""
    height, width = pixels.shape[:2]
    if height * width / look.stroke_size**2 > limits.MAX_FRAME_PIXELS:
        raise SettingError(
            f"stroke_size {look.stroke_size:g} is too small for frames of {width} x {height}; give a larger one, or "
            f"smaller frames"
        )


def check_work(picture: Picture, size: int | None, look: Look) -> None:
    """Raises: SettingError, if the network would work on more than `limits.MAX_PICTURE_PIXELS`."""
    if size is None and look.stroke_size >= 1:
        return
    height, width = _network_size(picture, size, look)
    if height * width > limits.MAX_PICTURE_PIXELS:
        raise SettingError(
            f"size {size or max(picture.rgb.shape[:2])} and stroke size {look.stroke_size:g} mean {width} x {height} = "
            f"{height * width:,} pixels of work, more than the limit of {limits.MAX_PICTURE_PIXELS:,}; give a smaller "
            f"size"
        )


def _network_size(picture: Picture, size: int | None, look: Look) -> tuple[int, int]:
    """Roughly the height and width in pixels at which the network works."""
    height, width = picture.rgb.shape[:2]
    if size is not None:
        height, width = size_for_long_side(height, width, size)
    return round(height / look.stroke_size), round(width / look.stroke_size)


def stylize_whole(style: Style | Blend, picture: Picture, size: int | None, look: Look) -> Picture:
    """The picture in this style; in tiles where it is large, which bounds the memory."""
    height, width = _network_size(picture, size, look)
    stylizer = style.picture_stylizer(tiled=height * width > limits.TILED_PIXELS)
    stylizer.look = look
    return stylizer.stylize_picture(picture, size=size)
