"""What a person sees of an optimisation: the progress bar, TensorBoard, frames and a film of the picture's coming."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from torch import Tensor

from nst_fast.atomic_files import replace_atomically
from nst_fast.errors import SettingError
from nst_fast.event_file import EventFile
from nst_fast.images import resize, save_image, to_uint8
from nst_fast.progress_bar import open_bar, show_terms

FILM_FORMATS = ("webp", "gif")
FILM_FRAME_MILLISECONDS = 80
LAST_FRAME_MILLISECONDS = 2000


class Progress:
    """Writes into the run's folder: `events...` for TensorBoard and `frames/frame_000010.png`.

    Args:
        folder: of the run.
        first_iteration: those done where this run begins or goes on.
        iterations: of the whole run.
        height, width: of the frames, in pixels, also while the picture is still coarse.
        frames_every_iterations: None: no frames.
        show_progress: whether there is a bar on standard error.
    """

    def __init__(
        self,
        folder: Path,
        first_iteration: int,
        iterations: int,
        height: int,
        width: int,
        *,
        frames_every_iterations: int | None,
        show_progress: bool,
    ) -> None:
        self.frames = folder / "frames"
        self._height, self._width = height, width
        self._frames_every = frames_every_iterations
        self._writer = EventFile(folder, first_iteration)
        self._bar = open_bar("optimising", first_iteration, iterations, show=show_progress)
        if frames_every_iterations is not None and first_iteration == 0:
            for old in self.frames.glob("frame_*.png"):
                old.unlink()

    def log_iteration(self, iteration: int, picture: Tensor) -> None:
        """One more is done; `picture` has shape (3, H, W), in [0, 1]."""
        self._bar.update(iteration - self._bar.n)
        if self._frames_every is not None and iteration % self._frames_every == 0:
            frame = resize(picture, self._height, self._width)
            save_image(frame, self.frames / f"frame_{iteration:06d}.png")

    def log_terms(self, iteration: int, terms: Mapping[str, float], short_side: int) -> None:
        """The terms of the present picture."""
        for name, value in terms.items():
            self._writer.add_scalar(f"optimise/{name}", value, iteration)
        show_terms(self._bar, terms, ".4g", px=short_side)

    def close(self) -> None:
        """End the bar."""
        self._bar.close()


def check_film(film: str | None, frames_every_iterations: int | None) -> None:
    """Raises SettingError if these are not allowed."""
    if film is not None and film not in FILM_FORMATS:
        raise SettingError(f"film {film!r} is unknown; allowed: {', '.join(FILM_FORMATS)}")
    if film is not None and frames_every_iterations is None:
        raise SettingError(f"film={film} is made of frames; give frames_every_iterations, such as 10")
    if frames_every_iterations is not None and frames_every_iterations < 1:
        raise SettingError(f"frames_every_iterations is {frames_every_iterations}; it must be at least 1")


def write_film(frames: Path, last: Tensor, path: Path) -> None:
    """Write the frames in a folder, and a last picture (3, H, W) in [0, 1] that stays longer, as an endless animation.

    Args:
        path: ends in .webp, or .gif, which has 256 colours a frame.

    Raises:
        OutputError: the file cannot be written.
    """

    def open_frame(file: Path) -> Image.Image:
        with Image.open(file) as image:
            return image.convert("RGB")

    pictures = [*map(open_frame, sorted(frames.glob("frame_*.png"))), Image.fromarray(to_uint8(last))]
    durations = [FILM_FRAME_MILLISECONDS] * (len(pictures) - 1) + [LAST_FRAME_MILLISECONDS]
    with replace_atomically(path) as temporary:
        pictures[0].save(temporary, save_all=True, append_images=pictures[1:], duration=durations, loop=0)
