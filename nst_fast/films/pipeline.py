"""Reading, stylizing and writing frames at the same time, in memory that does not grow with the film."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from nst_fast.films.camera_motion import CameraMotion
from nst_fast.films.carried import Carried
from nst_fast.films.run_ahead import run_ahead
from nst_fast.films.scene_cuts import SceneCuts
from nst_fast.media.film_reader import Frame
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.smoothing import FrameStylizer

# Frames that wait on either side of the network.
_WAITING = 3

_Item = TypeVar("_Item")


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

    def count(self) -> bool:
        """One more frame is written; returns whether the film goes on."""
        self.frames_now += 1
        if self._watch is not None and not self._watch(FilmProgress(self.frames, self.frames_now, self._frame_count)):
            self.stopped = True
        return not self.stopped

    @contextlib.contextmanager
    def until_stopped(self, frames: Generator[_Item, None, None]) -> Iterator[Iterator[_Item]]:
        """Give `frames` up to the one at which the film is stopped; closes them at the end of the block."""

        def take() -> Iterator[_Item]:
            for frame in frames:
                yield frame
                if self.stopped:
                    return

        with contextlib.closing(frames):
            yield take()


def stylize_ahead(
    frames: Generator[Frame, None, None], stylizer: FrameStylizer, carried: Carried | None = None
) -> Generator[tuple[Frame, Carried], None, None]:
    """Stylized frames: reading runs ahead of the network, and the network ahead of whoever takes them from here.

    Args:
        carried: what the frame before the first one left. None: the film begins here.

    Yields:
        Each frame, and what it leaves for the next.
    """
    carried = carried or Carried(None, None, 0.0)
    read = run_ahead(frames, _WAITING, "read-film")

    def stylize() -> Generator[tuple[Frame, Carried], None, None]:
        cuts = SceneCuts(carried.cells, carried.usual)
        camera = CameraMotion(carried.position, carried.anchor_position, carried.anchor)
        waiting: deque[tuple[Frame, Carried]] = deque()

        def take() -> Iterator[FilmFrame]:
            for frame in read:
                rgb = np.ascontiguousarray(frame.rgb)
                is_cut = cuts.is_cut(rgb)
                origin = camera.follow(rgb, is_cut=is_cut) if stylizer.has_input_noise else None
                left = Carried(None, cuts.cells, cuts.usual, camera.position, camera.anchor_position, camera.anchor)
                waiting.append((frame, left))
                yield FilmFrame(rgb, is_cut, origin)

        stylizing = stylizer.stylize_frames(take(), carried.used)
        with contextlib.closing(read), contextlib.closing(stylizing) as stylized:
            for rgb, used in stylized:
                frame, left = waiting.popleft()
                yield replace(frame, rgb=rgb), replace(left, used=used)

    return run_ahead(stylize(), _WAITING, "stylize-film")
