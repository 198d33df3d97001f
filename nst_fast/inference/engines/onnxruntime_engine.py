"""ONNX Runtime on the CPU; the extra `onnx`."""

import numpy as np

from nst_fast.inference.engines.graph_engine import RunGraph


def open_with_onnxruntime(graph: bytes, *, threads: int | None) -> RunGraph:
    """A session for the bytes of an ONNX file.

    Args:
        threads: None: one for each core.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors only
    # Threads that wait by spinning would take the cores from whoever decodes and encodes the film.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(array) for array in session.run(None, inputs)]

    return run
