import mmap
import time

import numpy as np
import pytest
import torch
from PIL import Image
from textbook_network import build_textbook_network
from torch import nn

from nst_fast.benchmark import (
    Candidate,
    build_random_checkpoint,
    candidate_for,
    describe_computer,
    measure_candidates,
    measure_film,
)
from nst_fast.networks.torch_layers import InstanceNorm
from nst_fast.networks.torch_network import build_network, checkpoint_from_network, network_from_checkpoint


def small_checkpoint():
    return checkpoint_from_network(build_network("realtime", width=4))


@pytest.mark.parametrize(("network", "operations"), [("johnson", 307_584), ("realtime", 18_288)])
def test_operations_are_those_counted_by_hand(network, operations):
    """A candidate has the number of operations that the networks' own tests count by hand."""
    candidate = candidate_for(network, build_random_checkpoint(network), device="cpu")
    assert (candidate.network, candidate.operations_per_pixel) == (network, operations)


@pytest.mark.parametrize("name", ["johnson", "realtime"])
def test_random_weights_give_an_ordinary_image(name):
    """The random network that is timed has finite weights, and its image is neither flat nor saturated."""
    checkpoint = build_random_checkpoint(name)
    assert checkpoint.description.input_noise == 0.016
    stylized = network_from_checkpoint(checkpoint)(torch.rand(1, 3, 64, 64))
    assert stylized.isfinite().all() and stylized.std() > 0.01
    assert build_random_checkpoint(name).digest == checkpoint.digest


def test_a_known_time_is_measured():
    """A candidate that sleeps 5 and one that sleeps 20 ms are told apart, whichever comes first, in equal numbers."""

    def sleeper(milliseconds: int) -> Candidate:
        return Candidate("sleep", str(milliseconds), lambda: lambda _pixels: time.sleep(milliseconds / 1000), 0)

    slow, quick = measure_candidates([sleeper(20), sleeper(5)], 4, 6, seconds=0.001)
    assert 20 <= slow.milliseconds_50 <= slow.milliseconds_90 <= slow.milliseconds_99
    assert 5 <= quick.milliseconds_50 < slow.milliseconds_50
    # A sleep may take longer, never shorter.
    assert slow.frames_per_second <= 50 < 100 < 2 * quick.frames_per_second <= 400
    assert (quick.runs, quick.width, quick.height) == (5, 6, 4)


def test_memory_is_that_of_the_candidate():
    """A candidate that fills 64 MB is seen to take about that, and one that fills nothing far less."""
    if describe_computer()["system"].split("-")[0] != "Linux" or torch.cuda.is_available():
        pytest.skip("read from /proc")

    def fill(_pixels: np.ndarray) -> None:
        with mmap.mmap(-1, 64_000_000) as memory:  # from the system itself: a heap may have as much left over
            for page in range(0, len(memory), mmap.PAGESIZE):
                memory[page] = 1

    greedy = Candidate("", "", lambda: fill, 0)
    modest = Candidate("", "", lambda: lambda _pixels: None, 0)
    first, second = measure_candidates([greedy, modest], 8, 8, seconds=0.001)
    if first.peak_memory_bytes is None:
        pytest.skip("this computer does not let the peak start again")
    assert 50e6 < first.peak_memory_bytes < 150e6
    assert second.peak_memory_bytes < 30e6


def test_a_network_is_a_candidate():
    """Networks are measured with the settings given and named by what they are; 17 times the operations show."""
    settings = {"device": "cpu", "engine": "torch", "threads": 1}
    networks = [candidate_for(name, build_random_checkpoint(name), **settings) for name in ("johnson", "realtime")]
    began = time.perf_counter()
    johnson, realtime = measure_candidates(networks, 96, 96, seconds=0.001)
    seconds = time.perf_counter() - began
    assert (johnson.network, johnson.engine) == ("johnson", "torch on cpu in fp32, 1 thread")
    assert realtime.milliseconds_50 < johnson.milliseconds_50
    assert johnson.milliseconds_50 / 1000 < johnson.start_seconds < seconds


def test_a_film_is_timed_from_file_to_file(tmp_path):
    """An animation is stylized to a film of its frames; what the network alone reaches stands beside it."""
    pytest.importorskip("av")
    frames = [Image.new("RGB", (24, 16), (number * 40, 0, 90)) for number in range(6)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=40)
    began = time.perf_counter()
    measured = measure_film("mine", small_checkpoint(), tmp_path / "a.gif", device="cpu", threads=1)
    wall_seconds = time.perf_counter() - began
    assert (measured.width, measured.height, measured.frames) == (24, 16, 6)
    # The whole call also starts the engine and times the network alone, 18 frames twice.
    assert 0 < measured.seconds < wall_seconds and measured.frames_per_second > 5 / wall_seconds
    assert measured.alone_frames_per_second > 15 / wall_seconds
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_the_textbook_network_is_ours():
    """With the same weights the reference gives the same image; only its normalizations are torch's own."""
    torch.manual_seed(0)
    textbook, ours = build_textbook_network("realtime"), build_network("realtime")
    ours.load_state_dict(textbook.state_dict())
    photo = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(textbook(photo), ours(photo), atol=1e-5, rtol=0)
    kinds = [type(module) for module in textbook.modules()]
    assert InstanceNorm not in kinds and nn.InstanceNorm2d in kinds
