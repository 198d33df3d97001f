import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.runs import device


def test_a_wrong_device_is_refused(monkeypatch):
    """A device that is unknown or not there is refused with the list of what is."""
    monkeypatch.setattr(device, "list_devices", lambda: ["cuda", "cuda:0", "cpu"])
    for name in ("gpu", "cuda:1", "mps"):
        with pytest.raises(SettingError) as caught:
            device.choose_device(name)
        assert str(caught.value) == (
            f"device {name!r} is not available; this computer has: cuda, cuda:0, cpu; "
            f"leave it out to choose the first of these"
        )


def test_the_fastest_device_is_chosen(monkeypatch):
    """Without a name the order is cuda, mps, cpu; a numbered card counts as there."""
    for cards, mps, expected in ((2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cards=cards: cards > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda cards=cards: cards)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert device.choose_device(None) == torch.device(expected)
        assert device.choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.choose_device("cuda:1") == torch.device("cuda", 1)
