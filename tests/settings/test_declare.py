"""Settings are declared once; lists, help and docstrings come from that."""

import dataclasses

import pytest

from nst_fast.losses.settings import LossSettings
from nst_fast.settings.checks import check_settings
from nst_fast.settings.declare import MISSING, list_groups, list_settings, setting, with_help
from nst_fast.settings.networks import LossNetworkSettings


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class InkSettings:
    """The ink."""

    color: str = setting("black", "its color", choices=("black", "blue"))
    amount: float = setting(1.0, "milliliters", more_than=0)

    def __post_init__(self) -> None:
        check_settings(self)


@with_help
@dataclasses.dataclass(frozen=True, kw_only=True)
class PenSettings:
    """The pen."""

    page: str = setting(MISSING, "the sheet", verbatim=True, heading="What")
    amount: int = setting(3, "number of pens", at_least=1)
    ink: InkSettings = setting(InkSettings(color="blue"), "", heading="How")
    quiet: bool = setting(False, "no scratching", changes_result=False)

    def __post_init__(self) -> None:
        check_settings(self)


def test_a_list_has_every_setting_in_order():
    """A class gives defaults, also those of a nested default that differs from its class; an instance gives values."""
    assert [(row.key, row.value) for row in list_settings(PenSettings)] == [
        ("page", MISSING),
        ("amount", 3),
        ("ink.color", "blue"),
        ("ink.amount", 1.0),
        ("quiet", False),
    ]
    pen = PenSettings(page="a", ink=InkSettings())
    assert {row.key: row.value for row in list_settings(pen)} == {
        "page": "a",
        "amount": 3,
        "ink.color": "black",
        "ink.amount": 1.0,
        "quiet": False,
    }
    assert list_groups(PenSettings) == list_groups(pen) == ["ink"]


def test_rows_carry_the_declaration():
    """Help, type and flags of each setting are in its row."""
    rows = {row.key: row for row in list_settings(PenSettings)}
    assert rows["ink.amount"].help == "milliliters" and rows["ink.amount"].hint is float
    assert rows["page"].metadata["verbatim"]
    assert {key: row.heading for key, row in rows.items() if row.heading} == {"page": "What", "ink.color": "How"}
    assert [key for key, row in rows.items() if not row.metadata["changes_result"]] == ["quiet"]


def test_pythons_help_shows_the_settings():
    """The docstring of a class lists every setting with its meaning, nested ones too."""
    assert PenSettings.__doc__ is not None
    assert PenSettings.__doc__.startswith("The pen.\n")
    assert "    page: the sheet\n" in PenSettings.__doc__ and "    ink.amount: milliliters\n" in PenSettings.__doc__


def test_a_required_setting_is_required_in_python():
    """Without it the class cannot be made."""
    with pytest.raises(TypeError, match="page"):
        PenSettings()  # type: ignore[call-arg]


@pytest.mark.parametrize("instance", [PenSettings(page="a"), LossSettings(), LossNetworkSettings()])
def test_settings_are_frozen(instance):
    """No value can be changed in place."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        instance.amount = 5


def test_defaults_are_not_shared():
    """Each instance has mappings of its own."""
    assert LossSettings().style_taps == LossSettings().style_taps
    assert LossSettings().style_taps is not LossSettings().style_taps
