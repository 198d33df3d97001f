"""nst-fast evaluate: how good a trained network is, measured by the slow method."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_fast.cli.evaluate_settings import EvaluateSettings
from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.path_lists import quote_path_lists
from nst_fast.cli.settings_help import print_help, wants_help

if TYPE_CHECKING:
    from nst_fast.evaluation.plan import EvaluationPlan

VERBATIM_KEYS = ("style", "content", "output", "loss_network.weights")
PATH_LIST_KEYS = ("checkpoint",)
GROUPS = ("loss_network",)

USAGE = """usage: nst-fast evaluate checkpoint=FILE|NAME [FILE|NAME ...] style=PAINTING content=FOLDER [key=value ...]

How good is a trained network? The losses that it reaches on photos it was not trained on, N, the number of L-BFGS
iterations on the pixels (nst-fast optimize) after which the very same total is reached, and how much faster it is.
Writes the figures as JSON, a chart and a contact sheet. Ctrl-C saves; the same command again goes on.

  nst-fast evaluate checkpoint=wave style=wave.jpg content=photos
  nst-fast evaluate checkpoint=[a.safetensors,b.safetensors] style=wave.jpg content=photos       compared
  nst-fast evaluate checkpoint=wave style=wave.jpg content=photos photos=1 iterations=100        a first look

keys and their defaults:"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if wants_help(arguments):
        print_help("evaluate", USAGE, EvaluateSettings)
        return 0
    run_experiment(
        "evaluate",
        quote_path_lists(arguments, PATH_LIST_KEYS),
        schema=EvaluateSettings,
        groups=GROUPS,
        verbatim_keys=VERBATIM_KEYS,
        experiment=run_evaluation,
    )
    return 0


def build_evaluation_plan(settings: EvaluateSettings) -> "EvaluationPlan":
    """The plain values that decide the figures, out of the settings."""
    from nst_fast.evaluation.plan import EvaluationPlan

    return EvaluationPlan(
        photos=settings.photos,
        size=settings.size,
        style_short_side=settings.style_short_side,
        style_strength=settings.style_strength,
        iterations=settings.iterations,
        seed=settings.seed,
        loss_network=settings.loss_network.name,
        weights=settings.loss_network.weights,
        pooling=settings.loss_network.pooling,
        input_normalisation=settings.loss_network.input_normalisation,
    )


def run_evaluation(settings: EvaluateSettings, swept: Mapping[str, str]) -> None:
    """One evaluation, as the settings say, and its tables; `swept` tells a job of a sweep from its siblings."""
    from nst_fast.evaluation.evaluate import CHART_FILE, REPORT_FILE, SHEET_FILE, evaluate  # slow: torch
    from nst_fast.evaluation.plan import TIMING_SIZES

    names = "+".join(dict.fromkeys(Path(name).stem for name in settings.checkpoint))
    job = "".join(f"-{key}={value}" for key, value in swept.items() if key not in ("checkpoint", "content"))
    folder = Path(os.path.expanduser(settings.output or f"evaluations/{f'{names}{job}'.replace(os.sep, '_')[:200]}"))
    report = evaluate(
        settings.checkpoint,
        # Some shells leave the ~ of style=~/a.jpg as it is.
        os.path.expanduser(settings.style),
        os.path.expanduser(settings.content),
        folder,
        build_evaluation_plan(settings),
        timing_sizes=TIMING_SIZES if settings.timing_sizes is None else settings.timing_sizes,
        timed_iterations=settings.timed_iterations,
        device=settings.device,
        overwrite=settings.overwrite,
    )
    print_losses(report)
    print_times(report)
    print(f"\nwrote {REPORT_FILE}, {CHART_FILE} and {SHEET_FILE} into {folder}")


def print_losses(report: Mapping[str, Any]) -> None:
    """A line for each photo and network, and the averages."""
    from nst_fast.evaluation.report import label_networks

    networks, settings = report["networks"], report["settings"]
    labels = label_networks(list(networks))
    photos = list(report["curves"])
    width = max(len("network"), *map(len, labels.values()))
    print(
        f"\ntotal = {settings['style_strength']:g} * style + content, by {settings['loss_network']} "
        f"({settings['weights']}); N: iterations of L-BFGS until the same total"
    )
    print(
        f"\n{'photo':<28}  {'network':<{width}}  {'total':>7}{'style':>8}{'content':>9}"
        f"{'N, noise':>10}{'N, photo':>10}"
    )
    rows = [(photo, name, networks[name]["photos"][photo]) for photo in photos for name in networks]
    rows += [(f"average of {len(photos)}", name, networks[name]) for name in networks]
    for photo, name, reached in rows:
        terms, counts = reached["terms"], reached["iterations_to_equal"]
        noise, content = (
            f"> {settings['iterations']}" if counts[start] is None else str(counts[start])
            for start in ("noise", "content")
        )
        print(
            f"{photo[-28:]:<28}  {labels[name]:<{width}}  {terms['total']:7.3f}{terms['style']:8.4f}"
            f"{terms['content']:9.3f}{noise:>10}{content:>10}"
        )


def print_times(report: Mapping[str, Any]) -> None:
    """A line for each size and network: seconds, and how many times faster the network is."""
    from nst_fast.evaluation.report import COMPARED_ITERATIONS, label_networks

    if not report["timings"]:
        return
    labels = label_networks(list(report["networks"]))
    width = max(len("network"), *map(len, labels.values()))
    rounds = report["timings"][0]["timed_iterations"]
    print(
        f"\non {report['device']}; medians of {rounds} passes and {rounds} iterations in turns, times of more "
        f"iterations extrapolated from these"
    )
    print(
        f"\n{'size':>7}  {'network':<{width}}  {'one pass':>10}{'one iteration':>15}"
        f"{f'{COMPARED_ITERATIONS} iterations':>16}{'times faster':>14}{'than N, noise':>15}"
    )
    for timing in report["timings"]:
        for name, times in timing["networks"].items():
            faster, than_n = times["times_faster_than_500_iterations"], times["times_faster_than_n_iterations"]
            print(
                f"{timing['size']:>4} px  {labels[name]:<{width}}  {times['forward_seconds']:8.4f} s"
                f"{timing['iteration_seconds']:13.4f} s{COMPARED_ITERATIONS * timing['iteration_seconds']:14.1f} s"
                f"{faster:>14,.0f}{'-' if than_n is None else f'{than_n:,.0f}':>15}"
            )
