"""How long a film will take, from a few of its frames."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nst_fast.films.carried import Carried
from nst_fast.films.film import FilmSettings
from nst_fast.films.pipeline import stylize_in_turn
from nst_fast.films.segments import write_segments
from nst_fast.films.source import FilmSource
from nst_fast.films.work_folder import WorkFolder
from nst_fast.media.film_formats import Encoding
from nst_fast.media.film_opening import ReadErrors
from nst_fast.media.film_reader import Frame
from nst_fast.stylize.stylizer import Stylizer

# OpenVINO compiles when a size comes a second time, so the third frame is the first that takes as long as all others.
_FRAMES = 3
LARGER_STROKES = 2.0


@dataclass(frozen=True)
class Estimate:
    """Seconds for each frame of a film.

    Attributes:
        as_asked: from file to file.
        with_larger_strokes: the same at twice the stroke size; None: it is not 1 as it is.
    """

    as_asked: float
    with_larger_strokes: float | None


def estimate_film(
    stylizer: Stylizer, source: FilmSource, encoding: Encoding | None, settings: FilmSettings
) -> Estimate:
    """Decode, stylize and encode the first frames; takes as long as about ten frames.

    Args:
        encoding: of the film that is written. None: it becomes an animation or numbered pictures, whose encoding is
            not measured.
        settings: of the film.
    """
    with contextlib.closing(source.read(ReadErrors())) as reading:
        frames = [frame for frame, _ in zip(reading, range(1), strict=False)]
        began = time.perf_counter()
        frames += [frame for frame, _ in zip(reading, range(_FRAMES - 1), strict=False)]
        decoding = (time.perf_counter() - began) / max(1, len(frames) - 1)
    if not frames:
        return Estimate(0.0, None)
    network, stylized = _time_network(stylizer, frames, settings)
    encoding_seconds = 0.0 if encoding is None else _time_encoding(stylized, source, encoding)
    beside = decoding + encoding_seconds
    larger = None
    if stylizer.look.stroke_size == 1:
        look = stylizer.look
        stylizer.look = replace(look, stroke_size=LARGER_STROKES)
        try:
            larger = _add_up(_time_network(stylizer, frames, settings)[0], beside, stylizer.device, settings.workers)
        finally:
            stylizer.look = look
    return Estimate(_add_up(network, beside, stylizer.device, settings.workers), larger)


def _time_network(stylizer: Stylizer, frames: list[Frame], settings: FilmSettings) -> tuple[float, list[Frame]]:
    """Seconds for a frame, and the stylized frames."""
    given = (replace(frames[min(number, len(frames) - 1)], time=number) for number in range(_FRAMES))
    frame_stylizer = stylizer.for_frames(settings.smoothing, settings.choose_coherence(stylizer.device))
    stylized, began, ended = [], 0.0, 0.0
    for frame in stylize_in_turn(given, frame_stylizer):
        stylized.append(frame)
        began, ended = ended, time.perf_counter()
    return ended - began, stylized


def _time_encoding(stylized: list[Frame], source: FilmSource, encoding: Encoding) -> float:
    """Seconds for a frame, without those for opening the encoder."""
    pairs: Iterator[tuple[Frame, Carried]] = ((frame, Carried()) for frame in stylized)
    with tempfile.TemporaryDirectory(prefix="nst-fast-") as scratch:
        folder = WorkFolder(Path(scratch, "film.mp4"), {})
        began = None
        for _ in write_segments(folder, pairs, source.info, encoding, lambda: False):
            began = began or time.perf_counter()
        return (time.perf_counter() - (began or 0.0)) / len(stylized)


def _add_up(network: float, beside: float, device: str, workers: int | None) -> float:
    """Seconds for each frame of the film.

    Decoding and encoding run beside the network: on the processor they share its cores, beside a GPU they do not.
    """
    if device != "cpu":
        return max(network, beside)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return (network * cores + beside) / min(workers or cores, cores)
