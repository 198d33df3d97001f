"""Every engine against PyTorch."""

import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from nst_fast.errors import ImageError, SettingError
from nst_fast.networks.torch_any_size import AnySizeNetwork
from nst_fast.networks.torch_network import checkpoint_from_network
from nst_fast.stylize.engines import graph_engine
from nst_fast.stylize.engines.choice import list_engines
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.engines.onnxruntime_engine import open_with_onnxruntime
from nst_fast.stylize.stylizer import Stylizer

# Those that are not installed are left out; the checks install all extras.
GRAPH_ENGINES = [name for name in list_engines("cpu") if name in ("onnxruntime", "openvino")]
SIZES = [(32, 48), (41, 50), (8, 9), (3, 30), (1, 1)]


@pytest.fixture(scope="module", params=["johnson", "realtime"])
def network(request, random_network):
    return random_network(request.param, width=8, input_noise=0.1)


@pytest.fixture(scope="module")
def reference(network):
    return Stylizer(checkpoint_from_network(network), device="cpu", engine="torch")


@pytest.fixture(scope="module", params=GRAPH_ENGINES)
def stylizer(request, network):
    return Stylizer(checkpoint_from_network(network), device="cpu", engine=request.param, threads=1)


def noise(height: int, width: int, count: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def level_difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_pytorch(stylizer, reference, size):
    """A frame of any size comes within one level of PyTorch's, also when its size comes again."""
    for seed in range(4):
        pixels = noise(*size, seed=seed)[0]
        stylized = stylizer.stylize_pixels(pixels)
        assert stylized.shape == (*size, 3) and stylized.dtype == np.uint8
        assert level_difference(stylized, reference.stylize_pixels(pixels)) <= 1


@pytest.mark.parametrize("size", SIZES)
def test_pytorch_is_the_network(network, reference, size):
    """The PyTorch engine gives, bit for bit, what the padded network gives for these pixels."""
    pixels = noise(*size, count=2)
    expected = AnySizeNetwork(network, pixels=True)(torch.from_numpy(pixels))
    assert np.array_equal(reference.stylize_pixels(pixels), expected.numpy())


@pytest.mark.parametrize("smoothing", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("origin", [None, (700, 9001)])
def test_statistics_are_those_of_pytorch(stylizer, reference, smoothing, origin):
    """With statistics given and mixed, and with an origin, pixels come within one level, and so do the statistics."""
    _, given = reference._engine.stylize_with_statistics(noise(40, 40, seed=1), None, 0.0)
    found, expected = (
        one._engine.stylize_with_statistics(noise(21, 30), given, smoothing, origin) for one in (stylizer, reference)
    )
    assert level_difference(found[0], expected[0]) <= 1
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-3, atol=1e-3)


def test_a_batch_is_its_images(stylizer, reference):
    """Each image of a batch is normalized by its own statistics."""
    pixels = noise(16, 20, count=3)
    assert level_difference(stylizer.stylize_pixels(pixels), reference.stylize_pixels(pixels)) <= 1


@pytest.mark.parametrize("engine_name", GRAPH_ENGINES)
@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_the_first_frame_of_a_film_is_computed_as_the_others(random_network, engine_name, smoothing):
    """A frame that is the first one of a run, after a resume, gives the bits that it gives in the middle of a run."""
    network = random_network("realtime", width=16, input_noise=0.016)
    stylizer = Stylizer(checkpoint_from_network(network), device="cpu", engine=engine_name)
    pixels = noise(120, 160)[0]
    first, second = stylizer.for_frames(smoothing).stylize_frames([FilmFrame(pixels, False), FilmFrame(pixels, True)])
    assert np.array_equal(first[0], second[0])
    assert smoothing == 0 or np.array_equal(first[1].used, second[1].used)


def test_films_are_those_of_pytorch(stylizer, reference):
    """Frames with smoothed statistics come within one level of PyTorch's, before and after a reset."""
    smoothed, expected = stylizer.for_frames(0.8), reference.for_frames(0.8)
    for number in range(6):
        if number == 4:
            smoothed.reset(), expected.reset()
        pixels = noise(21, 30, seed=number)[0] // (1 + number)
        assert level_difference(smoothed.stylize_pixels(pixels), expected.stylize_pixels(pixels)) <= 1


def test_results_are_ones_own(stylizer):
    """A stylized image stays as it is when the next one is stylized, and can be written to."""
    for _ in range(2):  # the first size, then the size that came again
        first = stylizer.stylize_pixels(noise(16, 16)[0])
        kept = first.copy()
        stylizer.stylize_pixels(noise(16, 16, seed=1)[0])
        assert np.array_equal(first, kept)
        first[:] = 0


def test_the_engine_is_said(stylizer):
    """The engine has a name, and the Stylizer says in a few words what it runs on."""
    assert stylizer.engine in GRAPH_ENGINES
    assert stylizer.describe() == f"{stylizer.engine} on cpu in fp32, 1 thread"


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_bf16_is_close(network, reference, engine):
    """bf16 gives nearly what fp32 gives."""
    pytest.importorskip(engine)
    checkpoint = checkpoint_from_network(network)
    stylized = Stylizer(checkpoint, device="cpu", engine=engine, precision="bf16").stylize_pixels(noise(32, 32)[0])
    difference = np.abs(stylized.astype(int) - reference.stylize_pixels(noise(32, 32)[0]))
    assert difference.mean() < 4


@pytest.mark.parametrize("words", ["std::bad_alloc", "Failed to allocate memory for requested buffer of size 99"])
def test_no_memory_is_said(stylizer, monkeypatch, words):
    """What a runtime raises when memory runs out becomes the line that names a smaller size."""

    def run_out(*_arguments, **_more):
        raise RuntimeError(words)

    monkeypatch.setattr(stylizer._engine, "_graphs", {(False, False, False): run_out})
    with pytest.raises(ImageError) as caught:
        stylizer.stylize_pixels(noise(30, 40)[0])
    assert str(caught.value) == ("40 x 30 pixels do not fit the memory of cpu; work at a smaller size, such as 20")


def test_other_errors_stay(stylizer, monkeypatch):
    """A bug in building a graph is not hidden."""

    def break_down(*_arguments, **_more):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(graph_engine, "build_onnx_graph", break_down)
    monkeypatch.setattr(stylizer._engine, "_graphs", {})
    with pytest.raises(RuntimeError, match="shapes differ"):
        stylizer.stylize_pixels(noise(8, 8)[0])


@pytest.mark.slow
def test_compiled_pytorch(network, reference):
    """torch.compile gives the same within one level, films too."""
    stylizer = Stylizer(checkpoint_from_network(network), device="cpu", engine="compile")
    pixels = noise(21, 30)[0]
    assert level_difference(stylizer.stylize_pixels(pixels), reference.stylize_pixels(pixels)) <= 1
    smoothed, expected = stylizer.for_frames(0.8), reference.for_frames(0.8)
    for seed in range(3):
        pixels = noise(21, 30, seed=seed)[0]
        assert level_difference(smoothed.stylize_pixels(pixels), expected.stylize_pixels(pixels)) <= 1


class Session:
    """In place of ONNX Runtime's: notes what it is asked for and has the providers that it is told to have."""

    asked: ClassVar[dict[str, Any]] = {}
    has = ("CPUExecutionProvider",)
    error: Exception | None = None

    def __init__(self, _graph: bytes, options, **arguments: object) -> None:
        Session.asked = {"options": options, **arguments}
        if Session.error is not None:
            raise Session.error

    def get_providers(self) -> list[str]:
        return list(Session.has)


@pytest.fixture
def session(monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(Session, "error", None)
    monkeypatch.setattr(Session, "has", ("CUDAExecutionProvider", "DmlExecutionProvider", "CPUExecutionProvider"))
    return Session


def test_onnxruntime_is_told_the_device(session):
    """A GPU's provider goes before the processor's, with the number that was given; DirectML has what it asks for."""
    for device, provider in (
        ("cuda", ("CUDAExecutionProvider", {})),
        ("cuda:1", ("CUDAExecutionProvider", {"device_id": "1"})),
        ("directml:2", ("DmlExecutionProvider", {"device_id": "2"})),
    ):
        open_with_onnxruntime(b"", device=device, threads=3)
        assert session.asked["providers"] == [provider, "CPUExecutionProvider"]
        assert session.asked["options"].intra_op_num_threads == 3
        assert session.asked["options"].enable_mem_pattern == (not device.startswith("directml"))
    open_with_onnxruntime(b"", device="cpu", threads=None)
    assert session.asked["providers"] == ["CPUExecutionProvider"]


def test_a_gpu_that_is_not_there_is_said(session, monkeypatch):
    """Where ONNX Runtime cannot use the GPU, that is an error in one line, not a silent change to the processor."""
    monkeypatch.setattr(session, "has", ("CPUExecutionProvider",))
    with pytest.raises(SettingError) as caught:
        open_with_onnxruntime(b"", device="cuda", threads=None)
    assert str(caught.value) == (
        "device 'cuda' cannot be used by onnxruntime (its driver or its libraries are missing); "
        "choose another device, or cpu"
    )
    monkeypatch.setattr(session, "error", RuntimeError("CUDA failure 100: no CUDA-capable device\nmore"))
    with pytest.raises(SettingError, match=r"\(CUDA failure 100: no CUDA-capable device\); choose another device"):
        open_with_onnxruntime(b"", device="cuda:1", threads=None)
    assert session.asked["enable_fallback"] == 0
    with pytest.raises(RuntimeError, match="no CUDA-capable"):
        open_with_onnxruntime(b"", device="cpu", threads=None)


INTERRUPTED_SCRIPT = """
import gc, signal
import numpy as np
from nst_fast.stylize.stylizer import Stylizer

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
stylizers = [Stylizer("wave", engine="openvino", device="cpu") for _ in range(2)]
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
