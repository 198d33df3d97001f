import subprocess
import sys
import types

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.stylize.engines import choice, onnxruntime_engine
from nst_fast.stylize.engines.choice import choose_engine, choose_precision, list_engines
from nst_fast.stylize.stylizer import Stylizer


@pytest.fixture
def computer(monkeypatch):
    """Sets what is installed, what ONNX Runtime is built for, the GPUs of PyTorch, and whether there is a GPU."""

    def describe(
        *modules: str, provided: tuple[str, ...] = ("cpu",), cards: int = 0, mps: bool = False, gpu: bool | None = None
    ) -> None:
        monkeypatch.setattr(choice, "_is_installed", lambda name: name in modules)
        monkeypatch.setattr(choice, "list_provided_devices", lambda: provided if "onnxruntime" in modules else ())
        monkeypatch.setattr(choice, "_may_have_gpu", lambda: bool(cards or mps) if gpu is None else gpu)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return describe


def message_of(*arguments) -> str:
    with pytest.raises(SettingError) as caught:
        choose_engine(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_auto_takes_the_fastest_that_is_installed(computer):
    """On the CPU OpenVINO goes before ONNX Runtime before PyTorch; `compile` is never chosen by itself."""
    for modules, expected in (
        (("openvino", "onnxruntime", "torch"), "openvino"),
        (("onnxruntime", "torch"), "onnxruntime"),
        (("openvino",), "openvino"),
        (("onnxruntime",), "onnxruntime"),
        (("torch",), "torch"),
    ):
        computer(*modules)
        for device in ("cpu", None):
            assert choose_engine("auto", device, "fp32") == (expected, "cpu")
    computer("onnxruntime", "torch")
    assert choose_engine("auto", None, "bf16") == ("torch", "cpu")
    assert list_engines("cpu") == ["onnxruntime", "torch", "compile"]
    assert list_engines("cpu", "bf16") == ["torch", "compile"]
    computer("openvino", "onnxruntime", "torch")
    assert choose_engine("auto", None, "bf16") == ("openvino", "cpu")


@pytest.mark.parametrize("is_quick_at_bf16", [False, True])
def test_auto_precision(computer, monkeypatch, is_quick_at_bf16):
    """auto is bf16 with OpenVINO where the processor is quick at it, else fp32; what is asked for stays."""
    computer("openvino", "onnxruntime", "torch")
    monkeypatch.setattr(choice, "has_fast_bfloat16", lambda: is_quick_at_bf16)
    assert choose_engine("auto", None, "auto") == ("openvino", "cpu")
    assert choose_precision("auto", "openvino") == ("bf16" if is_quick_at_bf16 else "fp32")
    assert [choose_precision("auto", engine) for engine in ("onnxruntime", "torch", "compile")] == ["fp32"] * 3
    assert [choose_precision(asked, "openvino") for asked in ("fp32", "bf16")] == ["fp32", "bf16"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_process_of_few_addresses_gets_onnx_runtime(computer, monkeypatch):
    """Below 2 GiB of addresses (`ulimit -v`) auto leaves OpenVINO out, which would abort; who asks for it gets it."""
    import resource

    computer("openvino", "onnxruntime", "torch")
    for limit, expected in ((1 << 30, "onnxruntime"), (2 << 30, "openvino"), (resource.RLIM_INFINITY, "openvino")):
        monkeypatch.setattr(resource, "getrlimit", lambda _which, limit=limit: (limit, limit))
        assert choose_engine("auto", None, "fp32") == (expected, "cpu")
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1 << 30, 1 << 30))
    assert choose_engine("openvino", None, "fp32") == ("openvino", "cpu")


def test_a_gpu_goes_before_the_cpu(computer):
    """Without a device, the GPU that an installed engine reaches is taken: ONNX Runtime's first, then PyTorch's."""
    computer("openvino", "onnxruntime", provided=("cpu", "cuda"), gpu=True)
    assert choose_engine("auto", None, "fp32") == ("onnxruntime", "cuda")
    assert choose_engine("onnxruntime", None, "fp32") == ("onnxruntime", "cuda")
    assert choose_engine("openvino", None, "fp32") == ("openvino", "cpu")
    assert choose_engine("auto", "cpu", "fp32") == ("openvino", "cpu")
    computer("openvino", "onnxruntime", "torch", cards=2)
    assert choose_engine("auto", None, "fp32") == ("torch", "cuda")
    assert choose_engine("auto", None, "fp16") == ("torch", "cuda")
    assert choose_engine("auto", "cuda:1", "fp32") == ("torch", "cuda:1")
    computer("openvino", "onnxruntime", "torch", provided=("cpu", "cuda"), cards=1)
    assert choose_engine("auto", None, "fp32") == ("onnxruntime", "cuda")
    assert choose_engine("torch", None, "fp32") == ("torch", "cuda")
    computer("openvino", "onnxruntime", "torch", mps=True)
    assert choose_engine("auto", None, "fp32") == ("torch", "mps")
    computer("openvino", "onnxruntime", provided=("cpu", "directml"))
    assert choose_engine("auto", None, "fp32") == ("onnxruntime", "directml")
    assert choose_engine("auto", "directml:1", "fp32") == ("onnxruntime", "directml:1")


def test_a_package_for_gpus_on_a_computer_without_one(computer):
    """ONNX Runtime lists what it is built for; where there is no GPU, the CPU is taken, and its fastest engine."""
    computer("openvino", "onnxruntime", provided=("cpu", "cuda"), gpu=False)
    assert choose_engine("auto", None, "fp32") == ("openvino", "cpu")


def test_core_ml_is_used_on_request_only(computer):
    """Core ML, which may round to float16, is never chosen by itself."""
    computer("onnxruntime", provided=("cpu", "coreml"))
    assert choose_engine("auto", None, "fp32") == ("onnxruntime", "cpu")
    assert choose_engine("onnxruntime", None, "fp32") == ("onnxruntime", "cpu")
    assert choose_engine("auto", "coreml", "fp32") == ("onnxruntime", "coreml")


def test_without_pytorch_its_gpus_are_not_there(computer):
    """Where PyTorch is missing, a GPU that only it would reach is refused with what this computer has."""
    computer("openvino", "onnxruntime", gpu=True)
    assert choose_engine("auto", None, "fp32") == ("openvino", "cpu")
    for device in ("cuda", "mps", "cuda:1"):
        message = message_of("auto", device, "fp32")
        assert message.startswith(f"device {device!r} is not available; this computer has: cpu")
    assert message_of("torch", None, "fp32") == ("engine 'torch' is not installed; install the extra nst-fast[train]")
    assert message_of("compile", "cpu", "fp32") == (
        "engine 'compile' is not installed; install the extra nst-fast[train]"
    )


def test_wrong_devices(computer):
    """A device that is unknown or not there is refused with the list of what is."""
    computer("onnxruntime", "torch", cards=1)
    for device in ("gpu", "cuda:1", "mps", "coreml", ""):
        assert message_of("torch", device, "fp32") == (
            f"device {device!r} is not available; this computer has: cuda, cuda:0, cpu; "
            f"leave it out to use the first of these"
        )
    computer("onnxruntime", provided=("cpu", "directml"))
    assert message_of("auto", "coreml", "fp32").startswith(
        "device 'coreml' is not available; this computer has: cpu, directml"
    )


@pytest.mark.parametrize(
    ("engine", "device", "precision", "message"),
    [
        (
            *("openvno", "cpu", "fp32"),
            "engine 'openvno' is unknown; allowed: auto, openvino, onnxruntime, torch, compile (nearest: openvino)",
        ),
        (
            *("openvino", "cuda", "fp32"),
            "engine 'openvino' runs on cpu only, not on cuda; choose another engine or device",
        ),
        (
            *("onnxruntime", "cpu", "bf16"),
            "engine 'onnxruntime' has no bf16; it has fp32; choose another precision, or the engine torch",
        ),
        (
            *("onnxruntime", "cuda:0", "fp32"),
            "engine 'onnxruntime' runs on cpu and directml only, not on cuda:0; choose another engine or device",
        ),
        (*("auto", "directml", "fp16"), "no installed engine has fp16 on directml; install the extra nst-fast[train]"),
        (*("auto", "cpu", "bf61"), "precision 'bf61' is unknown; allowed: auto, fp32, bf16, fp16 (nearest: bf16)"),
        (
            *("auto", "cpu", "fp16"),
            "precision 'fp16' is many times slower than fp32 on the cpu; give fp32 or bf16, or another device",
        ),
    ],
)
def test_what_cannot_be_is_said(computer, engine, device, precision, message):
    """An unknown engine, and one that is not for this device or precision, is refused with what to do."""
    computer("openvino", "onnxruntime", "torch", provided=("cpu", "directml"), cards=1)
    assert message_of(engine, device, precision) == message


@pytest.mark.parametrize(
    ("name", "how"), [("openvino", "install the extra nst-fast[openvino]"), ("onnxruntime", "install onnxruntime")]
)
def test_a_missing_extra_is_named(computer, name, how):
    """An engine that is not installed is answered with what brings it."""
    computer()
    with pytest.raises(SettingError) as caught:
        Stylizer("wave", device="cpu", engine=name)
    assert str(caught.value) == f"engine {name!r} is not installed; {how}"


def test_provided_devices_are_those_of_the_package(monkeypatch):
    """Which devices ONNX Runtime reaches is asked of the package, and none are where it is missing."""
    list_devices = onnxruntime_engine.list_provided_devices
    list_devices.cache_clear()
    try:
        providers = ["AzureExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
        fake = types.SimpleNamespace(get_available_providers=lambda: providers)
        monkeypatch.setitem(sys.modules, "onnxruntime", fake)
        assert list_devices() == ("cpu", "cuda")
        list_devices.cache_clear()
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        assert list_devices() == ()
    finally:
        list_devices.cache_clear()


def test_auto_imports_no_torch_where_there_is_no_gpu():
    """On a computer without a GPU, to choose and to stylize imports no PyTorch, which would take seconds."""
    if choice._may_have_gpu():
        pytest.skip("this computer has a GPU")
    script = (
        "import sys; import numpy as np; from nst_fast.stylize.stylizer import Stylizer\n"
        "stylizer = Stylizer('wave'); stylizer.stylize_pixels(np.zeros((16, 16, 3), np.uint8))\n"
        "print(stylizer.device, 'torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert process.stdout == "cpu False\n", process.stderr


def test_impossible_threads():
    """Fewer than one thread are refused."""
    with pytest.raises(SettingError) as caught:
        Stylizer(checkpoint_from_network(build_network("realtime", width=4)), device="cpu", threads=0)
    assert str(caught.value) == "threads is 0; it must be at least 1"
