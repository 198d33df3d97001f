"""The same batch job on a Ray cluster: Ray Data hands out the files, and each worker loads the network once.

All computers of the cluster must see the files under the same paths, as on a shared disk.
"""

import importlib.util
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nst_fast.batch.folder import Outcome, ends_the_job, stylize_files
from nst_fast.batch.plan import BatchItem
from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.films.film import FilmSettings, stylize_film
from nst_fast.stylize.stylizer import Stylizer

# Enough for a worker to read ahead and write behind, few enough for all workers to end together.
_FILES_PER_BATCH = 8
_STOPPED = "stopped"


@dataclass(frozen=True)
class WorkerSettings:
    """What each worker needs to know.

    Attributes:
        style: a shipped style, or a checkpoint file that all computers see.
        keep_existing: leave alone what has been written since the items were planned.
        stylizer: further arguments of `Stylizer`: device, precision, engine, threads, tiles.
        pictures: further arguments of `stylize_files`: size, jpeg_quality.
        films: how films are stylized.
    """

    style: str
    keep_existing: bool = False
    stylizer: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)
    films: FilmSettings = field(default_factory=FilmSettings)


class RayWorker:
    """What runs in each worker process: Ray makes one, and calls it with one batch after the other."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._stylizer = Stylizer(settings.style, **settings.stylizer)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Stylize a batch: number, source, target, animated of each file become its number, status, message."""
        items = [
            BatchItem(Path(source), Path(target), bool(animated))
            for source, target, animated in zip(batch["source"], batch["target"], batch["animated"], strict=True)
        ]
        numbers = dict(zip(items, (int(number) for number in batch["number"]), strict=True))
        rows: list[tuple[int, str, str]] = []
        try:
            still = [item for item in items if not item.animated]
            keep = self._settings.keep_existing
            for outcome in stylize_files(self._stylizer, still, keep_existing=keep, **self._settings.pictures):
                rows.append((numbers[outcome.item], outcome.status, outcome.message))
            for item in items:
                if item.animated:
                    rows.append((numbers[item], *self._stylize_film(item)))
        except (OutputError, SettingError) as error:
            rows.append((-1, _STOPPED, str(error)))
        return {
            "number": [row[0] for row in rows],
            "status": [row[1] for row in rows],
            "message": [row[2] for row in rows],
        }

    def _stylize_film(self, item: BatchItem) -> tuple[str, str]:
        settings = self._settings
        try:
            result = stylize_film(
                self._stylizer, item.source, item.target, settings.films, keep_existing=settings.keep_existing
            )
        except ImageError as error:
            return "failed", str(error)
        except OutputError as error:
            if ends_the_job(error):
                raise
            return "failed", str(error)
        return result.status, "; ".join(result.remarks)


def stylize_on_ray(
    items: Sequence[BatchItem], settings: WorkerSettings, *, workers: int, gpus_per_worker: int = 0
) -> Generator[Outcome, None, None]:
    """Stylize files with the workers of a Ray cluster; yields the outcome of each, in the order they are done.

    The cluster is the one that RAY_ADDRESS names, or the one that runs on this computer. If there is none, one is
    started for this job, which only this computer can reach.

    Args:
        workers: worker processes, each with its own network.
        gpus_per_worker: 0 to work on the CPU.

    Raises:
        OutputError: the disk is full or cannot be written to.
        SettingError: the extra `ray` is missing; a setting that is not allowed.
    """
    if importlib.util.find_spec("ray") is None:
        raise SettingError("this needs Ray, which is not installed; install the extra: pip install 'nst-fast[ray]'")
    import ray  # pyright: ignore[reportMissingImports] -- an extra; the checks run without it

    started_here = not ray.is_initialized()
    if started_here:
        try:
            ray.init(address="auto", log_to_driver=False, configure_logging=False)
        except ConnectionError:
            # Ray's services ask nobody for a password, so they listen on this computer only.
            ray.init(
                address="local",
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                log_to_driver=False,
                configure_logging=False,
            )
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = [
            {
                "number": number,
                "source": os.path.abspath(item.source),
                "target": os.path.abspath(item.target),
                "animated": item.animated,
            }
            for number, item in enumerate(items)
        ]
        blocks = max(workers, -(-len(rows) // _FILES_PER_BATCH))
        stylized = ray.data.from_items(rows, override_num_blocks=min(blocks, len(rows))).map_batches(
            RayWorker,
            fn_constructor_args=(settings,),
            batch_size=_FILES_PER_BATCH,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=gpus_per_worker,
        )
        for row in stylized.iter_rows():
            if row["status"] == _STOPPED:
                raise OutputError(row["message"])
            yield Outcome(items[row["number"]], row["status"], row["message"])
    finally:
        if started_here:
            ray.shutdown()
