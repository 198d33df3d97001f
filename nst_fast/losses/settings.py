"""Settings of the perceptual loss. Light: neither this module nor what it imports needs PyTorch."""

import dataclasses
import math
from collections.abc import Mapping

from nst_fast.errors import SettingError
from nst_fast.settings.checks import check_settings
from nst_fast.settings.declare import setting, with_help

# relative: dimensionless, so that one style_strength means the same for every style image and loss network (ours).
# gatys:    Gatys, Ecker, Bethge 2016 (CVPR), equations 1, 4 and 5.
# johnson:  Johnson, Alahi, Fei-Fei 2016 (arXiv 1603.08155), section 3.2.
SCALINGS = ("relative", "gatys", "johnson")
# moments: mean and covariance apart, over the image and in bands of tone (ours). gram: the Gram matrix of the papers.
STYLE_STATISTICS = ("moments", "gram")

# The taps that every verb uses by default, so that their figures can be compared.
DEFAULT_CONTENT_TAPS = {"relu3_2": 1.0, "relu4_2": 1.0}
DEFAULT_STYLE_TAPS = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0, "relu4_1": 1.0}


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The loss: what the training (or the optimization) minimizes."""

    style_strength: float = setting(7.0, "weight of the style loss: more for more style and less photo", at_least=0)
    content_weight: float = setting(1.0, "weight of the content loss", at_least=0)
    tone_weight: float | None = setting(
        None,
        "weight of the tone loss: dark stays dark, in the style's tones; null: 1 if relative, else 0",
        at_least=0,
    )
    color_weight: float | None = setting(
        None,
        "weight of the color loss: rare colors of the style image, too; null: 1 if relative, else 0",
        at_least=0,
    )
    total_variation_weight: float = setting(0.0, "weight of the total variation, which smooths the image", at_least=0)
    grid_weight: float = setting(0.0, "weight against grid artifacts (dots and lines 4 pixels apart)", at_least=0)
    content_taps: Mapping[str, float] = setting(
        DEFAULT_CONTENT_TAPS, "layers of the content loss with their weights, such as {relu4_2:1}"
    )
    content_focus: float = setting(
        0.95,
        "share of the content loss that counts only where the photo has detail (scaling=relative only)",
        at_least=0,
        at_most=1,
    )
    style_taps: Mapping[str, float] = setting(
        DEFAULT_STYLE_TAPS, "layers of the style loss with their weights, such as {relu1_2:1,relu2_2:0.5}"
    )
    style_statistic: str | None = setting(
        None,
        "what the style loss compares: moments or gram; null: moments with scaling=relative, else gram",
        choices=STYLE_STATISTICS,
    )
    band_share: float = setting(
        0.2,
        "share of the style loss that compares dark with dark and light with light (moments only)",
        at_least=0,
        at_most=1,
    )
    window_share: float = setting(
        0.6,
        "share of the style loss that looks at windows of 96 pixels (moments only)",
        at_least=0,
        at_most=1,
    )
    scaling: str = setting("relative", "units of the terms: relative, gatys or johnson", choices=SCALINGS)

    def __post_init__(self) -> None:
        check_settings(self)
        check_weights("content_taps", self.content_taps)
        check_weights("style_taps", self.style_taps)
        names = ("content_weight", "style_strength", "total_variation_weight", "grid_weight")
        check_weights(
            "the weights",
            {
                **{name: getattr(self, name) for name in names},
                "tone_weight": self.weighs_tones,
                "color_weight": self.weighs_colors,
            },
        )
        if self.band_share + self.window_share > 1:
            raise SettingError(
                f"band_share {self.band_share:g} and window_share {self.window_share:g} are more than the whole style "
                f"loss; their sum must be at most 1"
            )
        if self.scaling != "relative" and self.style_statistic == "moments":
            raise SettingError(f"style_statistic moments has no scaling {self.scaling}; set scaling=relative, or gram")

    def fill_in(self) -> "LossSettings":
        """A copy in which the weights of tones and colors and the statistic are no longer None."""
        return dataclasses.replace(
            self,
            tone_weight=self.weighs_tones,
            color_weight=self.weighs_colors,
            style_statistic="moments" if self.compares_moments else "gram",
        )

    @property
    def weighs_tones(self) -> float:
        """The weight of the tone loss."""
        return float(self.scaling == "relative") if self.tone_weight is None else self.tone_weight

    @property
    def focuses_content(self) -> float:
        """The share of the content loss that counts only where the photo has detail: none in the papers' losses."""
        return self.content_focus if self.scaling == "relative" else 0.0

    @property
    def weighs_colors(self) -> float:
        """The weight of the color loss."""
        return float(self.scaling == "relative") if self.color_weight is None else self.color_weight

    @property
    def needs_tones(self) -> bool:
        """Whether any term looks at tones."""
        return self.weighs_tones > 0 or (self.compares_moments and self.band_share > 0)

    @property
    def compares_moments(self) -> bool:
        """Whether the style loss compares moments; else it compares Gram matrices."""
        return (self.style_statistic or {"relative": "moments"}.get(self.scaling, "gram")) == "moments"


def describe_total(style_strength: float) -> str:
    """The total by which networks are compared, for people: every weight but this one is the default."""
    return f"content + {style_strength:g} * style + tone + color"


def check_weights(name: str, weights: Mapping[str, float]) -> None:
    """Raises SettingError unless all weights are finite and at least 0, and one of them is more than 0."""
    given = ", ".join(f"{key} {value:g}" for key, value in weights.items()) or "nothing"
    allowed = all(value >= 0 and math.isfinite(value) for value in weights.values())
    if not allowed or not any(value > 0 for value in weights.values()):
        raise SettingError(f"{name}: {given}; each must be a number of at least 0, and one of them more than 0")
