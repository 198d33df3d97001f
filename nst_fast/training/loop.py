"""Training: one image transformation network for one painting, against a fixed loss network."""

import contextlib
import dataclasses
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nst_fast.checkpoint import SUFFIX, CheckpointInfo, read_checkpoint_header, round_weights, save_checkpoint
from nst_fast.data.content_images import hold_out_photos, list_photos
from nst_fast.data.sampler import iterate_batches
from nst_fast.device import choose_device
from nst_fast.errors import CheckpointError, SettingError, TrainingError
from nst_fast.images import load_image
from nst_fast.interruption import Interruption
from nst_fast.loss_networks.vgg import VGG
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.run_state import check_same_recipe, load_state
from nst_fast.training.preparation import build_loss, load_loss_network, read_held_out, read_photos, sample_photos
from nst_fast.training.recipe import Recipe
from nst_fast.training.run import STATE_FILE, Run, choose_autocast_type
from nst_fast.training.run_log import RunLog
from nst_fast.transform_nets import TransformNet

STRIP_PHOTOS = 4
CHECKPOINT_DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What a finished run leaves.

    Attributes:
        checkpoint: the file that paints.
        held_out: the losses on photos that were not trained on, as the checkpoint has them; empty if there were none.
        steps: done in all.
        seconds: that this call took.
    """

    checkpoint: Path
    held_out: Mapping[str, Any]
    steps: int
    seconds: float


def train(
    style: str | Path,  # the painting, a picture file
    content: str | Path,  # the folder of photos, searched recursively
    output: str | Path,  # the run's folder
    recipe: Recipe | None = None,  # None: Recipe()
    *,
    name: str | None = None,  # of the style and of the checkpoint's file; None: the painting's file name
    about: Mapping[str, Any] | None = None,  # title, artist, year of the painting, where known
    device: str | None = None,  # cpu, cuda, mps; None: the best there is
    precision: str = "auto",  # fp32, bf16, fp16; auto: bf16 on CUDA, else fp32
    channels_last: bool = True,  # the layout of the tensors in memory
    compile: bool = False,  # torch.compile: minutes at the start, then faster steps
    workers: int | None = None,  # processes that read photos where these do not fit into memory; None: by the cores
    photo_memory_gib: float = 4.0,  # photos are kept in memory up to this much
    checkpoint_dtype: str = "fp16",  # of the weights in the checkpoint; or fp32
    log_every_steps: int = 10,
    save_every_steps: int = 100,
    strip_every_steps: int = 200,
    overwrite: bool = False,  # begin anew, whatever is in `output`
    show_progress: bool = True,
    say: Callable[[str], None] = tqdm.write,  # takes each line that is said to the user
    watch: Callable[["Moment"], None] | None = None,  # called at the start and every `log_every_steps`
) -> TrainingResult:
    """Train one network for one painting and write its checkpoint, `output/NAME.safetensors`.

    The state is written every `save_every_steps` and on Ctrl-C or SIGTERM. The same call again goes on from it, and
    ends in the very weights of a run that was never cut (same machine and device).

    Raises:
        SettingError: a setting that is not allowed.
        ImageError: the painting cannot be read, or too few of the photos.
        WeightsError: the loss network's weights cannot be had.
        TrainingError: the folder holds a run of another recipe, or the loss diverged; the last good state is kept.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    began = time.monotonic()
    recipe = recipe or Recipe()
    style, content, folder = Path(style), Path(content), Path(output)
    name = name or style.stem
    checkpoint = folder / f"{name}{SUFFIX}"
    if checkpoint_dtype not in CHECKPOINT_DTYPES:
        raise SettingError(
            f"checkpoint_dtype {checkpoint_dtype!r} is unknown; allowed: {', '.join(CHECKPOINT_DTYPES)}"
        )
    if workers is not None and workers < 0:
        raise SettingError(f"workers is {workers}; it must be at least 0")
    cadence = Cadence(log_every_steps, save_every_steps, strip_every_steps)
    chosen_device = choose_device(device)
    autocast_type = choose_autocast_type(precision, chosen_device)

    style_image = load_image(style, short_side=recipe.style_short_side)
    photo_files, held_out_files = hold_out_photos(list_photos(content), content, recipe.held_out_photos)
    identity = {
        **recipe.as_plain_values(),
        "style": _digest(style_image.numpy().tobytes()),
        "content": _digest("\n".join(file.relative_to(content).as_posix() for file in photo_files).encode()),
    }
    # os.path, since Path.exists raises for a name too long; what is wrong with a folder is said when it is written to.
    resuming = os.path.exists(folder / STATE_FILE) and not overwrite
    if resuming:
        state = load_state(folder / STATE_FILE)
        check_same_recipe(state["recipe"], identity, folder)
        finished = _read_finished_header(checkpoint, recipe.steps) if state["step"] >= recipe.steps else None
        if finished is not None:
            say(f"{folder} holds this very run, finished: nothing to do (overwrite=true begins anew)")
            return TrainingResult(checkpoint, finished.get("held_out", {}), recipe.steps, time.monotonic() - began)

    number_type = str(autocast_type or torch.float32).removeprefix("torch.")
    say(f"training {recipe.transform_net} for {recipe.steps} steps on {chosen_device} in {number_type}")
    loss_network = load_loss_network(recipe, chosen_device, channels_last=channels_last, say=say)
    photos = read_photos(
        photo_files, recipe, memory_gib=photo_memory_gib, device=chosen_device, show_progress=show_progress, say=say
    )
    held_out = read_held_out(held_out_files, say)
    loss = build_loss(recipe, loss_network, style_image, photos, chosen_device)
    run = Run(
        recipe,
        identity,
        loss,
        folder,
        device=chosen_device,
        autocast_type=autocast_type,
        channels_last=channels_last,
        compile=compile,
    )
    if resuming:
        run.restore()
        say(f"going on with the run in {folder} at step {run.step} of {recipe.steps}")
    else:
        run.save()  # a good state to fall back on, and a folder that cannot be written is found now

    def write_checkpoint(held_out_losses: Mapping[str, Any]) -> None:
        info = _describe(recipe, loss_network, name, about or {}, run.step, held_out_losses)
        save_checkpoint(checkpoint, run.average.network, info, dtype=CHECKPOINT_DTYPES[checkpoint_dtype])

    strip = held_out[:STRIP_PHOTOS] if len(held_out) else sample_photos(photos, STRIP_PHOTOS)
    log = RunLog(folder, run.step, recipe.steps, strip, show_progress=show_progress)
    batches = iterate_batches(
        photos,
        crop_size=recipe.crop_size,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        steps=range(run.step, recipe.steps),
        workers=(os.cpu_count() or 1) if workers is None else workers,
    )
    try:
        with Interruption() as interruption, contextlib.closing(batches):  # closed, they need no workers any more
            _take_steps(run, batches, log, cadence, interruption, watch or (lambda moment: None))
    except TrainingError as error:
        run.restore()
        write_checkpoint({})
        raise TrainingError(
            f"{error}; {checkpoint} paints as at the last good state, step {run.step}; "
            f"give a lower learning_rate than {recipe.learning_rate:g} and another output"
        ) from error
    finally:
        log.close()
    if interruption.signal_number is not None and run.step < recipe.steps:
        write_checkpoint({})
        say(f"stopped at step {run.step} of {recipe.steps}; the same command goes on, {checkpoint} paints as of now")
        if interruption.signal_number == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt
    round_weights(run.average.network, CHECKPOINT_DTYPES[checkpoint_dtype])  # measured is what is shipped
    held_out_losses = _measure_held_out(run, style_image, held_out)
    write_checkpoint(held_out_losses)
    return TrainingResult(checkpoint, held_out_losses, run.step, time.monotonic() - began)


@dataclasses.dataclass(frozen=True)
class Moment:
    """What can be seen of a run while it goes on.

    Attributes:
        step: done so far, of `steps`.
        terms: the mean losses since the last moment; empty at the start.
        network: the averaged one; it goes on changing, so what is kept must be a copy.
    """

    step: int
    steps: int
    terms: Mapping[str, float]
    network: TransformNet


@dataclasses.dataclass(frozen=True)
class Cadence:
    """What happens every so many steps."""

    log: int
    save: int
    strip: int

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise SettingError(f"{field.name}_every_steps is {getattr(self, field.name)}; it must be at least 1")


def _take_steps(
    run: Run,
    batches: Iterator[Tensor],
    log: RunLog,
    cadence: Cadence,
    interruption: Interruption,
    watch: Callable[[Moment], None],
) -> None:
    """Every step that is left, until the last or an interruption; then the state on disk is that of the last step."""
    watch(Moment(run.step, run.recipe.steps, {}, run.average.network))
    looked_at, looked_at_step = time.monotonic(), run.step
    for batch in batches:
        learning_rate = run.learning_rate
        run.take_step(batch)
        log.log_step()
        ends = run.step == run.recipe.steps or interruption.signal_number is not None
        saves = ends or run.step % cadence.save == 0
        paints = ends or run.step % cadence.strip == 0
        if saves or paints or run.step % cadence.log == 0:
            terms = run.look()
            images_per_second = (run.step - looked_at_step) * len(batch) / (time.monotonic() - looked_at)
            log.log_terms(run.step, terms, learning_rate, images_per_second)
            watch(Moment(run.step, run.recipe.steps, terms, run.average.network))
            if saves:
                run.save()
            if paints:
                photos = log.strip_photos.to(run.device)
                log.log_strip(run.step, run.paint(photos), measure_losses(run.paint, run.loss, photos))
            looked_at, looked_at_step = time.monotonic(), run.step
        if interruption.signal_number is not None:
            return


def _read_finished_header(checkpoint: Path, steps: int) -> dict[str, Any] | None:
    """What the checkpoint says of itself, if it is that of the last step; None if the run was cut before it."""
    try:
        header = read_checkpoint_header(checkpoint)
    except CheckpointError:
        return None
    return header if header.get("training", {}).get("steps") == steps else None


def _measure_held_out(run: Run, style_image: Tensor, held_out: Tensor) -> dict[str, Any]:
    """The relative losses on the photos held out; empty if there are none."""
    if not len(held_out):
        return {}
    photos = held_out.to(run.device)
    recipe = run.recipe
    loss = build_relative_loss(
        run.loss.loss_network,
        style_image.to(run.device),
        photos,
        content_taps=recipe.content_taps,
        style_taps=recipe.style_taps,
    )
    losses = measure_losses(run.paint, loss, photos)
    return {name: losses[name] for name in ("total", "style", "content")} | {"photos": len(photos)}


def _describe(
    recipe: Recipe,
    loss_network: VGG,
    name: str,
    about: Mapping[str, Any],
    steps: int,
    held_out_losses: Mapping[str, Any],
) -> CheckpointInfo:
    """What the checkpoint says of itself; `stroke_reference_size` is the size of photo that strokes were learnt at."""
    plain = recipe.as_plain_values()
    loss_keys = ("pooling", "normalisation", "content_taps", "style_taps")
    weight_keys = ("content_weight", "style_strength", "total_variation_weight")
    training_keys = (
        "batch_size",
        "crop_size",
        "largest_crop",
        "style_short_side",
        "learning_rate",
        "warmup_steps",
        "cosine",
        "average_decay",
        "seed",
    )
    return CheckpointInfo(
        style={"name": name, **{key: value for key, value in about.items() if value is not None}},
        loss={
            "loss_network": recipe.loss_network,
            "weights": loss_network.weights_name,
            **{key: plain[key] for key in (*loss_keys, *weight_keys)},
        },
        training={
            "steps": steps,
            "of_steps": recipe.steps,
            **{key: plain[key] for key in training_keys},
            "stroke_reference_size": recipe.crop_size,
        },
        held_out=dict(held_out_losses),
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
