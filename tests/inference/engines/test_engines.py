"""Every engine against PyTorch."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from nst_fast.errors import ImageError
from nst_fast.export import onnx_graph
from nst_fast.inference.engines.choice import list_engines
from nst_fast.inference.stylizer import Stylizer
from nst_fast.transform_nets import JohnsonNet, RealtimeNet
from nst_fast.transform_nets.statistics import InstanceNorm

CPU = torch.device("cpu")
# Those that are not installed are left out; the checks install all extras.
GRAPH_ENGINES = [name for name in list_engines(CPU) if name in ("onnxruntime", "openvino")]
SIZES = [(32, 48), (41, 50), (8, 9), (3, 30), (1, 1)]


@pytest.fixture(scope="module", params=[JohnsonNet, RealtimeNet])
def network(request):
    torch.manual_seed(0)
    network = request.param(width=8, grain=0.1).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, InstanceNorm):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
    return network


@pytest.fixture(scope="module")
def reference(network):
    return Stylizer(network, device="cpu")


@pytest.fixture(scope="module", params=GRAPH_ENGINES)
def stylizer(request, network):
    return Stylizer(network, device="cpu", engine=request.param, threads=1)


def noise(height: int, width: int, count: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def level_difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_pytorch(stylizer, reference, size):
    """A frame of any size is painted within one level of what PyTorch paints, also when its size comes again."""
    for seed in range(4):
        pixels = noise(*size, seed=seed)[0]
        painted = stylizer.stylize_pixels(pixels)
        assert painted.shape == (*size, 3) and painted.dtype == np.uint8
        assert level_difference(painted, reference.stylize_pixels(pixels)) <= 1


@pytest.mark.parametrize("size", SIZES)
def test_images_are_those_of_pytorch(stylizer, reference, size):
    """An image is painted within a tenth of a level of what PyTorch paints."""
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    painted = stylizer.stylize(image)
    assert painted.shape == image.shape and painted.dtype == torch.float32
    assert (painted - reference.stylize(image)).abs().max() < 0.1 / 255


def test_a_batch_is_its_pictures(stylizer, reference):
    """Each picture of a batch is painted by its own statistics."""
    pixels = noise(16, 20, count=3)
    assert level_difference(stylizer.stylize_pixels(pixels), reference.stylize_pixels(pixels)) <= 1


def test_films_are_those_of_pytorch(stylizer, reference):
    """Frames with smoothed statistics come within one level of PyTorch's, before and after a reset."""
    steady, expected = stylizer.steady(0.8), reference.steady(0.8)
    for number in range(6):
        if number == 4:
            steady.reset(), expected.reset()
        pixels = noise(21, 30, seed=number)[0] // (1 + number)
        assert level_difference(steady.stylize_pixels(pixels), expected.stylize_pixels(pixels)) <= 1


def test_results_are_ones_own(stylizer):
    """A painting stays as it is when the next one is painted, and can be written to."""
    for _ in range(2):  # the first size, then the size that came again
        first = stylizer.stylize_pixels(noise(16, 16)[0])
        kept = first.copy()
        stylizer.stylize_pixels(noise(16, 16, seed=1)[0])
        assert np.array_equal(first, kept)
        first[:] = 0


def test_the_engine_is_said(stylizer):
    """The engine has a name, and says in a few words how it paints."""
    assert stylizer.engine in GRAPH_ENGINES
    assert stylizer.describe() == f"{stylizer.engine} on cpu in fp32, 1 thread"


def test_bf16_of_openvino_is_close(network, reference):
    """bf16 paints nearly what fp32 paints."""
    pytest.importorskip("openvino")
    painted = Stylizer(network, device="cpu", engine="openvino", precision="bf16").stylize_pixels(noise(32, 32)[0])
    difference = np.abs(painted.astype(int) - reference.stylize_pixels(noise(32, 32)[0]))
    assert difference.mean() < 4


@pytest.mark.parametrize("words", ["std::bad_alloc", "Failed to allocate memory for requested buffer of size 99"])
def test_no_memory_is_said(stylizer, monkeypatch, words):
    """What a runtime raises when memory runs out becomes the line that names a smaller size."""

    def run_out(*_arguments, **_more):
        raise RuntimeError(words)

    monkeypatch.setattr(stylizer._engine, "_graphs", {(True, False, False): run_out})
    with pytest.raises(ImageError) as caught:
        stylizer.stylize_pixels(noise(30, 40)[0])
    assert str(caught.value) == (
        "painting at 40 x 30 pixels does not fit the memory of cpu; work at a smaller size, such as --size 20"
    )


def test_other_errors_stay(stylizer, monkeypatch):
    """A bug in building a graph is not hidden."""

    def break_down(*_arguments, **_more):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(onnx_graph, "build_onnx_graph", break_down)
    monkeypatch.setattr(stylizer._engine, "_graphs", {})
    with pytest.raises(RuntimeError, match="shapes differ"):
        stylizer.stylize_pixels(noise(8, 8)[0])


@pytest.mark.slow
def test_compiled_pytorch(network, reference):
    """torch.compile paints the same within one level, films too."""
    stylizer = Stylizer(network, device="cpu", engine="compile")
    pixels = noise(21, 30)[0]
    assert level_difference(stylizer.stylize_pixels(pixels), reference.stylize_pixels(pixels)) <= 1
    steady, expected = stylizer.steady(0.8), reference.steady(0.8)
    for seed in range(3):
        pixels = noise(21, 30, seed=seed)[0]
        assert level_difference(steady.stylize_pixels(pixels), expected.stylize_pixels(pixels)) <= 1


INTERRUPTED_SCRIPT = """
import gc, signal
import numpy as np
from nst_fast.inference.stylizer import Stylizer
from nst_fast.transform_nets import RealtimeNet

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
stylizers = [Stylizer(RealtimeNet(width=4), engine="openvino", device="cpu") for _ in range(2)]
for number in range(2):
    stylizers[number].stylize_pixels(np.zeros((32, 32, 3), np.uint8))
while stylizers:
    del stylizers[0]
    gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_after_openvino_is_an_interrupt():
    """Where two of them have come and gone, the first before the second, Ctrl-C is no segmentation fault."""
    pytest.importorskip("openvino")
    process = subprocess.run([sys.executable, "-c", INTERRUPTED_SCRIPT], capture_output=True, text=True)
    assert (process.stdout, process.returncode) == ("interrupted\n", 0), process.stderr
