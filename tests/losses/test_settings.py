"""The settings of the loss."""

import math

import pytest

from nst_fast.errors import SettingError
from nst_fast.loss_networks.network import check_taps
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS, LossSettings


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_default_taps_exist_in_every_vgg(architecture):
    """You can change the loss network without changing the taps."""
    check_taps(architecture, [*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("content_weight", -0.5, "content_weight is -0.5; it must be at least 0"),
        ("style_strength", -1.0, "style_strength is -1.0; it must be at least 0"),
        ("style_strength", math.nan, "style_strength is nan; it must be at least 0"),
        ("total_variation_weight", -1e-6, "total_variation_weight is -1e-06; it must be at least 0"),
        ("grid_weight", -1, "grid_weight is -1.0; it must be at least 0"),
        ("tone_weight", -1.0, "tone_weight is -1.0; it must be at least 0"),
        ("band_share", 1.5, "band_share is 1.5; it must be at most 1"),
        ("window_share", -0.1, "window_share is -0.1; it must be at least 0"),
        (
            "band_share",
            0.5,
            "band_share 0.5 and window_share 0.6 are more than the whole style loss; their sum must be at most 1",
        ),
        ("style_statistic", "mean", "style_statistic 'mean' is unknown; allowed: moments, gram"),
        ("scaling", "gaty", "scaling 'gaty' is unknown; allowed: relative, gatys, johnson (nearest: gatys)"),
    ],
)
def test_bad_values_are_refused(name, value, message):
    """The message names the setting, the value and what is allowed."""
    with pytest.raises(SettingError) as caught:
        LossSettings(**{name: value})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"content_taps": {"relu1_1": -1.0}}, "content_taps: relu1_1 -1"),
        ({"content_taps": {"relu1_1": 1.0, "relu1_2": -2.5}}, "content_taps: relu1_1 1, relu1_2 -2.5"),
        ({"content_taps": {}}, "content_taps: nothing"),
        ({"style_taps": {"relu1_1": 0.0, "relu1_2": 0.0}}, "style_taps: relu1_1 0, relu1_2 0"),
        ({"style_taps": {"relu1_1": math.nan, "relu1_2": 1.0}}, "style_taps: relu1_1 nan, relu1_2 1"),
        ({"style_taps": {"relu1_1": math.inf}}, "style_taps: relu1_1 inf"),
        (
            {"content_weight": 0.0, "style_strength": 0.0, "tone_weight": 0.0, "color_weight": 0.0},
            "the weights: content_weight 0, style_strength 0, total_variation_weight 0, grid_weight 0, tone_weight 0, "
            "color_weight 0",
        ),
        (
            {"style_strength": math.inf},
            "the weights: content_weight 1, style_strength inf, total_variation_weight 0, grid_weight 0, tone_weight 1"
            ", color_weight 1",
        ),
        (
            {"style_strength": 5.0, "tone_weight": math.inf},
            "the weights: content_weight 1, style_strength 5, total_variation_weight 0, grid_weight 0, tone_weight inf"
            ", color_weight 1",
        ),
    ],
)
def test_impossible_weights(settings, given):
    """Weights that are negative, not finite, or all zero are refused with what was given."""
    with pytest.raises(SettingError) as caught:
        LossSettings(**settings)
    assert str(caught.value) == f"{given}; each must be a number of at least 0, and one of them more than 0"


@pytest.mark.parametrize("scaling", ["gatys", "johnson"])
def test_the_papers_losses_stay_those_of_the_papers(scaling):
    """With a paper's scaling, Gram matrices are compared and tones do not count, so no tones of photos are needed."""
    settings = LossSettings(scaling=scaling)
    assert not settings.compares_moments and settings.weighs_tones == 0 and not settings.needs_tones
    filled = settings.fill_in()
    assert (filled.style_statistic, filled.tone_weight, filled.color_weight) == ("gram", 0.0, 0.0)
    with pytest.raises(SettingError) as caught:
        LossSettings(scaling=scaling, style_statistic="moments")
    assert str(caught.value) == (f"style_statistic moments has no scaling {scaling}; set scaling=relative, or gram")


def test_what_suits_the_scaling():
    """With `relative` it is moments and tones with weight 1; both can be chosen; filling in changes no more."""
    settings = LossSettings()
    assert settings.fill_in() == LossSettings(style_statistic="moments", tone_weight=1.0, color_weight=1.0)
    assert LossSettings(style_statistic="gram").weighs_tones == 1
    assert LossSettings(scaling="johnson", tone_weight=0.5).needs_tones
    assert LossSettings(tone_weight=0.0).needs_tones and not LossSettings(tone_weight=0.0, band_share=0.0).needs_tones
