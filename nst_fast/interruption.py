"""Ctrl-C and SIGTERM end a run after the step under way, when everything can be saved."""

import signal
import threading
from types import FrameType

from nst_fast.errors import NstFastError


class Interruption:
    """Within this context the first Ctrl-C or SIGTERM is only noted; a Ctrl-C after it acts at once.

    Who notes a signal owes it an answer: `act`, once everything is saved, or else it would be lost and whatever runs
    next, such as the other runs of a sweep, would go on. An error that leaves the context is told of it.

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

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if isinstance(error, NstFastError):
            error.signal_number = self.signal_number

    def act(self) -> None:
        """Do what the signal asked for, if one arrived.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            SystemExit: SIGTERM, with the exit status that shells give it.
        """
        if self.signal_number == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        if self.signal_number is not None:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A SIGTERM may well come twice, as from `timeout`, which sends it to the process and to its group.
        if self.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = self.signal_number or number
