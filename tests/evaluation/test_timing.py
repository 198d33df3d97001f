import pytest
import torch

from nst_fast.evaluation import timing
from nst_fast.evaluation.timing import Timing, measure_timing


class Clock:
    """Time passes only when something is called that takes some."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def perf_counter(self):
        return self.now


class SlowStylizer:
    """Paints the photo itself, in as many seconds as said, call after call."""

    device = torch.device("cpu")

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.sizes = clock, iter(seconds), set()

    def stylize(self, photo):
        self.clock.now += next(self.seconds)
        self.clock.calls.append(self)
        self.sizes.add(tuple(photo.shape))
        return photo


def test_medians_of_what_is_timed_in_turns(loss, photos, monkeypatch):
    """Of each network and of the iterations the first call is left out and the median of the others counts."""
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    monkeypatch.setattr(
        "nst_fast.evaluation.timing.PixelOptimiser.take_iteration",
        lambda optimiser: setattr(clock, "now", clock.now + next(iterations)) or clock.calls.append("iteration"),
    )
    iterations = iter([50.0, 7.0, 4.0, 9.0])
    quick, slow = SlowStylizer(clock, [100.0, 1.0, 3.0, 2.0]), SlowStylizer(clock, [100.0, 6.0, 6.0, 5.0])
    result = measure_timing({"quick": quick, "slow": slow}, loss, photos["a.jpg"], 20, rounds=3)
    assert result == Timing(20, 3, {"quick": 2.0, "slow": 6.0}, 7.0)
    assert clock.calls == [quick, slow, "iteration"] * 4
    assert quick.sizes == {(3, 20, 20)}


def test_speed_up():
    """500 iterations of 2 s take 2,000 times as long as a pass of half a second."""
    assert Timing(256, 5, {"a": 0.5}, 2.0).speed_up("a", 500) == pytest.approx(2000)
