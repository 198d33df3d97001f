"""Ctrl-C and SIGTERM end a run after the step under way, when everything can be saved."""

import signal
import threading
from types import FrameType


class Interruption:
    """Within this context the first Ctrl-C or SIGTERM is only noted; the second Ctrl-C acts at once.

    Attributes:
        signal_number: the signal that arrived, or None.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        # Python takes signals in the main thread only; elsewhere a run simply can't be interrupted this way.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            raise KeyboardInterrupt
        self.signal_number = number
