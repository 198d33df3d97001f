"""Settings from values by key, copies with other values, and plain values for JSON."""

import json

import pytest

from nst_fast.errors import SettingError
from nst_fast.losses.settings import LossSettings
from nst_fast.settings.values import as_plain_values, make_settings, replace_settings
from nst_fast.training.settings import TrainSettings

SETTINGS = TrainSettings(style="a.jpg", content="photos")


def test_settings_are_made_of_values_by_key():
    """Full and short keys set what they name; the rest has the defaults of TrainSettings, not of the group alone."""
    made = make_settings(
        TrainSettings, {"style": "a.jpg", "content": "photos", "steps": 5, "style_strength": 40, "network.width": 8}
    )
    assert (made.steps, made.loss.style_strength, made.network.width) == (5, 40.0, 8)
    assert made.loss.grid_weight == SETTINGS.loss.grid_weight != LossSettings().grid_weight
    assert make_settings(TrainSettings, {"style": "a.jpg", "content": "photos"}) == SETTINGS


def test_required_settings_are_named():
    """All that are missing are named at once."""
    with pytest.raises(SettingError) as caught:
        make_settings(TrainSettings, {"steps": 5})
    assert str(caught.value) == "style, content must be given"


def test_a_copy_has_other_values():
    """The original stays, and what is not named stays the same."""
    changed = replace_settings(SETTINGS, {"style_strength": 40, "loss_network.name": "compact", "seed": 3})
    assert (changed.loss.style_strength, changed.loss_network.name, changed.seed) == (40.0, "compact", 3)
    assert SETTINGS.loss.style_strength == LossSettings().style_strength and SETTINGS.seed == 0
    assert changed.loss.grid_weight == SETTINGS.loss.grid_weight
    with pytest.raises(SettingError, match="'stepz' is not a setting"):
        replace_settings(SETTINGS, {"stepz": 1})
    with pytest.raises(SettingError, match="steps is 0; it must be at least 1"):
        replace_settings(SETTINGS, {"steps": 0})


def test_plain_values_describe_the_settings():
    """They survive JSON, and equal settings can be made from them."""
    settings = replace_settings(SETTINGS, {"content_taps": {"relu1_1": 0.5}, "steps": 7})
    assert make_settings(TrainSettings, json.loads(json.dumps(as_plain_values(settings)))) == settings


def test_what_does_not_change_the_result_can_be_left_out():
    """Equal values mean an equal result: device, logging and the place of the output are not among them."""
    values = as_plain_values(SETTINGS, result_only=True)
    other = replace_settings(SETTINGS, {"device": "cuda", "workers": 3, "log_every_steps": 1, "output": "elsewhere"})
    assert as_plain_values(other, result_only=True) == values
    assert as_plain_values(replace_settings(SETTINGS, {"seed": 1}), result_only=True) != values
    assert "loss.style_strength" in values and "device" not in values
