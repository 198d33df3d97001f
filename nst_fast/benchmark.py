"""How fast a network is on this computer: latency, frames a second, memory and operations."""

import contextlib
import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_fast.films.film import DEFAULT_SMOOTHING, stylize_film
from nst_fast.films.pipeline import FilmProgress
from nst_fast.films.source import probe_source
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo
from nst_fast.networks.registry import describe_network
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.stylizer import Stylizer

# The first calls set things up: memory, and OpenVINO's compiling for a size that has come twice.
_WARM_UP_CALLS = 3


@dataclass(frozen=True)
class Candidate:
    """What is to be measured.

    Attributes:
        network: its name, such as realtime or a style.
        engine: as `Stylizer.describe` says it.
        build: gives a function from pixels (H, W, 3), uint8, to stylized pixels, whose calls are timed.
        operations_per_pixel: floating-point operations of the network.
    """

    network: str
    engine: str
    build: Callable[[], Callable[[np.ndarray], object]]
    operations_per_pixel: float


@dataclass(frozen=True)
class Measurement:
    """How one candidate stylized pictures of one size.

    Attributes:
        milliseconds_50, _90, _99: percentiles of the time for one picture.
        frames_per_second: by the median.
        start_seconds: until the first picture was stylized, building included.
        peak_memory_bytes: at most, weights included, beyond what the process had before; None where
            that cannot be told.
    """

    network: str
    engine: str
    width: int
    height: int
    operations_per_pixel: float
    runs: int
    milliseconds_50: float
    milliseconds_90: float
    milliseconds_99: float
    frames_per_second: float
    start_seconds: float
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class FilmMeasurement:
    """How a film went from file to file.

    Attributes:
        frames_per_second: from the first frame that was stylized to the film's taking its name.
        alone_frames_per_second: of the network by itself at this size, smoothing as for the film; the better
            of a measurement before and one after it.
    """

    network: str
    engine: str
    width: int
    height: int
    frames: int
    seconds: float
    frames_per_second: float
    alone_frames_per_second: float


def measure_film(network_name: str, checkpoint: Checkpoint, film: Path, **settings) -> FilmMeasurement:
    """Stylize a film to a temporary file, decoding and encoding included, by `Stylizer(checkpoint, **settings)`.

    Raises:
        ImageError: the film cannot be read.
        SettingError: the extra `film` is missing.
    """
    stylizer = Stylizer(checkpoint, **settings)
    info = probe_source(film)
    began = 0.0

    def watch(progress: FilmProgress) -> bool:
        nonlocal began
        began = began or time.perf_counter()
        return True

    alone = [_time_smoothed_frames(stylizer, info.height, info.width)]
    with tempfile.TemporaryDirectory(prefix="nst-fast-") as folder:
        result = stylize_film(stylizer, film, Path(folder) / "stylized.mp4", watch=watch)
        seconds = time.perf_counter() - began
    alone.append(_time_smoothed_frames(stylizer, info.height, info.width))
    return FilmMeasurement(
        network_name,
        stylizer.describe(),
        info.width,
        info.height,
        result.frames,
        seconds,
        frames_per_second=(result.frames - 1) / seconds,
        alone_frames_per_second=1 / min(alone),
    )


def _time_smoothed_frames(stylizer: Stylizer, height: int, width: int) -> float:
    """The mean seconds for a frame of noise with smoothed statistics; several may be under way at a time."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    frames = [FilmFrame(pixels, False)] * (_WARM_UP_CALLS + 15)
    times = [time.perf_counter() for _ in stylizer.for_frames(DEFAULT_SMOOTHING).stylize_frames(frames)]
    return (times[-1] - times[_WARM_UP_CALLS]) / (len(times) - 1 - _WARM_UP_CALLS)


def candidate_for(network_name: str, checkpoint: Checkpoint, **settings) -> Candidate:
    """A candidate that is `Stylizer(checkpoint, **settings)`."""
    stylizer = Stylizer(checkpoint, **settings)
    return Candidate(
        network_name,
        stylizer.describe(),
        lambda: Stylizer(checkpoint, **settings).stylize_pixels,
        checkpoint.description.operations_per_pixel,
    )


def measure_candidates(
    candidates: Sequence[Candidate], height: int, width: int, *, seconds: float = 5
) -> list[Measurement]:
    """Time the candidates in turns, so that whatever else the computer does hits all alike.

    Args:
        height, width: of the pictures in pixels; they are noise, which takes as long as photos.
        seconds: for each candidate, about; each is run at least five times.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    started = [_start(candidate, pixels) for candidate in candidates]
    times: list[list[float]] = [[] for _ in candidates]
    while any(len(own) < 5 or sum(own) < seconds for own in times):
        for (stylize, _, _), own in zip(started, times, strict=True):
            if len(own) < 5 or sum(own) < seconds:
                before = time.perf_counter()
                stylize(pixels)
                own.append(time.perf_counter() - before)
    return [
        _summarize(candidate, height, width, own, start_seconds, peak)
        for candidate, own, (_, start_seconds, peak) in zip(candidates, times, started, strict=True)
    ]


def _start(candidate: Candidate, pixels: np.ndarray) -> tuple[Callable[[np.ndarray], object], float, int | None]:
    """Build and warm up: the function to time, the seconds to its first result, and its peak memory in bytes."""
    memory_before = _reset_peak_memory()
    before = time.perf_counter()
    stylize = candidate.build()
    stylize(pixels)
    start_seconds = time.perf_counter() - before
    for _ in range(_WARM_UP_CALLS - 1):
        stylize(pixels)
    peak = _read_peak_memory()
    return stylize, start_seconds, None if memory_before is None or peak is None else peak - memory_before


def _summarize(
    candidate: Candidate, height: int, width: int, times: list[float], start_seconds: float, peak: int | None
) -> Measurement:
    percentiles = [float(value) * 1000 for value in np.percentile(times, (50, 90, 99))]
    return Measurement(
        candidate.network,
        candidate.engine,
        width,
        height,
        candidate.operations_per_pixel,
        len(times),
        *percentiles,
        frames_per_second=1000 / percentiles[0],
        start_seconds=start_seconds,
        peak_memory_bytes=peak,
    )


def build_random_checkpoint(network: str, *, input_noise: float = 0.016) -> Checkpoint:
    """A network with random weights, which is as fast as a trained one.

    Args:
        network: its name, such as realtime.
        input_noise: as networks are trained by default.

    Raises:
        SettingError: an unknown network.
    """
    description = describe_network(network, input_noise=input_noise)
    random = np.random.default_rng(0)
    weights = {
        name: (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        if len(shape) > 1
        else np.full(shape, name.endswith("weight"), np.float32)
        for name, shape in description.list_parameters().items()
    }
    return Checkpoint(description, weights, CheckpointInfo(style={"name": network}))


def describe_computer() -> dict[str, str | int]:
    """The processor, its cores that this process may use, the graphics card if any, and the versions in use."""
    computer: dict[str, str | int] = {
        "system": platform.platform(),
        "processor": _processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "python": platform.python_version(),
    }
    for package in ("onnxruntime", "openvino", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            computer[package] = importlib.metadata.version(package)
    if cuda := _cuda_in_use():
        computer["card"] = cuda.get_device_name()
    return computer


def _cuda_in_use() -> Any:
    """torch.cuda, where an engine has imported PyTorch and there is a card; else None."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _reset_peak_memory() -> int | None:
    """Let the peak start again; the memory in use now, in bytes. On a graphics card, that of the card."""
    if cuda := _cuda_in_use():
        cuda.reset_peak_memory_stats()
        return cuda.memory_allocated()
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return None
    return _read_status("VmRSS")


def _read_peak_memory() -> int | None:
    cuda = _cuda_in_use()
    return cuda.max_memory_allocated() if cuda else _read_status("VmHWM")


def _read_status(name: str) -> int | None:
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))
    except (OSError, StopIteration):
        return None
