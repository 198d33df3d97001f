import importlib.util

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.inference.engines.choice import choose_engine, list_engines
from nst_fast.inference.stylizer import Stylizer
from nst_fast.transform_nets import RealtimeNet

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def installed(monkeypatch):
    """Sets which of the optional modules there are."""

    def install(*modules: str) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in modules else None)

    return install


def test_auto_takes_the_fastest_that_is_installed(installed):
    """OpenVINO before ONNX Runtime before PyTorch on the CPU; PyTorch on everything else; never `compile`."""
    for modules, expected in (
        (("onnx", "openvino", "onnxruntime"), "openvino"),
        (("onnx", "onnxruntime"), "onnxruntime"),
        (("openvino",), "torch"),
        ((), "torch"),
    ):
        installed(*modules)
        assert choose_engine("auto", CPU, "fp32") == expected
        assert choose_engine("auto", CUDA, "fp32") == "torch"
    installed("onnx", "onnxruntime")
    assert choose_engine("auto", CPU, "bf16") == "torch"
    assert list_engines(CPU) == ["onnxruntime", "torch", "compile"]


@pytest.mark.parametrize(
    ("name", "device", "precision", "message"),
    [
        (
            "openvno",
            CPU,
            "fp32",
            "engine 'openvno' is unknown; allowed: auto, openvino, onnxruntime, torch, compile (nearest: openvino)",
        ),
        (
            "openvino",
            CUDA,
            "fp32",
            "engine 'openvino' runs on the cpu only, not on cuda; give --engine torch, or --device cpu",
        ),
        (
            "onnxruntime",
            CPU,
            "bf16",
            "engine 'onnxruntime' has no bf16; allowed: fp32; or give --engine torch",
        ),
    ],
)
def test_what_cannot_be_is_said(installed, name, device, precision, message):
    """An unknown engine, and one that is not for this device or precision, is refused with what to do."""
    installed("onnx", "openvino", "onnxruntime")
    with pytest.raises(SettingError) as caught:
        choose_engine(name, device, precision)
    assert str(caught.value) == message


@pytest.mark.parametrize(("name", "extra"), [("openvino", "openvino"), ("onnxruntime", "onnx")])
def test_a_missing_extra_is_named(installed, name, extra):
    """An engine that is not installed is answered with the extra that brings it."""
    installed()
    with pytest.raises(SettingError) as caught:
        Stylizer(RealtimeNet(width=4), device="cpu", engine=name)
    assert str(caught.value) == f"engine {name!r} needs an extra: install nst-fast[{extra}]"


def test_impossible_threads():
    """No threads are too few."""
    with pytest.raises(SettingError) as caught:
        Stylizer(RealtimeNet(width=4), device="cpu", threads=0)
    assert str(caught.value) == "threads is 0; it must be at least 1"
