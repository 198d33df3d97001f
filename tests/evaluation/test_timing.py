import pytest
import torch

from nst_fast.evaluation import timing
from nst_fast.evaluation.timing import Timing, measure_timing


class Clock:
    """A clock that advances only in calls that take time."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def perf_counter(self):
        return self.now


class SlowNetwork:
    """Returns the photo itself, in the given number of seconds, call after call."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.sizes = clock, iter(seconds), set()

    def stylize(self, photo):
        self.clock.now += next(self.seconds)
        self.clock.calls.append(self)
        self.sizes.add(tuple(photo.shape))
        return photo


def test_medians_of_what_is_timed_in_turns(loss, photos, monkeypatch):
    """For each network and for the iterations the first call is not counted, and the median of the others is taken."""
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    monkeypatch.setattr(
        "nst_fast.evaluation.timing.PixelOptimizer.take_iteration",
        lambda optimizer: setattr(clock, "now", clock.now + next(iterations)) or clock.calls.append("iteration"),
    )
    iterations = iter([50.0, 7.0, 4.0, 9.0])
    quick, slow = SlowNetwork(clock, [100.0, 1.0, 3.0, 2.0]), SlowNetwork(clock, [100.0, 6.0, 6.0, 5.0])
    result = measure_timing(
        {"quick": quick, "slow": slow}, loss, photos["a.jpg"], 20, rounds=3, device=torch.device("cpu")
    )
    assert result == Timing(20, 3, {"quick": 2.0, "slow": 6.0}, 7.0)
    assert clock.calls == [quick, slow, "iteration"] * 4
    assert quick.sizes == {(3, 20, 20)}


def test_speed_up():
    """500 iterations of 2 s take 2,000 times as long as one pass of 0.5 s."""
    assert Timing(256, 5, {"a": 0.5}, 2.0).speed_up("a", 500) == pytest.approx(2000)
