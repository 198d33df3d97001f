"""What you see of a training: the progress bar, TensorBoard, and the strip of stylized held-out photos."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from nst_fast.data.images import save_image
from nst_fast.runs.event_file import EventFile
from nst_fast.runs.progress_bar import open_bar, show_terms

STRIP_FILE, STRIPS_FOLDER = "strip.jpg", "strips"


class RunLog:
    """Writes into the run's folder: `events...` for TensorBoard, `strips/step_000200.jpg`, `strip.jpg` (the latest).

    Args:
        folder: of the run.
        first_step: steps done when the run starts or resumes; TensorBoard drops what it had beyond this step.
        steps: of the whole run.
        strip_photos: shape (N, 3, H, W), RGB in [0, 1]: the photos that every strip shows.
        show_progress: whether to show a progress bar on standard error.
    """

    def __init__(self, folder: Path, first_step: int, steps: int, strip_photos: Tensor, *, show_progress: bool) -> None:
        self.folder = folder
        self.strip_photos = strip_photos
        self.writer = EventFile(folder, first_step)
        self.bar = open_bar("training", first_step, steps, show=show_progress)

    def log_step(self) -> None:
        """Count one more step."""
        self.bar.update(1)

    def log_terms(self, step: int, terms: Mapping[str, float], learning_rate: float, images_per_second: float) -> None:
        """Log the mean terms since the last call."""
        for name, value in terms.items():
            self.writer.add_scalar(f"train/{name}", value, step)
        self.writer.add_scalar("learning_rate", learning_rate, step)
        self.writer.add_scalar("images_per_second", images_per_second, step)
        show_terms(self.bar, terms, ".3f", **{"images/s": f"{images_per_second:.1f}"})

    def log_strip(self, step: int, stylized: Tensor, terms: Mapping[str, float]) -> None:
        """Log the photos above their stylized versions, shape (N, 3, H, W), and the loss terms on them."""
        rows = [torch.cat(list(batch.cpu()), dim=2) for batch in (self.strip_photos, stylized)]
        strip = torch.cat(rows, dim=1)
        self.writer.add_image("held_out", strip, step)
        for name, value in terms.items():
            self.writer.add_scalar(f"held_out/{name}", value, step)
        save_image(strip, self.folder / STRIPS_FOLDER / f"step_{step:06d}.jpg")
        save_image(strip, self.folder / STRIP_FILE)

    def close(self) -> None:
        """End the progress bar."""
        self.bar.close()
