"""Where the files lie that come with the program."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def checkpoint_folders() -> tuple[Path, Path]:
    """The folders of shipped networks, either of which may be missing."""
    return _find("checkpoints")


def configs_folder() -> Path:
    """The folder of the YAML files."""
    beside, inside = _find("configs")
    return beside if (beside / "train.yaml").is_file() else inside


def _find(name: str) -> tuple[Path, Path]:
    """Beside the package, as in a checkout, and inside it, as in an installed wheel."""
    return _PACKAGE.parent / name, _PACKAGE / name
