"""Training: one image transformation network for one style image, against a fixed loss network."""

import contextlib
import copy
import dataclasses
import functools
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nst_fast.data.sampler import iterate_batches
from nst_fast.errors import SettingError, TrainingError
from nst_fast.files.interruption import Interruption
from nst_fast.files.overwrites import check_overwrites, is_same_file
from nst_fast.loss_networks.weights import choose_loss_network
from nst_fast.losses.perceptual import measure_losses
from nst_fast.memory import keep_freed_memory
from nst_fast.networks.checkpoint_header import find_checkpoint
from nst_fast.networks.torch_network import StyleNetwork
from nst_fast.runs.device import choose_device
from nst_fast.runs.saved_run import STATE_FILE, SavedRun
from nst_fast.settings.values import as_plain_values
from nst_fast.training.color_fit import cut_sample, fit_colors
from nst_fast.training.preparation import BASE, RANDOM, Inputs, Material, find_inputs, prepare_material
from nst_fast.training.result_file import ResultFile
from nst_fast.training.run import TrainingRun, choose_autocast_type
from nst_fast.training.run_log import STRIP_FILE, STRIPS_FOLDER, RunLog
from nst_fast.training.settings import TrainSettings

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a finished training leaves.

    Attributes:
        checkpoint: the file to stylize with.
        held_out: the losses on photos that were not trained on, as in the checkpoint; empty if there were none.
        steps: number of steps, earlier calls included.
        seconds: duration of this call.
    """

    checkpoint: Path
    held_out: Mapping[str, Any]
    steps: int
    seconds: float

    def _repr_jpeg_(self) -> bytes | None:
        """What notebooks show: the strip of held-out photos, and below them what the network makes of them."""
        strip = self.checkpoint.parent / STRIP_FILE
        return strip.read_bytes() if strip.is_file() else None


@dataclasses.dataclass(frozen=True)
class Moment:
    """What you can see of a training while it runs.

    Attributes:
        step: number of steps done.
        steps: number of steps of the whole training.
        terms: the mean loss terms since the last moment; empty at the start.
        take_network: gives the network that the training would leave if it ended now, a copy; do not change it. To be
            called before the training continues; it takes as long as a few steps.
    """

    step: int
    steps: int
    terms: Mapping[str, float]
    take_network: Callable[[], StyleNetwork]


def train(settings: TrainSettings, *, on_moment: Callable[[Moment], None] | None = None) -> TrainingResult:
    """Train one network for one style image, and write its checkpoint FOLDER/NAME.safetensors.

    The state is saved every `save_every_steps` steps, and on Ctrl-C or SIGTERM. Call again with the same settings to
    resume. An interrupted training ends in the very same weights as an uninterrupted one on the same machine and
    device.

    Args:
        settings: see `TrainSettings`, and `TrainSettings.build` for presets.
        on_moment: called at the start and every `log_every_steps` steps, for instance to show the progress.

    Raises:
        SettingError: a setting that is not allowed.
        ImageError: the style image, or nearly all photos, cannot be read.
        CheckpointError: `init` is neither a shipped style nor a checkpoint.
        WeightsError: the weights of the loss network are not available.
        TrainingError: the folder holds a run with other settings, another process trains in it, or the loss diverged;
            the last good state is kept.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    began = time.monotonic()
    if settings.live and on_moment is None:
        raise SettingError("live is for the command line, which serves the page; in Python pass on_moment instead")
    device = choose_device(settings.device)
    if device.type == "cpu":
        keep_freed_memory(of_any_size=True)
    result_file = ResultFile(settings)
    _check_outputs(settings, result_file)
    inputs = find_inputs(settings)
    settings = dataclasses.replace(settings.fill_in(), loss_network=choose_loss_network(settings.loss_network))
    identity = {**as_plain_values(settings, result_only=True), **inputs.identity}
    with SavedRun(settings.folder, identity) as saved_run:
        state = saved_run.find_state(overwrite=settings.overwrite)
        steps_done = None if state is None else state["step"]
        finished = result_file.read_finished() if steps_done == settings.steps else None
        if finished is not None:
            _log.info(f"{settings.folder} holds this very run, finished: nothing to do (set overwrite to start over)")
            held_out_losses = finished["held_out"]
        else:
            held_out_losses = _train(settings, inputs, saved_run, steps_done, device, on_moment or (lambda _: None))
    return TrainingResult(result_file.path, held_out_losses, settings.steps, time.monotonic() - began)


def _check_outputs(settings: TrainSettings, result_file: ResultFile) -> None:
    """Refuse a run that would write over its own inputs."""
    folder = settings.folder
    if is_same_file(settings.content, folder):
        raise SettingError(f"output {str(folder)!r} is the folder of photos; choose another output")
    initial = [] if settings.init in (None, BASE, RANDOM) else [find_checkpoint(settings.init)]
    outputs = [folder / name for name in (STATE_FILE, STRIP_FILE, STRIPS_FOLDER)]
    check_overwrites([settings.style, *initial], [*outputs, result_file.path])


def _train(
    settings: TrainSettings,
    inputs: Inputs,
    saved_run: SavedRun,
    steps_done: int | None,
    device: torch.device,
    on_moment: Callable[[Moment], None],
) -> dict[str, Any]:
    """Train the steps that are left, write the checkpoint, and return the losses on held-out photos.

    Args:
        steps_done: of the saved state to resume from; None: start.
    """
    number_type = str(choose_autocast_type(settings.precision, device) or torch.float32).removeprefix("torch.")
    _log.info(f"training {settings.network.name} for {settings.steps} steps on {device} in {number_type}")
    material = prepare_material(settings, inputs, device)
    run = TrainingRun(
        settings,
        material.loss,
        saved_run,
        opening_loss=material.opening_loss,
        initial=inputs.initial,
        finish=_choose_last_touch(settings, inputs, material),
        device=device,
    )
    if steps_done is None:
        run.save()  # a good state to fall back to; also, a folder that cannot be written is found now
    else:
        run.restore()
        _log.info(f"resuming the run in {settings.folder} at step {run.step} of {settings.steps}")
    batches = iterate_batches(
        material.photos,
        crop_size=settings.crop_size,
        batch_size=settings.batch_size,
        seed=settings.seed,
        steps=range(run.step, settings.steps),
        workers=(os.cpu_count() or 1) if settings.workers is None else settings.workers,
    )
    log = RunLog(settings.folder, run.step, settings.steps, material.strip, show_progress=settings.show_progress)
    result_file = ResultFile(settings)
    interruption = _take_steps_or_go_back(run, batches, log, result_file, on_moment)
    return _finish(run, interruption, result_file, inputs.style_image, material.held_out)


def _choose_last_touch(
    settings: TrainSettings, inputs: Inputs, material: Material
) -> Callable[[StyleNetwork], StyleNetwork]:
    """Fitted colors if they are asked for, unless the style has to stay."""
    if not settings.fit_colors or settings.train_only == "strength":
        return copy.deepcopy
    return functools.partial(fit_colors, photos=cut_sample(material.photos), style_image=inputs.style_image)


def _finish(
    run: TrainingRun, interruption: Interruption, result_file: ResultFile, style_image: Tensor, held_out: Tensor
) -> dict[str, Any]:
    """Write the checkpoint and return the losses on held-out photos; after that, act on a signal that arrived."""
    if run.step < run.settings.steps:
        result_file.write(run)
        _log.info(
            f"stopped at step {run.step} of {run.settings.steps}; run the same again to resume. "
            f"{result_file.path} holds the network so far"
        )
        interruption.act()
    held_out_losses = result_file.write_measured(run, style_image, held_out)
    if interruption.signal_number is not None:  # it came in the last step, but whatever follows is not wanted
        _log.info(f"stopped, but this run is finished: {result_file.path}")
        interruption.act()
    return held_out_losses


def _take_steps_or_go_back(
    run: TrainingRun,
    batches: Generator[Tensor, None, None],
    log: RunLog,
    result_file: ResultFile,
    on_moment: Callable[[Moment], None],
) -> Interruption:
    """Take all steps that are left; if the loss diverges, write the checkpoint of the last good state.

    Returns:
        The interruption that ended the steps, or that came in the last one, if any.
    """
    try:
        # Closed in this order: signals are still noted while the batches end their workers.
        with contextlib.closing(log), Interruption() as interruption, contextlib.closing(batches):
            _take_steps(run, batches, log, interruption, on_moment)
    except TrainingError as error:
        run.restore()
        result_file.write(run)
        explained = TrainingError(
            f"{error}; {result_file.path} holds the last good network, of step {run.step}; set learning_rate lower "
            f"than {run.settings.optimization.learning_rate:g}, and choose another output"
        )
        explained.signal_number = error.signal_number
        raise explained from error
    return interruption


def _take_steps(
    run: TrainingRun,
    batches: Iterator[Tensor],
    log: RunLog,
    interruption: Interruption,
    on_moment: Callable[[Moment], None],
) -> None:
    """Take all steps that are left, or those until an interruption. Then the state of the last step is on disk."""
    settings = run.settings
    on_moment(Moment(run.step, settings.steps, {}, run.finish))
    logged_at, logged_step = time.monotonic(), run.step
    for batch in batches:
        learning_rate = run.learning_rate
        run.take_step(batch)
        log.log_step()
        ends = run.step == settings.steps or interruption.signal_number is not None
        saves = ends or run.step % settings.save_every_steps == 0
        shows = ends or run.step % settings.strip_every_steps == 0
        if saves or shows or run.step % settings.log_every_steps == 0:
            terms = run.collect_terms()
            images_per_second = (run.step - logged_step) * len(batch) / (time.monotonic() - logged_at)
            log.log_terms(run.step, terms, learning_rate, images_per_second)
            on_moment(Moment(run.step, settings.steps, terms, run.finish))
            if saves:
                run.save()
            if shows:
                photos = log.strip_photos.to(run.device)
                network = run.finish()
                log.log_strip(run.step, network(photos), measure_losses(network, run.loss, photos))
            logged_at, logged_step = time.monotonic(), run.step
        if interruption.signal_number is not None:
            return
