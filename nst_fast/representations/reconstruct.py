"""What a loss network keeps of a picture, rebuilt from noise (Gatys et al. 2015, arXiv 1508.06576, figure 1)."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from nst_fast.device import choose_device
from nst_fast.errors import ImageError, SettingError
from nst_fast.gatys.memory_estimate import say_and_check_memory
from nst_fast.gatys.optimize import find_state
from nst_fast.images import Picture, load_image, save_image, write_picture
from nst_fast.interruption import Interruption
from nst_fast.loss_networks.network import check_taps
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.pictures import check_picture_suffix
from nst_fast.representations.plan import Reconstruction, ReconstructionPlan
from nst_fast.representations.receptive_fields import list_receptive_fields
from nst_fast.representations.run import Run
from nst_fast.run_state import digest
from nst_fast.sheets import draw_sheet


@dataclasses.dataclass(frozen=True)
class ReconstructionResult:
    """What a finished sheet leaves.

    Attributes:
        sheet: the file.
        pictures: each reconstruction's own file, by its name such as `content-relu3_1`.
        losses: what each still differs by, by name.
        seconds: that this call took.
    """

    sheet: Path
    pictures: Mapping[str, Path]
    losses: Mapping[str, float]
    seconds: float


def reconstruct(
    content: str | Path | None,  # the photo, a picture file; None: no row of content
    style: str | Path | None,  # the painting; None: no row of style
    output: str | Path,  # the sheet's file; beside it a folder with the suffix .run is made, for each picture alone
    plan: ReconstructionPlan | None = None,  # None: ReconstructionPlan()
    *,
    device: str | None = None,  # cpu, cuda, mps; None: the best there is
    save_every_iterations: int = 100,
    overwrite: bool = False,  # begin anew, whatever is there
    show_progress: bool = True,
    say: Callable[[str], None] = tqdm.write,  # takes each line that is said to the user
) -> ReconstructionResult:
    """Reconstruct the photo from each content tap, the painting from growing sets of style taps, as one sheet.

    Every picture begins as the same noise, and L-BFGS lowers the content loss of its tap, or the style loss of its
    taps (their mean; for `gatys` and `johnson` their sum). After Ctrl-C or SIGTERM the sheet has what there is by
    then; the same call again goes on, and ends in the very sheet of a run that was never cut.

    Raises:
        SettingError: a setting that is not allowed, an unknown tap, or neither photo nor painting.
        ImageError: a picture cannot be read, is too small for a tap, or too large for the memory.
        WeightsError: the loss network's weights cannot be had.
        TrainingError: the folder holds a run of another plan.
        OutputError: nothing can be written there.
        KeyboardInterrupt: after Ctrl-C, once everything is saved (SystemExit after SIGTERM).
    """
    began = time.monotonic()
    plan = plan or ReconstructionPlan()
    output = Path(output)
    folder = output.with_suffix(".run")
    check_picture_suffix(output.suffix, str(output))
    if save_every_iterations < 1:
        raise SettingError(f"save_every_iterations is {save_every_iterations}; it must be at least 1")
    chosen_device = choose_device(device)
    originals = _load_originals(content, style, plan)
    jobs = [job for kind in originals for job in plan.list_reconstructions(kind)]
    for kind, original in originals.items():
        _check_large_enough(kind, original, plan)
    identity = {**plan.as_plain_values(), **{kind: digest(original) for kind, original in originals.items()}}
    state = find_state(folder, output, identity, overwrite)
    files = {job.name: folder / f"{job.name}.png" for job in jobs}
    if state is not None and state["finished"] and output.exists():
        say(f"{output} is finished, by these very settings: nothing to do (overwrite=true begins anew)")
        return ReconstructionResult(output, files, state["losses"], time.monotonic() - began)

    taps = sorted({tap for job in jobs for tap in job.taps})
    loss_network = load_loss_network(
        plan.loss_network, taps, plan.weights, plan.pooling, plan.input_normalisation, plan.seed, chosen_device
    )
    largest = max(originals.values(), key=lambda original: original.numel())
    say_and_check_memory(loss_network, taps, largest.shape[1], largest.shape[2], chosen_device, say)
    run = Run(plan, jobs, identity, folder, originals, loss_network, chosen_device)
    if state is None:
        run.save()  # a folder that cannot be written is found now
    else:
        run.restore(state)
        say(f"going on with {output}: {len(run.pictures)} of {len(jobs)} pictures are begun")

    def write() -> None:
        for name, picture in run.pictures.items():
            save_image(picture, files[name])
        write_picture(output, Picture(draw_sheet(_lay_out(originals, plan, run.pictures))))

    with Interruption() as interruption:
        for _ in run.make_pictures(interruption, save_every_iterations, show_progress):
            write()
    write()
    if not run.finished:
        say(f"stopped in {run.job.name}; {output} is as of now, the same command goes on")
    interruption.act()  # also one that came in the last iteration: whatever was to follow is not wanted
    return ReconstructionResult(output, files, run.losses, time.monotonic() - began)


def _load_originals(
    content: str | Path | None, style: str | Path | None, plan: ReconstructionPlan
) -> Mapping[str, Tensor]:
    """The painting and the photo, as many as there are, by the kind of their row."""
    given = {"style": (style, plan.style_taps), "content": (content, plan.content_taps)}
    if content is None and style is None:
        raise SettingError("neither photo nor painting was given; give content=FILE, style=FILE, or both")
    for file, taps in given.values():
        if file is not None:
            check_taps(plan.loss_network, taps)
    return {
        kind: load_image(file, short_side=plan.short_side) for kind, (file, _) in given.items() if file is not None
    }


def _check_large_enough(kind: str, original: Tensor, plan: ReconstructionPlan) -> None:
    height, width = original.shape[1:]
    fields = {field.tap: field for field in list_receptive_fields(plan.loss_network, height, width)}
    for tap in plan.content_taps if kind == "content" else plan.style_taps:
        if min(fields[tap].height, fields[tap].width) < 1:
            raise ImageError(
                f"{width} x {height} pixels are too few for {tap}, whose activations lie {fields[tap].stride} pixels "
                f"apart; give short_side={fields[tap].stride} or more, or shallower taps"
            )


def _lay_out(
    originals: Mapping[str, Tensor], plan: ReconstructionPlan, pictures: Mapping[str, Tensor]
) -> list[list[tuple[str, Tensor]]]:
    """The rows of the sheet, each the original and what there is of its reconstructions, one column below another."""
    rows = []
    for kind, original in originals.items():
        row = [("the photo" if kind == "content" else "the painting", original)]
        jobs: list[Reconstruction] = plan.list_reconstructions(kind)
        row += [(job.label, pictures[job.name]) for job in jobs if job.name in pictures]
        rows.append(row)
    width = max(original.shape[2] for original in originals.values())
    return [
        [(label, functional.pad(picture, (0, width - picture.shape[2]), value=1.0)) for label, picture in row]
        for row in rows
    ]
