"""Image transformation networks: photo in, painting out, in one forward pass."""

import inspect

from nst_fast.errors import SettingError, nearest_name
from nst_fast.transform_nets.johnson import JohnsonNet
from nst_fast.transform_nets.realtime import RealtimeNet

TransformNet = JohnsonNet | RealtimeNet

TRANSFORM_NETS: dict[str, type[JohnsonNet] | type[RealtimeNet]] = {"johnson": JohnsonNet, "realtime": RealtimeNet}


def build_transform_net(name: str, **arguments: float) -> TransformNet:
    """A fresh network by its name, such as `build_transform_net("realtime", width=32)`; weights from torch's seed.

    Raises:
        SettingError: an unknown name, argument or value.
    """
    if name not in TRANSFORM_NETS:
        raise SettingError(
            f"transform_net {name!r} is unknown; allowed: {', '.join(TRANSFORM_NETS)}"
            f"{nearest_name(name, list(TRANSFORM_NETS))}"
        )
    allowed = list(inspect.signature(TRANSFORM_NETS[name]).parameters)
    if unknown := set(arguments) - set(allowed):
        raise SettingError(f"transform_net {name} takes no {min(unknown)!r}; allowed: {', '.join(allowed)}")
    return TRANSFORM_NETS[name](**arguments)  # pyright: ignore[reportArgumentType] -- each checks its own


def name_of_transform_net(network: TransformNet) -> str:
    """The name by which `build_transform_net` builds this network."""
    return next(name for name, kind in TRANSFORM_NETS.items() if kind is type(network))
