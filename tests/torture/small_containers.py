"""Huge pictures and long animations where there is little memory: stylized, in tiles, or one line, and never killed.

    python tests/torture/small_containers.py [--seed 0] [--count 24]

Pictures of 100 megapixels (PNG, JPEG, progressive JPEG, PNG with transparency) and animations of 1,000 frames (GIF,
WebP) are stylized by the command with 1 or 2 GB of memory, by a limit on its address space (`ulimit -v`) or, where this
program may make one, in a cgroup of that size, as a container has. Pictures also go through at a smaller working size.
Linux only.
"""

import contextlib
import os
import random
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from small_jobs import draw, start
from verdict import Violation, torture
from whole_files import check_visible, list_hidden

_MEGAPIXELS_SIDE = 10_000
_FRAMES = 1000
_LIMITS = (1 << 30, 2 << 30)
_SECONDS = 3600.0  # on a busy computer; a run takes half a minute of one core or less
_NAMES = ("plain.png", "baseline.jpg", "progressive.jpg", "transparent.png", "long.gif", "long.webp")
_OPTIONS = ((), ("--size", "700"), ("--size", "700", "--engine", "onnxruntime"))


def make_inputs(folder: Path) -> None:
    """Each picture and animation once; they are large by their pixels, not by their files."""
    side = _MEGAPIXELS_SIDE
    small = Image.fromarray(draw(0, side // 20, side // 20))
    huge = small.resize((side, side), Image.Resampling.NEAREST)
    huge.save(folder / "plain.png", compress_level=1)
    huge.save(folder / "baseline.jpg", quality=80)
    huge.save(folder / "progressive.jpg", quality=80, progressive=True)
    huge.putalpha(200)
    huge.save(folder / "transparent.png", compress_level=1)
    frames = [Image.fromarray(draw(number % 50, 90, 120)) for number in range(_FRAMES)]
    # A pixel more or less in each, or they would be joined into fewer frames.
    for number, frame in enumerate(frames):
        frame.putpixel((number % 120, number // 120), (255, 0, 0))
    frames[0].save(folder / "long.gif", save_all=True, append_images=frames[1:], duration=40)
    frames[0].save(folder / "long.webp", save_all=True, append_images=frames[1:], duration=40, quality=50, method=0)


class MemoryGroup:
    """A cgroup of this program's own.

    Attributes:
        folder: of the group; None: it may not make one.
    """

    def __init__(self) -> None:
        first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
        root, self._limit = (first, "memory.limit_in_bytes") if first.is_dir() else (second, "memory.max")
        self.folder: Path | None = root / f"nst_fast_torture_{os.getpid()}"
        try:
            self.folder.mkdir()
            (self.folder / self._limit).write_text("1073741824")
        except OSError:
            self.close()
            self.folder = None

    def enter(self, limit: int) -> None:
        """Put this process, and all that it starts, into the group."""
        assert self.folder is not None
        (self.folder / self._limit).write_text(str(limit))
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def close(self) -> None:
        """Remove the group; harmless to repeat."""
        with contextlib.suppress(OSError):
            if self.folder is not None:
                self.folder.rmdir()


def run_limited(folder: Path, arguments: tuple[str, ...], enter: Callable[[], None]) -> tuple[int, str]:
    """The status of the command, and what it said on standard error."""
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "preexec_fn": enter}
    with start(folder, *arguments, **options) as process:
        try:
            _, said = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise Violation(f"still running after {_SECONDS:.0f} s") from error
    return process.returncode, said


class Containers:
    """Runs the trials.

    Attributes:
        stylized: runs that ended with an output; the others ended in one line.
    """

    def __init__(self, folder: Path, group: MemoryGroup) -> None:
        self.stylized = 0
        self._folder, self._group = folder, group

    def trial(self, numbers: random.Random, number: int) -> None:
        """One file with little memory."""
        name = _NAMES[number % len(_NAMES)]
        limit, options = numbers.choice(_LIMITS), numbers.choice(_OPTIONS)
        options = () if "long" in name else options  # frames are small as they are
        in_group = self._group.folder is not None and numbers.random() < 0.5

        def enter() -> None:
            if in_group:
                self._group.enter(limit)
            else:
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        where = f"{name} {' '.join(options)} with {limit >> 30} GB {'in a cgroup' if in_group else 'of address space'}"
        arguments = ("stylize", name, "--style", "wave", "--output", "out", "--threads", "1", *options)
        status, said = run_limited(self._folder, arguments, enter)
        out = self._folder / "out"
        try:
            self._judge(name, status, said, out)
        except Violation as violation:
            raise Violation(f"{where}: {violation}") from violation
        shutil.rmtree(out, ignore_errors=True)

    def _judge(self, name: str, status: int, said: str, out: Path) -> None:
        if status not in (0, 1, 2) or "Traceback" in said:
            raise Violation(f"ended with status {status}: {said[-1500:]}")
        if out.is_dir():
            check_visible(out)
            if hidden := list_hidden(out):
                raise Violation(f"left behind: {hidden[0]}")
        if status == 0:
            self.stylized += 1
            with Image.open(out / name) as image, Image.open(self._folder / name) as original:
                if image.size != original.size:
                    raise Violation(f"the output has {image.size} pixels")
        elif not any("memory" in line and ("error: " in line or "failed: " in line) for line in said.splitlines()):
            raise Violation(f"no line about memory: {said[-500:]}")


def main() -> None:
    """Limit, stylize, judge."""
    group = MemoryGroup()
    Image.MAX_IMAGE_PIXELS = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            make_inputs(Path(folder))
            containers = Containers(Path(folder), group)
            kind = "address space and cgroup" if group.folder else "address space only"
            note = lambda: f"{containers.stylized} of them stylized, limits by {kind}"  # noqa: E731
            torture(str(__doc__), containers.trial, count=24, note=note)
    finally:
        group.close()


if __name__ == "__main__":
    main()
