"""What a person sees of a run: the progress bar, TensorBoard, and the strip of held-out photos."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from nst_fast.event_file import EventFile
from nst_fast.images import save_image
from nst_fast.progress_bar import open_bar, show_terms


class RunLog:
    """Writes into the run's folder: `events...` for TensorBoard, `strips/step_000200.jpg`, `strip.jpg` (the latest).

    Args:
        folder: of the run.
        first_step: the steps done where this run begins or goes on; TensorBoard drops what it had beyond.
        steps: of the whole run.
        strip_photos: shape (N, 3, H, W), RGB in [0, 1]: what is painted again and again.
        show_progress: whether there is a bar on standard error.
    """

    def __init__(
        self, folder: Path, first_step: int, steps: int, strip_photos: Tensor, *, show_progress: bool
    ) -> None:
        self.folder = folder
        self.strip_photos = strip_photos
        self.writer = EventFile(folder, first_step)
        self.bar = open_bar("training", first_step, steps, show=show_progress)

    def log_step(self) -> None:
        """One more step is done."""
        self.bar.update(1)

    def log_terms(self, step: int, terms: Mapping[str, float], learning_rate: float, images_per_second: float) -> None:
        """The mean terms since the last call."""
        for name, value in terms.items():
            self.writer.add_scalar(f"train/{name}", value, step)
        self.writer.add_scalar("learning_rate", learning_rate, step)
        self.writer.add_scalar("images_per_second", images_per_second, step)
        show_terms(self.bar, terms, ".3f", **{"images/s": f"{images_per_second:.1f}"})

    def log_strip(self, step: int, painted: Tensor, terms: Mapping[str, float]) -> None:
        """The photos above what the network of this moment makes of them, and the losses there."""
        rows = [torch.cat(list(batch.cpu()), dim=2) for batch in (self.strip_photos, painted)]
        strip = torch.cat(rows, dim=1)
        self.writer.add_image("held_out", strip, step)
        for name, value in terms.items():
            self.writer.add_scalar(f"held_out/{name}", value, step)
        save_image(strip, self.folder / "strips" / f"step_{step:06d}.jpg")
        save_image(strip, self.folder / "strip.jpg")

    def close(self) -> None:
        """End the bar."""
        self.bar.close()
