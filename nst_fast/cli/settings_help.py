"""The help of an experiment: how it is used, then every key with its default and what it means."""

from collections.abc import Sequence

from nst_fast.cli.settings import list_settings


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the help is asked for."""
    return any(argument in ("-h", "--help") for argument in arguments)


def print_help(verb: str, usage: str, schema: type) -> None:
    """The usage, and one line for each key, or two where it is long."""
    print(usage)
    for key, default, meaning in list_settings(schema):
        shown = "" if default == "???" else "null" if default is None else str(default).replace("'", "")
        print(
            f"  {key}={shown}\n{'':22}{meaning}"
            if len(key) + len(shown) > 18
            else f"  {key + '=' + shown:<20}{meaning}"
        )
    print(f"\nSweeps, completion and the rest of Hydra: nst-fast {verb} --hydra-help")
