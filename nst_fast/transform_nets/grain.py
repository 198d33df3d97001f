"""Faint noise on the photo, from which a network paints irregular strokes where the photo itself has nothing."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from nst_fast.errors import SettingError

# In pixels. Wavelengths divide it, so phases are whole numbers, exact in every precision and at every position.
PERIOD = 4096
_WAVES = 64
_SHORTEST, _LONGEST = 8, 64


class Grain(nn.Module):
    """Adds a fixed noise to photos: 64 plane waves of all directions, 8 to 64 pixels long.

    A convolutional network does the same wherever it sees the same, so it paints a wall or a clear sky in one small
    stroke, repeated in rows like woven cloth. With the grain no two places are the same. The noise is a function of
    the position alone: a film's frames all have the same, and so has each tile of a huge picture if its place is told.

    Plane waves (random Fourier features) cost one product of two thin matrices, need no stored noise, and repeat only
    after 4,096 pixels.

    Args:
        strength: standard deviation, where colours are in [0, 1]. 0: none.

    Raises:
        SettingError: `strength` is negative, or no number.
    """

    row_frequencies: Tensor
    row_phases: Tensor
    column_frequencies: Tensor
    column_phases: Tensor
    cosines: Tensor

    def __init__(self, strength: float) -> None:
        super().__init__()
        if not 0 <= strength < math.inf:
            raise SettingError(f"transform_net.grain is {strength}; it must be at least 0, such as 0.016")
        self.strength = strength
        # By NumPy, whose numbers are there also while a network is built on the meta device.
        random = np.random.default_rng(0)
        # Spread evenly over the octaves of wavelengths, and by the golden angle over the directions.
        octaves = (np.arange(_WAVES) + random.random(_WAVES)) / _WAVES
        cycles = PERIOD / _LONGEST * (_LONGEST / _SHORTEST) ** octaves
        directions = math.pi * (np.arange(_WAVES) * (math.sqrt(5) - 1) / 2)
        shifts = random.integers(PERIOD, size=_WAVES)
        # cos(a + b) = cos a cos b + cos(a - 90 degrees) cos(b + 90 degrees): a wave is two products of cosines.
        quarter = PERIOD // 4
        cosines = np.cos(np.arange(PERIOD) * (2 * math.pi / PERIOD))
        buffers = {
            "row_frequencies": np.tile(np.rint(cycles * np.sin(directions)), 2).astype(np.int64),
            "row_phases": np.repeat([0, -quarter], _WAVES),
            "column_frequencies": np.tile(np.rint(cycles * np.cos(directions)), 2).astype(np.int64),
            "column_phases": np.concatenate([shifts, shifts + quarter]),
            # The square root, since a wave is a product of two of them.
            "cosines": (math.sqrt(strength * math.sqrt(2 / _WAVES)) * cosines).astype(np.float32),
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, photos: Tensor, origin: Tensor | None = None) -> Tensor:
        """Add the grain to photos, (B, 3, H, W) in [0, 1]; the result reaches a little beyond that.

        Args:
            origin: where the first pixel lies, (2,), int64, down and right in pixels. None: at (0, 0).
        """
        if not self.strength:
            return photos
        down, right = (0, 0) if origin is None else origin
        rows = self._waves_along(photos.shape[2], down, self.row_frequencies, self.row_phases)
        columns = self._waves_along(photos.shape[3], right, self.column_frequencies, self.column_phases)
        return photos + (rows @ columns.T).to(photos.dtype)

    def _waves_along(self, side: int, start: int | Tensor, frequencies: Tensor, phases: Tensor) -> Tensor:
        positions = torch.arange(side, device=frequencies.device) + start
        return self.cosines[(positions[:, None] * frequencies + phases) % PERIOD]
