"""What the style loss compares with: measured on style images once, then used in every step."""

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nst_fast.errors import SettingError
from nst_fast.losses.colors import Palette, measure_palette, mix_palettes, stack_palettes
from nst_fast.losses.moments import Moments, measure_moments, mix_moments
from nst_fast.losses.settings import check_weights
from nst_fast.losses.style import gram_matrix
from nst_fast.losses.tones import rank_style_tones, weigh_bands


@dataclasses.dataclass(frozen=True)
class StyleTargets:
    """The statistics of one style image, or of one for each image of a batch.

    Attributes:
        moments: tap -> moments in the bands of tone; empty if Gram matrices are compared.
        grams: tap -> (1 or B, C, C); empty if moments are compared.
        tone_curves: (1 or B, 65), see `losses.tones`.
        palette: of their colors.
    """

    moments: Mapping[str, Moments]
    grams: Mapping[str, Tensor]
    tone_curves: Tensor
    palette: Palette

    def to(self, device: torch.device | str) -> "StyleTargets":
        """The same on another device."""
        return StyleTargets(
            {tap: Moments(*(part.to(device) for part in one)) for tap, one in self.moments.items()},
            {tap: gram.to(device) for tap, gram in self.grams.items()},
            self.tone_curves.to(device),
            Palette(*(part.to(device) for part in self.palette)),
        )


@torch.no_grad()
def measure_style(loss_network: nn.Module, style_image: Tensor, taps: Sequence[str], *, moments: bool) -> StyleTargets:
    """The targets of one style image.

    Args:
        loss_network: called as `loss_network(images, taps)`.
        style_image: (3, H, W), RGB in [0, 1], on the device of the loss network.
        taps: to measure at.
        moments: True: moments in bands; False: Gram matrices.
    """
    features = loss_network(style_image[None], taps)
    ranks, curves = rank_style_tones(style_image[None])
    palette = measure_palette(style_image[None])
    if not moments:
        return StyleTargets({}, {tap: gram_matrix(one) for tap, one in features.items()}, curves, palette)
    in_bands = {tap: measure_moments(one, weigh_bands(ranks, *one.shape[2:])) for tap, one in features.items()}
    return StyleTargets(in_bands, {}, curves, palette)


def mix_targets(targets: Sequence[StyleTargets], shares: Sequence[float]) -> StyleTargets:
    """The targets of one canvas on which each style image covers its share; the shares add up to 1.

    A weighted sum of losses would have a minimum that no image reaches.
    """
    if len(targets) == 1:
        return targets[0]
    first = targets[0]
    return StyleTargets(
        {tap: mix_moments([one.moments[tap] for one in targets], list(shares)) for tap in first.moments},
        {tap: _weighted_sum([one.grams[tap] for one in targets], shares) for tap in first.grams},
        _weighted_sum([one.tone_curves for one in targets], shares),
        mix_palettes([one.palette for one in targets], shares),
    )


def stack_targets(targets: Sequence[StyleTargets]) -> StyleTargets:
    """One target for each image of a batch."""
    first = targets[0]
    return StyleTargets(
        {
            tap: Moments(*(torch.cat(parts) for parts in zip(*(one.moments[tap] for one in targets), strict=True)))
            for tap in first.moments
        },
        {tap: torch.cat([one.grams[tap] for one in targets]) for tap in first.grams},
        torch.cat([one.tone_curves for one in targets]),
        stack_palettes([one.palette for one in targets]),
    )


def share_out(count: int, weights: Sequence[float] | None) -> list[float]:
    """The shares of several style images, adding up to 1; None: equal ones.

    Raises:
        SettingError: no style image, or weights that do not fit them.
    """
    if not count:
        raise SettingError("no style image was given; give at least one")
    weights = [1.0] * count if weights is None else weights
    if len(weights) != count:
        raise SettingError(f"style_weights has {len(weights)} numbers for {count} style images; give one for each")
    check_weights("style_weights", {str(number + 1): weight for number, weight in enumerate(weights)})
    return [weight / sum(weights) for weight in weights]


def _weighted_sum(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    return torch.stack([tensor * share for tensor, share in zip(tensors, shares, strict=True)]).sum(0)
