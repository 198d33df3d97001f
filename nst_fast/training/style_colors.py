"""The style image in the colors of photos, so that the trained network keeps theirs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nst_fast.data.content_images import ContentImages
from nst_fast.media.pictures import Picture, flatten_onto_white
from nst_fast.stylize.color import ColorStatistics, match_transform, measure_colors, transform_colors

# Spread over the folder; three means and six covariances need no more.
PHOTOS_FOR_COLORS = 64
# Pixels; colors need no detail, and JPEG files open several times as fast at this size.
_SHORT_SIDE = 96


def match_to_photos(style_image: Picture, photo_files: Sequence[Path]) -> Picture:
    """The style image, opaque, with the mean and the covariance of the photos' colors.

    Args:
        style_image: of any size.
        photo_files: to train on. `PHOTOS_FOR_COLORS` of them are read, and each counts the same, whatever its size.

    Raises:
        ImageError: nearly all photos are broken.

    Source: Gatys et al. 2016 (arXiv 1606.05897), color histogram matching. They match a style image to one photo; we
    match it to all photos that a network is trained on.
    """
    rgb = flatten_onto_white(style_image)
    matrix, offset = match_transform(measure_colors(rgb), measure_photo_colors(photo_files))
    return Picture(transform_colors(rgb, matrix, offset))


def measure_photo_colors(photo_files: Sequence[Path]) -> ColorStatistics:
    """The mean and the covariance of the colors of all these photos together.

    Raises:
        ImageError: nearly all photos are broken.
    """
    photos = ContentImages(list(photo_files), _SHORT_SIDE)
    count = min(len(photos), PHOTOS_FOR_COLORS)
    each = [
        measure_colors(photos.read(number * len(photos) // count)[0].permute(1, 2, 0).contiguous().numpy())
        for number in range(count)
    ]
    means = np.stack([one.mean for one in each])
    mean = means.mean(0)
    # Of all pixels: the covariance within the photos, and that between their means.
    within = np.mean([one.covariance for one in each], axis=0)
    between = (means - mean).T @ (means - mean) / count
    return ColorStatistics(mean, within + between)
