"""Small jobs, run in processes that are forked from one that has PyTorch and the rest loaded already."""

import dataclasses
import filecmp
import multiprocessing
import os
import shutil
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

from small_jobs import EVALUATE, OPTIMIZE, TRAIN, heed_interrupts, make_film, make_photos, make_style
from verdict import Violation
from whole_files import list_hidden

FRAMES_PER_SEGMENT = 50  # instead of 250, so that a short film has several segments
MOST_SECONDS = 300.0  # for which a job may run, or may take to end
_PRELOADED = [
    *("nst_fast.cli.main", "nst_fast.cli.train", "nst_fast.training.loop", "nst_fast.cli.optimize", "torch"),
    *("nst_fast.optimization.optimize", "nst_fast.cli.evaluate", "nst_fast.evaluation.evaluate", "onnxruntime"),
    *("nst_fast.cli.stylize", "nst_fast.cli.stylize_films", "nst_fast.batch.folder", "av", "openvino", "psutil"),
    *("torch._dynamo", "torch._decomp", "sympy", "hydra._internal.hydra", "PIL.WebPImagePlugin"),
]


@dataclasses.dataclass
class Job:
    """A command.

    Attributes:
        arguments: of the command.
        results: patterns of the files that a run always writes the same.
        other: arguments with which it writes other files of the same names.
        overwrite: argument with which it replaces them.
    """

    arguments: tuple[str, ...]
    results: tuple[str, ...]
    other: tuple[str, ...]
    overwrite: str = "overwrite=true"


def _stylize(source: str, results: str, engine: str = "onnxruntime") -> Job:
    options = ("--output", "out", "--threads", "1", "--engine", engine)
    return Job(("stylize", source, "--style", "wave", *options), (results,), ("--style", "udnie"), "--overwrite")


JOBS = {
    "train": Job((*TRAIN, "steps=12", "output=run"), ("run/style.safetensors",), ("seed=1",)),
    "optimize": Job(
        (*OPTIMIZE, "iterations=16", "save_every_iterations=4", "output=out/image.png"), ("out/*.png",), ("seed=1",)
    ),
    "evaluate": Job(
        (*EVALUATE, "iterations=6", "output=evaluation"), ("evaluation/*.json", "evaluation/*.png"), ("seed=1",)
    ),
    "pictures": _stylize("photos", "out/*.png"),
    "film": _stylize("film.mp4", "out/film.mp4", "auto"),
    "animation": _stylize("film.gif", "out/film.gif"),
}


class Forks:
    """Starts jobs.

    Args:
        folder: to work in; its inputs are made now.
    """

    def __init__(self, folder: Path) -> None:
        heed_interrupts()
        # What tqdm shares between processes, a killed one cannot give back.
        os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.resource_tracker")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._folder = folder
        self._inputs = folder / "inputs"
        make_inputs(self._inputs)

    def make_folder(self, name: str, like: Path | None = None) -> Path:
        """A folder with links to the inputs, and otherwise empty or as another one."""
        folder = self._folder / name
        if like is not None:
            shutil.copytree(like, folder, symlinks=True)
            return folder
        folder.mkdir()
        for path in self._inputs.iterdir():
            (folder / path.name).symlink_to(path)
        return folder

    def start(self, folder: Path, arguments: tuple[str, ...], journal: Path | None = None) -> BaseProcess:
        """The command, in this folder; its words go to `log_of(folder)`, the files it finishes into the journal."""
        process = self._context.Process(target=_run, args=(folder, arguments, journal))
        process.start()
        return process

    def finish(self, folder: Path, arguments: tuple[str, ...]) -> None:
        """Run the command to its end; raises Violation unless that is a good one."""
        process = self.start(folder, arguments)
        process.join(MOST_SECONDS)
        if process.exitcode != 0:
            said = log_of(folder).read_text()
            process.kill()
            raise Violation(f"the command then ends with status {process.exitcode}: {said[-500:]}")


def log_of(folder: Path) -> Path:
    """What the last job in a folder said."""
    return folder.with_suffix(".log")


def _run(folder: Path, arguments: tuple[str, ...], journal: Path | None) -> None:
    from nst_fast.cli.main import main
    from nst_fast.films import segments

    segments._FRAMES_PER_SEGMENT = FRAMES_PER_SEGMENT
    os.chdir(folder)
    flags = os.O_TRUNC if journal is None else os.O_APPEND  # several processes keep a journal together
    descriptor = os.open(log_of(folder), os.O_WRONLY | os.O_CREAT | flags)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    if journal is not None:
        _keep_journal(journal)
    try:
        status = main(list(arguments))
    except KeyboardInterrupt:  # before the command could handle it
        status = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left is the end of this process, not the command's
    raise SystemExit(status)


def _keep_journal(journal: Path) -> None:
    """Add a line for each file that gets its visible name."""
    replace, descriptor = os.replace, os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def replace_and_note(source: str | Path, target: str | Path) -> None:
        replace(source, target)
        if not any(part.startswith(".") for part in Path(target).parts):
            os.write(descriptor, os.fsencode(f"{target}\n"))

    os.replace = replace_and_note  # type: ignore[assignment]


def make_inputs(folder: Path) -> None:
    """The files that all jobs read."""
    from nst_fast.media.animation_writing import write_animation
    from nst_fast.media.pictures import read_picture

    make_photos(folder / "photos", 12)
    make_style(folder / "style.png")
    make_film(folder / "film.mp4", 4 * FRAMES_PER_SEGMENT - 20)
    pictures = [read_picture(folder / "photos" / f"photo_{number:02}.png") for number in range(12)]
    write_animation(folder / "film.gif", [(picture, 50) for picture in pictures])


def list_results(job: Job, folder: Path) -> list[Path]:
    """The files that a run of the job has written, relative to the folder."""
    found = (path for pattern in job.results for path in folder.glob(pattern) if ".partial" not in path.name)
    return sorted(path.relative_to(folder) for path in found)


def compare(job: Job, folder: Path, expected: Path) -> None:
    """Raise Violation unless the results are those of an undisturbed run, and nothing hidden is left."""
    if hidden := list_hidden(folder):
        raise Violation(f"left behind: {hidden[0].relative_to(folder)}")
    wanted, found = list_results(job, expected), list_results(job, folder)
    if not wanted or found != wanted:
        raise Violation(f"{len(found)} results, and not {len(wanted)}")
    for path in wanted:
        if not filecmp.cmp(folder / path, expected / path, shallow=False):
            raise Violation(f"{path} is not that of an undisturbed run")
