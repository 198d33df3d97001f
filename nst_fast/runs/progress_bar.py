"""The progress bar of a run: on standard error, in a notebook as a widget where it can show one."""

import sys
from collections.abc import Mapping
from typing import Any

from tqdm.auto import tqdm

TERMS_IN_BAR = ("total", "content", "style")
# In a log file, as a batch system writes it, each update of the bar is one more line.
SECONDS_BETWEEN_UPDATES, SECONDS_BETWEEN_LINES = 0.1, 10.0


def open_bar(description: str, done: int, total: int, *, show: bool) -> tqdm:
    """A bar of `total` steps, of which earlier calls did `done`; it is silent unless `show` is true."""
    is_watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        disable=not show,
        dynamic_ncols=True,
        mininterval=SECONDS_BETWEEN_UPDATES if is_watched else SECONDS_BETWEEN_LINES,
        bar_format="{desc}: {n}/{total} |{bar}| {elapsed}<{remaining}{postfix}",
    )


def show_terms(bar: tqdm, terms: Mapping[str, float], form: str, **facts: Any) -> None:
    """Show `facts` and the main loss terms, formatted by `form`, from the next update of the bar on."""
    shown = {name: format(terms[name], form) for name in TERMS_IN_BAR if name in terms}
    bar.set_postfix({**facts, **shown}, refresh=False)
