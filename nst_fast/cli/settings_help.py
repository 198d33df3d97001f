"""The help of an experiment: how to use it, then every setting with its value and what it means."""

from collections.abc import Mapping, Sequence
from typing import Any

from nst_fast.cli.file_reports import EXIT_STATUSES, JSON_HELP
from nst_fast.settings.declare import MISSING, list_settings
from nst_fast.settings.keys import shorten_key

_MEANING_COLUMN = 26


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for help."""
    return any(argument in ("-h", "--help") for argument in arguments)


def print_help(verb: str, usage: str, settings: Any) -> None:
    """Print the usage, then one line for each setting, or two where it is long.

    Args:
        verb: of the command.
        usage: printed first.
        settings: a settings class, whose defaults are shown, or an instance, whose values are shown.
    """
    print(usage)
    for row in list_settings(settings):
        if row.heading:
            print(f"\n{row.heading}:")
        given = f"  {shorten_key(settings, row.key)}={show_value(row.value)}"
        if len(given) + 2 > _MEANING_COLUMN:
            print(f"{given}\n{'':{_MEANING_COLUMN}}{row.help}")
        else:
            print(f"{given:<{_MEANING_COLUMN}}{row.help}")
    print(f"\n--json  {JSON_HELP}\n{EXIT_STATUSES}")
    print(f"\nSweeps, completion and the rest of Hydra: nst-fast {verb} --hydra-help")


def show_value(value: Any) -> str:
    """A value as you would write it on the command line; empty for one that you must give."""
    if value is MISSING:
        return ""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{weight:g}" for key, weight in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(show_value, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
