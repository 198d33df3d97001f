"""Damaged films, and playlists in disguise: only our own error in one line, no other file opened, no connection made.

    python tests/torture/broken_films.py [--seed 0] [--count 2000]

Films in eight containers are damaged and read as `nst-fast stylize` reads them; every fifth file is a playlist or a
session description (HLS, DASH, concat, SDP, an edit list to another file, ...) under the name of a film, which names a
secret file and a local address. Each is read in a process with 3 GB of address space and 20 s.

Whoever listens at that address, and the time at which the secret was last read, tell whether a film reaches beyond
itself. Where `strace` is installed, it also records every file that the process opens and every socket it makes.
"""

import multiprocessing
import os
import random
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from small_jobs import draw
from verdict import Violation, torture

from nst_fast.errors import NstFastError

_SECONDS, _BYTES = 20.0, 3 << 30
_CONTAINERS = {
    ".mp4": "libx264",
    ".mov": "libx264",
    ".mkv": "libx264",
    ".webm": "libvpx-vp9",
    ".avi": "mpeg4",
    ".ts": "libx264",
    ".flv": "flv",
    ".mpg": "mpeg1video",
}
# {secret}: a file that no film may open; {address}: of somebody who listens.
_PLAYLISTS = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
    "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nhttp://{address}/a.ts\n#EXT-X-ENDLIST\n",
    '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{secret}"\n#EXTINF:1,\nconcat:{secret}|{secret}\n#EXT-X-ENDLIST\n',
    "#EXTM3U\n#EXTINF:1,\nsubfile,,start,0,end,64,,:{secret}\n#EXT-X-ENDLIST\n",
    "ffconcat version 1.0\nfile '{secret}'\nfile 'http://{address}/b.mp4'\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    '<?xml version="1.0"?><MPD type="static" mediaPresentationDuration="PT1S"><Period><AdaptationSet>'
    '<Representation id="1" mimeType="video/mp4"><BaseURL>http://{address}/c.mp4</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "[playlist]\nFile1=http://{address}/d.mp4\nNumberOfEntries=1\n",
    "RTSPtext\nrtsp://{address}/e\n",
    "<smil><body><video src='http://{address}/f.mp4'/></body></smil>",
    ";FFMETADATA1\ntitle=http://{address}/\n",
    "LINK {secret}\n",
)


def make_originals(folder: Path) -> dict[str, bytes]:
    """A whole film for each container."""
    import av

    films = {}
    for suffix, codec in _CONTAINERS.items():
        path = folder / f"film{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.thread_count = 1
            for number in range(12):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(draw(number, 48, 64), "rgb24")))
            container.mux(stream.encode())
        films[suffix] = path.read_bytes()
    return films


def mutate(numbers: random.Random, data: bytes, secret: Path) -> bytes:
    """One to eight damages, near the beginning and the end more often than elsewhere, where containers keep indexes."""
    for _ in range(numbers.choice((1, 1, 2, 4, 8))):
        ends = numbers.choice((len(data), min(len(data), 600)))
        place = numbers.randrange(ends) if numbers.random() < 0.7 else len(data) - 1 - numbers.randrange(ends)
        length, kind = numbers.randrange(1, 32), numbers.randrange(6)
        if kind == 0:
            data = data[:place] + bytes([data[place] ^ 1 << numbers.randrange(8)]) + data[place + 1 :]
        elif kind == 1:
            data = data[:place] + numbers.randbytes(length) + data[place + length :]
        elif kind == 2:
            extreme = numbers.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1"))
            data = data[:place] + extreme + data[place + 4 :]
        elif kind == 3:
            data = data[: place + 1]
        elif kind == 4:
            data = data[:place] + data[place + length :]
        else:  # a reference to another file, as QuickTime has them
            alias = b"dref\0\0\0\0\0\0\0\1\0\0\0\x40url \0\0\0\0" + os.fsencode(secret) + b"\0"
            data = data[:place] + alias + data[place + (len(alias) if numbers.random() < 0.5 else 0) :]
        data = data or b"\0"
    return data


def read(orders: Connection) -> None:
    """The process that reads: takes paths, answers with an empty text or what was wrong."""
    from nst_fast.films.source import open_source
    from nst_fast.media.film_opening import ReadErrors

    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # FFmpeg prints what it thinks of a film
    orders.send("")
    while (path := orders.recv()) is not None:
        try:
            for _, _ in zip(open_source(path).read(ReadErrors()), range(60), strict=False):
                pass
            orders.send("")
        except NstFastError as error:
            text = str(error)
            orders.send("" if text.isprintable() else f"an error of more than one printable line: {text!r}")
        except BaseException as error:
            orders.send(f"{type(error).__name__}: {error}")


class Reader:
    """A process that reads films, under strace where there is one."""

    def __init__(self, folder: Path) -> None:
        self._trace = folder / "trace"
        self._folder = folder
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._orders, other = context.Pipe()
        self._process = context.Process(target=read, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._orders.recv()  # everything is imported
        self._strace = None
        if shutil.which("strace") and self._process.pid:
            command = ["strace", "-f", "-qq", "-e", "trace=openat,open,socket,connect", "-o", str(self._trace)]
            self._strace = subprocess.Popen([*command, "-p", str(self._process.pid)], stderr=subprocess.DEVNULL)
            while not self._is_traced():
                time.sleep(0.01)

    def _is_traced(self) -> bool:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return "TracerPid:\t0" not in status or (self._strace is not None and self._strace.poll() is not None)

    def check(self, path: Path) -> None:
        """Read one film; raises Violation."""
        self._orders.send(path)
        try:
            answer = self._orders.recv() if self._orders.poll(_SECONDS) else f"more than {_SECONDS:.0f} s"
        except EOFError:
            self._process.join(5)
            answer = f"the process died with status {self._process.exitcode}"
        if answer:
            self.close()
            raise Violation(answer)
        self._check_trace(path)

    def _check_trace(self, path: Path) -> None:
        """Nothing below the folder but this film was opened, and no socket was made."""
        if not self._trace.exists():
            return
        for line in self._trace.read_text(errors="replace").splitlines():
            if "socket(" in line or "connect(" in line:
                raise Violation(f"a connection: {line}")
            if str(self._folder) in line and str(path) not in line:
                raise Violation(f"another file: {line}")
        os.truncate(self._trace, 0)

    def close(self) -> None:
        self._process.kill()
        if self._strace is not None:
            self._strace.wait()


class Trap:
    """A file and an address that nobody should ask for.

    Attributes:
        secret: the file, an actual film, so that whoever opens it would get far.
        port: where it listens.
    """

    def __init__(self, folder: Path, film: bytes) -> None:
        self.secret = folder / "secret.ts"
        self.secret.write_bytes(film)
        os.utime(self.secret, (1, 2))  # so that even `relatime` notes the first time it is read
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]

    def check(self) -> None:
        """Raise Violation if it was sprung."""
        if self.secret.stat().st_atime != 1:
            raise Violation("the secret file was read")
        try:
            self._listener.accept()
        except BlockingIOError:
            return
        raise Violation("somebody connected")


def main() -> None:
    """Damage or disguise, read, judge."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "originals").mkdir()
        originals = make_originals(folder / "originals")
        trap, reader = Trap(folder, originals[".ts"]), Reader(folder)

        def trial(numbers: random.Random, number: int) -> None:
            if number % 5 == 0:
                text = _PLAYLISTS[number // 5 % len(_PLAYLISTS)]
                filled = text.replace("{secret}", str(trap.secret)).replace("{address}", f"127.0.0.1:{trap.port}")
                data = filled.replace("{port}", str(trap.port)).encode()
                if numbers.random() < 0.3:
                    data = mutate(numbers, data, trap.secret)
                suffix = numbers.choice(list(_CONTAINERS))
            else:
                suffix = list(_CONTAINERS)[number % len(_CONTAINERS)]
                data = mutate(numbers, originals[suffix], trap.secret)
            path = folder / f"damaged{suffix}"
            path.write_bytes(data)
            try:
                reader.check(path)
                trap.check()
            except Violation as violation:
                raise Violation(f"{suffix}: {violation}") from violation
            path.unlink()

        try:
            traced = "" if shutil.which("strace") else "without strace"
            torture(str(__doc__), trial, count=2000, note=lambda: traced)
        finally:
            reader.close()


if __name__ == "__main__":
    main()
