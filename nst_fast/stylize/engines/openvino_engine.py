"""OpenVINO on the processor; the extra `openvino`."""

import functools
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from nst_fast.stylize.engines.graph_engine import RunGraph

if TYPE_CHECKING:
    import openvino

_KEPT_SIZES = 4


def open_with_openvino(graph: bytes, *, precision: str, threads: int | None) -> RunGraph:
    """A compiled model for the bytes of an ONNX file, of one size or, if that is free, of any size of its `images`.

    Args:
        precision: fp32 or bf16. By itself OpenVINO chooses bf16 on processors that have it, and differs by 12 levels.
        threads: None: one for each core.
    """
    core = _find_core()
    hints = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision], "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        hints["INFERENCE_NUM_THREADS"] = str(threads)
    model = core.read_model(graph)
    if model.is_dynamic():
        return _Compiler(core, model, hints).run
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    return lambda inputs: _run(request, inputs)


@functools.cache
def _find_core() -> "openvino.Core":
    """One for the whole process, which is never destroyed.

    A Core gives the thread that makes it a signal stack of its own and frees that stack when it ends, in any order and
    thread: with two of them Ctrl-C ended in a segmentation fault.
    """
    import openvino

    return openvino.Core()


def _run(request: "openvino.InferRequest", inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    results = request.infer(inputs, share_inputs=True, share_outputs=True)
    # The arrays belong to the request, which writes over them next time.
    return [np.array(array) for array in results.to_tuple()]


class _Compiler:
    """Runs a model of free sizes, and compiles it for a size that comes a second time.

    A film's frames are all of one size; with the size fixed they take 7 % less time. Photos come in all sizes, and
    compiling for each would cost half a second.
    """

    def __init__(self, core: "openvino.Core", model: "openvino.Model", hints: dict[str, str]) -> None:
        self._core = core
        self._model = model
        self._hints = hints
        self._any_size = self._compile(model)
        self._last_shape: tuple[int, ...] = ()
        self._by_shape: OrderedDict[tuple[int, ...], openvino.InferRequest] = OrderedDict()

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return _run(self._request_for(inputs["images"].shape), inputs)

    def _request_for(self, shape: tuple[int, ...]) -> "openvino.InferRequest":
        if shape in self._by_shape:
            self._by_shape.move_to_end(shape)
        elif shape == self._last_shape:
            model = self._model.clone()
            model.reshape({"images": list(shape)})
            self._by_shape[shape] = self._compile(model)
            while len(self._by_shape) > _KEPT_SIZES:
                self._by_shape.popitem(last=False)
        self._last_shape = shape
        return self._by_shape.get(shape, self._any_size)

    def _compile(self, model: "openvino.Model") -> "openvino.InferRequest":
        return self._core.compile_model(model, "CPU", self._hints).create_infer_request()
