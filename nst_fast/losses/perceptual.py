"""The perceptual loss: content, style, total variation and lattices, weighted into one total with named terms."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from nst_fast.errors import ImageError, SettingError
from nst_fast.losses.content import content_loss, measure_feature_variance
from nst_fast.losses.lattice import lattice_power
from nst_fast.losses.normalisation import check_normalisation
from nst_fast.losses.style import gram_matrix, style_loss
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.losses.total_variation import total_variation


class PerceptualLoss(nn.Module):
    """The weighted sum of content, style, total variation and lattice power.

    The painting's Gram matrices are computed once, here; the content pass stops at the deepest content tap.

    Args:
        loss_network: gives the activations; a module, moved along by `.to(device)`.
        style_image: the painting, shape (3, H, W), RGB in [0, 1], at the size at which it is to be judged; or several
            paintings, each of its own size, blended.
        style_weights: the share of each painting, in any unit; None: equal shares. The target is the weighted mean of
            their Gram matrices, which is that of one canvas of which each painting covers its share. A weighted sum of
            the losses would (for `gatys` and `johnson`) have the same gradients and a floor that no picture reaches.
        content_taps, style_taps: tap -> weight, at least 0.
        normalisation: `relative` takes weighted means over the taps (so the number of taps does not matter),
            `gatys` and `johnson` the papers' weighted sums.
        content_weight: alpha.
        style_strength: beta; 20 is a good start for `relative`.
        total_variation_weight: for the total variation.
        lattice_weight: for `lattice_power`.
        feature_variance: tap -> variance over photos for every content tap; needed by `relative` alone.

    Raises:
        SettingError: unknown normalisation or tap, weights that are negative or all zero, a missing variance, no
            painting, or not as many weights as paintings.
    """

    def __init__(
        self,
        loss_network: nn.Module,
        style_image: Tensor | Sequence[Tensor],
        *,
        style_weights: Sequence[float] | None = None,
        content_taps: Mapping[str, float] = DEFAULT_CONTENT_TAPS,
        style_taps: Mapping[str, float] = DEFAULT_STYLE_TAPS,
        normalisation: str = "relative",
        content_weight: float = 1.0,
        style_strength: float = 20.0,
        total_variation_weight: float = 0.0,
        lattice_weight: float = 0.0,
        feature_variance: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        check_normalisation(normalisation)
        for name, taps in (("content_taps", content_taps), ("style_taps", style_taps)):
            _check_weights(name, taps)
        weights = {
            "content_weight": content_weight,
            "style_strength": style_strength,
            "total_variation_weight": total_variation_weight,
            "lattice_weight": lattice_weight,
        }
        _check_weights("the weights", weights)
        self.loss_network = loss_network
        self.content_taps = {tap: weight for tap, weight in content_taps.items() if weight > 0}
        self.style_taps = {tap: weight for tap, weight in style_taps.items() if weight > 0}
        self.normalisation = normalisation
        self.content_weight = content_weight
        self.style_strength = style_strength
        self.total_variation_weight = total_variation_weight
        self.lattice_weight = lattice_weight
        self.feature_variance = {**dict.fromkeys(self.content_taps, 1.0), **(feature_variance or {})}
        if normalisation == "relative" and (missing := self.content_taps.keys() - (feature_variance or {}).keys()):
            raise SettingError(
                f"the relative normalisation needs feature_variance of {', '.join(sorted(missing))}; "
                f"measure it on photos with measure_feature_variance"
            )
        paintings = [style_image] if isinstance(style_image, Tensor) else list(style_image)
        for tap, gram in self._blend_grams(paintings, _shares(paintings, style_weights)).items():
            # In float32 beside the module, so that `.to(device)` moves it; not saved with anything.
            self.register_buffer(f"target_{tap}", gram, persistent=False)

    @torch.no_grad()
    def measure_content(self, photos: Tensor) -> Mapping[str, Tensor]:
        """What `forward` compares with, for photos (B, 3, H, W), RGB in [0, 1], that are looked at many times."""
        return self.loss_network(photos, self.content_taps)

    def forward(self, painted: Tensor, photos: Tensor | Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, with gradients towards `painted`, and every term without.

        Args:
            painted: shape (B, 3, H, W), RGB in [0, 1].
            photos: the same shape; or what `measure_content` made of them.

        Returns:
            The scalar total, and scalars by name: `content`, `style`, `total_variation`, `lattice` (before their
            weights), `total`, and one for each tap such as `style.relu1_1`.
        """
        photo_features = self.measure_content(photos) if isinstance(photos, Tensor) else photos
        features = self.loss_network(painted, self.content_taps.keys() | self.style_taps.keys())
        by_tap: dict[str, Tensor] = {}
        for tap in self.content_taps:
            by_tap[f"content.{tap}"] = content_loss(
                features[tap], photo_features[tap], self.normalisation, self.feature_variance[tap]
            )
        for tap in self.style_taps:
            by_tap[f"style.{tap}"] = style_loss(features[tap], getattr(self, f"target_{tap}"), self.normalisation)
        content = self._over_taps(by_tap, "content", self.content_taps)
        style = self._over_taps(by_tap, "style", self.style_taps)
        roughness = total_variation(painted, self.normalisation)
        total = self.content_weight * content + self.style_strength * style
        if self.total_variation_weight > 0:
            total = total + self.total_variation_weight * roughness
        lattice = lattice_power(painted)
        if self.lattice_weight > 0:
            total = total + self.lattice_weight * lattice
        terms = {"total": total, "content": content, "style": style, "total_variation": roughness, "lattice": lattice}
        terms |= by_tap
        return total, {name: term.detach() for name, term in terms.items()}

    @torch.no_grad()
    def _blend_grams(self, paintings: Sequence[Tensor], shares: Sequence[float]) -> dict[str, Tensor]:
        blended: dict[str, Tensor] = {}
        for painting, share in zip(paintings, shares, strict=True):
            for tap, features in self.loss_network(painting.unsqueeze(0), self.style_taps).items():
                gram = gram_matrix(features)[0] * share
                blended[tap] = blended[tap] + gram if tap in blended else gram
        return blended

    def _over_taps(self, by_tap: Mapping[str, Tensor], kind: str, taps: Mapping[str, float]) -> Tensor:
        weighted = torch.stack([weight * by_tap[f"{kind}.{tap}"] for tap, weight in taps.items()]).sum()
        return weighted / sum(taps.values()) if self.normalisation == "relative" else weighted


@torch.no_grad()
def measure_losses(paint: Callable[[Tensor], Tensor], loss: PerceptualLoss, photos: Tensor) -> dict[str, float]:
    """The terms that `paint` reaches, averaged over photos that were not trained on.

    Args:
        paint: photos in, pictures out, both (B, 3, H, W), RGB in [0, 1].
        photos: shape (N, 3, H, W), on the device of `loss`.

    Returns:
        The named terms of `PerceptualLoss.forward`.

    Raises:
        ImageError: there is no photo.
    """
    if not len(photos):
        raise ImageError("there is no photo to measure the losses on; give at least one")
    sums: dict[str, float] = {}
    for photo in photos.split(4):
        _, terms = loss(paint(photo).clamp(0, 1), photo)
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + float(term) * len(photo)
    return {name: total / len(photos) for name, total in sums.items()}


def build_relative_loss(
    loss_network: nn.Module,
    style_image: Tensor,
    photos: Tensor,
    *,
    content_taps: Mapping[str, float] = DEFAULT_CONTENT_TAPS,
    style_taps: Mapping[str, float] = DEFAULT_STYLE_TAPS,
    style_strength: float = 20.0,
) -> PerceptualLoss:
    """The loss by which checkpoints are compared: `relative`, 20 * style + content, the variance of these very photos.

    Args:
        style_image: shape (3, H, W), RGB in [0, 1]; the painting at 384 px short side for figures to compare.
        photos: shape (N, 3, H, W), RGB in [0, 1]; 256 px crops for figures to compare.
    """
    variance = measure_feature_variance(loss_network, photos.split(4), content_taps)
    return PerceptualLoss(
        loss_network,
        style_image,
        content_taps=content_taps,
        style_taps=style_taps,
        style_strength=style_strength,
        feature_variance=variance,
    )


def _shares(paintings: Sequence[Tensor], weights: Sequence[float] | None) -> list[float]:
    if not paintings:
        raise SettingError("no painting was given; give at least one")
    weights = [1.0] * len(paintings) if weights is None else weights
    if len(weights) != len(paintings):
        raise SettingError(
            f"style_weights has {len(weights)} numbers for {len(paintings)} paintings; give one for each"
        )
    _check_weights("style_weights", {str(number + 1): weight for number, weight in enumerate(weights)})
    return [weight / sum(weights) for weight in weights]


def _check_weights(name: str, weights: Mapping[str, float]) -> None:
    given = ", ".join(f"{key} {value:g}" for key, value in weights.items()) or "nothing"
    allowed = all(value >= 0 and math.isfinite(value) for value in weights.values())
    if not allowed or not any(value > 0 for value in weights.values()):
        raise SettingError(f"{name}: {given}; each must be a number of at least 0, and one of them more than 0")
