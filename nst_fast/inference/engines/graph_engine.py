"""What ONNX Runtime and OpenVINO have in common: both run the network as an ONNX graph."""

from collections.abc import Callable, Generator, Iterable

import numpy as np
import torch
from torch import Tensor

from nst_fast.inference.engines.engine import FilmFrame, paint_one_by_one
from nst_fast.memory import is_out_of_memory
from nst_fast.transform_nets import TransformNet
from nst_fast.transform_nets.painter import pad_to_stride
from nst_fast.transform_nets.statistics import blank_statistics

# Runs a graph: from its inputs by name to its outputs in order, in arrays of their own.
RunGraph = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


class GraphEngine:
    """Runs a network by whatever opens an ONNX graph.

    The graphs for pixels, for images, for given statistics and for tiles are each built when first needed.

    Args:
        network: one of `TRANSFORM_NETS`.
        open_graph: from the bytes of an ONNX file to what runs it.
    """

    def __init__(self, network: TransformNet, open_graph: Callable[[bytes], RunGraph]) -> None:
        self._network = network
        self._open_graph = open_graph
        self._graphs: dict[tuple[bool, bool, bool], RunGraph] = {}

    def paint_images(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), float in [0, 1], on any device, to the same shape, float32, on the CPU."""
        height, width = images.shape[2:]
        least = self._network.min_side
        images = images.detach().to("cpu", torch.float32)
        if min(height, width) < least:
            images = pad_to_stride(images, self._network.stride, min_side=least)
        (painted,) = self._run({"pictures": images.contiguous().numpy()}, pixels=False)
        return torch.from_numpy(painted[:, :, :height, :width]).clamp(0, 1)

    def paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """(B, H, W, 3), uint8, to the same."""
        (painted,) = self._run({"pictures": self._enlarge(pixels)}, pixels=True)
        return painted[:, : pixels.shape[1], : pixels.shape[2]]

    def paint_pixels_with_statistics(
        self, pixels: np.ndarray, given: np.ndarray | None, share: float, origin: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paint as `paint_pixels`, see `paint_with_statistics`; `given` may be None where `share` is 1."""
        statistics = blank_statistics(self._network).numpy() if given is None else given
        inputs = {"pictures": self._enlarge(pixels), "given": statistics, "share": np.array(share, np.float32)}
        if origin is not None and self._network.grain.strength:
            inputs["origin"] = np.array(origin, np.int64)
        painted, used = self._run(inputs, pixels=True)
        return painted[:, : pixels.shape[1], : pixels.shape[2]], used

    def paint_frames(self, frames: Iterable[FilmFrame], share: float) -> Generator[np.ndarray, None, None]:
        """Frames of a film, one after the other."""
        return paint_one_by_one(self, frames, share)

    def _enlarge(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures that are too small for the graph's own padding, padded as `pad_to_stride` does it."""
        if min(pixels.shape[1:3]) < self._network.min_side:
            images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32))
            images = pad_to_stride(images, self._network.stride, min_side=self._network.min_side)
            pixels = images.permute(0, 2, 3, 1).to(torch.uint8).numpy()
        return np.ascontiguousarray(pixels)

    def _run(self, inputs: dict[str, np.ndarray], *, pixels: bool) -> list[np.ndarray]:
        kind = (pixels, "given" in inputs, "origin" in inputs)
        try:
            if kind not in self._graphs:
                # Here, since PyTorch alone must do without onnx, which comes with the extras.
                from nst_fast.export.onnx_graph import build_onnx_graph

                graph = build_onnx_graph(self._network, pixels=pixels, statistics=kind[1], origin=kind[2])
                self._graphs[kind] = self._open_graph(graph.SerializeToString())
            return self._graphs[kind](inputs)
        except Exception as error:  # each runtime has classes of its own for this
            if is_out_of_memory(error):
                raise MemoryError from error
            raise
