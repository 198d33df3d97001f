"""`nst-fast stylize`: stylize photos, films, and folders of both."""

import argparse
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from nst_fast.cli.file_reports import FileReports, Status, reporting_files
from nst_fast.cli.stylize_options import PIPE, parse_options, writes_to_pipe
from nst_fast.cli.terminal import print_note, printable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from nst_fast.batch.folder import Outcome
    from nst_fast.batch.plan import BatchItem, BatchPlan
    from nst_fast.stylize.stylizer import Stylizer

_RAY_WORKERS = 2
_STATUSES: dict[str, Status] = {"stylized": "written", "failed": "failed", "taken": "taken"}


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast stylize`; returns the exit status.

    Raises:
        NstFastError: a mistake or a circumstance that the user can fix.
    """
    started = time.perf_counter()
    options = parse_options(arguments)
    with reporting_files(as_json=options.json) as reports:
        try:
            return _stylize(options, reports, started)
        except KeyboardInterrupt:
            print("nst-fast: interrupted; run the same command again to resume", file=sys.stderr)
            return 130


def _stylize(options: argparse.Namespace, reports: FileReports, started: float) -> int:
    # Imported only now, so that --help need not wait for it.
    from nst_fast.stylize.stylizer import Stylizer

    options.precision = _choose_precision(options)
    stylizer = Stylizer(
        options.style,
        device=options.device,
        precision=options.precision,
        engine=_choose_engine(options),
        threads=options.threads,
        tiles=options.tiles,
        look=options.look,
    )
    if options.save_style is not None:
        _save_style(stylizer, options.save_style, overwrite=options.overwrite)
        reports.add(options.save_style, "written")
    how = stylizer.describe()
    if PIPE in (options.input[0], options.output):
        from nst_fast.cli.stylize_pipe import stylize_pipe

        stylize_pipe(stylizer, options, reports)
        if not writes_to_pipe(options):
            _print_summary(reports, started, how, options.output)
    else:
        plan = _plan(stylizer, options)
        films = [item for item in plan.items if item.animated]
        if films or options.preview is not None:
            from nst_fast.cli.stylize_films import check_film_options, stylize_preview

            check_film_options(films, len(plan.items), options)
            if options.preview is not None:
                stylize_preview(stylizer, films[0], options, reports)
                return 0
        for item in plan.skipped:
            reports.add(item.target, "skipped", source=item.source)
        if options.on == "ray":
            how = f"{options.workers or _RAY_WORKERS} Ray workers"
            _stylize_on_ray(stylizer, plan.items, options, reports)
        else:
            _stylize_photos(stylizer, [item for item in plan.items if not item.animated], options, reports)
            if films:
                from nst_fast.cli.stylize_films import stylize_films

                stopped_by = stylize_films(stylizer, films, options, reports)
                if stopped_by is not None:
                    return 128 + stopped_by
        _print_summary(reports, started, how, plan.output)
    return 1 if reports.counts["failed"] else 0


def _plan(stylizer: "Stylizer", options: argparse.Namespace) -> "BatchPlan":
    from nst_fast.batch.plan import plan_batch

    plan = plan_batch(
        options.input,
        options.output,
        style_name=stylizer.style_name,
        image_format=options.format,
        overwrite=options.overwrite or options.preview is not None,
        shard=options.shard,
    )
    _remove_leftovers(plan)
    return plan


def _choose_precision(options: argparse.Namespace) -> str:
    """The precision asked for; but auto is for films alone. A photo is the same on all computers, within a level."""
    from nst_fast.media.film_formats import is_film

    only_films = all(is_film(path.suffix) for path in options.input)
    return "fp32" if options.precision == "auto" and not only_films else options.precision


def _choose_engine(options: argparse.Namespace) -> str:
    """The engine asked for; but for a single photo ONNX Runtime is done before OpenVINO has started."""
    from nst_fast.media.film_formats import ANIMATION_SUFFIXES, is_film
    from nst_fast.stylize.engines.choice import choose_engine, list_engines

    suffix = options.input[0].suffix
    is_photo = len(options.input) == 1 and (options.input[0] == PIPE or options.input[0].is_file())
    if options.engine != "auto" or not is_photo or is_film(suffix) or suffix.lower() in ANIMATION_SUFFIXES:
        return options.engine
    engine, device = choose_engine("auto", options.device, options.precision)
    has_onnxruntime = "onnxruntime" in list_engines(device, options.precision)
    return "onnxruntime" if engine == "openvino" and has_onnxruntime else engine


def _save_style(stylizer: "Stylizer", path: "Path", *, overwrite: bool) -> None:
    """Keep the style as a small checkpoint; where one exists, it stays unless it is to be overwritten."""
    import dataclasses

    from nst_fast.errors import OutputError, SettingError
    from nst_fast.networks.checkpoint import load_base, save_checkpoint

    checkpoint = stylizer.checkpoint
    if not checkpoint.description.adjustable or checkpoint.shared_digest != load_base().shared_digest:
        raise SettingError("--save-style keeps a style image or a blend; this style is a checkpoint of its own already")
    if path.suffix != ".safetensors":
        raise SettingError(f"--save-style {path} must end in .safetensors")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; give another name, or --overwrite")
    info = dataclasses.replace(checkpoint.info, style={**checkpoint.info.style, "name": path.stem})
    save_checkpoint(path, dataclasses.replace(checkpoint, info=info), dtype="fp16", without_shared=True)


def _remove_leftovers(plan: "BatchPlan") -> None:
    """Remove what killed processes left in the output folders, even where nothing is left to do."""
    from nst_fast.files.claims import sweep_claims
    from nst_fast.files.leftovers import sweep_temporaries

    for folder in {item.target.parent for item in (*plan.items, *plan.skipped)}:
        sweep_temporaries(folder)
        sweep_claims(folder)
    if any(item.animated for item in plan.skipped):
        from nst_fast.films.work_folder import remove_finished

        for item in plan.skipped:
            if item.animated:
                remove_finished(item.target)


def _stylize_photos(
    stylizer: "Stylizer", items: list["BatchItem"], options: argparse.Namespace, reports: FileReports
) -> None:
    """Stylize still images, show the progress on standard error, and report the outcomes."""
    from nst_fast.batch.folder import stylize_files

    outcomes = stylize_files(
        stylizer,
        items,
        size=options.size,
        jpeg_quality=options.quality,
        keep_existing=not options.overwrite,
        metadata=not options.no_metadata,
    )
    _count(outcomes, len(items), "photos", reports)


def _stylize_on_ray(
    stylizer: "Stylizer", items: list["BatchItem"], options: argparse.Namespace, reports: FileReports
) -> None:
    """Stylize photos and films with the workers of a Ray cluster."""
    from nst_fast.batch.on_ray import WorkerSettings, stylize_on_ray
    from nst_fast.cli.stylize_films import film_settings

    settings = WorkerSettings(
        style=os.path.abspath(options.style) if os.path.exists(options.style) else options.style,
        keep_existing=not options.overwrite,
        stylizer={
            "device": options.device,
            "precision": options.precision,
            "engine": options.engine,
            "tiles": options.tiles,
            "threads": options.threads or (1 if stylizer.device == "cpu" else None),
            "look": options.look.with_absolute_mask(),
        },
        pictures={"size": options.size, "jpeg_quality": options.quality, "metadata": not options.no_metadata},
        films=film_settings(options),
    )
    on_gpu = stylizer.device.startswith("cuda")
    outcomes = stylize_on_ray(items, settings, workers=options.workers or _RAY_WORKERS, gpus_per_worker=int(on_gpu))
    _count(outcomes, len(items), "files", reports)


def _count(outcomes: "Generator[Outcome, None, None]", total: int, unit: str, reports: FileReports) -> None:
    """Go through the outcomes, show the progress, and print what there is to say."""
    with contextlib.closing(outcomes):
        shown: Iterable[Outcome] = outcomes
        if total > 1:
            from tqdm import tqdm  # not for a single photo, for which the import takes a tenth of the time

            # Disabled by None: a bar on a terminal, none in a log file.
            shown = tqdm(outcomes, total=total, unit=f" {unit}", dynamic_ncols=True, disable=None)
        for outcome in shown:
            failed = outcome.status == "failed"
            reports.add(
                outcome.item.target,
                _STATUSES[outcome.status],
                source=outcome.item.source,
                error=outcome.message if failed else None,
            )
            if outcome.message:
                print_note(f"failed: {outcome.message}" if failed else outcome.message)


def _print_summary(reports: FileReports, started: float, how: str, output: "Path") -> None:
    counts = reports.counts
    hint = " (they exist; --overwrite replaces them)" if counts["skipped"] else ""
    taken = f", taken by other processes {counts['taken']}" if counts["taken"] else ""
    print(
        printable(
            f"stylized {counts['written']}, skipped {counts['skipped']}{hint}{taken}, failed {counts['failed']} "
            f"in {time.perf_counter() - started:.1f} s with {how} -> {output}"
        )
    )
