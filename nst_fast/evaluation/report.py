"""The report of an evaluation: numbers for JSON, a chart of the curves, a sheet of the images."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nst_fast.data.images import resize, to_uint8
from nst_fast.evaluation.curves import STARTS, Curve, count_iterations_to_equal
from nst_fast.evaluation.judging import Judged
from nst_fast.evaluation.timing import Timing
from nst_fast.figures.charts import draw_chart
from nst_fast.figures.sheets import draw_sheet
from nst_fast.media.resizing import size_for_long_side
from nst_fast.networks.checkpoint_header import program_version

COMPARED_ITERATIONS = 500  # the speed-up is relative to this many, as in Johnson et al. 2016, table 1

Curves = Mapping[tuple[str, str], Curve]


def build_report(
    facts: Mapping[str, Any], judged: Mapping[str, Judged], curves: Curves, timings: Sequence[Timing]
) -> dict[str, Any]:
    """The numbers, as plain values.

    Args:
        facts: the conditions of the measurement: settings, style image, device.
        judged: name of the network -> the losses that it reached.
        curves: the losses that the optimization reached on the same photos; all curves have the same length.
        timings: one for each size.

    Returns:
        The `facts`, and:

        - `mean_curves`: start -> the totals of the optimization, averaged over the photos;
        - `networks`: name -> `terms` (averaged), `iterations_to_equal` (start -> the first iteration after which the
          averaged curve is no higher than the averaged total; null: never), and `photos`, which has both per photo;
        - `curves`: photo -> start -> totals;
        - `timings`: for each size the seconds, and the speed-ups of each network.
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
    """The averaged curves of the optimization, and a horizontal line for each network.

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
        y_label=f"total loss, average over {count} held-out photo{'s' if count > 1 else ''}",
    )


def draw_report_sheet(
    photos: Mapping[str, Tensor], style: Tensor, judged: Mapping[str, Judged], curves: Curves
) -> np.ndarray:
    """A row for each photo: the photo, the style image, each network, the optimization from noise at N and at the end.

    Returns:
        Pixels (height, width, 3), uint8.
    """
    labels = label_networks(list(judged))
    rows = []
    for name, photo in photos.items():
        curve = curves[name, "noise"]
        last = len(curve.totals) - 1
        row = [(name, photo), ("style image", _fit(style, photo.shape[1]))]
        for network, result in judged.items():
            row.append((labels[network], result.stylized[name]))
        for network, result in judged.items():
            equal = count_iterations_to_equal(curve.totals, result.terms[name]["total"])
            if equal is not None:
                whose = f", {labels[network]}" if len(judged) > 1 else ""
                row.append((f"from noise, N = {equal}{whose}", curve.images[equal]))
            else:
                row.append((f"N is over {last}", torch.ones_like(photo)))
        row.append((f"from noise, {last} iterations", curve.images[last]))
        rows.append([(label, to_uint8(image)) for label, image in row])
    return draw_sheet(rows)


def label_networks(names: Sequence[str]) -> dict[str, str]:
    """Name of each network -> a short label: the file's name if all are different, else the full name."""
    stems = {name: Path(name).stem for name in names}
    return stems if len(set(stems.values())) == len(names) else {name: name for name in names}


def describe_start(start: str) -> str:
    """A start in words: `noise`, `the photo`."""
    return {"noise": "noise", "content": "the photo"}[start]


def _fit(image: Tensor, size: int) -> Tensor:
    """The whole image, scaled to fit into a white square of `size` pixels."""
    height, width = size_for_long_side(image.shape[1], image.shape[2], size)
    canvas = torch.ones(3, size, size)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[:, top : top + height, left : left + width] = resize(image, height, width)
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
