"""A checkpoint as a program of torch.export: a .pt2 file that runs in PyTorch without this package."""

from pathlib import Path

import torch

from nst_fast.export.comparison import measure_difference
from nst_fast.export.onnx_file import describe
from nst_fast.files.atomic import replace_atomically
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.torch_any_size import AnySizeNetwork
from nst_fast.networks.torch_network import network_from_checkpoint


def export_pt2(checkpoint: Checkpoint, path: Path, *, pixels: bool) -> float:
    """Write the network with padding and cropping, and compare the file with the network in PyTorch.

    `torch.export.load(path).module()(images)` stylizes; shapes, ranges and metadata (`extra_files`) as in
    `export_onnx`.

    Returns:
        The largest difference from PyTorch, in levels of 255.

    Raises:
        OutputError: the file cannot be written.
    """
    network = AnySizeNetwork(network_from_checkpoint(checkpoint), pixels=pixels)
    images = torch.zeros(2, 3, 61, 83)
    if pixels:
        images = images.permute(0, 2, 3, 1).to(torch.uint8).contiguous()
    free = dict.fromkeys((0, 1, 2) if pixels else (0, 2, 3), torch.export.Dim.DYNAMIC)
    program = torch.export.export(network, (images,), dynamic_shapes=(free,))
    with replace_atomically(path) as temporary:
        # A stream, since torch.export.save insists on the name's end.
        with temporary.open("wb") as file:
            torch.export.save(program, file, extra_files=describe(checkpoint))
        with temporary.open("rb") as file:
            loaded = torch.export.load(file).module()
        with torch.no_grad():
            return measure_difference(
                lambda given: loaded(torch.from_numpy(given)).detach().numpy(),
                lambda given: network(torch.from_numpy(given)).numpy(),
                pixels=pixels,
            )
