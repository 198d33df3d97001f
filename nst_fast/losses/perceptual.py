"""The perceptual loss: content, style, total variation and grid artifacts, weighted into one total with named terms."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nst_fast.errors import ImageError, SettingError
from nst_fast.losses.colors import compare_colors, list_colors
from nst_fast.losses.content import content_loss, measure_feature_variance, weigh_detail
from nst_fast.losses.grid import grid_power
from nst_fast.losses.moments import Moments, measure_moments, measure_windows, moment_loss, split_counts
from nst_fast.losses.recent_style import Company, StyleStatistics, choose_joining
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS, LossSettings
from nst_fast.losses.style import style_loss
from nst_fast.losses.style_targets import StyleTargets, measure_style, mix_targets, share_out
from nst_fast.losses.tones import PhotoTones, tone_loss, weigh_bands
from nst_fast.losses.total_variation import total_variation

# Style counts by strength ** 1.5: 1/8 at a strength of 1/4, 2.8 times at 2.
STRENGTH_POWER = 1.5
# Of the mean squared difference from the photo's pixels, at strength 0. The content loss alone leaves colors free.
PIXEL_WEIGHT = 50.0


class PhotoTargets(NamedTuple):
    """What the loss knows of photos.

    Attributes:
        photos: (B, 3, H, W), RGB in [0, 1].
        features: content tap -> activations.
        weights: content tap -> how much each place counts, (B, 1, H, W); empty: all the same.
        ranks: (B, 1, H // 4, W // 4) of their tones; None: no term needs them.
    """

    photos: Tensor
    features: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]
    ranks: Tensor | None


class PerceptualLoss(nn.Module):
    """The weighted sum of content loss, style loss, tone loss, color loss, total variation and grid power.

    The statistics of the style image are measured once, on construction. The pass for the content stops at the deepest
    content tap.

    With the scaling `relative`, content and style are weighted means over their taps, so that the number of taps does
    not matter. With `gatys` and `johnson` they are weighted sums, as in the papers.

    Args:
        loss_network: gives the activations, called as `loss_network(images, taps)`.
        style_image: shape (3, H, W), RGB in [0, 1], at the size at which its style counts, on the device of the loss
            network; or several style images, each of its own size, to blend; or targets that are measured already.
        settings: weights, taps and scaling.
        style_weights: the share of each style image, in any unit; None: equal shares.
        feature_variance: tap -> variance over photos for every content tap, from `measure_feature_variance`; only
            `relative` needs it.
        photo_tones: ranks the tones of photos; needed where `settings.needs_tones`.

    Attributes:
        targets: what the style of stylized images is compared with. Like `photo_tones` it stays on the device where it
            was measured, so build the loss on the device where it is used.

    Raises:
        SettingError: an unknown tap, a missing variance, missing tones, no style image, or weights that do not fit the
            style images.
    """

    def __init__(
        self,
        loss_network: nn.Module,
        style_image: Tensor | Sequence[Tensor] | StyleTargets,
        settings: LossSettings | None = None,
        *,
        style_weights: Sequence[float] | None = None,
        feature_variance: Mapping[str, float] | None = None,
        photo_tones: PhotoTones | None = None,
    ) -> None:
        super().__init__()
        settings = settings or LossSettings()
        self.loss_network = loss_network
        self.settings = settings
        self.photo_tones = photo_tones
        self.content_taps = {tap: weight for tap, weight in settings.content_taps.items() if weight > 0}
        self.style_taps = {tap: weight for tap, weight in settings.style_taps.items() if weight > 0}
        self.feature_variance = {**dict.fromkeys(self.content_taps, 1.0), **(feature_variance or {})}
        missing = self.content_taps.keys() - (feature_variance or {}).keys()
        if settings.scaling == "relative" and missing:
            raise SettingError(
                f"the relative scaling needs feature_variance of {', '.join(sorted(missing))}; "
                f"measure it on photos with measure_feature_variance"
            )
        if settings.needs_tones and photo_tones is None:
            raise SettingError(
                "the tone loss and the bands of the style loss need photo_tones; make PhotoTones of some photos, or "
                "set tone_weight and band_share to 0"
            )
        if isinstance(style_image, StyleTargets):
            self.targets = style_image
        else:
            style_images = [style_image] if isinstance(style_image, Tensor) else list(style_image)
            shares = share_out(len(style_images), style_weights)
            self.targets = mix_targets([self.measure_style(image) for image in style_images], shares)

    def measure_style(self, style_image: Tensor) -> StyleTargets:
        """The targets of a style image, (3, H, W), RGB in [0, 1], as `forward` takes them."""
        return measure_style(self.loss_network, style_image, [*self.style_taps], moments=self.settings.compares_moments)

    @torch.no_grad()
    def measure_content(self, photos: Tensor) -> PhotoTargets:
        """What `forward` compares with, for photos (B, 3, H, W), RGB in [0, 1], that it is given many times."""
        features = self.loss_network(photos, self.content_taps)
        weights = {}
        if focus := self.settings.focuses_content:
            weights = {tap: weigh_detail(features[tap], self.feature_variance[tap], focus) for tap in self.content_taps}
        ranks = self.photo_tones.rank(photos) if self.photo_tones is not None else None
        return PhotoTargets(photos, features, weights, ranks)

    def forward(
        self,
        stylized: Tensor,
        photos: Tensor | PhotoTargets,
        *,
        strengths: Tensor | None = None,
        targets: StyleTargets | None = None,
        symmetric: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, with gradients towards `stylized`, and every term without gradients.

        Args:
            stylized: shape (B, 3, H, W), RGB in [0, 1].
            photos: the same shape; or what `measure_content` made of them.
            strengths: (B,), 0 to 2, at which an adjustable network stylized each image; None: 1 for all. Style, tones
                and colors count by the power 1.5 of it; and the less it is, the more the photo's own pixels count.
            targets: of the style image for each image; None: those of the style image given on construction.
            symmetric: True: style and tone are measured as a network for many style images is trained, see
                `moment_loss`; with moments only.

        Returns:
            The scalar total, and scalars by name: `total`, the terms before their weights, which are `content`,
            `style`, `tone`, `color`, `total_variation` and `grid`, and one for each tap, such as `style.relu1_1`. All
            are means over the batch.
        """
        total, terms, _ = self._compare(stylized, photos, strengths, targets or self.targets, symmetric, None)
        return total, terms

    def compare_among(
        self, stylized: Tensor, photos: Tensor, company: Company, *, strengths: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor], StyleStatistics]:
        """As `forward`, but the style and the colors of each image are compared together with those of its company.

        So the terms say how far all of them are from the style image. Images that were stylized at another strength
        than 1 are compared by themselves, and so are windows. With moments only.

        Returns:
            Also the style of each image, detached.
        """
        total, terms, statistics = self._compare(stylized, photos, strengths, self.targets, False, company)
        assert statistics is not None
        return total, terms, statistics

    def _compare(
        self,
        stylized: Tensor,
        photos: Tensor | PhotoTargets,
        strengths: Tensor | None,
        targets: StyleTargets,
        symmetric: bool,
        company: Company | None,
    ) -> tuple[Tensor, dict[str, Tensor], StyleStatistics | None]:
        settings = self.settings
        photo = self.measure_content(photos) if isinstance(photos, Tensor) else photos
        features = self.loss_network(stylized, self.content_taps.keys() | self.style_taps.keys())
        by_tap: dict[str, Tensor] = {}
        for tap in self.content_taps:
            by_tap[f"content.{tap}"] = content_loss(
                features[tap],
                photo.features[tap],
                settings.scaling,
                self.feature_variance[tap],
                photo.weights.get(tap),
            )
        joins = choose_joining(stylized, strengths)
        moments: dict[str, Moments] = {}
        for tap in self.style_taps:
            if settings.compares_moments:
                moments[tap] = self._measure_moments(features[tap], photo.ranks)
                style = self._compare_moments(tap, moments[tap], targets, symmetric, company, joins)
                if settings.window_share > 0:
                    by_windows = self._compare_windows(tap, stylized, features[tap], moments[tap], targets, symmetric)
                    style = style + settings.window_share * by_windows
            else:
                style = style_loss(features[tap], targets.grams[tap], settings.scaling)
            by_tap[f"style.{tap}"] = style
        terms = {
            "content": self._over_taps(by_tap, "content", self.content_taps),
            "style": self._over_taps(by_tap, "style", self.style_taps),
            "total_variation": total_variation(stylized, settings.scaling),
            "grid": grid_power(stylized),
        }
        if photo.ranks is not None:
            terms["tone"] = tone_loss(stylized, photo.ranks, targets.tone_curves, symmetric=symmetric)
        colors = list_colors(stylized)
        if settings.weighs_colors > 0:
            terms["color"] = compare_colors(colors, targets.palette)
            if company is not None:
                among = compare_colors(company.add_colors(colors), targets.palette)
                terms["color"] = torch.where(joins, company.count_fully(among), terms["color"])
        style_share: Tensor | float = 1.0
        total = settings.content_weight * terms["content"]
        if strengths is not None:
            style_share = strengths**STRENGTH_POWER
            pixels = (stylized - photo.photos).square().mean((1, 2, 3))
            total = total + PIXEL_WEIGHT * (1 - strengths).clamp(min=0).square() * pixels
        total = total + style_share * settings.style_strength * terms["style"]
        if settings.weighs_tones > 0:
            total = total + style_share * settings.weighs_tones * terms["tone"]
        if settings.weighs_colors > 0:
            total = total + style_share * settings.weighs_colors * terms["color"]
        for name, weight in (("total_variation", settings.total_variation_weight), ("grid", settings.grid_weight)):
            if weight > 0:  # else the term is only shown, and its gradient would cost time
                total = total + weight * terms[name]
        named = {"total": total, **terms, **by_tap}
        means = {name: term.detach().mean() for name, term in named.items()}
        statistics = None if company is None else StyleStatistics(moments, colors).detach()
        return total.mean(), means, statistics

    def _measure_moments(self, features: Tensor, ranks: Tensor | None) -> Moments:
        bands = None if ranks is None or self.settings.band_share == 0 else weigh_bands(ranks, *features.shape[2:])
        return measure_moments(features, bands)

    def _compare_moments(
        self,
        tap: str,
        moments: Moments,
        targets: StyleTargets,
        symmetric: bool,
        company: Company | None,
        joins: Tensor,
    ) -> Tensor:
        """The style loss but for its windows, times their shares, (B,)."""
        settings, target = self.settings, targets.moments[tap]

        def compare(given: Moments) -> Tensor:
            over_all = moment_loss(given.over_all(), target.over_all(), symmetric=symmetric)
            if given.shares.shape[1] == 1:
                return (1 - settings.window_share) * over_all
            by_bands = moment_loss(given, target, symmetric=symmetric)
            return (1 - settings.window_share - settings.band_share) * over_all + settings.band_share * by_bands

        alone = compare(moments)
        if company is None:
            return alone
        return torch.where(joins, company.count_fully(compare(company.add_moments(tap, moments))), alone)

    def _compare_windows(
        self,
        tap: str,
        stylized: Tensor,
        features: Tensor,
        moments: Moments,
        targets: StyleTargets,
        symmetric: bool,
    ) -> Tensor:
        whole, windows = targets.moments[tap].over_all(), split_counts(stylized, features)
        of_windows = moments.over_all() if windows == (1, 1) else measure_windows(features, *windows)
        return moment_loss(of_windows, whole, symmetric=symmetric)

    def _over_taps(self, by_tap: Mapping[str, Tensor], kind: str, taps: Mapping[str, float]) -> Tensor:
        weighted = torch.stack([weight * by_tap[f"{kind}.{tap}"] for tap, weight in taps.items()]).sum(0)
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
    style_strength: float = LossSettings().style_strength,
) -> PerceptualLoss:
    """The loss that compares checkpoints: `relative`, with the variance and the tones of these very photos.

    Args:
        loss_network: see `PerceptualLoss`.
        style_image: shape (3, H, W), RGB in [0, 1]; use a short side of 384 pixels for figures to compare.
        photos: shape (N, 3, H, W), RGB in [0, 1]; use crops of 256 pixels for figures to compare.
        content_taps, style_taps: tap -> weight, of taps that the loss network has.
        style_strength: weight of the style loss.
    """
    variance = measure_feature_variance(loss_network, photos.split(4), content_taps)
    settings = LossSettings(content_taps=content_taps, style_taps=style_taps, style_strength=style_strength)
    return PerceptualLoss(
        loss_network, style_image, settings, feature_variance=variance, photo_tones=PhotoTones(photos)
    )
