"""The device that torch computes on."""

import torch

from nst_fast.errors import SettingError


def choose_device(name: str | None) -> torch.device:
    """The device with this name, if this computer has it.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps`. None: the first of cuda, mps, cpu that this computer has.

    Raises:
        SettingError: the device is unknown, or not available here; the message lists those that are.
    """
    available = list_devices()
    wanted = available[0] if name is None else name
    if wanted not in available:
        raise SettingError(
            f"device {name!r} is not available; this computer has: {', '.join(available)}; leave it out to choose "
            f"the first of these"
        )
    return torch.device(wanted)


def list_devices() -> list[str]:
    """The names that `choose_device` takes on this computer, fastest first, such as cuda, cuda:0, cpu."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{index}" for index in range(cards))] if cards else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]
