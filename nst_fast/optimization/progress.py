"""What you see of an optimization while it runs: the progress bar, TensorBoard, frames, and a film of the frames."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from torch import Tensor

from nst_fast.data.images import resize, save_image, to_uint8
from nst_fast.files.atomic import replace_atomically
from nst_fast.runs.event_file import EventFile
from nst_fast.runs.progress_bar import open_bar, show_terms

FRAME_MILLISECONDS = 80
LAST_FRAME_MILLISECONDS = 2000


class Progress:
    """Writes `events...` (TensorBoard) and `frames/frame_000010.png` into the run's folder, and shows a bar.

    Args:
        folder: the run's folder.
        first_iteration: number of iterations done when this run starts or resumes.
        iterations: number of iterations of the whole run.
        height, width: size of the frames in pixels, also while the image is still smaller.
        frames_every_iterations: None: no frames.
        show_progress: show a bar on standard error.
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
        self._events = EventFile(folder, first_iteration)
        self._bar = open_bar("optimizing", first_iteration, iterations, show=show_progress)
        if frames_every_iterations is not None and first_iteration == 0:
            for old in self.frames.glob("frame_*.png"):
                old.unlink()

    def log_iteration(self, iteration: int, image: Tensor) -> None:
        """Advance the bar, and write the frame if one is due; `image` has shape (3, H, W), in [0, 1]."""
        self._bar.update(iteration - self._bar.n)
        if self._frames_every is not None and iteration % self._frames_every == 0:
            frame = resize(image, self._height, self._width)
            save_image(frame, self.frames / f"frame_{iteration:06d}.png")

    def log_terms(self, iteration: int, terms: Mapping[str, float], short_side: int) -> None:
        """Show the loss terms of the current image, whose short side has `short_side` pixels."""
        for name, value in terms.items():
            self._events.add_scalar(f"optimize/{name}", value, iteration)
        show_terms(self._bar, terms, ".4g", px=short_side)

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()


def write_film(frames: Path, last: Tensor, path: Path) -> None:
    """Write the frames of a folder as an animation that repeats, followed by a last image that stays longer.

    Args:
        last: shape (3, H, W), in [0, 1].
        path: ends in .webp, or in .gif, which has at most 256 colors per frame.

    Raises:
        OutputError: the file cannot be written.
    """

    def open_frame(file: Path) -> Image.Image:
        with Image.open(file) as image:
            return image.convert("RGB")

    images = [*map(open_frame, sorted(frames.glob("frame_*.png"))), Image.fromarray(to_uint8(last))]
    durations = [FRAME_MILLISECONDS] * (len(images) - 1) + [LAST_FRAME_MILLISECONDS]
    with replace_atomically(path) as temporary:
        images[0].save(temporary, save_all=True, append_images=images[1:], duration=durations, loop=0)
