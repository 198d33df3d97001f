import json
import math

import pytest

from nst_fast.errors import SettingError
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.training.recipe import Recipe


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("style_short_side", 15, "style_short_side is 15; it must be at least 16"),
        ("crop_size", 12, "crop_size is 12; it must be at least 16"),
        ("crop_size", 18, "crop_size is 18; it must be a multiple of 4"),
        ("largest_crop", 0.9, "largest_crop is 0.9; it must be at least 1"),
        ("batch_size", 0, "batch_size is 0; it must be at least 1"),
        ("held_out_photos", -1, "held_out_photos is -1; it must be at least 0"),
        ("steps", 0, "steps is 0; it must be at least 1"),
        ("warmup_steps", -1, "warmup_steps is -1; it must be at least 0"),
        ("content_weight", -0.5, "content_weight is -0.5; it must be at least 0"),
        ("style_strength", -1.0, "style_strength is -1.0; it must be at least 0"),
        ("style_strength", math.nan, "style_strength is nan; it must be at least 0"),
        ("total_variation_weight", -1e-6, "total_variation_weight is -1e-06; it must be at least 0"),
        ("average_decay", -0.1, "average_decay is -0.1; it must be at least 0"),
        ("average_decay", 1.0, "average_decay is 1.0; it must be less than 1"),
        ("learning_rate", 0.0, "learning_rate is 0.0; it must be more than 0"),
        ("learning_rate", math.nan, "learning_rate is nan; it must be more than 0"),
        ("seed", -1, "seed is -1; it must be at least 0"),
        ("seed", 2**63, f"seed is {2**63}; it must be less than {2**63}"),
    ],
)
def test_bad_values_are_refused(name, value, message):
    """Each value that is not allowed is refused with its name, itself and what is allowed."""
    with pytest.raises(SettingError) as caught:
        Recipe(**{name: value})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("style_short_side", 16),
        ("crop_size", 16),
        ("largest_crop", 1.0),
        ("batch_size", 1),
        ("held_out_photos", 0),
        ("steps", 1),
        ("warmup_steps", 0),
        ("average_decay", 0.0),
        ("average_decay", 0.9999),
        ("style_strength", 0.0),
        ("seed", 2**63 - 1),
    ],
)
def test_limits_are_allowed(name, value):
    """The smallest and largest values themselves are taken."""
    assert getattr(Recipe(**{name: value}), name) == value


def test_plain_values_describe_the_recipe():
    """They survive JSON, and another recipe can be made from them that is equal."""
    recipe = Recipe(steps=7, content_taps={"relu1_1": 0.5})
    assert Recipe(**json.loads(json.dumps(recipe.as_plain_values()))) == recipe


def test_the_default_taps_are_not_shared():
    """Each recipe has taps of its own, equal to the program's defaults."""
    first, second = Recipe(), Recipe()
    assert first.content_taps == DEFAULT_CONTENT_TAPS and first.style_taps == DEFAULT_STYLE_TAPS
    assert first.content_taps is not second.content_taps and first.content_taps is not DEFAULT_CONTENT_TAPS
