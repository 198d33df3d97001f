"""Training: one image transformation network for one painting, against a fixed loss network."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nst_fast.data.sampler import iterate_batches
from nst_fast.device import choose_device
from nst_fast.errors import SettingError, TrainingError
from nst_fast.interruption import Interruption
from nst_fast.loss_networks.weights import choose_loss_network
from nst_fast.losses.perceptual import measure_losses
from nst_fast.memory import keep_freed_memory
from nst_fast.run_state import check_same_recipe, load_state
from nst_fast.training.preparation import find_inputs, gather_material
from nst_fast.training.recipe import Recipe
from nst_fast.training.result_file import ResultFile
from nst_fast.training.run import STATE_FILE, Run, choose_autocast_type
from nst_fast.training.run_log import RunLog
from nst_fast.transform_nets import TransformNet


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
    init: str | Path | None = None,  # a shipped style or a checkpoint to start from; None: random weights
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
        CheckpointError: `init` is neither a shipped style nor a checkpoint.
        WeightsError: the loss network's weights cannot be had.
        TrainingError: the folder holds a run of another recipe, or the loss diverged; the last good state is kept.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    began = time.monotonic()
    recipe, folder = recipe or Recipe(), Path(output)
    result_file = ResultFile(folder, name or Path(style).stem, about or {}, checkpoint_dtype)
    cadence = Cadence(log_every_steps, save_every_steps, strip_every_steps)
    if workers is not None and workers < 0:
        raise SettingError(f"workers is {workers}; it must be at least 0")
    chosen_device = choose_device(device)
    if chosen_device.type == "cpu":
        keep_freed_memory(of_any_size=True)
    autocast_type = choose_autocast_type(precision, chosen_device)

    inputs = find_inputs(recipe, Path(style), Path(content), init, say)
    loss_network, weights = choose_loss_network(recipe.loss_network, recipe.weights, say)
    recipe = dataclasses.replace(recipe, loss_network=loss_network, weights=weights)
    identity = {**recipe.as_plain_values(), **inputs.identity}
    steps_done = None if overwrite else _find_steps_done(folder, identity)
    finished = result_file.read_finished(recipe.steps) if steps_done == recipe.steps else None
    if finished is not None:
        say(f"{folder} holds this very run, finished: nothing to do (overwrite=true begins anew)")
        return TrainingResult(result_file.path, finished.get("held_out", {}), recipe.steps, time.monotonic() - began)

    number_type = str(autocast_type or torch.float32).removeprefix("torch.")
    say(f"training {recipe.transform_net} for {recipe.steps} steps on {chosen_device} in {number_type}")
    material = gather_material(
        recipe,
        inputs,
        chosen_device,
        channels_last=channels_last,
        photo_memory_gib=photo_memory_gib,
        show_progress=show_progress,
        say=say,
    )
    run = Run(
        recipe,
        identity,
        material.loss,
        folder,
        opening_loss=material.opening_loss,
        initial=inputs.initial,
        device=chosen_device,
        autocast_type=autocast_type,
        channels_last=channels_last,
        compile=compile,
    )
    if steps_done is None:
        run.save()  # a good state to fall back on, and a folder that cannot be written is found now
    else:
        run.restore()
        say(f"going on with the run in {folder} at step {run.step} of {recipe.steps}")

    batches = iterate_batches(
        material.photos,
        crop_size=recipe.crop_size,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        steps=range(run.step, recipe.steps),
        workers=(os.cpu_count() or 1) if workers is None else workers,
    )
    log = RunLog(folder, run.step, recipe.steps, material.strip, show_progress=show_progress)
    interruption = _take_steps_or_go_back(run, batches, log, cadence, result_file, watch or (lambda moment: None))
    held_out_losses = _finish(run, interruption, result_file, inputs.style_image, material.held_out, say)
    return TrainingResult(result_file.path, held_out_losses, run.step, time.monotonic() - began)


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


def _find_steps_done(folder: Path, identity: Mapping[str, Any]) -> int | None:
    """The steps that are done of the run in `folder`, which is this very one; None if there is none."""
    # os.path, since Path.exists raises for a name too long; what is wrong with a folder is said when it is written to.
    if not os.path.exists(folder / STATE_FILE):
        return None
    state = load_state(folder / STATE_FILE)
    check_same_recipe(state["recipe"], dict(identity), folder)
    return state["step"]


def _finish(
    run: Run,
    interruption: Interruption,
    result_file: ResultFile,
    style_image: Tensor,
    held_out: Tensor,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Write the checkpoint and give the losses on the photos held out; then a signal that was noted is acted on."""
    if run.step < run.recipe.steps:
        result_file.write(run, {})
        say(
            f"stopped at step {run.step} of {run.recipe.steps}; the same command goes on, "
            f"{result_file.path} paints as of now"
        )
        interruption.act()
    held_out_losses = result_file.write_measured(run, style_image, held_out)
    if interruption.signal_number is not None:  # it came in the last step; whatever was to follow is not wanted
        say(f"stopped, but this run is finished: {result_file.path}")
        interruption.act()
    return held_out_losses


def _take_steps_or_go_back(
    run: Run,
    batches: Generator[Tensor, None, None],
    log: RunLog,
    cadence: Cadence,
    result_file: ResultFile,
    watch: Callable[[Moment], None],
) -> Interruption:
    """Every step that is left; where the loss diverges the checkpoint of the last good state is left behind.

    Returns:
        The interruption, if one ended the steps or came in the last of them.
    """
    try:
        # Closed in this order: the batches, which need no workers any more, while signals are still noted.
        with contextlib.closing(log), Interruption() as interruption, contextlib.closing(batches):
            _take_steps(run, batches, log, cadence, interruption, watch)
    except TrainingError as error:
        run.restore()
        result_file.write(run, {})
        explained = TrainingError(
            f"{error}; {result_file.path} paints as at the last good state, step {run.step}; "
            f"give a lower learning_rate than {run.recipe.learning_rate:g} and another output"
        )
        explained.signal_number = error.signal_number
        raise explained from error
    return interruption


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
