"""nst-fast evaluate: how good a trained network is, measured by the slow method."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_fast.cli.evaluate_settings import EvaluateSettings
from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.path_lists import quote_path_lists
from nst_fast.cli.settings import list_settings
from nst_fast.cli.settings_help import print_settings
from nst_fast.errors import SettingError
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

if TYPE_CHECKING:
    from torch import Tensor

    from nst_fast.evaluation import PhotoEvaluation, Timing

PATH_KEYS = ("style", "content", "output", "loss_network.weights")
PATH_LIST_KEYS = ("checkpoint",)
GROUPS = ("loss_network",)
TIMING_SIZES = (256, 512, 1024)
PHOTO_SIDE = 1.125  # short side of a photo, in sides of its middle that is judged: as training measures its figures
COMPARED_ITERATIONS = 500  # what the speed-up is over, as in Johnson et al. 2016, table 1

USAGE = """usage: nst-fast evaluate checkpoint=FILE|NAME [...] style=PAINTING content=FOLDER|PHOTO [key=...]

How good is a trained network? N, the number of L-BFGS iterations on the pixels (nst-fast optimize) after which the
very same total loss is reached, and how many times faster the network is.

  nst-fast evaluate checkpoint=runs/wave/wave.safetensors style=wave.jpg content=photos
  nst-fast evaluate checkpoint=[a.safetensors,b.safetensors] style=wave.jpg content=photo.jpg iterations=200

keys and their defaults:"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE)
        print_settings(EvaluateSettings)
        return 0
    run_experiment(
        "evaluate",
        quote_path_lists(arguments, PATH_LIST_KEYS),
        schema=EvaluateSettings,
        known_keys=[key for key, _, _ in list_settings(EvaluateSettings)],
        groups=GROUPS,
        path_keys=PATH_KEYS,
        experiment=run_evaluation,
    )
    return 0


def run_evaluation(settings: EvaluateSettings) -> None:
    """Evaluate every checkpoint, print a table for each, and write JSON, charts and contact sheets."""
    # Slow: torch.
    import torch
    from tqdm import tqdm

    from nst_fast.device import choose_device
    from nst_fast.evaluation import evaluate_photo, measure_timing, summarise
    from nst_fast.images import load_image
    from nst_fast.inference.stylizer import Stylizer
    from nst_fast.loss_networks.weights import build_loss_network
    from nst_fast.losses.perceptual import build_relative_loss

    if settings.photos < 1:
        raise SettingError(f"photos is {settings.photos}; it must be at least 1")
    device = choose_device(settings.device)
    photos = _load_photos(settings)
    loss_network = build_loss_network(
        settings.loss_network.name,
        taps=[*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS],
        weights=settings.loss_network.weights,
        pooling=settings.loss_network.pooling,
        input_normalisation=settings.loss_network.input_normalisation,
        seed=settings.seed,
    ).to(device)
    style = load_image(settings.style, short_side=settings.style_short_side).to(device)
    loss = build_relative_loss(loss_network, style, torch.stack(list(photos.values())).to(device))
    folder = Path(settings.output or f"evaluations/{Path(settings.style).stem}")
    report: dict[str, Any] = {"device": str(device), "threads": torch.get_num_threads(), "checkpoints": {}}
    sizes = TIMING_SIZES if settings.timing_sizes is None else settings.timing_sizes
    for given in settings.checkpoint:
        stylizer = Stylizer(given, device=settings.device)
        with tqdm(total=len(photos) * 2 * settings.iterations, desc=Path(given).stem, unit="iteration") as bar:
            evaluated = {
                name: evaluate_photo(
                    stylizer,
                    loss,
                    photo,
                    iterations=settings.iterations,
                    seed=settings.seed,
                    on_iteration=lambda bar=bar: bar.update(1),
                )
                for name, photo in photos.items()
            }
        first = next(iter(photos.values()))
        timings = [
            measure_timing(stylizer, loss, first, size, timed_iterations=settings.timed_iterations) for size in sizes
        ]
        summary = summarise(list(evaluated.values()))
        report["checkpoints"][given] = _describe(summary, evaluated, timings)
        _print_tables(given, summary, evaluated, timings, settings.iterations)
        _draw(folder / _file_stem(given), photos, evaluated)
    _write_json(report, folder / "evaluation.json")
    print(f"wrote {folder / 'evaluation.json'}, and a chart and a contact sheet for each checkpoint beside it")


def _load_photos(settings: EvaluateSettings) -> dict[str, "Tensor"]:
    """name -> the middle of a photo, (3, size, size)."""
    from nst_fast.data.content_images import hold_out_photos, list_photos, read_photo
    from nst_fast.data.sampler import cut_centre

    content = Path(settings.content)
    files = [content]
    if content.is_dir():
        every = list_photos(content)
        files = hold_out_photos(every, content, settings.photos)[1] or every[: settings.photos]
    return {
        str(file.relative_to(content)) if content.is_dir() else file.name: cut_centre(
            read_photo(file, round(settings.size * PHOTO_SIDE)), settings.size
        )
        for file in files
    }


def _describe(
    summary: Mapping[str, Any], evaluated: Mapping[str, "PhotoEvaluation"], timings: Sequence["Timing"]
) -> dict[str, Any]:
    return {
        **summary,
        "timing": [
            {
                "size": timing.size,
                "forward_seconds": timing.forward_seconds,
                "iteration_seconds": timing.iteration_seconds,
                "timed_iterations": timing.timed_iterations,
                f"speed_up_over_{COMPARED_ITERATIONS}_iterations_extrapolated": timing.speed_up(COMPARED_ITERATIONS),
            }
            for timing in timings
        ],
        "each_photo": {
            name: {
                "terms": dict(photo.terms),
                "iterations_to_equal": {start: curve.iterations_to_equal for start, curve in photo.curves.items()},
                "totals": {start: curve.totals for start, curve in photo.curves.items()},
            }
            for name, photo in evaluated.items()
        },
    }


def _print_tables(
    given: str,
    summary: Mapping[str, Any],
    evaluated: Mapping[str, "PhotoEvaluation"],
    timings: Sequence["Timing"],
    iterations: int,
) -> None:
    def show(count: float | None) -> str:
        return f"> {iterations}" if count is None else f"{count:g}"

    print(f"\n{given}")
    print(f"  {'photo':<32}{'total':>9}{'style':>9}{'content':>9}{'N noise':>9}{'N content':>11}")
    for name, photo in evaluated.items():
        counts = [show(photo.curves[start].iterations_to_equal) for start in ("noise", "content")]
        _print_row(name, photo.terms, counts)
    counts = [show(summary["iterations_to_equal"][start]) for start in ("noise", "content")]
    _print_row("mean; median of N", summary["terms"], counts)
    noise = summary["iterations_to_equal"]["noise"]
    for timing in timings:
        own = "" if noise is None else f", {timing.speed_up(noise):,.0f} times faster than N = {noise:g}"
        print(
            f"  {timing.size:>5} px: forward {timing.forward_seconds:.4f} s, one iteration "
            f"{timing.iteration_seconds:.3f} s: {timing.speed_up(COMPARED_ITERATIONS):,.0f} times faster than "
            f"{COMPARED_ITERATIONS} iterations{own} (extrapolated from {timing.timed_iterations} iterations)"
        )


def _print_row(name: str, terms: Mapping[str, float], counts: Sequence[str]) -> None:
    numbers = "".join(f"{terms[term]:9.4f}" for term in ("total", "style", "content"))
    print(f"  {name[-31:]:<32}{numbers}{counts[0]:>9}{counts[1]:>11}")


def _draw(stem: Path, photos: Mapping[str, "Tensor"], evaluated: Mapping[str, "PhotoEvaluation"]) -> None:
    from nst_fast.images import Picture, write_picture
    from nst_fast.sheets import draw_chart, draw_sheet

    curves = {
        f"L-BFGS from {start}": [
            statistics.fmean(values)
            for values in zip(*(photo.curves[start].totals for photo in evaluated.values()), strict=True)
        ]
        for start in ("noise", "content")
    }
    network = {"the network": statistics.fmean(photo.terms["total"] for photo in evaluated.values())}
    chart = draw_chart(curves, network, x_label="iterations", y_label="total loss, mean over the photos")
    write_picture(stem.with_name(f"{stem.name}-chart.png"), Picture(chart))
    rows = []
    for name, photo in evaluated.items():
        row = [(name, photos[name]), ("network", photo.painted)]
        curve = photo.curves["noise"]
        if curve.picture_at_equal is not None:
            row.append((f"from noise, N = {curve.iterations_to_equal}", curve.picture_at_equal))
        row.append((f"from noise, {len(curve.totals) - 1} iterations", curve.last_picture))
        rows.append(row)
    write_picture(stem.with_name(f"{stem.name}-sheet.png"), Picture(draw_sheet(rows)))


def _file_stem(given: str) -> str:
    # Two checkpoints may have one file name in two folders.
    path = Path(given)
    return path.stem if path.parent == Path() else f"{path.parent.name}-{path.stem}"


def _write_json(report: Mapping[str, Any], path: Path) -> None:
    from nst_fast.atomic_files import replace_atomically

    with replace_atomically(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
