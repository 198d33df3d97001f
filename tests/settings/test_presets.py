"""Settings built from names, groups and single values, as Python gives them."""

import pytest

from nst_fast.errors import SettingError
from nst_fast.training.settings import TrainSettings


@pytest.mark.parametrize("value", [1, [], {"name": "vgg16"}, TrainSettings])
def test_a_group_is_given_as_its_settings(value):
    """A group that is neither a name nor an instance is refused in one line."""
    with pytest.raises(SettingError) as caught:
        TrainSettings.build(style="a.jpg", content="photos", preset=None, loss_network=value)
    assert str(caught.value) == (
        f"loss_network is {value!r}; give an instance of its settings, or single settings of loss_network"
    )
