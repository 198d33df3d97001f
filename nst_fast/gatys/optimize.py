"""The slow method: the pixels of one picture are optimised (Gatys, Ecker, Bethge 2016, CVPR)."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nst_fast.device import choose_device
from nst_fast.errors import OutputError, SettingError
from nst_fast.gatys.memory_estimate import say_and_check_memory
from nst_fast.gatys.plan import Plan, list_short_sides
from nst_fast.gatys.progress import Progress, check_film, write_film
from nst_fast.gatys.run import STATE_FILE, Pictures, Run
from nst_fast.images import load_image, resize, save_image
from nst_fast.interruption import Interruption
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.pictures import check_picture_suffix
from nst_fast.run_state import check_same_recipe, digest, load_state


@dataclasses.dataclass(frozen=True)
class OptimizationResult:
    """What a finished optimisation leaves.

    Attributes:
        picture: the file.
        film: the animation, or None.
        terms: the named losses of the last picture (before averaging), at the last size.
        iterations: done in all; fewer than asked for if L-BFGS found no lower picture.
        seconds: that this call took.
    """

    picture: Path
    film: Path | None
    terms: Mapping[str, float]
    iterations: int
    seconds: float


def optimize_image(
    content: str | Path,  # the photo, a picture file
    style: str | Path | Sequence[str | Path],  # the painting or paintings
    output: str | Path,  # the picture's file; beside it a folder with the suffix .run is made
    plan: Plan | None = None,  # None: Plan()
    *,
    device: str | None = None,  # cpu, cuda, mps; None: the best there is
    log_every_iterations: int = 10,
    save_every_iterations: int = 100,
    frames_every_iterations: int | None = None,  # None: no frames
    film: str | None = None,  # webp or gif: an animation of the frames beside the picture
    overwrite: bool = False,  # begin anew, whatever is there
    show_progress: bool = True,
    say: Callable[[str], None] = tqdm.write,  # takes each line that is said to the user
) -> OptimizationResult:
    """Optimise the pixels of one picture and write it.

    The state is written every `save_every_iterations` and on Ctrl-C or SIGTERM, the picture then, too. The same call
    again goes on, and ends in the very picture of a run that was never cut (same machine and device).

    Raises:
        SettingError: a setting that is not allowed.
        ImageError: a picture cannot be read, is too small for the deepest tap, or too large for the memory.
        WeightsError: the loss network's weights cannot be had.
        TrainingError: the folder holds a run of another plan, or the loss diverged.
        OutputError: nothing can be written there.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    began = time.monotonic()
    plan = plan or Plan()
    output = Path(output)
    folder = output.with_suffix(".run")
    _check_output(output, film, frames_every_iterations, log_every_iterations, save_every_iterations)
    chosen_device = choose_device(device)
    pictures = _load_pictures(content, style, plan, say)
    height, width = pictures.content.shape[1:]
    identity = {
        **plan.as_plain_values(),
        "content": digest(pictures.content),
        "style": [digest(style_image) for style_image in pictures.styles],
    }
    state = find_state(folder, output, identity, overwrite)
    film_path = None if film is None else output.with_suffix(f".{film}")
    if state is not None and state["finished"] and output.exists():
        say(f"{output} is finished, by these very settings: nothing to do (overwrite=true begins anew)")
        return OptimizationResult(output, film_path, state["terms"], state["step"], time.monotonic() - began)

    taps = [*plan.content_taps, *plan.style_taps]
    loss_network = load_loss_network(
        plan.loss_network, taps, plan.weights, plan.pooling, plan.input_normalisation, plan.seed, chosen_device
    )
    say_and_check_memory(loss_network, taps, height, width, chosen_device, say, method=plan.method)
    sides = list_short_sides(min(height, width), plan.coarsest_short_side)
    run = Run(plan, identity, folder, sides, pictures, loss_network, chosen_device)
    if state is None or state["finished"]:
        run.save()  # a folder that cannot be written is found now
    elif state["step"] > 0:
        run.restore(state)
        say(f"going on with {output} at iteration {run.step} of {run.iterations}")
    progress = Progress(
        folder,
        run.step,
        run.iterations,
        height,
        width,
        frames_every_iterations=frames_every_iterations,
        show_progress=show_progress,
    )
    try:
        with Interruption() as interruption:
            run.take_iterations(progress, interruption, log_every_iterations, save_every_iterations)
    finally:
        progress.close()
    assert run.picture is not None
    picture = resize(run.picture, height, width)
    save_image(picture, output)
    if interruption.signal_number is not None and run.step < run.iterations:
        say(f"stopped at iteration {run.step} of {run.iterations}; {output} is as of now, the same command goes on")
        interruption.act()
    if film_path is not None:
        write_film(progress.frames, picture, film_path)
    run.save(finished=True)
    interruption.act()  # one that came in the last iteration: whatever was to follow is not wanted
    return OptimizationResult(output, film_path, run.terms, run.step, time.monotonic() - began)


def _check_output(output: Path, film: str | None, frames_every: int | None, log_every: int, save_every: int) -> None:
    check_picture_suffix(output.suffix, str(output))
    check_film(film, frames_every)
    if film is not None and output.suffix.lower() == f".{film}":
        raise OutputError(f"the film would overwrite the picture {output}; give an output with another suffix")
    for name, value in (("log_every_iterations", log_every), ("save_every_iterations", save_every)):
        if value < 1:
            raise SettingError(f"{name} is {value}; it must be at least 1")


def _load_pictures(
    content: str | Path, style: str | Path | Sequence[str | Path], plan: Plan, say: Callable[[str], None]
) -> Pictures:
    files = [style] if isinstance(style, str | Path) else list(style)
    if not files:
        raise SettingError("no painting was given; give style=FILE")
    if plan.style_weights is not None and len(plan.style_weights) != len(files):
        raise SettingError(
            f"style_weights has {len(plan.style_weights)} numbers for {len(files)} paintings; give one for each"
        )
    content_image = load_image(content, short_side=plan.short_side, say=say)
    style_side = plan.style_short_side or min(content_image.shape[1:])
    return Pictures(content_image, [load_image(file, short_side=style_side, say=say) for file in files])


def find_state(folder: Path, output: Path, identity: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The saved state of this very run in its folder, or None to begin.

    Raises:
        TrainingError: the state is of a run with another identity, or damaged.
        OutputError: there is an output without a state.
    """
    if overwrite:
        return None
    if (folder / STATE_FILE).exists():
        state = load_state(folder / STATE_FILE)
        check_same_recipe(state["recipe"], identity, folder)
        return state
    if output.exists():
        raise OutputError(f"{output} exists and is no result of this command; give another output, or overwrite=true")
    return None
