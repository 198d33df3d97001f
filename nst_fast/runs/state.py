"""The file that holds a run's state: how it is written, and how it is read without trusting it."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.errors import TrainingError
from nst_fast.files.atomic import replace_atomically

FORMAT_VERSION = 2
_WAYS_OUT = "choose another output, or set overwrite to start over"


def save_state(
    path: Path,
    *,
    identity: Mapping[str, Any],
    step: int,
    parts: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the state atomically; the previous one survives until the new one is complete.

    Args:
        identity: plain values that decide the result; see `check_identity`.
        step: number of steps done.
        parts: objects with a `state_dict`, such as the network and the optimizer.
        facts: more plain values and tensors to keep.

    Raises:
        OutputError: the file cannot be written.
    """
    state = {
        "format_version": FORMAT_VERSION,
        "identity": dict(identity),
        "step": step,
        **(facts or {}),
        **{name: part.state_dict() for name, part in parts.items()},
    }
    data = io.BytesIO()
    torch.save(state, data)  # to memory first: torch does not report a full disk as an OSError
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Read a saved state, with all tensors on the CPU. Nothing in the file is executed.

    Raises:
        TrainingError: the file is damaged, or has another format.
    """
    try:
        if not zipfile.is_zipfile(path):  # a bare pickle is not even opened
            raise ValueError("not a complete file in torch's format")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise almost anything
        reason = " ".join(str(error).split())[:120]
        raise TrainingError(f"the saved state {str(path)!r} cannot be read ({reason}); {_WAYS_OUT}") from error
    if not isinstance(state, dict) or state.get("format_version") != FORMAT_VERSION:
        raise TrainingError(f"the saved state {str(path)!r} is from another version of nst-fast; {_WAYS_OUT}")
    return state


def restore_parts(state: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """Load the saved state of each part into that part."""
    for name, part in parts.items():
        part.load_state_dict(state[name])


def check_identity(saved: Mapping[str, Any], given: Mapping[str, Any], folder: Path) -> None:
    """Check that the run in `folder` was started with the identity given now.

    Raises:
        TrainingError: it was not; the message names what differs.
    """
    saved, given = _flatten(saved), _flatten(given)
    different = [
        f"{key} was {saved.get(key)!r}, is {given.get(key)!r} now"
        for key in sorted(saved.keys() | given.keys())
        if saved.get(key) != given.get(key)
    ]
    if different:
        shown = "; ".join(text if len(text) < 160 else f"{text[:157]}..." for text in different[:4])
        raise TrainingError(
            f"{str(folder)!r} holds a run with other settings ({shown}); use the same settings to resume it, "
            f"choose another output, or set overwrite to start over"
        )


def digest(content: Tensor | bytes) -> str:
    """A short hash of an image on the CPU, or of the bytes of a file, to put into a run's identity."""
    data = content if isinstance(content, bytes) else content.numpy().tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level: {"loss": {"scaling": "gatys"}} becomes {"loss.scaling": "gatys"}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
