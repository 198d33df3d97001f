"""Settings that take one or several file names, quoted so that Hydra takes every name as it is."""

import os
from collections.abc import Sequence

from nst_fast.cli.quoting import quoted


def quote_path_lists(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Turn `style=a.jpg`, `style=a.jpg b.jpg` and `style=[a.jpg,b.jpg]` into `style=['a.jpg','b.jpg']`.

    In a sweep, `style=a.jpg,b.jpg` becomes two lists of one. Other arguments pass as they are.

    Args:
        arguments: of the command.
        keys: those that take a list of file names.
    """
    multirun = any(argument in ("-m", "--multirun") for argument in arguments)
    result: list[str] = []
    listing = False
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key.lstrip("+") in keys:
            listing = True
            result.append(f"{key}={_write_list(value, multirun)}")
        elif listing and not equals and not argument.startswith(("-", "~")):
            result[-1] = f"{result[-1].removesuffix(']')},{quoted(argument)}]"
        else:
            listing = False
            result.append(argument)
    return result


def _write_list(value: str, multirun: bool) -> str:
    exists = os.path.exists(os.path.expanduser(value))
    if not exists and (value[:1] in ("'", '"') or (value.startswith("[") and ("'" in value or '"' in value))):
        return value if value.startswith("[") else f"[{value}]"  # quoted for Hydra already
    if not exists and value.startswith("[") and value.endswith("]"):
        return f"[{','.join(quoted(part.strip()) for part in value[1:-1].split(',') if part.strip())}]"
    jobs = value.split(",") if multirun and not exists else [value]
    return ",".join(f"[{quoted(job)}]" for job in jobs)
