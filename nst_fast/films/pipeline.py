"""Reading, stylizing and writing frames at the same time, in memory that does not grow with the film."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np

from nst_fast.films.run_ahead import run_ahead
from nst_fast.films.scene_cuts import SceneCuts
from nst_fast.media.film_reader import Frame
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.smoothing import FrameStylizer

# Frames that wait on either side of the network.
_WAITING = 3


@dataclass(frozen=True)
class FilmProgress:
    """How far a film is.

    Attributes:
        frames: stylized in all runs of this job together.
        frames_now: stylized in this run.
        frame_count: of the whole film; None: not known.
    """

    frames: int
    frames_now: int
    frame_count: int | None


class FrameCounter:
    """Counts written frames, and ends the film early when the watcher returns False.

    Attributes:
        frames_before: frames of earlier runs.
        frames_now: frames of this run.
        stopped: whether the watcher ended the film.
    """

    def __init__(self, watch: Callable[[FilmProgress], bool] | None, frame_count: int | None) -> None:
        self._watch = watch
        self._frame_count = frame_count
        self.stopped = False
        self.frames_before = 0
        self.frames_now = 0

    @property
    def frames(self) -> int:
        return self.frames_before + self.frames_now

    def count(self) -> None:
        """One more frame is written."""
        self.frames_now += 1
        if self._watch is not None:
            self.stopped = not self._watch(FilmProgress(self.frames, self.frames_now, self._frame_count))

    @contextlib.contextmanager
    def until_stopped(self, frames: Generator[Frame, None, None]) -> Iterator[Iterator[Frame]]:
        """Give `frames` up to the one at which the film is stopped; closes them at the end of the block."""

        def take() -> Iterator[Frame]:
            for frame in frames:
                yield frame
                if self.stopped:
                    return

        with contextlib.closing(frames):
            yield take()


def stylize_ahead(
    frames: Generator[Frame, None, None], stylizer: FrameStylizer, *, after: int | None = None
) -> Generator[Frame, None, None]:
    """Stylized frames: reading runs ahead of the network, and the network ahead of whoever takes them from here.

    Args:
        after: frames up to this time only settle the smoothed statistics. None: all are given.
    """
    read = run_ahead(frames, _WAITING, "read-film")

    def stylize() -> Generator[Frame, None, None]:
        cuts = SceneCuts()
        waiting: deque[Frame] = deque()

        def take() -> Iterator[FilmFrame]:
            for frame in read:
                waiting.append(frame)
                yield np.ascontiguousarray(frame.rgb), cuts.is_cut(frame.rgb)

        with contextlib.closing(read), contextlib.closing(stylizer.stylize_frames(take())) as stylized:
            for rgb in stylized:
                frame = waiting.popleft()
                if after is None or frame.time > after:
                    yield replace(frame, rgb=rgb)

    return run_ahead(stylize(), _WAITING, "stylize-film")
