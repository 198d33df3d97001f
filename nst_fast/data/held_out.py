"""Photos that are held out: never trained on, so that a network can be measured on them."""

import hashlib
import logging
from pathlib import Path

import torch
from torch import Tensor

from nst_fast.data.content_images import ContentImages, read_photo
from nst_fast.data.sampler import cut_center
from nst_fast.errors import ImageError

_log = logging.getLogger(__name__)

# Figures of different runs can be compared at this size: the middle of photos of this short side, both in pixels.
HELD_OUT_SHORT_SIDE, HELD_OUT_SIZE = 288, 256


def hold_out_photos(photos: list[Path], folder: Path, count: int) -> tuple[list[Path], list[Path]]:
    """Split off photos that are never trained on: the same ones for every style, seed and order of the files.

    The choice follows a hash of each photo's path in the folder, so it is spread over subfolders. At most a tenth of
    the photos is held out.

    Args:
        photos: files in `folder` or its subfolders.
        folder: the content folder.
        count: how many to hold out, if there are enough.

    Returns:
        The photos to train on and the ones held out.
    """

    def spread(photo: Path) -> str:
        return hashlib.sha256(photo.relative_to(folder).as_posix().encode()).hexdigest()

    held_out = set(sorted(photos, key=spread)[: min(count, len(photos) // 10)])
    return [photo for photo in photos if photo not in held_out], sorted(held_out, key=spread)


def read_held_out(files: list[Path], size: int | None = None) -> Tensor:
    """The middle squares of photos, to measure on. A photo that cannot be read is logged and skipped.

    Args:
        files: the photos.
        size: pixels; another size shows the same middle, scaled. None: HELD_OUT_SIZE.

    Returns:
        Shape (N, 3, size, size), float32, RGB in [0, 1], on the CPU; N may be 0.
    """
    size = size or HELD_OUT_SIZE
    crops = []
    for file in files:
        try:
            crops.append(cut_center(read_photo(file, round(size * HELD_OUT_SHORT_SIDE / HELD_OUT_SIZE)), size))
        except ImageError as error:
            _log.warning(str(error))
    return torch.stack(crops) if crops else torch.empty(0, 3, size, size)


def cut_samples(photos: ContentImages, count: int) -> Tensor:
    """The middle squares of the first `count` photos to train on, in the form of `read_held_out`."""
    return torch.stack([cut_center(photos.read(i)[0].cpu(), HELD_OUT_SIZE) for i in range(min(count, len(photos)))])
