"""Many pictures: reading, painting and writing them at the same time."""

import errno
import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nst_fast.errors import ImageError, OutputError
from nst_fast.images import Picture, read_picture, size_for_long_side, write_picture
from nst_fast.inference.claims import Claim, claim
from nst_fast.inference.planning import Painting
from nst_fast.inference.stylizer import Stylizer

# Pictures that wait in memory on either side of the network; one would do but for files of unequal size.
_WAITING = 2
# On a GPU painting takes less than reading and writing: these get as many threads, and small pictures go in batches.
_GPU_THREADS = 8
_GPU_BATCH = 8


@dataclass(frozen=True)
class Outcome:
    """What became of one picture: `message` is one line with its name, empty where there is nothing to say.

    `taken` is one that another process is painting or has painted meanwhile.
    """

    painting: Painting
    status: Literal["painted", "failed", "taken"]
    message: str = ""


def stylize_files(
    stylizer: Stylizer,
    paintings: Iterable[Painting],
    *,
    size: int | None = None,
    jpeg_quality: int = 95,
    keep_existing: bool = False,
    batch_size: int | None = None,
) -> Generator[Outcome, None, None]:
    """Paint picture files; yields an outcome for each, in order, once its file is written.

    The next pictures are read and the last ones written while one is painted. A picture that cannot be read, does
    not fit into memory or cannot be held by its format is an outcome, and the others are painted all the same. Of
    an animation the first frame is painted. Files are whole or not there, also when the iteration is broken off.
    Several processes may be given the same paintings: none paints what another one is at, see `claim`.

    Args:
        size: long side in pixels at which the network works, see `Stylizer.stylize_picture`. None: each picture's own.
        jpeg_quality: 1 to 100.
        keep_existing: leave alone what has been painted since the paintings were planned; False paints over it.
        batch_size: most pictures of one size that are painted at once. None: 8 on a GPU, elsewhere 1, since there
            a batch is no faster and takes more memory.

    Raises:
        OutputError: the disk is full or cannot be written, so there is no point in going on.
        SettingError: `size` or `jpeg_quality` is out of range.
    """
    on_gpu = stylizer.device.type == "cuda"
    batch_size = (_GPU_BATCH if on_gpu else 1) if batch_size is None else batch_size
    waiting = iter(paintings)
    reading: deque[_Job] = deque()
    writing: deque[_Job] = deque()
    threads = _GPU_THREADS if on_gpu else 1
    reader, writer = ThreadPoolExecutor(threads, "read-pictures"), ThreadPoolExecutor(threads, "write-pictures")
    most_waiting = max(_WAITING, threads, batch_size)

    def read_ahead() -> None:
        while len(reading) < most_waiting and (painting := next(waiting, None)):
            reading.append(_begin(painting, reader, keep_existing))

    try:
        read_ahead()
        while reading:
            jobs = _take_batch(reading, batch_size if size is None else 1)
            read_ahead()
            writing += jobs  # before they are painted, so that their claims are released whatever happens
            _paint(stylizer, jobs, writer, size, jpeg_quality)
            while writing and (len(writing) > most_waiting or writing[0].written.done()):
                yield _finish(writing.popleft())
        while writing:
            yield _finish(writing.popleft())
    finally:
        # What is being written just now is finished, the rest is dropped.
        reader.shutdown(cancel_futures=True)
        writer.shutdown(cancel_futures=True)
        for job in (*reading, *writing):
            if job.claim is not None:
                job.claim.release()


class _Job:
    """One picture on its way.

    Attributes:
        claim: None: another process has it.
        read: its pixels.
        written: what there is to say once it is written, or why it failed.
    """

    def __init__(self, painting: Painting, claim: Claim | None, read: Future[Picture] | None) -> None:
        self.painting = painting
        self.claim = claim
        self.read = read
        self.written: Future[str] = Future()


def _begin(painting: Painting, reader: ThreadPoolExecutor, keep_existing: bool) -> _Job:
    held = claim(painting.target)
    if held is not None and keep_existing and os.path.lexists(painting.target):
        held.release()
        held = None
    if held is None:
        job = _Job(painting, None, None)
        job.written.set_result("")
        return job
    return _Job(painting, held, reader.submit(read_picture, painting.source))


def _take_batch(reading: deque[_Job], most: int) -> list[_Job]:
    """The next picture, and those right behind it that are ready and of the same size and kind."""
    jobs = [reading.popleft()]
    shape = _shape_if_read(jobs[0], wait=most > 1)
    while shape is not None and len(jobs) < most and reading and _shape_if_read(reading[0], wait=False) == shape:
        jobs.append(reading.popleft())
    return jobs


def _shape_if_read(job: _Job, *, wait: bool) -> tuple[int, ...] | None:
    """Of an opaque picture of one frame that was read; None for all else."""
    if job.read is None or not (wait or job.read.done()) or job.read.exception() is not None:
        return None
    picture = job.read.result()
    return picture.rgb.shape if picture.alpha is None and picture.frame_count == 1 else None


def _paint(
    stylizer: Stylizer, jobs: list[_Job], writer: ThreadPoolExecutor, size: int | None, jpeg_quality: int
) -> None:
    """Paint pictures, several only if they are of one size, and hand them on to be written."""
    if len(jobs) > 1:
        pictures = [job.read.result() for job in jobs if job.read is not None]
        try:
            painted = stylizer.stylize_pixels(np.stack([picture.rgb for picture in pictures]))
        except ImageError:  # too large for the memory together; perhaps not one by one
            for job in jobs:
                _paint(stylizer, [job], writer, size, jpeg_quality)
            return
        for job, rgb in zip(jobs, painted, strict=True):
            job.written = writer.submit(_write, job.painting, Picture(rgb), jpeg_quality)
        return
    (job,) = jobs
    if job.read is None:
        return
    try:
        picture = job.read.result()
    except ImageError as error:
        job.written.set_exception(error)
        return
    notes = []
    if picture.frame_count > 1:
        notes.append(f"{job.painting.source} has {picture.frame_count} frames; the first one was painted")
    height, width = picture.rgb.shape[:2]
    if stylizer.paints_in_tiles(*((height, width) if size is None else size_for_long_side(height, width, size))):
        notes.append(f"{job.painting.source} is painted in tiles, by the statistics of a thumbnail, to fit the memory")
    try:
        result = stylizer.stylize_picture(picture, size=size)
    except ImageError as error:
        job.written.set_exception(ImageError(f"{job.painting.source}: {error}"))
        return
    job.written = writer.submit(_write, job.painting, result, jpeg_quality, "; ".join(notes))
    job.read = None  # so that a huge picture does not lie in memory beside its painting


def _write(painting: Painting, painted: Picture, jpeg_quality: int, note: str = "") -> str:
    write_picture(painting.target, painted, jpeg_quality=jpeg_quality)
    return note


def _finish(job: _Job) -> Outcome:
    if job.claim is None:
        return Outcome(job.painting, "taken")
    try:
        return Outcome(job.painting, "painted", job.written.result())
    except ImageError as error:
        return Outcome(job.painting, "failed", str(error))
    except OutputError as error:
        if ends_the_job(error):
            raise
        return Outcome(job.painting, "failed", str(error))
    finally:
        job.claim.release()


def ends_the_job(error: OutputError) -> bool:
    """Whether the next file would fail in the same way.

    An errno comes from the disk; its absence means that this format cannot hold this picture. A name that is too long
    concerns one picture too.
    """
    return getattr(error.__cause__, "errno", None) not in (None, errno.ENAMETOOLONG)
