"""Which engine runs a network here."""

import importlib.util

import torch

from nst_fast.errors import SettingError, nearest_name
from nst_fast.inference.engines.engine import Engine
from nst_fast.inference.engines.graph_engine import GraphEngine
from nst_fast.inference.engines.onnxruntime_engine import open_with_onnxruntime
from nst_fast.inference.engines.openvino_engine import open_with_openvino
from nst_fast.inference.engines.torch_engine import TorchEngine
from nst_fast.transform_nets import TransformNet

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Fastest first, as measured on two x86 cores. `compile` is never chosen by itself: it takes a minute to start.
ENGINES = ("openvino", "onnxruntime", "torch", "compile")
# engine -> (the extra that brings it, the modules that it needs, the precisions that it has)
_GRAPH_ENGINES = {
    "openvino": ("openvino", ("onnx", "openvino"), ("fp32", "bf16")),
    "onnxruntime": ("onnx", ("onnx", "onnxruntime"), ("fp32",)),
}


def choose_engine(name: str, device: torch.device, precision: str) -> str:
    """The name of the engine to use.

    Args:
        name: one of `ENGINES`, or auto: the fastest that is installed, except `compile`.

    Raises:
        SettingError: an unknown engine; one that is not installed, or not for this device or this precision.
    """
    if name == "auto":
        return next(engine for engine in ENGINES if not why_not(engine, device, precision))
    if name not in ENGINES:
        raise SettingError(
            f"engine {name!r} is unknown; allowed: auto, {', '.join(ENGINES)}{nearest_name(name, ['auto', *ENGINES])}"
        )
    if reason := why_not(name, device, precision):
        raise SettingError(f"engine {name!r} {reason}")
    return name


def list_engines(device: torch.device, precision: str = "fp32") -> list[str]:
    """The engines that can be used here, fastest first."""
    return [engine for engine in ENGINES if not why_not(engine, device, precision)]


def why_not(engine: str, device: torch.device, precision: str) -> str:
    """Why an engine cannot be used, as the end of a sentence that says what to do; empty if it can."""
    if engine not in _GRAPH_ENGINES:
        return ""
    extra, modules, precisions = _GRAPH_ENGINES[engine]
    if any(importlib.util.find_spec(module) is None for module in modules):
        return f"needs an extra: install nst-fast[{extra}]"
    if device.type != "cpu":
        return f"runs on the cpu only, not on {device}; give --engine torch, or --device cpu"
    if precision not in precisions:
        return f"has no {precision}; allowed: {', '.join(precisions)}; or give --engine torch"
    return ""


def build_engine(
    name: str, network: TransformNet, device: torch.device, precision: str, threads: int | None
) -> Engine:
    """The engine of this name, as `choose_engine` gave it, for a network that is on the device."""
    if name == "openvino":
        return GraphEngine(network, lambda graph: open_with_openvino(graph, precision=precision, threads=threads))
    if name == "onnxruntime":
        return GraphEngine(network, lambda graph: open_with_onnxruntime(graph, threads=threads))
    return TorchEngine(network, device, PRECISIONS[precision], compiled=name == "compile", threads=threads)
