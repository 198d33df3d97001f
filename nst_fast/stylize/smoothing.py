"""The frames of a film, one after the other: temporal smoothing and temporal coherence."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from nst_fast.errors import SettingError
from nst_fast.motion.camera_motion import CameraMotion
from nst_fast.networks.input_noise import PERIOD
from nst_fast.stylize.coherence import CoherenceFilter, ShownFrame
from nst_fast.stylize.engines.engine import Engine, FilmFrame, stylize_next_frame
from nst_fast.stylize.finishing import Finisher, FrameMemory
from nst_fast.stylize.run_ahead import run_ahead


class Past(NamedTuple):
    """What a frame of a film leaves for the next one.

    Attributes:
        used: the statistics that it used: float32, (1, 2, total channels), and more for a look that smooths colors or
            masks. None: nothing is smoothed.
        shown: see `CoherenceFilter`.
    """

    used: np.ndarray | None = None
    shown: ShownFrame | None = None


class FrameStylizer:
    """Stylizes the frames of a film one after the other; comes from `Stylizer.for_frames`.

    A network that measures its statistics on each frame alone gives a still background a new brightness whenever
    something walks through the picture. Here each frame is normalized by

        used = smoothing * used for the last frame + (1 - smoothing) * measured on this frame

    which follows a change with a time constant of 1 / (1 - smoothing) frames. The statistics of colors that a look
    matches are smoothed in the same way. What the network gives is then blended with the output for the last frame, see
    `CoherenceFilter`.

    Frames may have an origin: where the camera looks, down and right in pixels of the frame. The input noise then lies
    in the scene and not on the screen, and so do the strokes that follow it. So does the grid of squares into which the
    network divides its input: it sees a pixel differently depending on the place in its square, and strokes would
    shimmer while the camera moves by less than a square.

    Args:
        engine: runs the network.
        smoothing: 0 (statistics of each frame by itself) to below 1.
        coherence: blends what the network gives.
        current_finisher: gives what does the look of the next frame; the look may change from frame to frame.
        stride: of the network, the side of its squares in pixels.
        follow_camera: True: `stylize_pixels` finds the origins of frames that are given without.

    Attributes:
        smoothing: as given.

    Raises:
        SettingError: `smoothing` is out of range.
    """

    def __init__(
        self,
        engine: Engine,
        smoothing: float,
        coherence: CoherenceFilter,
        current_finisher: Callable[[], Finisher],
        *,
        stride: int,
        follow_camera: bool = False,
    ) -> None:
        if not 0 <= smoothing < 1:
            raise SettingError(f"smoothing is {smoothing}; it must be at least 0 and below 1, such as 0.9")
        self.smoothing = smoothing
        self._engine = engine
        self._coherence = coherence
        self._stride = stride
        self._follows_camera = follow_camera
        self._camera = CameraMotion()
        self._current_finisher = current_finisher
        self._used: np.ndarray | None = None
        self._memory = FrameMemory()

    @property
    def finisher(self) -> Finisher:
        """Does what the look asks for, beside the network."""
        return self._current_finisher()

    def stylize_pixels(self, frame: np.ndarray, origin: tuple[int, int] | None = None) -> np.ndarray:
        """Stylize the next frame, (H, W, 3), uint8, to the same shape.

        Args:
            origin: see `FilmFrame`; any whole numbers. None: there is none, or it is found, see the class.

        Raises:
            SettingError: another shape or dtype.
        """
        check_pixels(frame, (3,))
        if origin is None and self._follows_camera:
            origin = self._camera.follow(frame, is_cut=False)
        finisher = self._current_finisher()
        small = finisher.shrink(frame)
        placed = _place(FilmFrame(small, False, _scale_origin(origin, frame, small)), self._stride)
        stylized, self._used = stylize_next_frame(self._engine, placed.frame, self._used, self.smoothing)
        stylized = self._coherence.blend(small, placed.crop(stylized))
        if finisher.changes_nothing:
            return stylized
        return finisher.finish(frame, small, stylized, self._memory, self.smoothing)

    def stylize_frames(
        self, frames: Iterable[FilmFrame], past: Past | None = None, *, finish: bool = True, ahead: bool = False
    ) -> Generator[tuple[np.ndarray, Past], None, None]:
        """Stylize a whole film, with the results of `stylize_pixels` frame by frame, or faster.

        Args:
            frames: of one size, with origins of any whole numbers; a cut is a `reset` before the frame. A few more of
                them may be taken than have been given back.
            past: what came with the frame before the first one. With it a film that is continued is the one that was
                never interrupted. None: the film begins here.
            ahead: True: the network works on the next frame, on a thread of its own, while this one is blended.
            finish: False: give what the network makes of the frames as they are, whatever the look asks for beside it.

        Yields:
            Each frame, and what it leaves for the next one.
        """
        finisher = self._current_finisher()
        if finisher.changes_nothing or not finish:
            return self._stylize_placed(frames, past or Past(), ahead)
        return self._stylize_and_finish(frames, past or Past(), ahead, finisher)

    def _stylize_placed(
        self, frames: Iterable[FilmFrame], past: Past, ahead: bool
    ) -> Generator[tuple[np.ndarray, Past], None, None]:
        """What the network makes of frames of its own size, blended."""
        coherence = self._coherence
        coherence.shown = past.shown
        stylizing = self._run_network(frames, past.used)
        if ahead and coherence.blends:
            stylizing = run_ahead(stylizing, 1, "stylize-frames")
        with contextlib.closing(stylizing):
            for frame, stylized, used in stylizing:
                if frame.is_cut:
                    coherence.shown = None
                yield coherence.blend(frame.pixels, stylized, beside=ahead), Past(used, coherence.shown)

    def _run_network(
        self, frames: Iterable[FilmFrame], used: np.ndarray | None
    ) -> Generator[tuple[FilmFrame, np.ndarray, np.ndarray | None], None, None]:
        """Each frame, what the network makes of it, and the statistics that it used."""
        under_way: deque[tuple[FilmFrame, _Placed]] = deque()

        def place() -> Iterator[FilmFrame]:
            for frame in frames:
                under_way.append((frame, _place(frame, self._stride)))
                yield under_way[-1][1].frame

        with contextlib.closing(self._engine.stylize_frames(place(), self.smoothing, used)) as all_stylized:
            for stylized, used_now in all_stylized:
                frame, placed = under_way.popleft()
                yield frame, placed.crop(stylized), used_now

    def _stylize_and_finish(
        self, frames: Iterable[FilmFrame], past: Past, ahead: bool, finisher: Finisher
    ) -> Generator[tuple[np.ndarray, Past], None, None]:
        under_way: deque[tuple[np.ndarray, np.ndarray, bool]] = deque()

        def shrink() -> Iterator[FilmFrame]:
            for photo, is_cut, origin in frames:
                small = np.ascontiguousarray(finisher.shrink(photo))
                under_way.append((photo, small, is_cut))
                yield FilmFrame(small, is_cut, _scale_origin(origin, photo, small))

        memory, used = FrameMemory.take_from(past.used, colors=finisher.matches_colors, mask=finisher.finds_people)
        with contextlib.closing(self._stylize_placed(shrink(), Past(used, past.shown), ahead)) as all_stylized:
            for stylized, left in all_stylized:
                photo, small, is_cut = under_way.popleft()
                memory = FrameMemory() if is_cut else memory
                finished = finisher.finish(photo, small, stylized, memory, self.smoothing)
                yield finished, Past(memory.add_to(left.used), left.shown)

    def reset(self) -> None:
        """Forget the frames so far, as at a scene cut: the next one is normalized by its own statistics alone."""
        self._used = None
        self._memory = FrameMemory()
        self._coherence.shown = None
        self._camera = CameraMotion()


class _Placed(NamedTuple):
    """A frame as the network gets it, and the part of the result that is the frame."""

    frame: FilmFrame
    part: tuple[slice, slice] | None

    def crop(self, stylized: np.ndarray) -> np.ndarray:
        """Of what the network made, what stands for the frame."""
        return stylized if self.part is None else np.ascontiguousarray(stylized[self.part])


def _place(frame: FilmFrame, stride: int) -> _Placed:
    """Surround a frame that has an origin by at least a square in all, so that squares begin at multiples of their side
    in the scene. All frames of one size remain so.

    What is added mirrors the frame. In large frames it makes the sides multiples of 4 and 8 squares: with others,
    OpenVINO takes up to a third more time. In small ones so many would count in the statistics.
    """
    if frame.origin is None:
        return _Placed(frame, None)
    height, width = frame.pixels.shape[:2]
    top, left = (start % stride for start in frame.origin)
    # As many rows and columns in all, whatever the origin.
    units = [
        squares * stride if side >= 16 * squares * stride else stride for side, squares in ((height, 4), (width, 8))
    ]
    rows, columns = (
        -(-(side + stride) // unit) * unit - side for side, unit in zip((height, width), units, strict=True)
    )
    pixels = np.pad(frame.pixels, ((top, rows - top), (left, columns - left), (0, 0)), mode="reflect")
    origin = (frame.origin[0] - top) % PERIOD, (frame.origin[1] - left) % PERIOD
    return _Placed(FilmFrame(pixels, frame.is_cut, origin), (slice(top, top + height), slice(left, left + width)))


def _scale_origin(origin: tuple[int, int] | None, photo: np.ndarray, small: np.ndarray) -> tuple[int, int] | None:
    """From pixels of the photo to those of the copy that the network gets, within one period of the noise."""
    if origin is None:
        return None
    down, right = (
        round(start * to / side) % PERIOD
        for start, side, to in zip(origin, photo.shape[:2], small.shape[:2], strict=True)
    )
    return down, right


def check_pixels(rgb: np.ndarray, numbers_of_sides: tuple[int, ...]) -> None:
    """Raise SettingError unless these are pixels: uint8, (..., H, W, 3), none of the sides empty."""
    if rgb.ndim not in numbers_of_sides or rgb.shape[-1] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
        batched = " or (batch, height, width, 3)" if 4 in numbers_of_sides else ""
        raise SettingError(
            f"pixels have shape {rgb.shape} and dtype {rgb.dtype}; give (height, width, 3){batched} of uint8"
        )
