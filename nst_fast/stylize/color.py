"""Keeping the photo's colors in a stylized image (Gatys et al. 2016, arXiv 1606.05897)."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

# Statistics are measured on about so many pixels of a regular grid, which are plenty for three means.
_SAMPLES = 10_000
# Added to variances, in levels squared: a picture of one color has none to be scaled.
_LEAST_VARIANCE = 1.0
# A dull stylized image is not scaled up by more, since that would show the rounding to bytes.
_MOST_GAIN = 4.0
# Of RGB in luminance, as Pillow and JPEG count it (ITU-R BT.601).
LUMINANCE_WEIGHTS = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class ColorStatistics:
    """The colors of a picture.

    Attributes:
        mean: (3,), of red, green and blue in levels, 0 to 255.
        covariance: (3, 3), in levels squared.
    """

    mean: np.ndarray
    covariance: np.ndarray

    def mix(self, past: "ColorStatistics | None", smoothing: float) -> "ColorStatistics":
        """These and those of the frames before, of which `smoothing` is the share; None: there are none."""
        if past is None:
            return self
        mean = self.mean + smoothing * (past.mean - self.mean)
        covariance = self.covariance + smoothing * (past.covariance - self.covariance)
        # As exact as a film's work folder keeps them, so that a resumed film is the same.
        return ColorStatistics(*(values.astype(np.float32).astype(float) for values in (mean, covariance)))


def measure_colors(rgb: np.ndarray) -> ColorStatistics:
    """The statistics of (H, W, 3), uint8, on a grid of its pixels."""
    step = max(1, round((rgb.shape[0] * rgb.shape[1] / _SAMPLES) ** 0.5))
    colors = rgb[step // 2 :: step, step // 2 :: step].reshape(-1, 3).astype(np.float32)
    if not len(colors):
        colors = rgb.reshape(-1, 3).astype(np.float32)
    mean = colors.mean(0)
    colors -= mean
    return ColorStatistics(mean.astype(float), (colors.T @ colors / len(colors)).astype(float))


def match_transform(stylized: ColorStatistics, photo: ColorStatistics) -> tuple[np.ndarray, np.ndarray]:
    """The map of colors, `matrix @ color + offset`, that gives the stylized image the photo's mean and covariance.

    Returns:
        matrix: (3, 3); offset: (3,), in levels.

    Source: Gatys et al. 2016, equation 4 with the symmetric roots of its "Image Analogies" variant. We limit how much
    it scales any color.
    """
    matrix = _root(photo.covariance, 0.5) @ _root(stylized.covariance, -0.5)
    left, scales, right = np.linalg.svd(matrix)
    matrix = left @ np.diag(np.minimum(scales, _MOST_GAIN)) @ right
    return matrix, photo.mean - matrix @ stylized.mean


def luminance_transform(stylized: ColorStatistics, photo: ColorStatistics) -> tuple[float, float]:
    """The map of luminance, `gain * level + offset`, that gives the stylized image the photo's mean and variance.

    Source: Gatys et al. 2016, section 5.3 (equation 10).
    """
    weights = LUMINANCE_WEIGHTS
    variances = [weights @ one.covariance @ weights + _LEAST_VARIANCE for one in (photo, stylized)]
    gain = min(float(np.sqrt(variances[0] / variances[1])), _MOST_GAIN)
    return gain, float(weights @ photo.mean - gain * (weights @ stylized.mean))


def match_colors(image: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """An image (H, W, 3), uint8, with the mean and the covariance of a photo's colors; the photo may differ in size."""
    matrix, offset = match_transform(measure_colors(image), measure_colors(photo))
    return transform_colors(image, matrix, offset)


def transform_colors(rgb: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """`matrix @ color + offset` for each color of (H, W, 3), uint8; the same shape, cut to 0 to 255."""
    rows = np.column_stack([matrix, offset]).ravel().tolist()
    return np.asarray(Image.fromarray(rgb).convert("RGB", tuple(rows)))


def take_luminance(stylized: np.ndarray, photo: np.ndarray, gain: float, offset: float) -> np.ndarray:
    """The photo's colors as light and dark as the stylized image, both (H, W, 3), uint8; the same shape.

    Adding the same to red, green and blue changes the luminance and leaves the two differences of color.
    """
    levels = np.clip(np.round(gain * np.arange(256) + offset), 0, 255).tolist()
    wanted = np.asarray(Image.fromarray(stylized).convert("L").point(levels))
    return add_to_colors(photo, wanted.astype(np.int16) - luminance(photo))


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Of (H, W, 3), uint8: (H, W), uint8."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def add_to_colors(rgb: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """(H, W, 3), uint8, plus (H, W), int16, within 0 to 255, for each of the three colors."""
    height, width = difference.shape
    result = np.repeat(difference, 3, axis=1)
    result += rgb.reshape(height, 3 * width)
    np.clip(result, 0, 255, out=result)
    return result.astype(np.uint8).reshape(height, width, 3)


def _root(covariance: np.ndarray, power: float) -> np.ndarray:
    """A symmetric (3, 3) matrix to this power."""
    values, vectors = np.linalg.eigh(covariance + _LEAST_VARIANCE * np.eye(3))
    return (vectors * np.maximum(values, _LEAST_VARIANCE) ** power) @ vectors.T
