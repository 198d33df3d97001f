"""What a folder holds after something broke: only whole files under visible names, and what is hidden."""

import json
from pathlib import Path

from PIL import Image
from verdict import Violation

from nst_fast.networks.checkpoint import load_checkpoint

_PICTURES = {".png", ".jpg", ".gif", ".webp"}
_FILMS = {".mp4", ".mkv", ".webm"}


def check_visible(folder: Path) -> None:
    """Raise Violation if a file under a visible name, at any depth, cannot be read to its end."""
    for path in list_visible(folder):
        try:
            _read_to_the_end(path)
        except Exception as error:
            raise Violation(f"{path} is not whole: {type(error).__name__}: {error}") from error


def list_visible(folder: Path) -> list[Path]:
    """The files below `folder`, without those that are hidden or lie in a hidden folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path, folder))


def list_hidden(folder: Path) -> list[Path]:
    """What is hidden below `folder`."""
    return sorted(path for path in folder.rglob("*") if _is_hidden(path, folder))


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _read_to_the_end(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in _PICTURES:
        with Image.open(path) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()
    elif suffix in _FILMS:
        import av

        with av.open(str(path)) as film:
            if not any(True for _ in film.decode(video=0)):
                raise ValueError("no frame")
    elif suffix == ".safetensors":
        load_checkpoint(path)
    elif suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif suffix == ".pt":
        from nst_fast.runs.state import load_state

        load_state(path)
