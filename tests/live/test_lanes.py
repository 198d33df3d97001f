"""Work in turn: one client's crowd does not keep another waiting, and an end ends everything."""

import threading
import time

import pytest

from nst_fast.live.lanes import Lane, StoppingError


def test_clients_take_turns():
    """One who comes after another's crowd waits for one piece of work, not for all."""
    lane, gate, done = Lane("test"), threading.Event(), []
    futures = [lane.submit(gate.wait, "first")]
    futures += [lane.submit(lambda number=number: done.append(number), "crowd") for number in range(5)]
    futures += [lane.submit(lambda: done.append("late"), "late")]
    gate.set()
    for future in futures:
        future.result(10)
    assert done == [0, "late", 1, 2, 3, 4]
    lane.stop()
    assert lane.wait(5)


def test_results_and_errors_come_back():
    """What the work returns or raises is the future's, also with two threads."""
    lane = Lane("test", threads=2)
    assert lane.submit(lambda: 7).result(10) == 7
    with pytest.raises(ZeroDivisionError):
        lane.submit(lambda: 1 / 0).result(10)
    lane.stop()


def test_an_end_does_not_wait():
    """What runs, what waits and what comes later all end at once, though the running call goes on for a while."""
    lane, gate = Lane("test"), threading.Event()
    running, waiting = lane.submit(gate.wait), lane.submit(lambda: None)
    time.sleep(0.1)
    began = time.monotonic()
    lane.stop()
    for future in (running, waiting):
        with pytest.raises(StoppingError):
            future.result(1)
    with pytest.raises(StoppingError):
        lane.submit(lambda: None)
    assert time.monotonic() - began < 1
    assert not lane.wait(0.1)
    gate.set()
    assert lane.wait(5)
