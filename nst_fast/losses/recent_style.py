"""The style of the images before, so that many stylized images together have the style of the style image.

If each of them had to have all of it, the sea would get the red of the roofs, since the painting has that much red.
Here an image is compared together with the ones before it, and may have more of one color or texture if others have
less.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nst_fast.losses.colors import sample_colors
from nst_fast.losses.moments import Moments, mix_moments
from nst_fast.losses.style_targets import StyleTargets

# About so many images are remembered: the newest one counts 1/16, and each one before it a little less.
_IMAGES = 16
_COLORS = 1024  # of each image


class StyleStatistics(NamedTuple):
    """What the style loss and the color loss look at.

    Attributes:
        moments: tap -> moments of B images, or of one that stands for many.
        colors: (B, N, 3), RGB in [0, 1].
    """

    moments: Mapping[str, Moments]
    colors: Tensor

    def detach(self) -> "StyleStatistics":
        """Without gradients, and with 1024 colors of each image, for `RecentStyle.remember`."""
        moments = {tap: Moments(*(part.detach() for part in one)) for tap, one in self.moments.items()}
        return StyleStatistics(moments, sample_colors(self.colors.detach(), _COLORS))


class Company(NamedTuple):
    """Images among which others are compared.

    Attributes:
        statistics: of all of them, as of one image.
        share: of an image in what is compared, more than 0, below 1; the rest is theirs.
    """

    statistics: StyleStatistics
    share: float

    def add_moments(self, tap: str, moments: Moments) -> Moments:
        """Of each of B images and its company."""
        return mix_moments([self.statistics.moments[tap], moments], [1 - self.share, self.share])

    def add_colors(self, colors: Tensor) -> Tensor:
        """Of each of B images, (B, N, 3), and its company, (B, N / share, 3)."""
        count = round(colors.shape[1] * (1 - self.share) / self.share)
        others = sample_colors(self.statistics.colors, count).expand(len(colors), -1, -1)
        return torch.cat([colors, others], 1)

    def count_fully(self, loss: Tensor) -> Tensor:
        """A loss of images and company with the same value, and as much gradient as if it were of the images alone."""
        return loss.detach() + (loss - loss.detach()) / self.share


def choose_joining(images: Tensor, strengths: Tensor | None) -> Tensor:
    """Which of B images are compared in company and remembered: those of strength 1; (B,), bool."""
    return images.new_ones(len(images), dtype=torch.bool) if strengths is None else strengths == 1


class RecentStyle(nn.Module):
    """Remembers the style of the last images.

    At the beginning that of the style image, as if all had been right. Then what an image gets wrong counts little
    until a few more have.

    Args:
        targets: of the style image, with moments.
        in_bands: whether moments are compared in bands of tone.
        share: see `Company`.
    """

    def __init__(self, targets: StyleTargets, *, in_bands: bool, share: float) -> None:
        super().__init__()
        self._share = share
        self._taps = list(targets.moments)
        for tap, moments in targets.moments.items():
            for name, values in zip(Moments._fields, moments if in_bands else moments.over_all(), strict=True):
                self.register_buffer(f"{tap}_{name}", values.clone())  # a saved state is copied into it
        self.register_buffer("colors", sample_colors(targets.palette.colors, _COLORS).repeat(1, _IMAGES, 1))

    def recall(self) -> Company:
        """What is remembered."""
        moments = {tap: Moments(*(self.get_buffer(f"{tap}_{name}") for name in Moments._fields)) for tap in self._taps}
        return Company(StyleStatistics(moments, self.get_buffer("colors")), self._share)

    @torch.no_grad()
    def remember(self, measured: StyleStatistics, counts: Tensor) -> None:
        """Remember some more images.

        Args:
            measured: of B images, detached.
            counts: (B,), bool: which of them.
        """
        weights = counts.float() / max(_IMAGES, 2 * len(counts))
        shares = [1 - weights.sum(), *weights]
        remembered = self.recall().statistics
        for tap in self._taps:
            each = [Moments(*one) for one in zip(*(part.split(1) for part in measured.moments[tap]), strict=True)]
            mixed = mix_moments([remembered.moments[tap], *each], shares)
            for name, values in zip(Moments._fields, mixed, strict=True):
                setattr(self, f"{tap}_{name}", values)
        colors = remembered.colors
        for does_count, newest in zip(counts, measured.colors.split(1), strict=True):
            colors = torch.where(does_count, torch.cat([colors[:, _COLORS:], newest], 1), colors)
        self.colors = colors
