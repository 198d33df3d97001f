"""From plain values by key to a settings instance, and back."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from nst_fast.errors import SettingError
from nst_fast.settings.declare import MISSING, default_of, list_settings
from nst_fast.settings.keys import resolve_key

_Settings = TypeVar("_Settings")


def make_settings(settings_class: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    """An instance with the class's defaults for every key that is not given.

    Args:
        settings_class: declared as in `nst_fast.settings.declare`.
        values: full or short key -> value.

    Raises:
        SettingError: a required setting is missing, a key is unknown, or a value is not allowed.
    """
    values = {resolve_key(settings_class, key): value for key, value in values.items()}
    missing = [row.key for row in list_settings(settings_class) if row.value is MISSING and row.key not in values]
    if missing:
        raise SettingError(f"{', '.join(missing)} must be given")
    return settings_class(**_build_arguments(settings_class, values, default_of))


def replace_settings(settings: _Settings, values: Mapping[str, Any]) -> _Settings:
    """A copy of a settings instance with other values.

    Args:
        settings: stays as it is.
        values: full or short key -> value, such as `{"loss.style_strength": 40}` or `{"style_strength": 40}`.

    Raises:
        SettingError: an unknown key, or a value that is not allowed.
    """
    values = {resolve_key(settings, key): value for key, value in values.items()}
    arguments = _build_arguments(settings, values, lambda field: getattr(settings, field.name))
    return dataclasses.replace(settings, **arguments)  # type: ignore[type-var]


def as_plain_values(settings: Any, *, result_only: bool = False) -> dict[str, Any]:
    """Full key -> value, of types that JSON knows.

    Two runs with equal values end in the same result, so this tells whether a saved run may be resumed.

    Args:
        settings: an instance.
        result_only: leave out what is declared with `changes_result=False`.
    """
    return {
        row.key: _plain(row.value)
        for row in list_settings(settings)
        if row.metadata["changes_result"] or not result_only
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def _build_arguments(
    settings: Any, values: Mapping[str, Any], find_group: Callable[[dataclasses.Field], Any]
) -> dict[str, Any]:
    """The arguments of a settings class for values by full key; `find_group` gives what a nested group changes."""
    arguments = {}
    for field in dataclasses.fields(settings):
        nested = _below(field.name, values)
        if field.name in values:
            arguments[field.name] = values[field.name]
        elif nested:
            arguments[field.name] = replace_settings(find_group(field), nested)
    return arguments


def _below(group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one group, by the keys inside it."""
    prefix = f"{group}."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
