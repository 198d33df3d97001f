import itertools
import math

import pytest

from nst_fast.training.schedule import learning_rate_at


def test_warm_up_is_a_line_to_the_peak():
    """The rate rises by equal parts of the peak and reaches it with the last step of the warm-up."""
    rates = [learning_rate_at(step, steps=100, peak=2.0, warmup_steps=8) for step in range(8)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]


def test_the_rest_is_half_a_cosine():
    """From the peak down to zero: half of it in the middle, and never rising (Loshchilov and Hutter, equation 5)."""
    rates = [learning_rate_at(step, steps=110, peak=1.0, warmup_steps=10) for step in range(10, 110)]
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.5)
    assert rates[25] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert 0 < rates[-1] < 1e-3
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))


def test_the_rate_is_constant_until_it_decays():
    """With `constant_until` the rate stays at its peak until then, and decays over the steps that are left."""
    rates = [learning_rate_at(step, steps=50, peak=1.0, warmup_steps=10, constant_until=20) for step in range(50)]
    assert rates[:10] == [learning_rate_at(step, steps=50, peak=1.0, warmup_steps=10) for step in range(10)]
    assert rates[10:20] == [1.0] * 10
    assert rates[20:] == [learning_rate_at(step, steps=30, peak=1.0, warmup_steps=0) for step in range(30)]
    assert learning_rate_at(49, steps=50, peak=1.0, warmup_steps=10, constant_until=50) == 1.0
    assert learning_rate_at(5, steps=50, peak=1.0, warmup_steps=10, constant_until=2) == 0.6


@pytest.mark.parametrize(("steps", "warmup_steps"), [(1, 0), (1, 1), (5, 5), (3, 10), (1, 50)])
def test_short_runs(steps, warmup_steps):
    """A run no longer than its warm-up has positive rates up to the peak, also without a warm-up."""
    rates = [learning_rate_at(step, steps=steps, peak=1.0, warmup_steps=warmup_steps) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert learning_rate_at(10_000, steps=steps, peak=1.0, warmup_steps=warmup_steps) == pytest.approx(0)
