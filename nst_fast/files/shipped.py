"""Where the files lie that come with the program."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def checkpoint_folders() -> tuple[Path, Path]:
    """The folders of shipped networks, either of which may be missing."""
    return _find("checkpoints")


def base_folder() -> Path:
    """The folder of the base network and of what belongs to it."""
    beside, inside = (folder / "base" for folder in checkpoint_folders())
    return beside if beside.is_dir() else inside


def compact_loss_network() -> Path:
    """The weights of the compact loss network."""
    files = [folder / "loss_networks" / "compact.safetensors" for folder in checkpoint_folders()]
    return next((file for file in files if file.is_file()), files[0])


def sample_photo() -> Path:
    """A small photo that shows what a style does."""
    return _PACKAGE / "live" / "page" / "sample.jpg"


def configs_folder() -> Path:
    """The folder of the YAML files."""
    beside, inside = _find("configs")
    return beside if (beside / "train.yaml").is_file() else inside


def _find(name: str) -> tuple[Path, Path]:
    """Beside the package, as in a checkout, and inside it, as in an installed wheel."""
    return _PACKAGE.parent / name, _PACKAGE / name
