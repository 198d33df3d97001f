"""Shows what a loss network keeps of an image: rebuilds it from noise (Gatys et al. 2015, 1508.06576, figure 1)."""

import dataclasses
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nst_fast.data.images import load_image, save_image, to_uint8
from nst_fast.errors import ImageError, SettingError
from nst_fast.figures.sheets import draw_sheet
from nst_fast.files.interruption import Interruption
from nst_fast.files.overwrites import check_overwrites
from nst_fast.loss_networks.network import check_taps
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.media.pictures import Picture, check_picture_suffix, write_picture
from nst_fast.optimization.memory_estimate import check_memory
from nst_fast.reconstruction.receptive_fields import list_receptive_fields
from nst_fast.reconstruction.run import ReconstructionRun
from nst_fast.reconstruction.settings import ReconstructSettings
from nst_fast.runs.device import choose_device
from nst_fast.runs.saved_run import SavedRun
from nst_fast.runs.state import digest
from nst_fast.settings.values import as_plain_values

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ReconstructionResult:
    """What a finished sheet leaves behind.

    Attributes:
        output: the image file of the sheet.
        images: the file of each reconstruction alone, by its name, such as `content-relu3_1`.
        losses: the loss that is left, by name.
        seconds: duration of this call.
    """

    output: Path
    images: Mapping[str, Path]
    losses: Mapping[str, float]
    seconds: float


def reconstruct(settings: ReconstructSettings) -> ReconstructionResult:
    """Reconstruct the photo from each content tap, and the style image from growing sets of style taps, as one sheet.

    Every image starts from the same noise. L-BFGS then minimizes the content loss of its tap, or the style loss of its
    taps (the mean over taps; for scaling `gatys` and `johnson` the sum). After Ctrl-C or SIGTERM the sheet shows what
    is finished. The same call again resumes, and ends with the same sheet as a run that was never interrupted.

    Args:
        settings: which images, from which taps, and where to.

    Raises:
        SettingError: a setting that is not allowed, an unknown tap, neither photo nor style image, or an output that
            would overwrite an input.
        ImageError: an image cannot be read, is too small for a tap, or too large for the memory.
        WeightsError: the loss network's weights are not available.
        TrainingError: the run's folder holds a run with other settings, or another process works in it.
        OutputError: the output cannot be written, or exists and is not from this run.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    started = time.monotonic()
    output, folder = settings.output_path, settings.run_folder
    check_picture_suffix(output.suffix, str(output))
    device = choose_device(settings.device)
    originals = _load_originals(settings)
    for kind, original in originals.items():
        _check_large_enough(kind, original, settings)
    identity = {
        **as_plain_values(settings, result_only=True),
        **{kind: digest(original) for kind, original in originals.items()},
    }
    with SavedRun(folder, identity, outputs=[output]) as saved_run:
        losses = _resume_and_finish(settings, saved_run, originals, device)
    return ReconstructionResult(output, _list_files(settings, losses), losses, time.monotonic() - started)


def _resume_and_finish(
    settings: ReconstructSettings, saved_run: SavedRun, originals: Mapping[str, Tensor], device: torch.device
) -> Mapping[str, float]:
    """Make what is left of the sheet; return the loss that is left of each reconstruction."""
    state, output = saved_run.find_state(overwrite=settings.overwrite), settings.output_path
    if state is not None and state["finished"] and output.exists():
        _log.info("%s is finished already; set overwrite to start over", output)
        return state["losses"]
    reconstructions = [each for kind in originals for each in settings.list_reconstructions(kind)]
    taps = sorted({tap for reconstruction in reconstructions for tap in reconstruction.taps})
    loss_network = load_loss_network(settings.loss_network, taps, seed=settings.seed, device=device)
    largest = max(originals.values(), key=lambda original: original.numel())
    check_memory(loss_network, taps, largest.shape[1], largest.shape[2], device)
    run = ReconstructionRun(settings, saved_run, reconstructions, originals, loss_network, device)
    if state is None:
        run.save()  # finds out now whether the folder can be written
    else:
        run.restore(state)
        _log.info(
            "resuming %s: %d of %d images are finished or in progress", output, len(run.images), len(reconstructions)
        )
    with Interruption() as interruption:
        for _ in run.make_images(interruption):
            _write(settings, originals, run.images)
    _write(settings, originals, run.images)
    if not run.finished:
        _log.info("stopped at %s and wrote %s as it is; run the same command again to resume", run.current.name, output)
    interruption.act()  # also a signal that came in the last iteration: the caller wants nothing else to follow
    return run.losses


def _load_originals(settings: ReconstructSettings) -> Mapping[str, Tensor]:
    """The style image and the photo, where given, by the kind of their row."""
    given = {"style": (settings.style, settings.style_taps), "content": (settings.content, settings.content_taps)}
    files = {kind: os.path.expanduser(file) for kind, (file, _) in given.items() if file is not None}
    if not files:
        raise SettingError("neither content nor style is set; give a photo, a style image, or both")
    check_overwrites(files.values(), [settings.output_path, settings.run_folder])
    for kind in files:
        check_taps(settings.loss_network.name, given[kind][1])
    return {kind: load_image(file, short_side=settings.short_side) for kind, file in files.items()}


def _check_large_enough(kind: str, original: Tensor, settings: ReconstructSettings) -> None:
    height, width = original.shape[1:]
    fields = {field.tap: field for field in list_receptive_fields(settings.loss_network.name, height, width)}
    for tap in settings.content_taps if kind == "content" else settings.style_taps:
        if min(fields[tap].height, fields[tap].width) < 1:
            raise ImageError(
                f"{width} x {height} pixels are too few for {tap}, whose stride is {fields[tap].stride} pixels; "
                f"set short_side to at least {fields[tap].stride}, or choose shallower taps"
            )


def _list_files(settings: ReconstructSettings, names: Mapping[str, object]) -> dict[str, Path]:
    return {name: settings.run_folder / f"{name}.png" for name in names}


def _write(settings: ReconstructSettings, originals: Mapping[str, Tensor], images: Mapping[str, Tensor]) -> None:
    """Write each image alone, and the sheet."""
    for name, file in _list_files(settings, images).items():
        save_image(images[name], file)
    write_picture(settings.output_path, Picture(draw_sheet(_lay_out(originals, settings, images))))


def _lay_out(
    originals: Mapping[str, Tensor], settings: ReconstructSettings, images: Mapping[str, Tensor]
) -> list[list]:
    """The rows of the sheet: the original and its reconstructions so far, all columns of equal width."""
    rows = []
    for kind, original in originals.items():
        row = [("photo" if kind == "content" else "style image", original)]
        row += [(each.label, images[each.name]) for each in settings.list_reconstructions(kind) if each.name in images]
        rows.append(row)
    width = max(original.shape[2] for original in originals.values())
    return [
        [(label, to_uint8(functional.pad(image, (0, width - image.shape[2]), value=1.0))) for label, image in row]
        for row in rows
    ]
