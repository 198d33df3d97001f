"""Film files, opened with care: only containers of films, and nothing beside the file itself."""

import contextlib
import os
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_fast.errors import ImageError, NstFastError
from nst_fast.media.film_formats import require_film_extra

if TYPE_CHECKING:
    from av.container import InputContainer

# FFmpeg's names of the containers that may be read, whatever the suffix says. Left out are playlists and session
# descriptions (hls, dash, concat, sdp, image2), which open other files or connect to other computers.
_CONTAINERS = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "asf", "flv", "mpeg", "mpegts", "mpegvideo", "mxf", "ogg"),
    *("yuv4mpegpipe", "h264", "hevc", "ivf", "obu", "dv", "nut"),
)
# A decoder refuses larger frames before it allocates them.
_MAX_PIXELS = 180_000_000
_OPEN_OPTIONS = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "file"}


class ReadErrors:
    """What could not be read of a film; filled while it is read.

    Attributes:
        packets: pieces that could not be decoded.
        resized: frames of another size than the first, which were scaled to it.
        ends_at: seconds at which reading broke off, or None.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.resized = 0
        self.ends_at: float | None = None

    def add(self, other: "ReadErrors") -> None:
        """Count what could not be read of another part of the film too."""
        self.packets += other.packets
        self.resized += other.resized
        self.ends_at = other.ends_at if self.ends_at is None else self.ends_at

    def describe(self) -> list[str]:
        """One phrase for each, for the user."""
        phrases = []
        if self.packets:
            phrases.append(f"is damaged: {self.packets} pieces could not be decoded and are left out")
        if self.ends_at is not None:
            phrases.append(f"could only be read up to {format_seconds(self.ends_at)}; the rest is damaged or missing")
        if self.resized:
            phrases.append(f"changes its size: {self.resized} frames were scaled to that of the first")
        return phrases


def format_seconds(seconds: float) -> str:
    """Such as 0:07.5, 12:34 or 1:02:03."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{text}:{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")


def open_film(path: Path) -> "InputContainer":
    """Open a film with PyAV; close it after use.

    Raises:
        ImageError: missing, a folder, no regular file, empty, or no film.
        SettingError: PyAV is not installed.
    """
    require_film_extra()
    from av.error import FFmpegError

    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{path} is a folder; give the path of a film in it")
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, perhaps for ever
            raise ImageError(f"{path} is not a regular file; give the path of a film")
        if status.st_size == 0:
            raise ImageError(f"{path} is empty (0 bytes); copy or download it again")
        return open_container(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{path} does not exist; check the path") from error
    except PermissionError as error:
        raise ImageError(f"no permission to read {path}; change its permissions") from error
    except FFmpegError as error:
        raise ImageError(
            f"{path} is not a film that can be read, or its index is missing ({error.strerror}); "
            f"copy or download it again, or convert it to mp4"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{path} cannot be read ({reason}); check the disk and the path") from error


@contextlib.contextmanager
def explain_film_errors(path: Path) -> Iterator[None]:
    """Turn everything that a damaged or hostile film makes PyAV raise into an ImageError."""
    try:
        yield
    except NstFastError:
        raise
    except MemoryError as error:
        raise ImageError(f"{path}: not enough memory for its frames; scale it down") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is damaged ({reason}); copy or download it again") from error


def open_container(path: Path) -> "InputContainer":
    """Open a film that exists, even if its title is not UTF-8; raises what PyAV raises."""
    import av

    # Up to PyAV 18 such a title is an error unless asked otherwise; from 19 on it cannot be asked.
    tolerant: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    # The absolute path, since FFmpeg takes what stands before a colon in a relative one for a protocol.
    return av.open(str(path.absolute()), options=dict(_OPEN_OPTIONS), **tolerant)


def find_video_stream(container: Any, path: Path) -> Any:
    """The moving picture of a film, which an album's cover is not.

    Raises:
        ImageError: there is none, or none that can be decoded.
    """
    import av
    from av.stream import Disposition

    cover = Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        what = "only sound" if container.streams.audio else "neither film nor sound"
        raise ImageError(f"{path} has no moving picture in it, {what}; give a film")
    stream = max(streams, key=lambda one: 0 if one.codec_context is None else one.width * one.height)
    if stream.codec_context is None:
        raise ImageError(f"{path} is in a codec that PyAV {av.__version__} has no decoder for; convert it to H.264")
    stream.codec_context.options = {"max_pixels": str(_MAX_PIXELS)}
    stream.thread_type = "AUTO"
    return stream


def decode_stream(container: Any, stream: Any, errors: ReadErrors) -> Generator[Any, None, None]:
    """All frames of a stream that can be decoded, as PyAV gives them; a piece that cannot is left out."""
    from av.error import EOFError as EndOfFile
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError:
            errors.packets += 1
            packet = None  # no more packets: only what the decoder still holds
        try:
            yield from stream.decode(packet)
        except EndOfFile:
            return
        except FFmpegError:
            errors.packets += 1
        if packet is None:
            return
