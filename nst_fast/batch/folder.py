"""Many picture files: reading, stylizing and writing them at the same time."""

import errno
import functools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from nst_fast.batch.plan import BatchItem
from nst_fast.errors import ImageError, OutputError
from nst_fast.files.claims import Claim, claim
from nst_fast.media.opening import count_pixels
from nst_fast.media.pictures import Picture, read_picture, write_picture
from nst_fast.stylize.look import write_note
from nst_fast.stylize.stylizer import Stylizer

_Save = Callable[[Path, Picture], None]

# Pictures that wait in memory on either side of the network; one would do if all files had the same size.
_WAITING = 2
# A GPU is faster than reading and writing, so these get as many threads, and small pictures go in batches.
_GPU_THREADS = 8
_GPU_BATCH = 8
# Pictures with more pixels are read, stylized and written with no other picture in memory.
_LARGE_PIXELS = 32_000_000


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    Attributes:
        status: `stylized`, `failed`, or `taken`: another process works on it or has finished it in the meantime.
        message: one line with the file's name; empty if there is nothing to say.
    """

    item: BatchItem
    status: Literal["stylized", "failed", "taken"]
    message: str = ""


def stylize_files(
    stylizer: Stylizer,
    items: Iterable[BatchItem],
    *,
    size: int | None = None,
    jpeg_quality: int = 95,
    keep_existing: bool = False,
    batch_size: int | None = None,
    metadata: bool = True,
) -> Generator[Outcome, None, None]:
    """Stylize picture files; yields the outcome of each, in order, once its file is written.

    While one picture is stylized, the next ones are read and the last ones written. A picture that cannot be read, does
    not fit into memory or does not fit its format is an outcome, and the others are stylized all the same. Of an
    animation the first frame is stylized. Files are whole or absent, even if you stop iterating early. Several
    processes may get the same items: none works on what another one has claimed.

    Args:
        size: long side in pixels at which the network works, see `Stylizer.stylize_picture`. None: each picture's own.
        jpeg_quality: 1 to 100.
        keep_existing: leave alone what has been written since the items were planned; False replaces it.
        batch_size: most pictures of one size that are stylized at once. None: 8 on a GPU, elsewhere 1, since there a
            batch is no faster and takes more memory.
        metadata: write into each file how it was made: style and look.

    Raises:
        OutputError: the disk is full or cannot be written to, so every other file would fail too.
        SettingError: `size` or `jpeg_quality` is out of range.
    """
    on_gpu = stylizer.device.startswith("cuda")
    batch_size = (_GPU_BATCH if on_gpu else 1) if batch_size is None else batch_size
    threads = _GPU_THREADS if on_gpu else 1
    most_waiting = max(_WAITING, threads, batch_size)
    reader, writer = ThreadPoolExecutor(threads, "read-pictures"), ThreadPoolExecutor(threads, "write-pictures")
    queue = _ReadQueue(items, reader, keep_existing)
    note = write_note(stylizer.style_name, stylizer.look) if metadata else None
    save = functools.partial(write_picture, jpeg_quality=jpeg_quality, note=note)
    writing: deque[_Job] = deque()
    try:
        queue.read_ahead(most_waiting, writing)
        while queue.reading or writing:
            if queue.reading:
                jobs = queue.take_batch(batch_size if size is None else 1)
                writing += jobs  # before they are stylized, so that their claims are released whatever happens
                queue.read_ahead(most_waiting, writing)
                _stylize(stylizer, jobs, writer, size, save)
            while writing and (not queue.reading or len(writing) > most_waiting or writing[0].written.done()):
                yield _finish(writing.popleft())
            queue.read_ahead(most_waiting, writing)
    finally:
        # What is being written now is finished, the rest is dropped.
        reader.shutdown(cancel_futures=True)
        writer.shutdown(cancel_futures=True)
        for job in (*queue.list_claimed(), *writing):
            if job.claim is not None:
                job.claim.release()


class _Job:
    """One picture on its way.

    Attributes:
        claim: None: another process has it.
        is_large: whether it has to be alone in memory.
        read: its pixels.
        written: what there is to say once it is written, or why it failed.
    """

    def __init__(self, item: BatchItem, claim: Claim | None, is_large: bool = False) -> None:
        self.item = item
        self.claim = claim
        self.is_large = is_large
        self.read: Future[Picture] | None = None
        self.written: Future[str] = Future()
        if claim is None:
            self.written.set_result("")


class _ReadQueue:
    """Claims items and reads their pictures ahead of the network.

    Attributes:
        reading: jobs that are being read or have been, in order.
    """

    def __init__(self, items: Iterable[BatchItem], reader: ThreadPoolExecutor, keep_existing: bool) -> None:
        self.reading: deque[_Job] = deque()
        self._items = iter(items)
        self._reader = reader
        self._keep_existing = keep_existing
        self._next: _Job | None = None  # claimed, but there is no room for it yet

    def read_ahead(self, most_waiting: int, writing: Iterable[_Job]) -> None:
        """Begin to read items until so many wait; `writing` are those that have left and are still in memory."""
        in_memory = [job for job in writing if not job.written.done()]
        while len(self.reading) < most_waiting:
            job = self._next or self._claim_next()
            if job is None:
                return
            others = [*self.reading, *in_memory]
            self._next = job if others and (job.is_large or any(other.is_large for other in others)) else None
            if self._next is not None:
                return
            if job.claim is not None:
                job.read = self._reader.submit(read_picture, job.item.source)
            self.reading.append(job)

    def _claim_next(self) -> _Job | None:
        item = next(self._items, None)
        if item is None:
            return None
        held = claim(item.target)
        if held is not None and self._keep_existing and os.path.lexists(item.target):
            held.release()
            held = None
        return _Job(item, held, held is not None and count_pixels(item.source) > _LARGE_PIXELS)

    def list_claimed(self) -> list[_Job]:
        """The jobs that have not been taken."""
        return [*self.reading, *([] if self._next is None else [self._next])]

    def take_batch(self, most: int) -> list[_Job]:
        """The next picture, and those right behind it that are ready and of the same size and kind."""
        jobs = [self.reading.popleft()]
        shape = _shape_if_read(jobs[0], wait=most > 1)
        while shape is not None and len(jobs) < most and self.reading:
            if _shape_if_read(self.reading[0], wait=False) != shape:
                break
            jobs.append(self.reading.popleft())
        return jobs


def _shape_if_read(job: _Job, *, wait: bool) -> tuple[int, ...] | None:
    """The shape of an opaque picture of one frame that has been read; None for everything else."""
    if job.read is None or not (wait or job.read.done()) or job.read.exception() is not None:
        return None
    picture = job.read.result()
    return picture.rgb.shape if picture.alpha is None and picture.frame_count == 1 else None


def _stylize(stylizer: Stylizer, jobs: list[_Job], writer: ThreadPoolExecutor, size: int | None, save: _Save) -> None:
    """Stylize pictures, several only if they are of one size, and pass them on to be written by `save`."""
    if len(jobs) > 1:
        pictures = [job.read.result() for job in jobs if job.read is not None]
        try:
            stylized = stylizer.stylize_pixels(np.stack([picture.rgb for picture in pictures]))
        except ImageError:  # too large for the memory together; perhaps not one by one
            for job in jobs:
                _stylize(stylizer, [job], writer, size, save)
            return
        for job, rgb in zip(jobs, stylized, strict=True):
            job.written = writer.submit(_write, job.item, Picture(rgb), save)
        return
    (job,) = jobs
    if job.read is None:
        return
    try:
        picture = job.read.result()
        job.read = None  # so that a huge picture is not kept beside its result
    except ImageError as error:
        job.written.set_exception(error)
        return
    message = ""
    if picture.frame_count > 1:
        message = f"{job.item.source} has {picture.frame_count} frames; the first one was stylized"
    try:
        result = stylizer.stylize_picture(picture, size=size)
    except ImageError as error:
        job.written.set_exception(ImageError(f"{job.item.source}: {error}"))
        return
    job.written = writer.submit(_write, job.item, result, save, message)


def _write(item: BatchItem, stylized: Picture, save: _Save, message: str = "") -> str:
    save(item.target, stylized)
    return message


def _finish(job: _Job) -> Outcome:
    if job.claim is None:
        return Outcome(job.item, "taken")
    try:
        return Outcome(job.item, "stylized", job.written.result())
    except ImageError as error:
        return Outcome(job.item, "failed", str(error))
    except OutputError as error:
        if ends_the_job(error):
            raise
        return Outcome(job.item, "failed", str(error))
    finally:
        job.claim.release()


def ends_the_job(error: OutputError) -> bool:
    """Whether every other file would fail in the same way.

    An errno comes from the disk; without one, this format cannot hold this picture. A name that is too long concerns
    one picture only.
    """
    return getattr(error.__cause__, "errno", None) not in (None, errno.ENAMETOOLONG)
