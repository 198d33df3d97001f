"""The perceptual loss: content, style, total variation and grid artifacts, weighted into one total with named terms."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from nst_fast.errors import ImageError, SettingError
from nst_fast.losses.content import content_loss, measure_feature_variance
from nst_fast.losses.grid import grid_power
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS, LossSettings, check_weights
from nst_fast.losses.style import gram_matrix, style_loss
from nst_fast.losses.total_variation import total_variation


class PerceptualLoss(nn.Module):
    """The weighted sum of content loss, style loss, total variation and grid power.

    The Gram matrices of the style image are computed once, on construction. The pass for the content stops at the
    deepest content tap.

    With the scaling `relative`, content and style are weighted means over their taps, so that the number of taps does
    not matter. With `gatys` and `johnson` they are weighted sums, as in the papers.

    Args:
        loss_network: gives the activations, called as `loss_network(images, taps)`; `.to(device)` moves it along.
        style_image: shape (3, H, W), RGB in [0, 1], at the size at which its style counts; or several style images,
            each of its own size, to blend.
        settings: weights, taps and scaling.
        style_weights: the share of each style image, in any unit; None: equal shares. The target is the weighted mean
            of the Gram matrices, which is that of one canvas on which each style image covers its share. A weighted sum
            of losses would have the same gradients (for `gatys` and `johnson`), and a minimum that no image reaches.
        feature_variance: tap -> variance over photos for every content tap, from `measure_feature_variance`; only
            `relative` needs it.

    Raises:
        SettingError: an unknown tap, a missing variance, no style image, or weights that do not fit the style images.
    """

    def __init__(
        self,
        loss_network: nn.Module,
        style_image: Tensor | Sequence[Tensor],
        settings: LossSettings | None = None,
        *,
        style_weights: Sequence[float] | None = None,
        feature_variance: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        settings = settings or LossSettings()
        self.loss_network = loss_network
        self.settings = settings
        self.content_taps = {tap: weight for tap, weight in settings.content_taps.items() if weight > 0}
        self.style_taps = {tap: weight for tap, weight in settings.style_taps.items() if weight > 0}
        self.feature_variance = {**dict.fromkeys(self.content_taps, 1.0), **(feature_variance or {})}
        missing = self.content_taps.keys() - (feature_variance or {}).keys()
        if settings.scaling == "relative" and missing:
            raise SettingError(
                f"the relative scaling needs feature_variance of {', '.join(sorted(missing))}; "
                f"measure it on photos with measure_feature_variance"
            )
        style_images = [style_image] if isinstance(style_image, Tensor) else list(style_image)
        for tap, gram in self._blend_grams(style_images, _shares(style_images, style_weights)).items():
            # Buffers, so that `.to(device)` moves them; they are not saved with anything.
            self.register_buffer(f"target_{tap}", gram, persistent=False)

    @torch.no_grad()
    def measure_content(self, photos: Tensor) -> Mapping[str, Tensor]:
        """What `forward` compares with, for photos (B, 3, H, W), RGB in [0, 1], that it is given many times."""
        return self.loss_network(photos, self.content_taps)

    def forward(self, stylized: Tensor, photos: Tensor | Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, with gradients towards `stylized`, and every term without gradients.

        Args:
            stylized: shape (B, 3, H, W), RGB in [0, 1].
            photos: the same shape; or what `measure_content` made of them.

        Returns:
            The scalar total, and scalars by name: `total`, the terms before their weights, which are `content`,
            `style`, `total_variation` and `grid`, and one for each tap, such as `style.relu1_1`.
        """
        settings = self.settings
        photo_features = self.measure_content(photos) if isinstance(photos, Tensor) else photos
        features = self.loss_network(stylized, self.content_taps.keys() | self.style_taps.keys())
        by_tap: dict[str, Tensor] = {}
        for tap in self.content_taps:
            by_tap[f"content.{tap}"] = content_loss(
                features[tap], photo_features[tap], settings.scaling, self.feature_variance[tap]
            )
        for tap in self.style_taps:
            by_tap[f"style.{tap}"] = style_loss(features[tap], getattr(self, f"target_{tap}"), settings.scaling)
        terms = {
            "content": self._over_taps(by_tap, "content", self.content_taps),
            "style": self._over_taps(by_tap, "style", self.style_taps),
            "total_variation": total_variation(stylized, settings.scaling),
            "grid": grid_power(stylized),
        }
        total = settings.content_weight * terms["content"] + settings.style_strength * terms["style"]
        for name, weight in (("total_variation", settings.total_variation_weight), ("grid", settings.grid_weight)):
            if weight > 0:  # else the term is only shown, and its gradient would cost time
                total = total + weight * terms[name]
        named = {"total": total, **terms, **by_tap}
        return total, {name: term.detach() for name, term in named.items()}

    @torch.no_grad()
    def _blend_grams(self, style_images: Sequence[Tensor], shares: Sequence[float]) -> dict[str, Tensor]:
        blended: dict[str, Tensor] = {}
        for style_image, share in zip(style_images, shares, strict=True):
            for tap, features in self.loss_network(style_image.unsqueeze(0), self.style_taps).items():
                gram = gram_matrix(features)[0] * share
                blended[tap] = blended[tap] + gram if tap in blended else gram
        return blended

    def _over_taps(self, by_tap: Mapping[str, Tensor], kind: str, taps: Mapping[str, float]) -> Tensor:
        weighted = torch.stack([weight * by_tap[f"{kind}.{tap}"] for tap, weight in taps.items()]).sum()
        return weighted / sum(taps.values()) if self.settings.scaling == "relative" else weighted


@torch.no_grad()
def measure_losses(stylize: Callable[[Tensor], Tensor], loss: PerceptualLoss, photos: Tensor) -> dict[str, float]:
    """The terms of the loss that `stylize` reaches, averaged over photos.

    Args:
        stylize: photos in, stylized images out, both (B, 3, H, W), RGB in [0, 1].
        loss: see `PerceptualLoss`.
        photos: shape (N, 3, H, W), RGB in [0, 1], on the device of `loss`; best photos that were not trained on.

    Returns:
        The named terms of `PerceptualLoss.forward`.

    Raises:
        ImageError: there is no photo.
    """
    if not len(photos):
        raise ImageError("there is no photo to measure the losses on; give at least one")
    sums: dict[str, float] = {}
    for photo in photos.split(4):
        _, terms = loss(stylize(photo).clamp(0, 1), photo)
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
    """The loss that compares checkpoints: `relative`, 20 * style + content, with the variance of these very photos.

    Args:
        loss_network: see `PerceptualLoss`.
        style_image: shape (3, H, W), RGB in [0, 1]; use a short side of 384 pixels for figures to compare.
        photos: shape (N, 3, H, W), RGB in [0, 1]; use crops of 256 pixels for figures to compare.
        content_taps, style_taps: tap -> weight.
        style_strength: weight of the style loss.
    """
    variance = measure_feature_variance(loss_network, photos.split(4), content_taps)
    settings = LossSettings(content_taps=content_taps, style_taps=style_taps, style_strength=style_strength)
    return PerceptualLoss(loss_network, style_image, settings, feature_variance=variance)


def _shares(style_images: Sequence[Tensor], weights: Sequence[float] | None) -> list[float]:
    if not style_images:
        raise SettingError("no style image was given; give at least one")
    weights = [1.0] * len(style_images) if weights is None else weights
    if len(weights) != len(style_images):
        raise SettingError(
            f"style_weights has {len(weights)} numbers for {len(style_images)} style images; give one for each"
        )
    check_weights("style_weights", {str(number + 1): weight for number, weight in enumerate(weights)})
    return [weight / sum(weights) for weight in weights]
