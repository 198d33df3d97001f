"""What can go wrong in a way that the user can mend: one class for each kind of mending.

Each message is one line that says what was given, what is allowed and what to do. The command prints that
line and exits with status 2; library users catch `NstFastError`. Anything else that is raised is a bug.
"""

import difflib


class NstFastError(Exception):
    """A mistake or a circumstance that the user can mend; its text is one line that says how.

    Attributes:
        signal_number: the Ctrl-C or SIGTERM that had asked the run to end before this went wrong, or None.
    """

    signal_number: int | None = None


class SettingError(NstFastError):
    """A setting or an argument has a value that is not allowed."""


class ImageError(NstFastError):
    """A picture, or a folder of pictures, cannot be read or is of no use."""


class OutputError(NstFastError):
    """A file or folder cannot be written."""


class WeightsError(NstFastError):
    """The weights of a loss network cannot be had or do not fit."""


class CheckpointError(NstFastError):
    """A checkpoint cannot be found, read or trusted."""


class TrainingError(NstFastError):
    """A run of training or of pixel optimisation cannot start, go on, or be continued."""


def nearest_name(given: str, allowed: list[str]) -> str:
    """A hint such as ` (nearest: steps)`, or an empty string where nothing is near; to be appended to a message."""
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.6)
    return f" (nearest: {near[0]})" if near else ""
