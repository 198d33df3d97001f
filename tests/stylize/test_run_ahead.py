import threading
import time

import pytest

from nst_fast.stylize.run_ahead import run_ahead


def threads_named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_items_come_in_order_from_another_thread():
    """All items come, in order, and are made on the thread of the given name."""
    makers = set()

    def make():
        for number in range(50):
            makers.add(threading.current_thread().name)
            yield number

    assert list(run_ahead(make(), 3, "maker")) == list(range(50))
    assert makers == {"maker"}
    assert threads_named("maker") == []


def test_it_is_ahead_by_no_more_than_asked_for():
    """While nobody takes items, three lie ready and one is being handed over; then making stops."""
    made = []

    def make():
        for number in range(50):
            made.append(number)
            yield number

    items = run_ahead(make(), 3, "maker")
    assert next(items) == 0
    deadline = time.monotonic() + 10
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 5  # one taken, three ready, one in hand
    items.close()
    assert threads_named("maker") == []


def test_making_and_taking_take_the_time_of_the_longer():
    """Ten items that take 20 ms to make and 20 ms to use take about 220 ms, not 400."""

    def make():
        for number in range(10):
            time.sleep(0.02)
            yield number

    began = time.perf_counter()
    for _ in run_ahead(make(), 2, "maker"):
        time.sleep(0.02)
    assert time.perf_counter() - began < 0.36


def test_what_goes_wrong_is_raised_after_the_items_before_it():
    """A failure of the maker reaches the taker, in its place."""

    def make():
        yield 1
        raise ValueError("no more")

    taken = []
    with pytest.raises(ValueError, match="no more"):
        taken.extend(run_ahead(make(), 3, "maker"))
    assert threads_named("maker") == []


def test_closing_closes_what_is_read_on_its_own_thread():
    """Whoever stops early leaves no thread, and the source is closed by the thread that used it."""
    closed_by = []

    def make():
        try:
            while True:
                yield 0
        finally:
            closed_by.append(threading.current_thread().name)

    items = run_ahead(make(), 2, "maker")
    next(items)
    items.close()
    assert closed_by == ["maker"]
    assert threads_named("maker") == []
