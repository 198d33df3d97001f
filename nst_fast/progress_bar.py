"""The bar on standard error that shows how far a run is."""

import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

NAMES_IN_BAR = ("total", "content", "style")
# In a file, as of a batch job, each look of the bar is one more line.
SECONDS_BETWEEN_LOOKS, SECONDS_BETWEEN_LINES = 0.1, 10.0


def open_bar(description: str, done: int, total: int, *, show: bool) -> tqdm:
    """A bar of `total` steps of which `done` were done by earlier runs; silent unless `show`."""
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        disable=not show,
        dynamic_ncols=True,
        mininterval=SECONDS_BETWEEN_LOOKS if sys.stderr.isatty() else SECONDS_BETWEEN_LINES,
        bar_format="{desc}: {n}/{total} |{bar}| {elapsed}<{remaining}{postfix}",
    )


def show_terms(bar: tqdm, terms: Mapping[str, float], form: str, **facts: Any) -> None:
    """Have the bar's next look show `facts`, and those of the named losses that matter, formatted by `form`."""
    shown = {name: format(terms[name], form) for name in NAMES_IN_BAR if name in terms}
    bar.set_postfix({**facts, **shown}, refresh=False)
