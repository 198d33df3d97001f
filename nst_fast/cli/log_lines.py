"""Shows what the library logs: one line each on standard error, above a progress bar where there is one."""

import logging
import sys

from nst_fast.cli.terminal import printable


class LineHandler(logging.Handler):
    """Writes each message as one line to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        try:
            line = printable(self.format(record))
            if "tqdm" in sys.modules:  # slow to import, and without it there is no bar
                from tqdm import tqdm

                tqdm.write(line, file=sys.stderr)
            else:
                print(line, file=sys.stderr)
        except Exception:
            self.handleError(record)


_handler = LineHandler()


def show_logs() -> None:
    """Show what nst_fast logs, from information upwards; a second call changes nothing."""
    logger = logging.getLogger("nst_fast")
    logger.addHandler(_handler)
    logger.setLevel(logging.INFO)
