"""Which crop of which photo comes next: a pure function of the seed and the crop's number.

No state is kept between crops, so a run that resumes at step n sees what an uninterrupted run sees there.
"""

import contextlib
import multiprocessing
import multiprocessing.context
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nst_fast.data.content_images import ContentImages
from nst_fast.errors import ImageError

GRACE_SECONDS = 5.0  # how long a worker outlives a SIGTERM


class Crop(NamedTuple):
    """A square cut out of a photo. `side`, `top`, `left` are fractions of the room that the photo leaves, in [0, 1]."""

    photo: int
    side: float
    top: float
    left: float
    flip: bool


class CropSampler:
    """Draws crops: every photo once per epoch in a new order, at a random scale and place, half of them flipped.

    Args:
        photo_count: number of photos.
        seed: decides every crop.
    """

    def __init__(self, photo_count: int, seed: int) -> None:
        self.photo_count = photo_count
        self.seed = seed
        self._epoch = -1
        self._order: list[int] = []

    def draw(self, number: int) -> Crop:
        """The crop with this number, counted from 0 at the start of the run."""
        epoch, place = divmod(number, self.photo_count)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch, 1))
            self._order = torch.randperm(self.photo_count, generator=generator).tolist()
            self._epoch = epoch
        generator = torch.Generator().manual_seed(mix_seed(self.seed, number, 2))
        side, top, left, flip = torch.rand(4, generator=generator).tolist()
        return Crop(self._order[place], side, top, left, flip < 0.5)


def cut_crop(photo: Tensor, crop: Crop, crop_size: int) -> Tensor:
    """Cut a crop out of a photo, as it is trained on.

    The crop covers between `crop_size` pixels and the photo's short side, and is scaled to `crop_size`. A photo smaller
    than `crop_size` is enlarged.

    Args:
        photo: uint8, shape (3, H, W).
        crop: drawn by `CropSampler`.
        crop_size: side of the result in pixels.

    Returns:
        float32, shape (3, crop_size, crop_size), RGB in [0, 1], on the photo's device.
    """
    height, width = photo.shape[1:]
    longest = min(height, width)
    side = round(min(crop_size, longest) + crop.side * max(longest - crop_size, 0))
    top, left = round(crop.top * (height - side)), round(crop.left * (width - side))
    cut = photo[:, top : top + side, left : left + side].float().div(255).unsqueeze(0)
    if side != crop_size:
        cut = F.interpolate(cut, (crop_size, crop_size), mode="bilinear", antialias=True)
    return (cut.flip(-1) if crop.flip else cut)[0]


def cut_center(photo: Tensor, size: int) -> Tensor:
    """The middle square of a photo, to measure on: at the photo's own scale, enlarged only if the photo is smaller.

    Args:
        photo: uint8, shape (3, H, W).
        size: side of the square in pixels.

    Returns:
        float32, shape (3, size, size), RGB in [0, 1].
    """
    return cut_crop(photo, Crop(0, 0.0, 0.5, 0.5, False), size)


def iterate_batches(
    photos: ContentImages, *, crop_size: int, batch_size: int, seed: int, steps: range, workers: int
) -> Generator[Tensor, None, None]:
    """One batch for each step, shape (batch_size, 3, crop_size, crop_size), RGB in [0, 1].

    Photos in memory are cut here, on the device that holds them. Otherwise worker processes read and cut ahead.

    Args:
        photos: to cut crops from.
        crop_size: side of the crops in pixels.
        batch_size: crops per batch.
        seed: decides every crop.
        steps: the numbers of the steps; each step has the same batch in every run.
        workers: number of processes that read photos which are not in memory; 0: this process reads them.

    Raises:
        ImageError: nearly all photos are broken.
    """
    sampler = CropSampler(len(photos), seed)
    if photos.in_memory is not None:
        for step in steps:
            numbers = range(step * batch_size, (step + 1) * batch_size)
            crops = [sampler.draw(number) for number in numbers]
            yield torch.stack([cut_crop(photos.in_memory[crop.photo], crop, crop_size) for crop in crops])
        return
    loader = DataLoader(
        _CropDataset(photos, sampler, crop_size),
        batch_size,
        sampler=range(steps.start * batch_size, steps.stop * batch_size),
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        multiprocessing_context=_choose_context() if workers else None,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # the loader draws from it, so that the caller's random state stays as it is
    )
    with _main_hidden():
        samples = iter(loader)  # the workers start here
    for batch, found_broken in samples:
        photos.report(found_broken)
        if isinstance(batch, ImageError):
            raise batch
        yield batch


class _CropDataset(Dataset):
    def __init__(self, photos: ContentImages, sampler: CropSampler, crop_size: int) -> None:
        # A copy that holds no photos: it is sent to each worker.
        self.photos = ContentImages(photos.photos, photos.short_side)
        self.sampler = sampler
        self.crop_size = crop_size

    def __getitem__(self, number: int) -> tuple[Tensor | ImageError, dict[int, str]]:
        crop = self.sampler.draw(number)
        try:
            photo, found_broken = self.photos.read(crop.photo)
        except ImageError as error:
            return error, {}  # as a value, because the loader wraps what a worker raises in a traceback
        return cut_crop(photo, crop, self.crop_size), found_broken


def _collate(samples: list[tuple[Tensor | ImageError, dict[int, str]]]) -> tuple[Tensor | ImageError, dict[int, str]]:
    found_broken: dict[int, str] = {}
    cuts = []
    for cut, broken in samples:
        found_broken.update(broken)
        if isinstance(cut, ImageError):
            return cut, found_broken
        cuts.append(cut)
    return torch.stack(cuts), found_broken


def _choose_context() -> multiprocessing.context.BaseContext | None:
    """How to start worker processes; None: the system's default."""
    if os.name != "posix":
        return None
    # Forked workers inherit threads' locks; a fork server starts clean. It imports torch once for all of them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep processes that start in this context from importing the main script, as they do by default.

    They need nothing from it, and a script that trains at its top level, without `if __name__ == "__main__"`, would
    start a training in each of them.
    """
    main = sys.modules["__main__"]
    hidden = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(hidden)


def _start_worker(worker: int) -> None:
    torch.set_num_threads(1)
    # Ctrl-C and SIGTERM often reach all processes of a terminal or a job at once. The training process finishes its
    # step and needs its batches until then. Python also ends leftover workers with SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: threading.Timer(GRACE_SECONDS, os._exit, [1]).start())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # The loader's own check, whether the parent's id has changed, never fires: the parent is the fork server.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def mix_seed(*numbers: int) -> int:
    """A seed from several numbers. Neighboring numbers give unrelated seeds (one linear congruential step for each)."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 6364136223846793005 + number * 1442695040888963407 + 1013904223) % 2**63
        mixed ^= mixed >> 29
    return mixed
