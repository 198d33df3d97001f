"""Errors that a user can fix, one class for each kind of fix.

Each message is one line that says what was given, what is allowed and what to do. It names parameters, never options of
the command line. The command prints the line and exits with status 2; library users catch `NstFastError`. Any other
exception is a bug.
"""

import difflib

# Of the extra `train`, which stylizing does not need: where one is missing, the error names the extra.
TRAIN_PACKAGES = {"torch", "torchvision", "hydra", "omegaconf", "tensorboard", "yaml"}


class NstFastError(Exception):
    """A mistake or a circumstance that the user can fix; its text is one line that says how.

    Attributes:
        signal_number: the Ctrl-C or SIGTERM that had asked the run to end before this error, or None.
    """

    signal_number: int | None = None


class SettingError(NstFastError):
    """A setting or an argument has a value that is not allowed."""


class ImageError(NstFastError):
    """A photo, a film, or a folder of them cannot be read or used."""


class OutputError(NstFastError):
    """A file or folder cannot be written."""


class WeightsError(NstFastError):
    """The weights of a loss network are not available or do not fit."""


class CheckpointError(NstFastError):
    """A checkpoint cannot be found, read or trusted."""


class TrainingError(NstFastError):
    """A run of training or optimization cannot start, continue or be resumed."""


def nearest_name(given: str, allowed: list[str]) -> str:
    """A hint such as ` (nearest: steps)` to append to a message; an empty string where nothing is near."""
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.6)
    return f" (nearest: {near[0]})" if near else ""
