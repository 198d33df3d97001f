"""The named choices in `configs/`: `preset/*.yaml`, `network/*.yaml`, `loss_network/*.yaml`.

Each file is plain data that both sides read: Hydra for the command line, this module for Python. The order is the same
on both sides, later ones win: defaults of the dataclass, preset, network and loss network, single settings.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import yaml

from nst_fast.errors import SettingError, nearest_name
from nst_fast.files.shipped import configs_folder
from nst_fast.settings.declare import list_groups, list_settings
from nst_fast.settings.keys import resolve_key
from nst_fast.settings.values import make_settings

PRESET = "preset"  # its files give settings of every group; those of any other folder give settings of that group

_Settings = TypeVar("_Settings")


def list_choices(group: str) -> list[str]:
    """The names in one folder of `configs/`, sorted."""
    return sorted(file.stem for file in (configs_folder() / group).glob("*.yaml"))


def check_choice(group: str, name: str) -> None:
    """Raises SettingError, with the names there are, unless `configs/group/name.yaml` exists."""
    choices = list_choices(group)
    if name not in choices:
        raise SettingError(
            f"{group}={name} is unknown; allowed: {', '.join(choices)}{nearest_name(str(name), choices)}"
        )


def describe_choice(group: str, name: str) -> str:
    """What the file says of itself: its first comment that is not for Hydra."""
    lines = (configs_folder() / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return next((comment for comment in comments if not comment.startswith("@")), "")


def read_choice(settings_class: type, group: str, name: str) -> dict[str, Any]:
    """The settings that one file gives, by their full keys.

    Raises:
        SettingError: no such file.
    """
    check_choice(group, name)
    data = yaml.safe_load((configs_folder() / group / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    keys = {row.key for row in list_settings(settings_class)}
    return flatten(data if group == PRESET else {group: data}, keys)


def build_settings(
    settings_class: type[_Settings], given: Mapping[str, Any], choices: Sequence[str] = ("loss_network",)
) -> _Settings:
    """The settings that the command line makes of the same values.

    Args:
        settings_class: of the verb.
        given: the name of a preset, network or loss network by the name of its folder (None: not chosen), and values by
            full or short key. A group's name may also have a settings instance for that whole group.
        choices: the folders of `configs/` that the verb takes.

    Raises:
        SettingError: an unknown name or key, a value that is not allowed, or a required setting that is missing.
    """
    values: dict[str, Any] = {}
    rest = dict(given)
    for group in sorted(choices, key=lambda group: group != PRESET):
        if isinstance(rest.get(group), str):
            values |= read_choice(settings_class, group, rest.pop(group))
        elif group in rest and rest[group] is None:
            del rest[group]
    for group in list_groups(settings_class):
        if group in rest and not isinstance(rest[group], str | None):
            values |= {row.key: row.value for row in list_settings(_check_group(group, rest.pop(group)), f"{group}.")}
    # A key that is given wins over the files, whichever way it is written.
    values |= {resolve_key(settings_class, key): value for key, value in rest.items()}
    return make_settings(settings_class, values)


def _check_group(group: str, value: Any) -> Any:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise SettingError(f"{group} is {value!r}; give an instance of its settings, or single settings of {group}")
    return value


def flatten(data: Mapping[str, Any], keys: set[str], prefix: str = "") -> dict[str, Any]:
    """Nested data by full keys. A mapping that is the value of one setting, such as taps, stays whole."""
    values: dict[str, Any] = {}
    for name, value in data.items():
        key = prefix + name
        if isinstance(value, Mapping) and key not in keys:
            values |= flatten(value, keys, f"{key}.")
        else:
            values[key] = value
    return values
