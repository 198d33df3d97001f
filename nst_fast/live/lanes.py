"""Threads that work for everyone in turn: each client's next piece of work waits for at most one of each other's."""

import asyncio
import collections
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from nst_fast.errors import NstFastError

_Result = TypeVar("_Result")


class StoppingError(NstFastError):
    """The server is about to end; nothing more is begun."""


class Lane:
    """A queue of work with its own threads, which takes from each client in turn.

    The threads are daemons: what a network computes in one call cannot be interrupted, and must not keep the program
    from ending.

    Args:
        name: of the threads.
        threads: how many pieces of work are done at a time.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self._condition = threading.Condition()
        self._queues: collections.OrderedDict[str, collections.deque[Any]] = collections.OrderedDict()
        self._running: set[concurrent.futures.Future[Any]] = set()
        self._stopping = False
        self._threads = [threading.Thread(target=self._serve, name=name, daemon=True) for _ in range(threads)]
        self._started = False

    async def run(self, work: Callable[[], _Result], client: str = "") -> _Result:
        """The result of `work()`, called in one of the threads.

        Raises:
            StoppingError: `stop` was called before it was done.
        """
        return await asyncio.wrap_future(self.submit(work, client))

    def submit(self, work: Callable[[], _Result], client: str = "") -> "concurrent.futures.Future[_Result]":
        """As `run`, for other threads. A future that is canceled in time is not begun."""
        future: concurrent.futures.Future[_Result] = concurrent.futures.Future()
        with self._condition:
            if self._stopping:
                raise StoppingError("the server is stopping")
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
            self._queues.setdefault(client, collections.deque()).append((work, future))
            self._condition.notify()
        return future

    def stop(self) -> None:
        """Begin nothing more; whoever waits for work, done or not, gets a `StoppingError` now."""
        with self._condition:
            self._stopping = True
            waiting = [future for queue in self._queues.values() for _, future in queue] + list(self._running)
            self._queues.clear()
            self._condition.notify_all()
        for future in waiting:
            with contextlib.suppress(concurrent.futures.InvalidStateError):  # done, or canceled
                future.set_exception(StoppingError("the server is stopping"))

    def wait(self, seconds: float) -> bool:
        """Whether all threads have ended after `stop`, for which this waits so long at most."""
        deadline = time.monotonic() + seconds
        for thread in self._threads if self._started else ():
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _serve(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._queues or self._stopping)
                if self._stopping:
                    return
                client, queue = self._queues.popitem(last=False)
                work, future = queue.popleft()
                if queue:
                    self._queues[client] = queue  # behind all the others
                if not future.set_running_or_notify_cancel():
                    continue
                self._running.add(future)
            self._work(work, future)
            with self._condition:
                self._running.discard(future)
            del work, future  # they hold pictures

    def _work(self, work: Callable[[], Any], future: "concurrent.futures.Future[Any]") -> None:
        try:
            result = work()
        except BaseException as error:
            with contextlib.suppress(concurrent.futures.InvalidStateError):  # `stop` was quicker
                future.set_exception(error)
        else:
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                future.set_result(result)
