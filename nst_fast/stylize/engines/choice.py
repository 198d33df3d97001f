"""Which engine runs a network here, and on which device."""

import ctypes
import functools
import importlib.util
import platform
import sys

from nst_fast.errors import SettingError, nearest_name
from nst_fast.memory import has_address_space
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.processor import has_fast_bfloat16
from nst_fast.stylize.engines.engine import Engine
from nst_fast.stylize.engines.graph_engine import GraphEngine, RunGraph
from nst_fast.stylize.engines.onnxruntime_engine import list_provided_devices, open_with_onnxruntime

PRECISIONS = ("fp32", "bf16", "fp16")
# Fastest first, as measured on two x86 cores. `compile` is never chosen by itself: it takes a minute to start.
ENGINES = ("openvino", "onnxruntime", "torch", "compile")
# OpenVINO aborts the process where it gets no more; ONNX Runtime is content with 1 GiB.
_ADDRESSES_OF_OPENVINO = 2 << 30
_TORCH_ENGINES = ("torch", "compile")
_BY_TORCH = ("torch", "install the extra nst-fast[train]", PRECISIONS, ("cpu", "cuda", "mps"))
# engine -> (the module it needs, how to get that, its precisions, the kinds of device it reaches; None: see
# `list_provided_devices`)
_NEEDS = {
    "openvino": ("openvino", "install the extra nst-fast[openvino]", ("fp32", "bf16"), ("cpu",)),
    "onnxruntime": ("onnxruntime", "install onnxruntime", ("fp32",), None),
    **dict.fromkeys(_TORCH_ENGINES, _BY_TORCH),
}


def choose_engine(engine: str, device: str | None, precision: str) -> tuple[str, str]:
    """The engine and the device to use, checked to be there.

    PyTorch is imported only for an engine of its own, or to ask for a GPU that no other engine reaches.

    See `choose_precision` for the precision that goes with it.

    Args:
        engine: one of `ENGINES`, or auto: the fastest that is installed for the device, except `compile`.
        device: cpu, cuda, cuda:1, directml, coreml, mps. None: a GPU if an installed engine reaches one, else cpu. Core
            ML is used only where it is asked for.
        precision: one of `PRECISIONS`; or auto, for which the engine is that of fp32.

    Raises:
        SettingError: an unknown name; an engine that is not installed, or not for this device or precision; a device
            that is not available here.
    """
    if engine != "auto" and engine not in ENGINES:
        raise SettingError(
            f"engine {engine!r} is unknown; allowed: auto, {', '.join(ENGINES)}"
            f"{nearest_name(engine, ['auto', *ENGINES])}"
        )
    if precision == "auto":
        precision = "fp32"
    if precision not in PRECISIONS:
        raise SettingError(
            f"precision {precision!r} is unknown; allowed: auto, {', '.join(PRECISIONS)}"
            f"{nearest_name(precision, ['auto', *PRECISIONS])}"
        )
    device = _choose_device(device, engine)
    if precision == "fp16" and device == "cpu":
        # Measured at 640x360: 33 s instead of 0.35 s for johnson, 1.3 s instead of 0.06 s for realtime.
        raise SettingError(
            "precision 'fp16' is many times slower than fp32 on the cpu; give fp32 or bf16, or another device"
        )
    if engine != "auto":
        if reason := why_not(engine, device, precision):
            raise SettingError(f"engine {engine!r} {reason}")
        return engine, device
    usable = list_engines(device, precision)
    if not usable:
        raise SettingError(f"no installed engine has {precision} on {device}; install the extra nst-fast[train]")
    if usable[:2] == ["openvino", "onnxruntime"] and not has_address_space(_ADDRESSES_OF_OPENVINO):
        return "onnxruntime", device
    return usable[0], device


def choose_precision(precision: str, engine: str) -> str:
    """The precision to use with an engine that `choose_engine` gave: auto becomes bf16 where it is much faster.

    That is OpenVINO on a processor with matrix instructions for bf16 (AMX). There it takes half of the time and differs
    by 0.3 to 0.5 of 255 levels on average.
    """
    if precision != "auto":
        return precision
    return "bf16" if engine == "openvino" and has_fast_bfloat16() else "fp32"


def list_engines(device: str, precision: str = "fp32") -> list[str]:
    """The engines that can be used here, fastest first."""
    return [engine for engine in ENGINES if not why_not(engine, device, precision)]


def why_not(engine: str, device: str, precision: str) -> str:
    """Why an engine cannot be used, as the end of a sentence that says what to do; empty if it can."""
    module, how_to_get_it, precisions, kinds = _NEEDS[engine]
    if not _is_installed(module):
        return f"is not installed; {how_to_get_it}"
    reached = list_provided_devices() if kinds is None else kinds
    if device.partition(":")[0] not in reached:
        return f"runs on {' and '.join(reached)} only, not on {device}; choose another engine or device"
    if precision not in precisions:
        return f"has no {precision}; it has {', '.join(precisions)}; choose another precision, or the engine torch"
    return ""


def open_graph(graph: bytes, engine: str, threads: int | None) -> RunGraph:
    """What runs an ONNX graph beside the network, in float32 on the processor.

    Args:
        graph: the bytes of an ONNX file, of fixed size.
        engine: that of the network, as `choose_engine` gave it. PyTorch runs no graphs: ONNX Runtime stands in.
        threads: None: one for each core.
    """
    if engine == "openvino":
        from nst_fast.stylize.engines.openvino_engine import open_with_openvino

        return open_with_openvino(graph, precision="fp32", threads=threads)
    return open_with_onnxruntime(graph, device="cpu", threads=threads)


def build_engine(engine: str, checkpoint: Checkpoint, device: str, precision: str, threads: int | None) -> Engine:
    """The engine and device as `choose_engine` gave them, ready to run the checkpoint's network."""
    if engine == "openvino":
        from nst_fast.stylize.engines.openvino_engine import open_with_openvino

        return GraphEngine(
            checkpoint,
            lambda graph: open_with_openvino(graph, precision=precision, threads=threads),
            convolve_sums=precision == "bf16",
        )
    if engine == "onnxruntime":
        return GraphEngine(checkpoint, lambda graph: open_with_onnxruntime(graph, device=device, threads=threads))
    from nst_fast.stylize.engines.torch_engine import TorchEngine

    return TorchEngine(checkpoint, device, precision, compiled=engine == "compile", threads=threads)


def _choose_device(device: str | None, engine: str) -> str:
    by_onnxruntime = list_provided_devices() if engine in ("auto", "onnxruntime") else ()
    if device is None:
        # ONNX Runtime lists what it is built for, which need not be there.
        if "cuda" in by_onnxruntime and _may_have_gpu():
            return "cuda"
        if "directml" in by_onnxruntime:
            return "directml"
        # PyTorch is asked only where a GPU is likely: to import it takes seconds.
        asks_torch = engine in _TORCH_ENGINES or (engine == "auto" and _may_have_gpu())
        return _list_torch_devices()[0] if asks_torch and _is_installed("torch") else "cpu"
    kind = device.partition(":")[0]
    if device == "cpu" or kind in by_onnxruntime:
        return device
    if kind in ("cuda", "mps") and _is_installed("torch") and device in _list_torch_devices():
        return device
    available = list(
        dict.fromkeys([*by_onnxruntime, *(_list_torch_devices() if "torch" in sys.modules else ()), "cpu"])
    )
    raise SettingError(
        f"device {device!r} is not available; this computer has: {', '.join(available)}; leave it out to use the "
        f"first of these"
    )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # how find_spec words it for a module that a test has taken away
        return False


def _list_torch_devices() -> list[str]:
    """The devices that PyTorch reaches, the fastest first; imports PyTorch."""
    import torch

    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{index}" for index in range(cards))] if cards else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


@functools.cache
def _may_have_gpu() -> bool:
    """Whether the system has a GPU of NVIDIA or Apple, told without PyTorch."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False
