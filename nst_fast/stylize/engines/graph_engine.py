"""What ONNX Runtime and OpenVINO have in common: both run the network as an ONNX graph."""

import itertools
from collections.abc import Callable, Generator, Iterable

import numpy as np

from nst_fast.memory import is_out_of_memory
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.description import adds_photo
from nst_fast.networks.onnx_graph import build_onnx_graph
from nst_fast.stylize.engines.engine import FilmFrame, StylizedFrame, stylize_next_frame, stylize_one_by_one

# Runs a graph: from its inputs by name to its outputs in order, in arrays of their own.
RunGraph = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


class GraphEngine:
    """Runs a network by whatever opens an ONNX graph.

    The graphs for pixels alone, for given statistics, for tiles, and with the photo going around an adjustable network
    are each built when they are first needed.

    Args:
        checkpoint: the network.
        open_graph: from the bytes of an ONNX file to what runs it.
        convolve_sums: see `build_onnx_graph`.
    """

    def __init__(
        self, checkpoint: Checkpoint, open_graph: Callable[[bytes], RunGraph], *, convolve_sums: bool = False
    ) -> None:
        self._checkpoint = checkpoint
        self._open_graph = open_graph
        self._convolve_sums = convolve_sums
        self._graphs: dict[tuple[bool, bool, bool], RunGraph] = {}
        self._steering = checkpoint.steer(1.0) if checkpoint.description.adjustable else None

    def set_steering(self, steering: np.ndarray) -> None:
        """See `Engine`."""
        self._steering = steering

    def stylize_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        (stylized,) = self._run({"images": self._enlarge(pixels)})
        return stylized[:, : pixels.shape[1], : pixels.shape[2]]

    def stylize_with_statistics(
        self, pixels: np.ndarray, given: np.ndarray | None, smoothing: float, origin: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Engine`."""
        description = self._checkpoint.description
        if given is None:
            given = np.zeros((1, 2, description.statistics_channels), np.float32)
        inputs = {"images": self._enlarge(pixels), "given": given, "smoothing": np.array(smoothing, np.float32)}
        if origin is not None and description.input_noise:
            inputs["origin"] = np.array(origin, np.int64)
        stylized, used = self._run(inputs)
        return stylized[:, : pixels.shape[1], : pixels.shape[2]], used

    def stylize_frames(
        self, frames: Iterable[FilmFrame], smoothing: float, used: np.ndarray | None = None
    ) -> Generator[StylizedFrame, None, None]:
        """Frames of a film, one after the other; the first one twice.

        OpenVINO computes a size that it has met before in another way, with other last digits. Every frame has to be
        computed in the same way, for a film that is resumed to be the one that ran through.
        """
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            return
        stylize_next_frame(self, first, used, smoothing)
        yield from stylize_one_by_one(self, itertools.chain([first], frames), smoothing, used)

    def _enlarge(self, pixels: np.ndarray) -> np.ndarray:
        """Images that are too small for the graph's own padding, enlarged on the right and below to `min_side`."""
        for axis in (1, 2):
            side = pixels.shape[axis]
            missing = self._checkpoint.description.min_side - side
            if missing > 0:
                margins = [(0, missing if one == axis else 0) for one in range(4)]
                pixels = np.pad(pixels, margins, mode="reflect" if missing < side else "edge")
        return np.ascontiguousarray(pixels)

    def _run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        photo = self._steering is not None and adds_photo(self._steering)
        kind = ("given" in inputs, "origin" in inputs, photo)
        if self._steering is not None:
            inputs["steering"] = self._steering
        try:
            if kind not in self._graphs:
                graph = build_onnx_graph(
                    self._checkpoint,
                    pixels=True,
                    statistics=kind[0],
                    origin=kind[1],
                    strength=None,
                    photo=photo,
                    convolve_sums=self._convolve_sums,
                )
                self._graphs[kind] = self._open_graph(graph)
            return self._graphs[kind](inputs)
        except Exception as error:  # each runtime has classes of its own for this
            if is_out_of_memory(error):
                raise MemoryError from error
            raise
