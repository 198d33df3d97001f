"""The photos a network is trained on: a folder of any pictures, read once into memory where they fit."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nst_fast.errors import ImageError
from nst_fast.images import find_images, read_picture, resize, size_for_short_side, to_tensor, to_uint8
from nst_fast.pictures import flatten_onto_white

# A run goes on with what can be read, unless nearly nothing can.
MAX_BROKEN_SHARE = 0.9
MAX_BROKEN_IN_A_ROW = 20


def list_photos(folder: Path) -> list[Path]:
    """The pictures below `folder`, sorted.

    Raises:
        ImageError: no folder, or none in it.
    """
    photos = find_images(folder)
    if not photos:
        raise ImageError(
            f"content folder {str(folder)!r} holds no pictures; give a folder of photos (jpg, png, webp, ...)"
        )
    return photos


def hold_out_photos(photos: list[Path], folder: Path, count: int) -> tuple[list[Path], list[Path]]:
    """Split off photos that are never trained on: the same ones for every style, seed and order of the folder.

    The choice follows a hash of each photo's path within the folder, so it is spread over subfolders. At most a
    tenth of the photos is held out.

    Returns:
        The photos to train on and the ones held out.
    """

    def spread(photo: Path) -> str:
        return hashlib.sha256(photo.relative_to(folder).as_posix().encode()).hexdigest()

    held_out = set(sorted(photos, key=spread)[: min(count, len(photos) // 10)])
    return [photo for photo in photos if photo not in held_out], sorted(held_out, key=spread)


def read_photo(path: Path, short_side: int) -> Tensor:
    """One photo as it is trained on: uint8, (3, H, W), the short side brought down to `short_side` if longer.

    Transparent parts show white.

    Raises:
        ImageError: the file is broken.
    """
    image = flatten_onto_white(read_picture(path, min_short_side=short_side))
    if min(image.shape[:2]) > short_side:
        height, width = image.shape[:2]
        image = to_uint8(resize(to_tensor(image), *size_for_short_side(height, width, short_side)))
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class ContentImages:
    """Photos by number; broken ones are reported once by name and replaced by the next that can be read.

    Args:
        photos: the files.
        short_side: pixels; larger photos are brought down to it.
        on_broken: called once with the message for each broken file that is met; None: nothing is said.
    """

    def __init__(self, photos: list[Path], short_side: int, on_broken: Callable[[str], None] | None = None) -> None:
        self.photos = photos
        self.short_side = short_side
        self.on_broken = on_broken
        self.broken: dict[int, str] = {}
        self.in_memory: list[Tensor] | None = None

    def __len__(self) -> int:
        return len(self.photos)

    def bytes_in_memory(self) -> int:
        """An upper estimate of what all photos take once read, in bytes (3:2 pictures, 3 bytes a pixel)."""
        return int(len(self.photos) * self.short_side**2 * 1.5 * 3)

    def read_into_memory(self, threads: int, on_progress: Callable[[int], object] = lambda count: None) -> None:
        """Read every photo now; the broken ones are dropped.

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
                    self._say(self.broken[index])
                else:
                    photos.append(photo)
                on_progress(1)
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for all that could still be read
        if len(self.broken) > MAX_BROKEN_SHARE * len(self):
            # In their order, whichever thread was the first to find one.
            raise ImageError(_too_many_broken(dict(sorted(self.broken.items())), len(self)))
        self.in_memory = photos
        # The number of a photo is its place among those that can be read.
        self.photos = [photo for index, photo in enumerate(self.photos) if index not in self.broken]

    def read(self, index: int) -> tuple[Tensor, dict[int, str]]:
        """Photo `index`, or the first after it that can be read, and what was found broken on the way.

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
        """Take note of what a worker process found broken, and say what had not been said."""
        for index, message in found_broken.items():
            if index not in self.broken:
                self.broken[index] = message
                self._say(f"{message} ({len(self.broken)} left out so far)")

    def _say(self, message: str) -> None:
        if self.on_broken is not None:
            self.on_broken(message)


def _too_many_broken(broken: dict[int, str], tried: int) -> str:
    first = next(iter(broken.values()))
    return f"{len(broken)} of {tried} photos cannot be read (the first: {first}); give a folder of whole photos"
