"""What a user may call a setting: its full key, the last part of it, and never its name of the past."""

from typing import Any

from nst_fast.errors import SettingError, nearest_name
from nst_fast.settings.declare import list_groups, list_settings

# Old name of a setting, or of a group of settings -> the new name.
RENAMED = {
    "transform_net": "network",
    "grain": "input_noise",
    "lattice_weight": "grid_weight",
    "normalisation": "scaling",
    "normalization": "scaling",
    "input_normalisation": "input_normalization",
    "optimiser": "optimizer",
    "average_decay": "ema_decay",
}


def resolve_key(settings: Any, given: str) -> str:
    """The full key of a setting, such as `loss.style_strength` for `style_strength`.

    Args:
        settings: a settings class or an instance.
        given: the full key, or its last part where only one setting has it.

    Raises:
        SettingError: no such setting, a name that several settings share, a group of settings, or an old name.
    """
    keys = [row.key for row in list_settings(settings)]
    if given in keys:
        return given
    matches = [key for key in keys if key.endswith(f".{given}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise SettingError(f"{given!r} may be any of {', '.join(matches)}; give one of these")
    if members := [key for key in keys if key.startswith(f"{given}.")]:
        raise SettingError(f"{given!r} is a group of settings; give one of {', '.join(members)}")
    if new := find_new_name(settings, given):
        raise SettingError(f"{given!r} has a new name; give {new} instead")
    known = [*keys, *(shorten_key(settings, key) for key in keys), *list_groups(settings)]
    raise SettingError(f"{given!r} is not a setting{nearest_name(given, known)}")


def shorten_key(settings: Any, key: str) -> str:
    """The shortest clear name that `resolve_key` takes for a full key."""
    last = key.rpartition(".")[2]
    keys = [row.key for row in list_settings(settings)]
    alike = [other for other in (*keys, *list_groups(settings)) if other == last or other.endswith(f".{last}")]
    # On its own, `name` does not say what has this name.
    return last if alike == [key] and last != "name" else key


def find_new_name(settings: Any, given: str) -> str | None:
    """The name that replaced an old one in these settings; None where `given` was never one of them."""
    renamed = ".".join(RENAMED.get(part, part) for part in given.split("."))
    if renamed == given:
        return None
    if renamed in list_groups(settings):
        return renamed
    keys = [row.key for row in list_settings(settings)]
    return next((key for key in keys if key == renamed or key.endswith(f".{renamed}")), None)
