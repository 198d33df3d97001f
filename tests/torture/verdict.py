"""What the torture programs share: a seed, a count, and a verdict in one line.

A program is a list of trials, each decided by the seed and its number. It ends with exit status 0 and a line that says
how many trials held, or at the first violation with exit status 1 and how to repeat it.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from typing import NoReturn


class Violation(Exception):
    """A promise that the program broke, in words."""


def fail(violation: str) -> NoReturn:
    """Say what is broken, and how to repeat it, and end; for programs that are one long trial."""
    print(f"{sys.argv[0]}: VIOLATION: {violation}", flush=True)
    print(f"repeat it: python {' '.join(sys.argv)}", flush=True)
    raise SystemExit(1)


def torture(
    description: str,
    trial: Callable[[random.Random, int], None],
    *,
    count: int,
    note: Callable[[], str] = lambda: "",
) -> None:
    """Run `trial` again and again and exit.

    Args:
        description: of the program, for --help and the verdict.
        trial: takes random numbers of its own and its number; raises `Violation`.
        count: of trials, unless --count says another.
        note: what else the verdict tells of the trials.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--count", type=int, default=count, help="of trials (default: %(default)s)")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="begin with this trial (default: %(default)s)"
    )
    options = parser.parse_args()
    name = sys.argv[0]
    began = time.monotonic()
    for number in range(options.first, options.first + options.count):
        try:
            trial(random.Random(f"{options.seed} {number}"), number)
        except Violation as violation:
            print(f"{name}: VIOLATION in trial {number}: {violation}", flush=True)
            print(f"repeat it: python {name} --seed {options.seed} --first {number} --count 1", flush=True)
            raise SystemExit(1) from violation
    seconds = time.monotonic() - began
    words = [f"{options.count} trials", note(), f"seed {options.seed}", "0 violations", f"{seconds:.0f} s"]
    print(f"{name}: {', '.join(filter(None, words))}", flush=True)
