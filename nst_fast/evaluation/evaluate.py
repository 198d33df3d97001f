"""Measures how good trained networks are: how many iterations of the optimization equal one forward pass."""

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.data.images import load_image
from nst_fast.errors import ImageError, SettingError
from nst_fast.evaluation.curves import CurveRun
from nst_fast.evaluation.judging import Judged, judge, list_differences, read_photos
from nst_fast.evaluation.report import build_report, draw_report_chart, draw_report_sheet
from nst_fast.evaluation.settings import EvaluateSettings
from nst_fast.evaluation.timing import Timing, measure_timing
from nst_fast.evaluation.trained_network import TrainedNetwork
from nst_fast.files.atomic import replace_atomically
from nst_fast.files.interruption import Interruption
from nst_fast.files.overwrites import check_overwrites, is_same_file
from nst_fast.loss_networks.network import LossNetwork, nearest_taps
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.losses.perceptual import PerceptualLoss, build_relative_loss
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.media.pictures import Picture, write_picture
from nst_fast.memory import available_bytes
from nst_fast.networks.checkpoint_header import find_checkpoint
from nst_fast.optimization.memory_estimate import does_not_fit, estimate_bytes, explain_out_of_memory
from nst_fast.runs.device import choose_device
from nst_fast.runs.progress_bar import open_bar
from nst_fast.runs.saved_run import STATE_FILE, SavedRun
from nst_fast.runs.state import digest
from nst_fast.settings.values import as_plain_values

_log = logging.getLogger(__name__)

REPORT_FILE, CHART_FILE, SHEET_FILE = "evaluation.json", "chart.png", "sheet.png"


def evaluate(settings: EvaluateSettings) -> dict[str, Any]:
    """Judge networks and the optimization by the same total loss, the one that the shipped networks are compared by.

    Writes `evaluation.json`, `chart.png` and `sheet.png` into the output folder. The state of the optimization is
    saved there, too, regularly and on Ctrl-C or SIGTERM; the same call again resumes it. Every call measures the
    losses of the networks and all times again.

    Args:
        settings: which networks, on which photos, by which loss.

    Returns:
        The content of `evaluation.json`; see `build_report`.

    Raises:
        SettingError: a setting that is not allowed, or an output that would overwrite an input.
        CheckpointError: there is no such style, or a file is not a checkpoint.
        ImageError: the style image or all photos cannot be read, or the photos are too large for the memory.
        WeightsError: the loss network's weights are not available.
        TrainingError: the folder holds an evaluation of other networks, photos or settings, or another process works
            in it.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    device, folder = choose_device(settings.device), settings.output_path
    style_file, content = os.path.expanduser(settings.style), Path(os.path.expanduser(settings.content))
    _check_outputs(settings, style_file, content)
    networks = {name: TrainedNetwork(name, device) for name in settings.checkpoint}
    style = load_image(style_file, short_side=settings.style_short_side)
    held_out = read_photos(content, settings.size)
    photos = dict(list(held_out.items())[: settings.photos])
    sample = torch.stack(list(held_out.values()))
    loss_network = _load_loss_network(settings, device)
    loss = build_relative_loss(
        loss_network,
        style.to(device),
        sample.to(device),
        content_taps=nearest_taps(loss_network.architecture, DEFAULT_CONTENT_TAPS),
        style_taps=nearest_taps(loss_network.architecture, DEFAULT_STYLE_TAPS),
        style_strength=settings.style_strength,
    )
    _log_differences(networks, settings, loss)
    judged = {name: judge(network, loss, photos) for name, network in networks.items()}
    plain_settings = {
        **as_plain_values(settings, result_only=True),
        "loss_network.weights": loss_network.weights_name,
    }
    identity = {
        **plain_settings,
        "checkpoint": [network.digest[:16] for network in networks.values()],
        "style": digest(style),
        "content": digest(sample),
    }
    with SavedRun(folder, identity) as saved_run:
        run = _build_run(settings, saved_run, loss, photos, judged, device)
        with explain_out_of_memory(settings.size, settings.size, device, "size"):
            _resume_curves(run, settings)
        timings = _measure_timings(networks, loss, loss_network, sample[0], settings, device)
        facts = {
            "style": Path(settings.style).name,
            "device": _describe_device(device),
            "settings": plain_settings,
            "feature_variance": {"photos": len(sample), **loss.feature_variance},
        }
        report = build_report(facts, judged, run.curves, timings)
        _write_report(folder, report, photos, style, judged, run)
    return report


def _check_outputs(settings: EvaluateSettings, style_file: str, content: Path) -> None:
    folder = settings.output_path
    if is_same_file(content, folder):
        raise SettingError(f"output {str(folder)!r} is the folder of photos; choose another output")
    checkpoints = [find_checkpoint(name) for name in settings.checkpoint]
    outputs = [folder / name for name in (STATE_FILE, REPORT_FILE, CHART_FILE, SHEET_FILE)]
    check_overwrites([*checkpoints, style_file], outputs)


def _load_loss_network(settings: EvaluateSettings, device: torch.device) -> LossNetwork:
    taps = nearest_taps(settings.loss_network.name, {**DEFAULT_CONTENT_TAPS, **DEFAULT_STYLE_TAPS})
    loss_network = load_loss_network(settings.loss_network, taps, seed=settings.seed, device=device)
    if (share := _share_that_fits(loss_network, settings.size, device)) < 1:
        raise ImageError(does_not_fit(settings.size, settings.size, str(device), share, "size"))
    return loss_network


def _log_differences(networks: Mapping[str, TrainedNetwork], settings: EvaluateSettings, loss: PerceptualLoss) -> None:
    for name, network in networks.items():
        if differences := list_differences({**network.info.loss, **network.info.training}, settings, loss):
            _log.warning("%s was trained with another loss than the one used here: %s", name, "; ".join(differences))


def _build_run(
    settings: EvaluateSettings,
    saved_run: SavedRun,
    loss: PerceptualLoss,
    photos: Mapping[str, Tensor],
    judged: Mapping[str, Judged],
    device: torch.device,
) -> CurveRun:
    return CurveRun(
        loss,
        {name: photo.to(device) for name, photo in photos.items()},
        {name: [network.terms[name]["total"] for network in judged.values()] for name in photos},
        iterations=settings.iterations,
        seed=settings.seed,
        saved_run=saved_run,
    )


def _resume_curves(run: CurveRun, settings: EvaluateSettings) -> None:
    folder = settings.output_path
    state = run.saved_run.find_state(overwrite=settings.overwrite)
    if state is None:
        run.save()  # finds out now whether the folder can be written
    else:
        run.restore(state)
        if state["finished"]:
            _log.info("%s holds all %d iterations already; set overwrite to start over", folder, run.steps)
            return
        _log.info("resuming %s at iteration %d of %d", folder, run.step, run.steps)
    with (
        open_bar("optimizing", run.step, run.steps, show=settings.show_progress) as bar,
        Interruption() as interruption,
    ):
        run.take_iterations(interruption, lambda: bar.update(1))
    if interruption.signal_number is not None and run.step < run.steps:
        _log.info("stopped at iteration %d of %d; run the same command again to resume", run.step, run.steps)
    interruption.act()


def _measure_timings(
    networks: Mapping[str, TrainedNetwork],
    loss: PerceptualLoss,
    loss_network: LossNetwork,
    photo: Tensor,
    settings: EvaluateSettings,
    device: torch.device,
) -> list[Timing]:
    timings = []
    for size in settings.timing_sizes:
        if _share_that_fits(loss_network, size, device) < 1:
            _log.info("%d x %d pixels do not fit into the memory of %s: not timed", size, size, device)
        else:
            rounds = settings.timed_iterations
            timings.append(measure_timing(networks, loss, photo, size, rounds=rounds, device=device))
    return timings


def _write_report(
    folder: Path,
    report: Mapping[str, Any],
    photos: Mapping[str, Tensor],
    style: Tensor,
    judged: Mapping[str, Judged],
    run: CurveRun,
) -> None:
    with replace_atomically(folder / REPORT_FILE) as temporary:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_picture(folder / CHART_FILE, Picture(draw_report_chart(report)))
    write_picture(folder / SHEET_FILE, Picture(draw_report_sheet(photos, style, judged, run.curves)))


def _share_that_fits(loss_network: LossNetwork, size: int, device: torch.device) -> float:
    """The free memory divided by what optimizing a square of this size needs; infinity if unknown."""
    available = available_bytes(device)
    return math.inf if available is None else available / estimate_bytes(loss_network, loss_network.taps, size, size)


def _describe_device(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)
