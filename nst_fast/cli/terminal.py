"""Lines for the terminal that neither file names nor a progress bar can break."""

import os
import sys


def printable(text: str) -> str:
    """The text without what a file name may do to a terminal: bytes that are not UTF-8, line ends, escape sequences."""
    text = os.fsencode(text).decode("utf-8", errors="replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def print_note(text: str) -> None:
    """Print one line on standard error, above a progress bar if there is one."""
    line = printable(f"nst-fast: {text}")
    if "tqdm" in sys.modules:  # otherwise there is no bar, and importing it takes as long as stylizing a small photo
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr)
