"""The settings behind `nst-fast evaluate`: names, types, defaults, and what each means."""

import dataclasses

from omegaconf import MISSING

from nst_fast.cli.settings import LossNetworkSettings, _setting


@dataclasses.dataclass
class EvaluateSettings:
    """Everything that `nst-fast evaluate` takes as key=value."""

    checkpoint: list[str] = _setting(MISSING, "a checkpoint file or a shipped style's name, or several (needed)")
    style: str = _setting(MISSING, "the painting: a picture file (needed)")
    content: str = _setting(MISSING, "photos not trained on: a picture file, or the folder of training (needed)")
    output: str | None = _setting(None, "the folder of the results; null: evaluations/PAINTING")

    photos: int = _setting(4, "of a folder, those that training keeps out; or the first where it keeps out none")
    size: int = _setting(256, "pixels, side of the photos' middle that is judged")
    style_short_side: int = _setting(384, "pixels of the painting's short side")
    iterations: int = _setting(500, "of L-BFGS on each photo from each start")
    seed: int = _setting(0, "of the noise")
    timing_sizes: list[int] | None = _setting(None, "pixels; null: [256,512,1024]; []: no timing")
    timed_iterations: int = _setting(3, "of L-BFGS at each size; the time of more is extrapolated from these")
    loss_network: LossNetworkSettings = _setting(LossNetworkSettings, "")
    device: str | None = _setting(None, "cpu, cuda or mps; null: the best there is")
