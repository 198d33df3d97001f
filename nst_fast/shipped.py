"""Where the files lie that come with the program."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def checkpoint_folders() -> tuple[Path, Path]:
    """The folders of shipped networks: beside the package in a checkout, inside it in an installed wheel."""
    return _PACKAGE.parent / "checkpoints", _PACKAGE / "checkpoints"
