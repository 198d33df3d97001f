"""Stylizes one photo by optimizing its pixels (Gatys, Ecker, Bethge 2016, CVPR)."""

import dataclasses
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from nst_fast.data.images import load_image, resize, save_image
from nst_fast.files.interruption import Interruption
from nst_fast.files.overwrites import check_overwrites
from nst_fast.loss_networks.network import adapt_taps
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.media.pictures import check_picture_suffix, encode_picture, read_picture
from nst_fast.optimization.memory_estimate import check_memory
from nst_fast.optimization.progress import Progress, write_film
from nst_fast.optimization.run import Inputs, OptimizationRun
from nst_fast.optimization.settings import OptimizeSettings
from nst_fast.runs.device import choose_device
from nst_fast.runs.saved_run import SavedRun
from nst_fast.runs.state import digest
from nst_fast.settings.values import as_plain_values

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class OptimizationResult:
    """What a finished optimization leaves behind.

    Attributes:
        output: the image file.
        film: the animation, or None.
        terms: the named loss terms of the last image (before averaging), at the last size.
        iterations: number of iterations done over all sizes; fewer than asked for if L-BFGS found no lower loss.
        seconds: duration of this call.
    """

    output: Path
    film: Path | None
    terms: Mapping[str, float]
    iterations: int
    seconds: float

    def _repr_png_(self) -> bytes:
        """What notebooks show: the image."""
        return encode_picture(read_picture(self.output), ".png")


def optimize_image(settings: OptimizeSettings) -> OptimizationResult:
    """Optimize the pixels of one image and write it.

    The state is saved every `save_every_iterations`. Ctrl-C or SIGTERM saves it, too, and writes the image as it is.
    The same call again resumes the run, and ends with the same image as a run that was never interrupted (on the same
    machine and device).

    Args:
        settings: which images, how, and where to.

    Raises:
        SettingError: a setting that is not allowed, or an output that would overwrite an input.
        ImageError: an image cannot be read, is too small for the deepest tap, or too large for the memory.
        WeightsError: the loss network's weights are not available.
        TrainingError: the run's folder holds a run with other settings, another process works in it, or the loss
            diverged.
        OutputError: the output cannot be written, or exists and is not from this run.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    started = time.monotonic()
    output = settings.output_path
    check_picture_suffix(output.suffix, str(output))
    outputs = [output] if settings.film_path is None else [output, settings.film_path]
    content, styles = os.path.expanduser(settings.content), [os.path.expanduser(style) for style in settings.style]
    check_overwrites([content, *styles], [*outputs, settings.run_folder])
    device = choose_device(settings.device)
    inputs = _load_inputs(settings, content, styles)
    identity = {
        **as_plain_values(settings, result_only=True),
        "content": digest(inputs.content),
        "style": [digest(style) for style in inputs.styles],
    }
    with SavedRun(settings.run_folder, identity, outputs=outputs) as saved_run:
        terms, iterations = _resume_and_finish(settings, saved_run, inputs, device)
    return OptimizationResult(output, settings.film_path, terms, iterations, time.monotonic() - started)


def _resume_and_finish(
    settings: OptimizeSettings, saved_run: SavedRun, inputs: Inputs, device: torch.device
) -> tuple[Mapping[str, float], int]:
    """Do what is left of the run; return the terms of the last image and the number of iterations done."""
    state = saved_run.find_state(overwrite=settings.overwrite)
    if state is not None and state["finished"]:
        if all(output.exists() for output in saved_run.outputs):
            _log.info("%s is finished already; set overwrite to start over", settings.output_path)
            return state["terms"], state["step"]
        state = None
    height, width = inputs.content.shape[1:]
    of_loss = adapt_taps(settings.loss, settings.loss_network.name)
    taps = [*of_loss.content_taps, *of_loss.style_taps]
    loss_network = load_loss_network(settings.loss_network, taps, seed=settings.seed, device=device)
    check_memory(loss_network, taps, height, width, device, method=settings.method)
    run = OptimizationRun(settings, saved_run, inputs, loss_network, device)
    if state is None:
        run.save()  # finds out now whether the folder can be written
    elif state["step"] > 0:
        run.restore(state)
        _log.info("resuming %s at iteration %d of %d", settings.output_path, run.step, run.iterations)
    _take_iterations_and_write(run, height, width)
    return run.terms, run.step


def _take_iterations_and_write(run: OptimizationRun, height: int, width: int) -> None:
    settings = run.settings
    progress = Progress(
        settings.run_folder,
        run.step,
        run.iterations,
        height,
        width,
        frames_every_iterations=settings.frames_every_iterations,
        show_progress=settings.show_progress,
    )
    try:
        with Interruption() as interruption:
            run.take_iterations(progress, interruption)
    finally:
        progress.close()
    assert run.image is not None
    image = resize(run.image, height, width)
    save_image(image, settings.output_path)
    if interruption.signal_number is not None and run.step < run.iterations:
        _log.info(
            "stopped at iteration %d of %d and wrote %s as it is; run the same command again to resume",
            run.step,
            run.iterations,
            settings.output_path,
        )
        interruption.act()
    if settings.film_path is not None:
        write_film(progress.frames, image, settings.film_path)
    run.save(finished=True)
    interruption.act()  # a signal that came in the last iteration: the caller wants nothing else to follow


def _load_inputs(settings: OptimizeSettings, content: str, styles: list[str]) -> Inputs:
    content_image = load_image(content, short_side=settings.short_side)
    style_side = settings.style_short_side or min(content_image.shape[1:])
    return Inputs(content_image, [load_image(style, short_side=style_side) for style in styles])
