"""ONNX Runtime: on the processor, and on whatever its installed providers reach."""

import functools

import numpy as np

from nst_fast.errors import SettingError
from nst_fast.memory import is_out_of_memory
from nst_fast.stylize.engines.graph_engine import RunGraph

# device -> ONNX Runtime's provider. Which are there depends on the package that is installed: onnxruntime,
# onnxruntime-gpu, onnxruntime-directml, or on macOS onnxruntime.
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}


@functools.cache
def list_provided_devices() -> tuple[str, ...]:
    """What kinds of device the installed ONNX Runtime is built for, such as cuda and cpu; empty where it is missing.

    Whether this computer has such a device is another question.
    """
    try:
        import onnxruntime
    except ImportError:
        return ()
    available = onnxruntime.get_available_providers()
    return tuple(device for device, provider in PROVIDERS.items() if provider in available)


def open_with_onnxruntime(graph: bytes, *, device: str, threads: int | None) -> RunGraph:
    """A session for the bytes of an ONNX file.

    Args:
        device: a key of `PROVIDERS`, perhaps with a number, such as cuda:1.
        threads: of the processor. None: one for each core.

    Raises:
        SettingError: the device cannot be used.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors only
    # Threads that wait by spinning would take the cores from whoever decodes and encodes the film.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    kind, _, number = device.partition(":")
    providers: list[str | tuple[str, dict[str, str]]] = ["CPUExecutionProvider"]
    if kind != "cpu":
        settings = {"device_id": number} if number else {}
        providers.insert(0, (PROVIDERS[kind], settings))
    if kind == "directml":  # as its documentation asks
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Without the fallback, which would print and go on with the processor where a GPU cannot be used.
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=providers, enable_fallback=0)
    except (RuntimeError, ValueError) as error:
        if kind == "cpu" or is_out_of_memory(error):
            raise
        raise _unusable(device, str(error).strip().partition("\n")[0]) from error
    if PROVIDERS[kind] not in session.get_providers():
        raise _unusable(device, "its driver or its libraries are missing")

    def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(array) for array in session.run(None, inputs)]

    return run


def _unusable(device: str, reason: str) -> SettingError:
    return SettingError(f"device {device!r} cannot be used by onnxruntime ({reason}); choose another device, or cpu")
