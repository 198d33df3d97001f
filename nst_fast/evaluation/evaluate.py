"""The yardstick: how many iterations of the slow method one forward pass of a trained network stands for."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from nst_fast.atomic_files import replace_atomically
from nst_fast.checkpoint import find_checkpoint
from nst_fast.device import choose_device
from nst_fast.errors import ImageError, SettingError
from nst_fast.evaluation.curves import CurveRun
from nst_fast.evaluation.judging import judge, list_differences, read_photos
from nst_fast.evaluation.plan import TIMING_SIZES, EvaluationPlan
from nst_fast.evaluation.report import build_report, draw_report_chart, draw_report_sheet
from nst_fast.evaluation.timing import measure_timing
from nst_fast.gatys.memory_estimate import does_not_fit, estimate_bytes
from nst_fast.gatys.run import STATE_FILE, explained_memory
from nst_fast.images import Picture, load_image, write_picture
from nst_fast.inference.stylizer import Stylizer
from nst_fast.interruption import Interruption
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.losses.perceptual import build_relative_loss
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.memory import available_bytes
from nst_fast.progress_bar import open_bar
from nst_fast.run_state import check_same_recipe, digest, load_state

REPORT_FILE, CHART_FILE, SHEET_FILE = "evaluation.json", "chart.png", "sheet.png"
TAPS = [*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS]


def evaluate(
    checkpoints: Sequence[str | Path],  # files, or names of shipped styles, all of one painting
    style: str | Path,  # the painting
    content: str | Path,  # a folder of photos; of ten or more only those are taken that training keeps out
    folder: str | Path,  # of the results
    plan: EvaluationPlan | None = None,  # None: EvaluationPlan()
    *,
    timing_sizes: Sequence[int] = TIMING_SIZES,  # pixels, sides of squares; one that does not fit is left out
    timed_iterations: int = 5,  # at each size
    device: str | None = None,  # cpu, cuda, mps; None: the best there is
    overwrite: bool = False,  # begin anew, whatever is there
    show_progress: bool = True,
    say: Callable[[str], None] = tqdm.write,  # takes each line that is said to the user
) -> dict[str, Any]:
    """Judge networks and the slow method by one total loss, that by which the shipped networks are compared.

    Writes `evaluation.json`, `chart.png` and `sheet.png` into the folder. What the slow method has done is saved
    there too, now and then and on Ctrl-C or SIGTERM: the same call again goes on with it. The networks' losses and all
    times are measured anew by every call.

    Returns:
        What `evaluation.json` holds; see `build_report`.

    Raises:
        SettingError: a setting that is not allowed, or no checkpoint.
        CheckpointError: no such style, or a file that is no checkpoint.
        ImageError: the painting or every photo cannot be read, or the photos are too large for the memory.
        WeightsError: the loss network's weights cannot be had.
        TrainingError: the folder holds an evaluation of other networks, photos or settings.
        OutputError: nothing can be written there.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    plan, folder = plan or EvaluationPlan(), Path(folder)
    _check(checkpoints, timing_sizes, timed_iterations)
    stylizers = {str(checkpoint): Stylizer(checkpoint, device=device) for checkpoint in checkpoints}
    chosen_device = choose_device(device)
    painting = load_image(style, short_side=plan.style_short_side, say=say)
    every_photo = read_photos(Path(content), plan.size, say)
    photos = dict(list(every_photo.items())[: plan.photos])
    loss_network = load_loss_network(
        plan.loss_network, TAPS, plan.weights, plan.pooling, plan.input_normalisation, plan.seed, chosen_device
    )
    if (share := _share_that_fits(loss_network, plan.size, chosen_device)) < 1:
        raise ImageError(does_not_fit(plan.size, plan.size, str(chosen_device), share, "size"))
    sample = torch.stack(list(every_photo.values()))
    loss = build_relative_loss(
        loss_network, painting.to(chosen_device), sample.to(chosen_device), style_strength=plan.style_strength
    )
    for name, stylizer in stylizers.items():
        if differences := list_differences(stylizer, plan, loss):
            say(f"{name} was trained for another loss than it is judged by: {'; '.join(differences)}")
    judged = {name: judge(stylizer, loss, photos) for name, stylizer in stylizers.items()}
    run = CurveRun(
        loss,
        {name: photo.to(chosen_device) for name, photo in photos.items()},
        {name: [network.terms[name]["total"] for network in judged.values()] for name in photos},
        iterations=plan.iterations,
        seed=plan.seed,
        identity={
            **plan.as_plain_values(),
            "weights": loss_network.weights_name,
            "checkpoints": [digest(find_checkpoint(name).read_bytes()) for name in stylizers],
            "style": digest(painting),
            "content": digest(sample),
        },
        state_path=folder / STATE_FILE,
    )
    with explained_memory(plan.size, plan.size, chosen_device, "size"):
        _follow_curves(run, overwrite=overwrite, show_progress=show_progress, say=say)
    timings = []
    for size in timing_sizes:
        if _share_that_fits(loss_network, size, chosen_device) < 1:
            say(f"{size} x {size} pixels do not fit the memory of {chosen_device}: not timed")
        else:
            timings.append(measure_timing(stylizers, loss, sample[0], size, rounds=timed_iterations))
    facts = {
        "style": Path(style).name,
        "device": _describe_device(chosen_device),
        "settings": {**plan.as_plain_values(), "weights": loss_network.weights_name},
        "feature_variance": {"photos": len(sample), **loss.feature_variance},
    }
    report = build_report(facts, judged, run.curves, timings)
    with replace_atomically(folder / REPORT_FILE) as temporary:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_picture(folder / CHART_FILE, Picture(draw_report_chart(report)))
    write_picture(folder / SHEET_FILE, Picture(draw_report_sheet(photos, painting, judged, run.curves)))
    return report


def _check(checkpoints: Sequence[str | Path], timing_sizes: Sequence[int], timed_iterations: int) -> None:
    if not checkpoints:
        raise SettingError("no checkpoint was given; give a file or a shipped style's name, or several")
    if timed_iterations < 1:
        raise SettingError(f"timed_iterations is {timed_iterations}; it must be at least 1")
    for size in timing_sizes:
        if size < 16:
            raise SettingError(f"timing_sizes has {size}; each must be at least 16 pixels")


def _follow_curves(run: CurveRun, *, overwrite: bool, show_progress: bool, say: Callable[[str], None]) -> None:
    if run.state_path.exists() and not overwrite:
        state = load_state(run.state_path)
        check_same_recipe(state["recipe"], run.identity, run.state_path.parent)
        run.restore(state)
        if run.step == run.steps:
            folder = run.state_path.parent
            say(f"{folder} has the slow method's {run.steps} iterations already (overwrite=true begins anew)")
            return
        say(f"going on with {run.state_path.parent} at iteration {run.step} of {run.steps}")
    else:
        run.save()  # a folder that cannot be written is found now
    with open_bar("optimising", run.step, run.steps, show=show_progress) as bar, Interruption() as interruption:
        run.take_iterations(interruption, lambda: bar.update(1))
    if interruption.signal_number is not None and run.step < run.steps:
        say(f"stopped at iteration {run.step} of {run.steps}; the same command goes on")
    interruption.act()


def _share_that_fits(loss_network: LossNetwork, size: int, device: torch.device) -> float:
    """How much of what optimising a square takes is free on the device; infinity where that cannot be told."""
    available = available_bytes(device)
    return math.inf if available is None else available / estimate_bytes(loss_network, TAPS, size, size)


def _describe_device(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu (threads: {torch.get_num_threads()})" if device.type == "cpu" else str(device)
