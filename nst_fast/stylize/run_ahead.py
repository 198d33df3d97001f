"""Work that runs a few items ahead of whoever needs them, so that both together take as long as the slower one."""

import threading
from collections import deque
from collections.abc import Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def run_ahead(items: Iterable[Item], waiting: int, name: str) -> Generator[Item, None, None]:
    """Yield the same items in the same order, made on a thread of their own that is at most `waiting` items ahead.

    What `items` raises is raised here, after the items before it. Closing this generator also closes `items`, if that
    is a generator, on its own thread, and returns once that thread has ended.

    Args:
        waiting: items that may be ready and waiting, at least 1; each side holds one more.
        name: of the thread, for whoever debugs a hanging program.
    """
    ready: deque[Item] = deque()
    changed = threading.Condition()
    failures: list[BaseException] = []
    ended = stopped = False

    def make() -> None:
        nonlocal ended
        try:
            for item in items:
                with changed:
                    changed.wait_for(lambda: stopped or len(ready) < waiting)
                    if stopped:
                        break
                    ready.append(item)
                    changed.notify_all()
        except BaseException as error:
            failures.append(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
            with changed:
                ended = True
                changed.notify_all()

    thread = threading.Thread(target=make, name=name, daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: ended or ready)
                if not ready:
                    break
                item = ready.popleft()
                changed.notify_all()
            yield item
        if failures:
            raise failures[0]
    finally:
        with changed:
            stopped = True
            changed.notify_all()
        thread.join()
