"""nst-fast evaluate: how good a trained network is, compared with optimizing the pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.settings_help import print_help, wants_help
from nst_fast.cli.sweep_outputs import with_sweep_output
from nst_fast.evaluation.settings import EvaluateSettings

USAGE = """usage: nst-fast evaluate checkpoint=FILE|NAME [FILE|NAME ...] style=FILE content=FOLDER [key=value ...]

Measure how good a trained network is: the losses that it reaches on photos it was not trained on; N, the number of
L-BFGS iterations (nst-fast optimize) after which the total loss is the same; and how much faster the network is.
Writes the numbers as JSON, a chart and a contact sheet. Run the same command again to resume after Ctrl-C.

  nst-fast evaluate checkpoint=wave style=wave.jpg content=photos
  nst-fast evaluate checkpoint=a.safetensors b.safetensors style=wave.jpg content=photos         compare two
  nst-fast evaluate checkpoint=wave style=wave.jpg content=photos photos=1 iterations=100        a quick look"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if wants_help(arguments):
        print_help("evaluate", USAGE, EvaluateSettings)
        return 0
    run_experiment(
        "evaluate", arguments, settings_class=EvaluateSettings, experiment=run_evaluation, outputs=list_outputs
    )
    return 0


def list_outputs(settings: EvaluateSettings, swept: Mapping[str, str]) -> list[Path]:
    """The files that `run_evaluation` writes."""
    from nst_fast.evaluation.evaluate import CHART_FILE, REPORT_FILE, SHEET_FILE

    folder = with_sweep_output(settings, swept, named_by=("checkpoint",)).output_path
    return [folder / name for name in (REPORT_FILE, CHART_FILE, SHEET_FILE)]


def run_evaluation(settings: EvaluateSettings, swept: Mapping[str, str]) -> None:
    """Evaluate once, then print the tables.

    Args:
        settings: of this evaluation.
        swept: in which settings this run of a sweep differs from the others.
    """
    from nst_fast.evaluation.evaluate import CHART_FILE, REPORT_FILE, SHEET_FILE, evaluate  # slow: torch

    settings = with_sweep_output(settings, swept, named_by=("checkpoint",))
    report = evaluate(settings)
    print_losses(report)
    print_times(report)
    print(f"\nwrote {REPORT_FILE}, {CHART_FILE} and {SHEET_FILE} into {settings.output_path}")


def print_losses(report: Mapping[str, Any]) -> None:
    """Print a line for each photo and network, and the averages."""
    from nst_fast.evaluation.report import label_networks
    from nst_fast.losses.settings import describe_total

    networks, settings = report["networks"], report["settings"]
    labels = label_networks(list(networks))
    photos = list(report["curves"])
    width = max(len("network"), *map(len, labels.values()))
    print(
        f"\ntotal = {describe_total(settings['style_strength'])}, by "
        f"{settings['loss_network.name']} ({settings['loss_network.weights']}); "
        "N: L-BFGS iterations until the total is the same"
    )
    print(
        f"\n{'photo':<28}  {'network':<{width}}  {'total':>7}{'style':>8}{'content':>9}{'tone':>8}{'color':>8}"
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
            f"{terms['content']:9.3f}{terms['tone']:8.3f}{terms['color']:8.3f}{noise:>10}{content:>10}"
        )


def print_times(report: Mapping[str, Any]) -> None:
    """Print a line for each size and network: seconds, and how many times faster the network is."""
    from nst_fast.evaluation.report import COMPARED_ITERATIONS, label_networks

    if not report["timings"]:
        return
    labels = label_networks(list(report["networks"]))
    width = max(len("network"), *map(len, labels.values()))
    rounds = report["timings"][0]["timed_iterations"]
    print(
        f"\non {report['device']}; medians of {rounds} passes and {rounds} iterations in turns; times of more "
        f"iterations are extrapolated"
    )
    print(
        f"\n{'size':>7}  {'network':<{width}}  {'one pass':>10}{'one iteration':>15}"
        f"{f'{COMPARED_ITERATIONS} iterations':>16}{'times faster':>14}{'than N, noise':>15}"
    )
    for timing in report["timings"]:
        for name, times in timing["networks"].items():
            faster = times[f"times_faster_than_{COMPARED_ITERATIONS}_iterations"]
            than_n = times["times_faster_than_n_iterations"]
            print(
                f"{timing['size']:>4} px  {labels[name]:<{width}}  {times['forward_seconds']:8.4f} s"
                f"{timing['iteration_seconds']:13.4f} s{COMPARED_ITERATIONS * timing['iteration_seconds']:14.1f} s"
                f"{faster:>14,.0f}{'-' if than_n is None else f'{than_n:,.0f}':>15}"
            )
