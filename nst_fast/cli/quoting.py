"""File names and titles, quoted so that Hydra takes them as they are."""

import os
import re
from collections.abc import Sequence


def quote_texts(overrides: Sequence[str], keys: Sequence[str], multirun: bool) -> list[str]:
    """Quote the values of file names and free texts.

    Hydra's grammar has meanings for =, commas, brackets, $, accents and more; in quotes they have none.

    Args:
        overrides: `key=value` each.
        keys: those with a text as their value.
        multirun: whether commas separate the jobs of a sweep.
    """
    return [_quote(override, keys, multirun) for override in overrides]


def quoted(value: str) -> str:
    """`value` as Hydra's grammar writes exactly that text."""
    # Hydra escapes quotes in quoted values, OmegaConf escapes ${ in strings. Backslashes count only before these.
    value = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    value = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", value) + "'"


def _quote(override: str, keys: Sequence[str], multirun: bool) -> str:
    key, equals, value = override.partition("=")
    if not equals or key.lstrip("+") not in keys or value == "null":
        return override
    if os.path.exists(os.path.expanduser(value)):
        return f"{key}={quoted(value)}"
    if value[:1] in ("'", '"') and value[-1] == value[0] and len(value) > 1:
        return override  # quoted for Hydra already
    # In a sweep commas separate values, except those of a text, which have a space after them.
    parts = re.split(r",(?! )", value) if multirun else [value]
    return f"{key}={','.join(map(quoted, parts))}"
