"""Where each run of a sweep writes, so that no run overwrites another."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from nst_fast.settings.values import replace_settings

# File systems take names of up to 255 bytes; a suffix must fit, too.
_MOST_NAME_BYTES = 200


class _HasOutput(Protocol):
    @property
    def output_path(self) -> Path: ...


_Settings = TypeVar("_Settings", bound=_HasOutput)


def with_sweep_output(settings: _Settings, swept: Mapping[str, str], *, named_by: Sequence[str]) -> _Settings:
    """The settings with an output of its own for this run of a sweep.

    Its name is that of the output without a sweep, followed by the settings in which this run differs, such as
    `photo-wave-style_strength=40.png`.

    Args:
        settings: with an `output_path`.
        swept: the settings in which this run differs from the others; empty if there is only one run.
        named_by: settings that the name shows already where `output` is not set.
    """
    if "output" in swept:
        return settings
    path = settings.output_path
    shown = swept if _is_given(settings) else {key: value for key, value in swept.items() if key not in named_by}
    name = f"{path.stem}{''.join(f'-{key}={value}' for key, value in shown.items())}".replace(os.sep, "_")
    if len(os.fsencode(name)) > _MOST_NAME_BYTES:
        name = f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return replace_settings(settings, {"output": path.with_name(name + path.suffix)})


def _is_given(settings: object) -> bool:
    return getattr(settings, "output", None) is not None
