"""What an evaluation says: figures for JSON, a chart of the curves, a sheet of the pictures."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nst_fast.charts import draw_chart
from nst_fast.checkpoint import program_version
from nst_fast.evaluation.curves import STARTS, Curve, count_iterations_to_equal
from nst_fast.evaluation.judging import Judged
from nst_fast.evaluation.timing import Timing
from nst_fast.images import resize, size_for_long_side
from nst_fast.sheets import draw_sheet

COMPARED_ITERATIONS = 500  # what the speed-up is over, as in Johnson et al. 2016, table 1

Curves = Mapping[tuple[str, str], Curve]


def build_report(
    facts: Mapping[str, Any], judged: Mapping[str, Judged], curves: Curves, timings: Sequence[Timing]
) -> dict[str, Any]:
    """The figures, as plain values.

    Args:
        facts: what they are to be seen with: the settings, the loss, the device.
        judged: name of the network -> what it reached.
        curves: what the slow method reached on the same photos, each of the same length.
        timings: one for each size.

    Returns:
        `facts`; `mean_curves`: start -> the totals of the slow method, averaged over the photos; `networks`: name ->
        `terms` (averaged), `iterations_to_equal` (start -> the first iteration after which the averaged curve is no
        higher than the averaged total; null: none), and under `photos` both for each; `curves`: photo -> start ->
        totals; `timings`: for each size the seconds, and for each network the speed-ups.
    """
    mean_curves = average_curves(curves)
    networks = {}
    for name, network in judged.items():
        each = list(network.terms.values())
        terms = {term: statistics.fmean(photo[term] for photo in each) for term in each[0]}
        networks[name] = {
            "terms": terms,
            "iterations_to_equal": {
                start: count_iterations_to_equal(totals, terms["total"]) for start, totals in mean_curves.items()
            },
            "photos": {
                photo: {
                    "terms": dict(photo_terms),
                    "iterations_to_equal": {
                        start: count_iterations_to_equal(curves[photo, start].totals, photo_terms["total"])
                        for start in STARTS
                    },
                }
                for photo, photo_terms in network.terms.items()
            },
        }
    return {
        "program_version": program_version(),
        **facts,
        "networks": networks,
        "timings": [_describe_timing(timing, networks) for timing in timings],
        "mean_curves": mean_curves,
        "curves": {
            photo: {start: curves[photo, start].totals for start in STARTS}
            for photo in next(iter(judged.values())).terms
        },
    }


def average_curves(curves: Curves) -> dict[str, list[float]]:
    """Start -> the totals at each iteration, averaged over the photos."""
    return {
        start: [
            statistics.fmean(totals)
            for totals in zip(*(curve.totals for (_, of), curve in curves.items() if of == start), strict=True)
        ]
        for start in STARTS
    }


def draw_report_chart(report: Mapping[str, Any]) -> np.ndarray:
    """The averaged curves of the slow method, and across them the line of each network.

    Returns:
        Pixels (height, width, 3), uint8.
    """
    labels = label_networks(list(report["networks"]))
    curves = {f"L-BFGS from {describe_start(start)}": totals for start, totals in report["mean_curves"].items()}
    lines = {
        f"{labels[name]}, one forward pass": network["terms"]["total"] for name, network in report["networks"].items()
    }
    count = len(report["curves"])
    return draw_chart(
        curves,
        lines,
        x_label="iterations",
        y_label=f"total loss, average over {count} photo{'s' if count > 1 else ''} not trained on",
    )


def draw_report_sheet(
    photos: Mapping[str, Tensor], painting: Tensor, judged: Mapping[str, Judged], curves: Curves
) -> np.ndarray:
    """A row for each photo: itself, the painting, each network, the slow method from noise at its N and at the end.

    Returns:
        Pixels (height, width, 3), uint8.
    """
    labels = label_networks(list(judged))
    rows = []
    for name, photo in photos.items():
        curve = curves[name, "noise"]
        last = len(curve.totals) - 1
        row = [(name, photo), ("the painting", _fit(painting, photo.shape[1]))]
        for network, result in judged.items():
            row.append((labels[network], result.painted[name]))
        for network, result in judged.items():
            equal = count_iterations_to_equal(curve.totals, result.terms[name]["total"])
            if equal is not None:
                whose = f", {labels[network]}" if len(judged) > 1 else ""
                row.append((f"from noise, N = {equal}{whose}", curve.pictures[equal]))
            else:
                row.append((f"N is over {last}", torch.ones_like(photo)))
        row.append((f"from noise, {last} iterations", curve.pictures[last]))
        rows.append(row)
    return draw_sheet(rows)


def label_networks(names: Sequence[str]) -> dict[str, str]:
    """Name of each network -> what to write in a small place: its file's name, where that tells them apart."""
    stems = {name: Path(name).stem for name in names}
    return stems if len(set(stems.values())) == len(names) else {name: name for name in names}


def describe_start(start: str) -> str:
    """In words: `noise`, `the photo`."""
    return {"noise": "noise", "content": "the photo"}[start]


def _fit(painting: Tensor, size: int) -> Tensor:
    """The whole painting within a white square of `size` pixels."""
    height, width = size_for_long_side(painting.shape[1], painting.shape[2], size)
    canvas = torch.ones(3, size, size)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[:, top : top + height, left : left + width] = resize(painting, height, width)
    return canvas


def _describe_timing(timing: Timing, networks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    described = {}
    for name, network in networks.items():
        equal = network["iterations_to_equal"]["noise"]
        described[name] = {
            "forward_seconds": timing.forward_seconds[name],
            f"times_faster_than_{COMPARED_ITERATIONS}_iterations": timing.speed_up(name, COMPARED_ITERATIONS),
            "times_faster_than_n_iterations": None if equal is None else timing.speed_up(name, equal),
        }
    return {
        "size": timing.size,
        "timed_iterations": timing.rounds,
        "iteration_seconds": timing.iteration_seconds,
        "networks": described,
    }
