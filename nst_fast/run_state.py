"""The state of a run on disk, from which the same command goes on as if it had never been cut."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.atomic_files import replace_atomically
from nst_fast.errors import TrainingError

FORMAT_VERSION = 1


def save_state(
    path: Path, *, recipe: dict[str, Any], step: int, parts: dict[str, Any], facts: dict[str, Any] | None = None
) -> None:
    """Write the state atomically; the one before survives until the new one is whole.

    Args:
        recipe: what decides the result, as plain values; a run is continued only by the same recipe.
        step: the steps done.
        parts: what has a `state_dict`: network, average, optimiser, ...
        facts: plain values to keep beside them.
    """
    state = {
        "format_version": FORMAT_VERSION,
        "recipe": recipe,
        "step": step,
        **(facts or {}),
        **{name: part.state_dict() for name, part in parts.items()},
    }
    data = io.BytesIO()
    torch.save(state, data)  # to memory first: torch reports a full disk as something else than an OSError
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """The state as saved, on the CPU.

    Raises:
        TrainingError: damaged, or of another format.
    """
    try:
        if not zipfile.is_zipfile(path):  # a bare pickle is not even looked into
            raise ValueError("not a whole file as torch saves it")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage makes torch raise almost anything
        raise TrainingError(
            f"the saved state {str(path)!r} cannot be read ({' '.join(str(error).split())[:120]}); "
            f"start anew with overwrite=true or another output"
        ) from error
    if not isinstance(state, dict) or state.get("format_version") != FORMAT_VERSION:
        raise TrainingError(
            f"the saved state {str(path)!r} is of another version of nst-fast; "
            f"start anew with overwrite=true or another output"
        )
    return state


def digest(content: Tensor | bytes) -> str:
    """What tells an image on the CPU, or the bytes of a file, from every other, for comparing with a saved state."""
    data = content if isinstance(content, bytes) else content.numpy().tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


def restore_parts(state: dict[str, Any], parts: dict[str, Any]) -> None:
    """Load each part's saved state into it."""
    for name, part in parts.items():
        part.load_state_dict(state[name])


def check_same_recipe(saved: dict[str, Any], given: dict[str, Any], folder: Path) -> None:
    """Raises TrainingError, naming what differs, unless the run in `folder` was begun with the recipe given now."""
    different = [
        f"{key} {saved.get(key)!r} there, {given.get(key)!r} now"
        for key in sorted(saved.keys() | given.keys())
        if saved.get(key) != given.get(key)
    ]
    if different:
        shown = "; ".join(text if len(text) < 160 else f"{text[:157]}..." for text in different[:4])
        raise TrainingError(
            f"{str(folder)!r} holds a run begun with other settings ({shown}); give the same settings to continue it, "
            f"another output=FOLDER, or overwrite=true"
        )
