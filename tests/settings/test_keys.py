"""Settings are found by their full key or its last part; old names are refused with the new one."""

import pytest

from nst_fast.errors import SettingError
from nst_fast.settings.keys import resolve_key, shorten_key
from nst_fast.training.settings import TrainSettings


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("steps", "steps"),
        ("style_strength", "loss.style_strength"),
        ("loss.style_strength", "loss.style_strength"),
        ("width", "network.width"),
        ("weights", "loss_network.weights"),
        ("name", "name"),
        ("network.name", "network.name"),
    ],
)
def test_the_last_part_is_enough(given, key):
    """An exact key wins; else the last part stands for the one setting that has it."""
    assert resolve_key(TrainSettings, given) == key


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("stesp", "'stesp' is not a setting (nearest: steps)"),
        ("style_strenght", "'style_strenght' is not a setting (nearest: style_strength)"),
        ("network.widht", "'network.widht' is not a setting (nearest: network.width)"),
        ("zzz", "'zzz' is not a setting"),
        ("loss", "'loss' is a group of settings; give one of loss.style_strength, loss.content_weight, "),
        ("transform_net", "'transform_net' has a new name; give network instead"),
        ("transform_net.width", "'transform_net.width' has a new name; give network.width instead"),
        ("transform_net.grain", "'transform_net.grain' has a new name; give network.input_noise instead"),
        ("grain", "'grain' has a new name; give network.input_noise instead"),
        ("lattice_weight", "'lattice_weight' has a new name; give loss.grid_weight instead"),
        ("normalisation", "'normalisation' has a new name; give loss.scaling instead"),
        ("optimiser", "'optimiser' has a new name; give optimizer instead"),
        ("average_decay", "'average_decay' has a new name; give ema_decay instead"),
        (
            "loss_network.input_normalisation",
            "'loss_network.input_normalisation' has a new name; give loss_network.input_normalization instead",
        ),
    ],
)
def test_other_names_are_refused(given, message):
    """The message gives the nearest name, the members of a group, or the new name."""
    with pytest.raises(SettingError) as caught:
        resolve_key(TrainSettings, given)
    assert str(caught.value).startswith(message)


def test_an_ambiguous_name_is_refused():
    """A name that two groups share, and that is no key itself, is not guessed."""
    import dataclasses

    from nst_fast.settings.declare import setting
    from nst_fast.settings.networks import LossNetworkSettings, NetworkSettings

    @dataclasses.dataclass(frozen=True)
    class Two:
        network: NetworkSettings = setting(NetworkSettings, "")
        loss_network: LossNetworkSettings = setting(LossNetworkSettings, "")

    with pytest.raises(SettingError) as caught:
        resolve_key(Two, "name")
    assert str(caught.value) == "'name' may be any of network.name, loss_network.name; give one of these"


def test_short_keys_lead_back():
    """The short form of every key is understood as that key."""
    from nst_fast.settings.declare import list_settings

    for row in list_settings(TrainSettings):
        short = shorten_key(TrainSettings, row.key)
        assert resolve_key(TrainSettings, short) == row.key
    assert shorten_key(TrainSettings, "loss.style_strength") == "style_strength"
    assert shorten_key(TrainSettings, "network.name") == "network.name"
