import mmap
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nst_fast.benchmark import (
    Candidate,
    build_textbook_network,
    candidate_for,
    count_operations_per_pixel,
    describe_computer,
    measure_candidates,
    measure_film,
)
from nst_fast.transform_nets import JohnsonNet, RealtimeNet, build_transform_net
from nst_fast.transform_nets.statistics import InstanceNorm


@pytest.mark.parametrize(("network", "operations"), [(JohnsonNet(32), 307_584), (RealtimeNet(32), 18_288)])
def test_operations_are_those_counted_by_hand(network, operations):
    """The count is that which the networks' own tests make by hand."""
    assert count_operations_per_pixel(network) == operations


def test_a_known_time_is_measured():
    """A candidate that sleeps 5 and one that sleeps 20 ms are told apart, whichever comes first, in equal numbers."""

    def sleeper(milliseconds: int) -> Candidate:
        return Candidate("sleep", str(milliseconds), lambda: lambda _pixels: time.sleep(milliseconds / 1000), 0)

    slow, quick = measure_candidates([sleeper(20), sleeper(5)], 4, 6, seconds=0.001)
    assert 20 <= slow.milliseconds_50 <= slow.milliseconds_90 <= slow.milliseconds_99
    assert 5 <= quick.milliseconds_50 < slow.milliseconds_50
    assert quick.frames_per_second == pytest.approx(1000 / quick.milliseconds_50)
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
        pytest.skip("this computer does not let the peak start anew")
    assert 50e6 < first.peak_memory_bytes < 150e6
    assert second.peak_memory_bytes < 30e6


def test_a_network_is_a_candidate():
    """A network is painted with by the settings given, and named by what it is."""
    candidate = candidate_for("mine", RealtimeNet(width=4), device="cpu", threads=1)
    (measured,) = measure_candidates([candidate], 16, 24, seconds=0.001)
    assert (measured.network, measured.engine) == ("mine", "torch on cpu in fp32, 1 thread")
    assert measured.milliseconds_50 > 0 and measured.start_seconds > 0


def test_a_film_is_timed_from_file_to_file(tmp_path):
    """An animation is painted to a film of its frames; what the network alone reaches stands beside it."""
    pytest.importorskip("av")
    frames = [Image.new("RGB", (24, 16), (number * 40, 0, 90)) for number in range(6)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=40)
    measured = measure_film("mine", RealtimeNet(width=4), tmp_path / "a.gif", device="cpu", threads=1)
    assert (measured.width, measured.height, measured.frames) == (24, 16, 6)
    assert measured.frames_per_second == pytest.approx(5 / measured.seconds)
    assert measured.alone_frames_per_second > 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_the_textbook_network_paints_as_ours():
    """With the same weights it paints the same; only the normalisations are torch's own."""
    torch.manual_seed(0)
    textbook, ours = build_textbook_network("realtime"), build_transform_net("realtime")
    ours.load_state_dict(textbook.state_dict())
    photo = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(textbook(photo), ours(photo), atol=1e-5, rtol=0)
    kinds = [type(module) for module in textbook.modules()]
    assert InstanceNorm not in kinds and nn.InstanceNorm2d in kinds
