import pickle

import pytest

from nst_fast import errors
from nst_fast.errors import NstFastError, nearest_name

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, NstFastError)]


def test_all_are_caught_as_one():
    """Whoever catches NstFastError catches each kind; none is another's child, and none is a built-in error."""
    for kind in KINDS:
        assert kind is NstFastError or kind.__bases__ == (NstFastError,)
        assert not issubclass(kind, ValueError | OSError | RuntimeError)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_travel_between_processes(kind):
    """An error raised in a worker process arrives as what it was, with its text."""
    arrived = pickle.loads(pickle.dumps(kind("steps is 0; it must be at least 1")))
    assert type(arrived) is kind
    assert str(arrived) == "steps is 0; it must be at least 1"


def test_nearest_name():
    """A name with a slip is answered with the nearest as the end of a message, a foreign one with nothing."""
    allowed = ["steps", "batch_size", "style"]
    assert nearest_name("step", allowed) == " (nearest: steps)"
    assert nearest_name("stlye", allowed) == " (nearest: style)"
    assert nearest_name("learning_rate", allowed) == ""
    assert nearest_name("", allowed) == nearest_name("steps", []) == ""
