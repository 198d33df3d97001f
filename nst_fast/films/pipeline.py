"""Reading, stylizing and writing frames at the same time, in memory that does not grow with the film."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from nst_fast.films.carried import Carried
from nst_fast.films.large_strokes import enlarge_strokes
from nst_fast.films.scene_cuts import SceneCuts
from nst_fast.media.film_reader import Frame
from nst_fast.media.yuv_image import YuvImage
from nst_fast.motion.camera_motion import CameraMotion
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.finishing import Finisher
from nst_fast.stylize.run_ahead import run_ahead
from nst_fast.stylize.smoothing import FrameStylizer, Past

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


@dataclass(frozen=True)
class _Stylized:
    """A frame on its way: what the network got of it and made of that, both RGB, and what it leaves for the next."""

    frame: Frame
    given: np.ndarray
    stylized: np.ndarray
    left: Carried


def stylize_ahead(
    frames: Generator[Frame, None, None], stylizer: FrameStylizer, carried: Carried | None = None
) -> Generator[tuple[Frame, Carried], None, None]:
    """Stylized frames: reading runs ahead of the network, and the network ahead of whoever takes them from here.

    Args:
        carried: what the frame before the first one left. None: the film begins here.

    Yields:
        Each frame, and what it leaves for the next.
    """
    finisher = stylizer.finisher
    prepared = run_ahead(_prepare(frames, finisher), _WAITING, "read-film")
    stylized = run_ahead(_stylize(prepared, stylizer, carried or Carried(), ahead=True), _WAITING, "stylize-film")
    finished = _finish(stylized, finisher)
    return run_ahead(finished, _WAITING, "enlarge-film") if finisher.only_enlarges else finished


def stylize_in_turn(frames: Generator[Frame, None, None], stylizer: FrameStylizer) -> Generator[Frame, None, None]:
    """The frames of a film, with nothing done ahead: to see how long each takes."""
    prepared = _prepare(frames, stylizer.finisher)
    with contextlib.closing(
        _finish(_stylize(prepared, stylizer, Carried(), ahead=False), stylizer.finisher)
    ) as stylized:
        for frame, _ in stylized:
            yield frame


def _prepare(
    frames: Generator[Frame, None, None], finisher: Finisher
) -> Generator[tuple[Frame, np.ndarray], None, None]:
    """Frames, and what the network gets of each, or what the look is done from, in RGB."""
    with contextlib.closing(frames):
        for frame in frames:
            if not finisher.only_enlarges:
                given = frame.rgb
            elif isinstance(frame.pixels, YuvImage):
                given = frame.pixels.shrink(*finisher.network_size(frame.pixels.height, frame.pixels.width))
            else:
                given = finisher.shrink(frame.pixels)
            yield frame, np.ascontiguousarray(given)


def _stylize(
    prepared: Generator[tuple[Frame, np.ndarray], None, None], stylizer: FrameStylizer, carried: Carried, *, ahead: bool
) -> Generator[_Stylized, None, None]:
    cuts = SceneCuts(carried.cells, carried.usual)
    camera = CameraMotion(carried.position, carried.anchor_position, carried.anchor)
    waiting: deque[tuple[Frame, np.ndarray, Carried]] = deque()

    def take() -> Iterator[FilmFrame]:
        for frame, given in prepared:
            is_cut = cuts.is_cut(given)
            origin = camera.follow(given, is_cut=is_cut)
            left = Carried(Past(), cuts.cells, cuts.usual, camera.position, camera.anchor_position, camera.anchor)
            waiting.append((frame, given, left))
            yield FilmFrame(given, is_cut, origin)

    finish = not stylizer.finisher.only_enlarges
    stylizing = stylizer.stylize_frames(take(), carried.past, finish=finish, ahead=ahead)
    with contextlib.closing(prepared), contextlib.closing(stylizing):
        for stylized, past in stylizing:
            frame, given, left = waiting.popleft()
            yield _Stylized(frame, given, stylized, replace(left, past=past))


def _finish(
    stylized: Generator[_Stylized, None, None], finisher: Finisher
) -> Generator[tuple[Frame, Carried], None, None]:
    """What the look asks for beside the network, if that is nothing but large strokes; else it is done already."""
    with contextlib.closing(stylized):
        for one in stylized:
            pixels: np.ndarray | YuvImage = one.stylized
            if finisher.only_enlarges and isinstance(one.frame.pixels, YuvImage):
                pixels = enlarge_strokes(one.stylized, one.given, one.frame.pixels)
            elif finisher.only_enlarges:
                pixels = finisher.finish(one.frame.rgb, one.given, one.stylized)
            yield replace(one.frame, pixels=pixels), one.left
