"""Processes on this computer that stylize the parts of a film."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from nst_fast.errors import SettingError
from nst_fast.films.parts import Part, PartOutcome, PartsJob, stylize_part
from nst_fast.stylize.stylizer import Stylizer

_SECONDS_BETWEEN_LOOKS = 0.1


def stylize_parts(
    stylizer: Stylizer, job: PartsJob, parts: list[Part], workers: int, count: Callable[[], bool]
) -> list[PartOutcome]:
    """Stylize parts in processes of their own, each with a copy of the stylizer; gives their outcomes in order.

    Args:
        stylizer: its copies have as many threads as it was given; None: one, since more processes use the cores
            better than more threads.
        workers: how many processes; at least 1.
        count: called once for each frame that is written; when it returns False, all parts end soon.

    Raises:
        SettingError: fewer than one worker.
    """
    if workers < 1:
        raise SettingError(f"workers is {workers}; it must be at least 1")
    context = multiprocessing.get_context("spawn")
    written, stop = context.Value("q", 0), context.Event()
    pool = ProcessPoolExecutor(
        min(workers, len(parts)), context, initializer=_begin, initargs=(_describe(stylizer), written, stop)
    )
    counted = 0
    try:
        futures = [pool.submit(_stylize, job, part) for part in parts]
        waiting = True
        while waiting:
            done, waiting = wait(futures, _SECONDS_BETWEEN_LOOKS, FIRST_EXCEPTION)
            for _ in range(written.value - counted):
                counted += 1
                if not count():
                    stop.set()
            if stop.is_set():  # those that have not begun; their folders keep what earlier runs left
                for future in futures:
                    future.cancel()
            for future in done:
                if not future.cancelled():
                    future.result()  # raises what went wrong, without waiting for the others
        return [future.result() for future in itertools.takewhile(lambda one: not one.cancelled(), futures)]
    except BrokenProcessPool as error:
        raise SettingError(
            "a worker process ended before its work was done, perhaps for lack of memory; give fewer workers"
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _describe(stylizer: Stylizer) -> dict[str, Any]:
    return {
        "style": stylizer.checkpoint,
        "device": stylizer.device,
        "precision": stylizer.precision,
        "engine": stylizer.engine,
        "threads": stylizer.threads or 1,
        "look": stylizer.look,
    }


# What a worker process keeps from one part to the next: the arguments of its Stylizer, the count, the wish to stop.
_given: tuple[dict[str, Any], Any, Any] | None = None
_stylizer: Stylizer | None = None


def _begin(settings: dict[str, Any], written: Any, stop: Any) -> None:
    global _given
    # Ctrl-C reaches all processes of a terminal; the first one tells the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="watch-parent", daemon=True).start()
    _given = settings, written, stop


def _end_with_parent() -> None:
    """Should the first process be killed, its workers would wait for its next part for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _stylize(job: PartsJob, part: Part) -> PartOutcome:
    global _stylizer
    assert _given is not None
    settings, written, stop = _given
    _stylizer = _stylizer or Stylizer(**settings)

    def watch() -> bool:
        with written.get_lock():
            written.value += 1
        return not stop.is_set()

    return stylize_part(_stylizer, job, part, watch)
