#!/usr/bin/env python3
"""Turns folders that `nst-fast evaluate` wrote into a table: N and speed-ups.

python scripts/tabulate_evaluations.py evaluations/wave [FOLDER ...]
"""

import argparse
import json
from pathlib import Path
from typing import Any

from nst_fast.evaluation.evaluate import REPORT_FILE
from nst_fast.evaluation.report import COMPARED_ITERATIONS, label_networks
from nst_fast.losses.settings import describe_total


def describe_conditions(report: dict[str, Any]) -> str:
    """The conditions that all rows of one table share: device, photos and iterations."""
    settings = report["settings"]
    return (
        f"{len(report['curves'])} held-out photos of {settings['size']} pixels, "
        f"{settings['iterations']} iterations, {describe_total(settings['style_strength'])} by "
        f"{settings['loss_network.name']}, on {report['device']}"
    )


def write_rows(report: dict[str, Any]) -> list[str]:
    """A row of Markdown for each network of a report."""
    rows = []
    for name, label in label_networks(list(report["networks"])).items():
        network = report["networks"][name]
        counts = [network["iterations_to_equal"][start] for start in ("noise", "content")]
        cells = [f"`{label}`", f"{network['terms']['total']:.2f}"]
        cells += [f"over {report['settings']['iterations']}" if count is None else str(count) for count in counts]
        for timing in report["timings"]:
            times = timing["networks"][name]
            cells.append(f"{times[f'times_faster_than_{COMPARED_ITERATIONS}_iterations']:,.0f}")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    """Print the table and the conditions of the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    reports = [json.loads((folder / REPORT_FILE).read_text(encoding="utf-8")) for folder in parser.parse_args().folders]
    head = ["name", "total", "N from noise", "N from the photo"]
    head += [f"times faster than {COMPARED_ITERATIONS} iterations, {t['size']} px" for t in reports[0]["timings"]]
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for report in reports:
        print("\n".join(write_rows(report)))
    print()
    for conditions in dict.fromkeys(map(describe_conditions, reports)):
        print(conditions)


if __name__ == "__main__":
    main()
