"""The photos a network is trained on: a folder of any images, read once into memory where they fit."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nst_fast.data.images import resize, to_tensor, to_uint8
from nst_fast.errors import ImageError
from nst_fast.media.listing import find_images
from nst_fast.media.pictures import flatten_onto_white, read_picture
from nst_fast.media.resizing import size_for_short_side
from nst_fast.runs.saved_run import skip_run_folders

_log = logging.getLogger(__name__)

# A run continues with the photos that can be read, unless there are hardly any.
MAX_BROKEN_SHARE = 0.9
MAX_BROKEN_IN_A_ROW = 20
# Read at each of three places of a photo to tell it from another of its name and length.
_SAMPLED_BYTES = 1024


def list_photos(folder: Path) -> list[Path]:
    """The images in `folder` and its subfolders, sorted. Subfolders of nst-fast runs are skipped.

    Otherwise the frames and samples that a run writes would count as photos when the run is resumed.

    Raises:
        ImageError: no such folder, or no image in it.
    """
    photos = skip_run_folders(find_images(folder), folder)
    if not photos:
        raise ImageError(
            f"content folder {str(folder)!r} holds no images; give a folder of photos (jpg, png, webp, ...)"
        )
    return photos


def digest_photos(files: Iterable[Path], folder: Path) -> str:
    """A short hash of the photos' names below `folder`, their lengths, and bytes at three places of each.

    It tells one folder of photos from another without reading all of it, and does not change when the folder is copied
    or moved. Of a photo that cannot be opened only the name counts.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.relative_to(folder).as_posix()) + b"\0")
        with contextlib.suppress(OSError), open(file, "rb", buffering=0) as photo:
            length = os.fstat(photo.fileno()).st_size
            digest.update(length.to_bytes(8))
            for place in (0, length // 2, max(0, length - _SAMPLED_BYTES)):
                photo.seek(place)
                digest.update(photo.read(_SAMPLED_BYTES))
    return digest.hexdigest()[:16]


def read_photo(path: Path, short_side: int) -> Tensor:
    """One photo as it is trained on, uint8, (3, H, W): scaled down to `short_side` pixels if it is larger.

    Transparent areas become white.

    Raises:
        ImageError: the file is broken.
    """
    image = flatten_onto_white(read_picture(path, min_short_side=short_side))
    if min(image.shape[:2]) > short_side:
        height, width = image.shape[:2]
        image = to_uint8(resize(to_tensor(image), *size_for_short_side(height, width, short_side)))
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class ContentImages:
    """Photos by number. A broken photo is logged once and replaced by the next that can be read.

    Args:
        photos: the files.
        short_side: pixels; larger photos are scaled down to it.

    Attributes:
        broken: number -> message, of the photos found broken so far.
        in_memory: the photos, once `read_into_memory` has read them.
    """

    def __init__(self, photos: list[Path], short_side: int) -> None:
        self.photos = photos
        self.short_side = short_side
        self.broken: dict[int, str] = {}
        self.in_memory: list[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.photos)

    def bytes_in_memory(self) -> int:
        """An upper estimate of the memory for all photos, in bytes (3:2 photos, 3 bytes per pixel)."""
        return int(len(self.photos) * self.short_side**2 * 1.5 * 3)

    def read_into_memory(self, threads: int, on_progress: Callable[[int], object] = lambda count: None) -> None:
        """Read every photo now, and drop the broken ones.

        Args:
            threads: how many read at the same time.
            on_progress: called with 1 after each photo.

        Raises:
            ImageError: nearly all are broken.
        """

        def read(index: int) -> Tensor | None:
            try:
                return read_photo(self.photos[index], self.short_side)
            except ImageError as error:
                self.broken[index] = str(error)
                return None

        photos = []
        pool = ThreadPoolExecutor(threads)
        try:
            for index, photo in enumerate(pool.map(read, range(len(self)))):
                if photo is None:
                    _log.warning(self.broken[index])
                else:
                    photos.append(photo)
                on_progress(1)
        finally:
            pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest
        if len(self.broken) > MAX_BROKEN_SHARE * len(self):
            # In the order of the files, whichever thread was first.
            raise ImageError(_too_many_broken(dict(sorted(self.broken.items())), len(self)))
        self.in_memory = photos
        # The number of a photo is its place among those that can be read.
        self.photos = [photo for index, photo in enumerate(self.photos) if index not in self.broken]

    def read(self, index: int) -> tuple[Tensor, dict[int, str]]:
        """Photo `index`, or the next one that can be read, and the broken ones before it as number -> message.

        Raises:
            ImageError: nearly all of the photos are broken.
        """
        if self.in_memory is not None:
            return self.in_memory[index], {}
        found_broken: dict[int, str] = {}
        tries = min(len(self), MAX_BROKEN_IN_A_ROW)
        for step in range(tries):
            candidate = (index + step) % len(self)
            try:
                return read_photo(self.photos[candidate], self.short_side), found_broken
            except ImageError as error:
                found_broken[candidate] = str(error)
        raise ImageError(_too_many_broken(found_broken, tries))

    def report(self, found_broken: dict[int, str]) -> None:
        """Note what a worker process found broken, and log what has not been logged yet."""
        for index, message in found_broken.items():
            if index not in self.broken:
                self.broken[index] = message
                _log.warning(f"{message} ({len(self.broken)} skipped so far)")


def _too_many_broken(broken: dict[int, str], tried: int) -> str:
    first = next(iter(broken.values()))
    return f"{len(broken)} of {tried} photos cannot be read (the first: {first}); give a folder of intact photos"
