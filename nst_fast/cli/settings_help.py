"""The list of keys, defaults and meanings that the help of an experiment ends with."""

from nst_fast.cli.settings import list_settings


def print_settings(schema: type) -> None:
    """One line for each key, or two where it is long."""
    for key, default, meaning in list_settings(schema):
        shown = "" if default == "???" else "null" if default is None else str(default).replace("'", "")
        print(
            f"  {key}={shown}\n{'':22}{meaning}"
            if len(key) + len(shown) > 18
            else f"  {key + '=' + shown:<20}{meaning}"
        )
