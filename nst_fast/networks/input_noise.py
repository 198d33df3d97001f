"""Faint noise on the photo, from which a network makes irregular strokes where the photo itself shows nothing.

A convolutional network does the same wherever it sees the same, so it covers a wall or a clear sky with one small
stroke, repeated in rows like woven cloth. With input noise no two places are the same. The noise is a function of the
position alone: all frames of a film have the same, and so has a tile of a huge picture whose position is known.

It is a sum of plane waves (random Fourier features) of all directions, 8 to 64 pixels long. They cost one product of
two thin matrices, need no stored noise, and repeat only after 4,096 pixels.
"""

import math
from dataclasses import dataclass

import numpy as np

# In pixels. Wavelengths divide it, so phases are whole numbers, exact in every precision and at every position.
PERIOD = 4096
_WAVES = 64
_SHORTEST, _LONGEST = 8, 64


@dataclass(frozen=True)
class NoiseWaves:
    """The waves: the noise at (y, x) is the sum over k of row[y, k] * column[x, k], where

        row[y, k] = cosines[(y * row_frequencies[k] + row_phases[k]) % PERIOD], and likewise for columns.

    Attributes:
        row_frequencies, row_phases, column_frequencies, column_phases: int64, (128,), in 1/PERIOD of a turn.
        cosines: float32, (PERIOD,), one turn.
    """

    row_frequencies: np.ndarray
    row_phases: np.ndarray
    column_frequencies: np.ndarray
    column_phases: np.ndarray
    cosines: np.ndarray

    def draw(self, height: int, width: int) -> np.ndarray:
        """The noise at the pixels from (0, 0) on, (height, width), float32."""
        rows = (np.arange(height)[:, None] * self.row_frequencies + self.row_phases) % PERIOD
        columns = (np.arange(width)[:, None] * self.column_frequencies + self.column_phases) % PERIOD
        return self.cosines[rows] @ self.cosines[columns].T


def build_noise_waves(strength: float) -> NoiseWaves:
    """The waves whose sum has `strength` as its standard deviation, where colors are in [0, 1]."""
    random = np.random.default_rng(0)
    # Spread evenly over the octaves of wavelengths, and by the golden angle over the directions.
    octaves = (np.arange(_WAVES) + random.random(_WAVES)) / _WAVES
    cycles = PERIOD / _LONGEST * (_LONGEST / _SHORTEST) ** octaves
    directions = math.pi * (np.arange(_WAVES) * (math.sqrt(5) - 1) / 2)
    shifts = random.integers(PERIOD, size=_WAVES)
    # cos(a + b) = cos a cos b + cos(a - 90 degrees) cos(b + 90 degrees): a wave is two products of cosines.
    quarter = PERIOD // 4
    cosines = np.cos(np.arange(PERIOD) * (2 * math.pi / PERIOD))
    return NoiseWaves(
        row_frequencies=np.tile(np.rint(cycles * np.sin(directions)), 2).astype(np.int64),
        row_phases=np.repeat([0, -quarter], _WAVES),
        column_frequencies=np.tile(np.rint(cycles * np.cos(directions)), 2).astype(np.int64),
        column_phases=np.concatenate([shifts, shifts + quarter]),
        # The square root, since a wave is a product of two of them.
        cosines=(math.sqrt(strength * math.sqrt(2 / _WAVES)) * cosines).astype(np.float32),
    )
