"""Ctrl-C and SIGTERM end a run after the current step, once everything can be saved."""

import signal
import threading
from types import FrameType

from nst_fast.errors import NstFastError


class Interruption:
    """Within this context the first Ctrl-C or SIGTERM is only recorded; a Ctrl-C after that acts at once.

    Whoever records a signal must answer it: call `act` once everything is saved. Otherwise the signal is lost, and
    whatever comes next, such as the other runs of a sweep, still runs. An error that leaves the context carries the
    signal's number.

    Attributes:
        signal_number: the signal that arrived, or None.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        # Python delivers signals to the main thread only; in another thread a run cannot be interrupted this way.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._record)
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

    def _record(self, number: int, frame: FrameType | None) -> None:
        # A SIGTERM may well come twice: `timeout` sends it to the process and to its group.
        if self.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = self.signal_number or number
