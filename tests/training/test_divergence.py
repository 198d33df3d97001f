import math

import pytest

from nst_fast.training.divergence import DivergenceGuard


@pytest.mark.parametrize("total", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_found(total):
    """NaN and infinities are found, at first and later."""
    guard = DivergenceGuard()
    assert guard.diagnose(total) == "the loss is no longer a number"
    assert guard.first_total is None
    assert guard.diagnose(3.0) is None
    assert guard.diagnose(total) == "the loss is no longer a number"


def test_an_explosion_is_told_from_noise():
    """A hundred times the first total is still accepted, more is not; the message has both."""
    guard = DivergenceGuard()
    for total in (3.0, 0.01, 299.0, 300.0, 1.0):
        assert guard.diagnose(total) is None
    assert guard.diagnose(301.0) == "the loss exploded (301; it started at 3)"


def test_a_restored_guard_knows_the_start():
    """After a restart it still compares with the first total of the whole run."""
    guard = DivergenceGuard()
    guard.diagnose(0.5)
    resumed = DivergenceGuard()
    resumed.load_state_dict(guard.state_dict())
    assert resumed.diagnose(49.0) is None
    assert resumed.diagnose(51.0) == "the loss exploded (51; it started at 0.5)"
