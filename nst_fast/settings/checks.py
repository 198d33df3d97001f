"""Checks the values of a settings instance, and brings them to the types that the class declares."""

import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from typing import Any

from nst_fast.errors import SettingError, nearest_name
from nst_fast.settings.declare import default_of

_LIMITS = {
    "at least": lambda value, limit: value >= limit,
    "at most": lambda value, limit: value <= limit,
    "more than": lambda value, limit: value > limit,
    "less than": lambda value, limit: value < limit,
}


def check_settings(settings: Any) -> None:
    """Check types, limits and choices of a settings instance; call it in `__post_init__`.

    Values are stored in one form: a whole number given for a float as a float, a path as a string, a list as a tuple, a
    mapping as a dict of its own. None in place of a mapping stands for the default.

    Raises:
        SettingError: the first value that is not allowed, with its name and what is allowed.
    """
    hints = typing.get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value is None and typing.get_origin(hints[field.name]) in _MAPPINGS:
            value = default_of(field)
        value = _convert(field.name, value, hints[field.name])
        object.__setattr__(settings, field.name, value)  # the class is frozen for everyone else
        if value is not None and field.metadata:
            _check_choices(field.name, value, field.metadata["choices"])
            check_limits(field.name, value, field.metadata["limits"])


def check_limits(name: str, value: Any, limits: Mapping[str, float | None]) -> None:
    """Raises SettingError unless `value` keeps the limits, given by their words, such as `at least` -> 1."""
    for words, limit in limits.items():
        # Not a number fails every comparison, so it is refused, too.
        if limit is not None and not _LIMITS[words](value, limit):
            raise SettingError(f"{name} is {value}; it must be {words} {limit}")


def _check_choices(name: str, value: Any, choices: typing.Sequence[str] | None) -> None:
    if choices is not None and value not in choices:
        raise SettingError(
            f"{name} {value!r} is unknown; allowed: {', '.join(choices)}{nearest_name(str(value), list(choices))}"
        )


_MAPPINGS = (Mapping, dict)
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _convert(name: str, value: Any, hint: Any) -> Any:
    """`value` as the annotated type has it; see `check_settings`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and types.NoneType in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not types.NoneType)
        return _convert(name, value, hint)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(f"each of {name}", item, arguments[0]) for item in value)
    if origin in _MAPPINGS and isinstance(value, Mapping):
        return {str(key): _convert(f"{name} {key}", item, arguments[1]) for key, item in value.items()}
    if origin is tuple:
        raise SettingError(f"{name} is {value!r}; it must be a list of values")
    if origin in _MAPPINGS:
        raise SettingError(f"{name} is {value!r}; it must give a number for each name, such as {{relu2_2: 1}}")
    if hint is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if dataclasses.is_dataclass(hint) and not isinstance(value, hint):  # type: ignore[arg-type]
        raise SettingError(f"{name} is {value!r}; it must be a {getattr(hint, '__name__', hint)}")
    if hint in _WORDS and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise SettingError(f"{name} is {value!r}; it must be {_WORDS[hint]}")
    return value
