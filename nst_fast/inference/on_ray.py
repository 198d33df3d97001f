"""The same job on a cluster: Ray Data hands out the files, and each worker loads the network once.

All computers of the cluster must see the files under the same paths, as on a shared disk.
"""

import importlib.util
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.inference.film import FilmSettings, stylize_film
from nst_fast.inference.folder import Outcome, ends_the_job, stylize_files
from nst_fast.inference.planning import Painting
from nst_fast.inference.stylizer import Stylizer

# So that a worker's own reading ahead and writing behind have something to do, and all workers end together.
_FILES_PER_BATCH = 8
_STOPPED = "stopped"


@dataclass(frozen=True)
class WorkerSettings:
    """What each worker needs to paint.

    Attributes:
        style: a shipped style, or a checkpoint file that all computers see.
        stylizer: further arguments of `Stylizer`: device, precision, engine, threads.
        pictures: further arguments of `stylize_files`.
        films: how films are painted.
    """

    style: str
    stylizer: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)
    films: FilmSettings = field(default_factory=FilmSettings)


class RayPainter:
    """What runs in each worker; Ray makes one and calls it with one batch after the other."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._stylizer = Stylizer(settings.style, **settings.stylizer)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Paint the files of a batch: number, source, target, moves of each to its number, status, message."""
        paintings = [
            Painting(Path(source), Path(target), bool(moves))
            for source, target, moves in zip(batch["source"], batch["target"], batch["moves"], strict=True)
        ]
        numbers = dict(zip(paintings, (int(number) for number in batch["number"]), strict=True))
        rows: list[tuple[int, str, str]] = []
        try:
            still = [painting for painting in paintings if not painting.moves]
            for outcome in stylize_files(self._stylizer, still, **self._settings.pictures):
                rows.append((numbers[outcome.painting], outcome.status, outcome.message))
            for painting in paintings:
                if painting.moves:
                    rows.append((numbers[painting], *self._paint_film(painting)))
        except (OutputError, SettingError) as error:
            rows.append((-1, _STOPPED, str(error)))
        return {
            "number": [row[0] for row in rows],
            "status": [row[1] for row in rows],
            "message": [row[2] for row in rows],
        }

    def _paint_film(self, painting: Painting) -> tuple[str, str]:
        try:
            result = stylize_film(self._stylizer, painting.source, painting.target, self._settings.films)
        except ImageError as error:
            return "failed", str(error)
        except OutputError as error:
            if ends_the_job(error):
                raise
            return "failed", str(error)
        return "painted", "; ".join(result.remarks)


def stylize_on_ray(
    paintings: Sequence[Painting], settings: WorkerSettings, *, workers: int, gpus_per_worker: int = 0
) -> Generator[Outcome, None, None]:
    """Paint files by the workers of a Ray cluster; yields an outcome for each, in the order they are done.

    The cluster is the one that RAY_ADDRESS names, or that runs on this computer; if there is none, one is started
    here for the time of this job.

    Args:
        workers: processes that paint, each with its own network.
        gpus_per_worker: 0 to paint on processors.

    Raises:
        OutputError: the disk is full or cannot be written.
        SettingError: the extra `ray` is missing; a setting that is not allowed.
    """
    if importlib.util.find_spec("ray") is None:
        raise SettingError(
            "--on ray needs Ray, which is not installed; install the extra: pip install 'nst-fast[ray]'"
        )
    import ray  # pyright: ignore[reportMissingImports] -- an extra; the checks run without it

    started_here = not ray.is_initialized()
    if started_here:
        ray.init(log_to_driver=False, configure_logging=False)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = [
            {
                "number": number,
                "source": os.path.abspath(painting.source),
                "target": os.path.abspath(painting.target),
                "moves": painting.moves,
            }
            for number, painting in enumerate(paintings)
        ]
        blocks = max(workers, -(-len(rows) // _FILES_PER_BATCH))
        painted = ray.data.from_items(rows, override_num_blocks=min(blocks, len(rows))).map_batches(
            RayPainter,
            fn_constructor_args=(settings,),
            batch_size=_FILES_PER_BATCH,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=gpus_per_worker,
        )
        for row in painted.iter_rows():
            if row["status"] == _STOPPED:
                raise OutputError(row["message"])
            yield Outcome(paintings[row["number"]], row["status"], row["message"])
    finally:
        if started_here:
            ray.shutdown()
