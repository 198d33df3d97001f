"""The networks by name."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

from nst_fast.errors import SettingError, nearest_name
from nst_fast.networks.description import NetworkDescription
from nst_fast.networks.johnson import describe_johnson
from nst_fast.networks.realtime import describe_realtime

NETWORKS: dict[str, Callable[..., NetworkDescription]] = {"johnson": describe_johnson, "realtime": describe_realtime}


def describe_network(name: str, **arguments: Any) -> NetworkDescription:
    """The description of a network by its name, such as `describe_network("realtime", width=32)`.

    Raises:
        SettingError: an unknown name, or an argument or value that is not allowed.
    """
    if name not in NETWORKS:
        raise SettingError(
            f"network {name!r} is unknown; allowed: {', '.join(NETWORKS)}{nearest_name(name, list(NETWORKS))}"
        )
    allowed = inspect.signature(NETWORKS[name]).parameters
    for key, value in arguments.items():
        if key not in allowed:
            raise SettingError(f"network {name} takes no {key!r}; allowed: {', '.join(allowed)}")
        if allowed[key].annotation is int and type(value) is not int:
            raise SettingError(f"network.{key} is {value!r}; give a whole number")
        if allowed[key].annotation is bool and type(value) is not bool:
            raise SettingError(f"network.{key} is {value!r}; give true or false")
    noise = arguments.get("input_noise", 0.0)
    if type(noise) not in (int, float) or not 0 <= noise <= sys.float_info.max:
        raise SettingError(f"network.input_noise is {noise!r}; it must be at least 0, such as 0.016")
    return NETWORKS[name](**{**arguments, "input_noise": float(noise)})
