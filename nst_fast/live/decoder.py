"""Uploaded pictures are decoded in a process of its own, which can be stopped when it takes too long.

A small file may take hours to decode, or fill the memory; a thread that decodes it cannot be stopped, a process can.
Frames of the WebSocket are decoded in a thread: they are small and baseline or progressive JPEG only.

On its standard input the process takes `_REQUEST` and the file's bytes, again and again; on its standard output it
gives the length of a JSON header in four bytes, the header, and the pixels.
"""

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from typing import IO, Any

import numpy as np

from nst_fast.errors import ImageError, NstFastError
from nst_fast.live import limits
from nst_fast.media.pictures import Picture, decode_picture

_REQUEST = struct.Struct("<QQ")  # length of the file, most pixels
_HEADER_LENGTH = struct.Struct("<I")


class DecoderPool:
    """Processes that decode, started when they are first needed and kept for the next picture. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []
        self._busy: list[_Decoder] = []
        self._closed = False

    def decode(self, data: bytes, *, max_pixels: int) -> Picture:
        """Decode the bytes of a picture file; see `decode_picture`.

        Raises:
            ImageError: no picture, damaged, too large, or not decoded within `limits.DECODE_SECONDS`.
        """
        with self._lock:
            if self._closed:
                raise ImageError("the server is stopping")
            decoder = self._idle.pop() if self._idle else _Decoder()
            self._busy.append(decoder)
        try:
            return decoder.decode(data, max_pixels)
        finally:
            with self._lock:
                self._busy.remove(decoder)
                if decoder.is_alive and not self._closed:
                    self._idle.append(decoder)
                else:
                    decoder.close()

    def close(self) -> None:
        """Stop the processes, also those that are decoding."""
        with self._lock:
            self._closed = True
            for decoder in self._idle:
                decoder.close()
            for decoder in self._busy:
                decoder.kill()
            self._idle.clear()


class _Decoder:
    """One process; for one thread at a time, but for `kill`."""

    def __init__(self) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            # -P: a file in the current folder that is named like a module must not be imported.
            [sys.executable, "-P", "-m", "nst_fast.live.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
            # Ctrl-C is for the server, which ends this process by itself.
            start_new_session=True,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def decode(self, data: bytes, max_pixels: int) -> Picture:
        overdue = threading.Event()

        def stop() -> None:
            overdue.set()
            self.kill()

        timer = threading.Timer(limits.DECODE_SECONDS, stop)
        timer.start()
        try:
            return self._ask(data, max_pixels)
        except (OSError, EOFError) as error:
            self.kill()
            self._process.wait()
            if overdue.is_set():
                reason = f"it was not decoded within {limits.DECODE_SECONDS:.0f} s; save it in a simpler format"
            else:
                reason = "decoding it took too much memory, or it is damaged; scale it down or copy it again"
            raise ImageError(f"the picture cannot be read: {reason}") from error
        finally:
            timer.cancel()

    def _ask(self, data: bytes, max_pixels: int) -> Picture:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(_REQUEST.pack(len(data), max_pixels))
        stdin.write(data)
        stdin.flush()
        (length,) = _HEADER_LENGTH.unpack(_read_exactly(stdout, _HEADER_LENGTH.size))
        header = json.loads(_read_exactly(stdout, length))
        if "error" in header:
            raise ImageError(header["error"])
        height, width = header["height"], header["width"]
        rgb = np.frombuffer(_read_exactly(stdout, height * width * 3), np.uint8).reshape(height, width, 3)
        alpha = None
        if header["has_alpha"]:
            alpha = np.frombuffer(_read_exactly(stdout, height * width), np.uint8).reshape(height, width)
        return Picture(rgb, alpha, header["frame_count"])

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


def _read_exactly(pipe: IO[bytes], count: int) -> bytearray:
    """Raises: EOFError, where the other side has ended before."""
    content = bytearray(count)
    view, filled = memoryview(content), 0
    while filled < count:
        got = pipe.readinto(view[filled:])  # pyright: ignore[reportAttributeAccessIssue]
        if not got:
            raise EOFError
        filled += got
    return content


def _serve(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    with contextlib.suppress(EOFError):
        while True:
            length, max_pixels = _REQUEST.unpack(_read_exactly(stdin, _REQUEST.size))
            data = bytes(_read_exactly(stdin, length))
            header: dict[str, Any]
            parts: list[np.ndarray] = []
            try:
                picture = decode_picture(data, max_pixels=max_pixels)
            except NstFastError as error:
                header = {"error": str(error)}
            else:
                height, width = picture.rgb.shape[:2]
                parts = [part for part in (picture.rgb, picture.alpha) if part is not None]
                header = {"height": height, "width": width, "has_alpha": len(parts) == 2}
                header["frame_count"] = picture.frame_count
                del picture
            text = json.dumps(header).encode()
            stdout.write(_HEADER_LENGTH.pack(len(text)) + text)
            for part in parts:
                stdout.write(np.ascontiguousarray(part).data)
            stdout.flush()
            del data, parts


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # not on Windows; refused where less is allowed
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limits.DECODER_MEMORY_BYTES, limits.DECODER_MEMORY_BYTES))


if __name__ == "__main__":
    _limit_memory()
    if hasattr(os, "nice"):
        os.nice(5)  # frames and the page come first
    _serve(sys.stdin.buffer, sys.stdout.buffer)
