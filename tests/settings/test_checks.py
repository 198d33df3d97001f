"""Values that are not allowed are refused by name; allowed ones are stored in one form."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from nst_fast.errors import SettingError
from nst_fast.settings.checks import check_settings
from nst_fast.settings.declare import MISSING, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner:
    size: int = setting(1, "")

    def __post_init__(self) -> None:
        check_settings(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer:
    file: str = setting(MISSING, "")
    files: tuple[str, ...] = setting((), "")
    count: int = setting(4, "", at_least=1, less_than=10)
    rate: float | None = setting(None, "", more_than=0, at_most=1)
    exact: bool = setting(True, "")
    kind: str | None = setting("plain", "", choices=("plain", "fancy"))
    taps: Mapping[str, float] = setting({"a": 1.0}, "")
    inner: Inner = setting(Inner, "")

    def __post_init__(self) -> None:
        check_settings(self)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "count is 0; it must be at least 1"),
        ({"count": 10}, "count is 10; it must be less than 10"),
        ({"count": 2.5}, "count is 2.5; it must be a whole number"),
        ({"count": True}, "count is True; it must be a whole number"),
        ({"count": "many"}, "count is 'many'; it must be a whole number"),
        ({"count": None}, "count is None; it must be a whole number"),
        ({"rate": 0}, "rate is 0.0; it must be more than 0"),
        ({"rate": 1.5}, "rate is 1.5; it must be at most 1"),
        ({"rate": math.nan}, "rate is nan; it must be more than 0"),
        ({"rate": "fast"}, "rate is 'fast'; it must be a number"),
        ({"exact": 1}, "exact is 1; it must be true or false"),
        ({"file": 5}, "file is 5; it must be text"),
        ({"files": "a.jpg"}, "files is 'a.jpg'; it must be a list of values"),
        ({"files": ["a.jpg", 5]}, "each of files is 5; it must be text"),
        ({"kind": "fency"}, "kind 'fency' is unknown; allowed: plain, fancy (nearest: fancy)"),
        ({"taps": "a"}, "taps is 'a'; it must give a number for each name, such as {relu2_2: 1}"),
        ({"taps": {"a": "x"}}, "taps a is 'x'; it must be a number"),
        ({"inner": 3}, "inner is 3; it must be a Inner"),
    ],
)
def test_bad_values_are_refused(values, message):
    """The message has the name, what was given and what is allowed."""
    with pytest.raises(SettingError) as caught:
        Outer(**{"file": "a", **values})
    assert str(caught.value) == message


def test_values_are_stored_in_one_form():
    """Paths become strings, whole numbers floats (for a float), lists tuples; mappings are copied."""
    taps = {"b": 2}
    settings = Outer(file=Path("a/b.jpg"), files=[Path("c"), "d"], rate=1, taps=taps)  # type: ignore[arg-type]
    assert (settings.file, settings.files) == ("a/b.jpg", ("c", "d"))
    assert type(settings.rate) is float and settings.taps == {"b": 2.0} and settings.taps is not taps


def test_limits_and_none_are_allowed():
    """The smallest and largest values are taken, None where the type allows it, and None for a default mapping."""
    settings = Outer(file="a", count=1, rate=1.0, kind=None, taps=None)  # type: ignore[arg-type]
    assert (settings.count, settings.rate, settings.kind, settings.taps) == (1, 1.0, None, {"a": 1.0})
