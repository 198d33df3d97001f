"""The settings behind `nst-fast evaluate`: names, types, defaults, and what each means."""

import dataclasses

from omegaconf import MISSING

from nst_fast.cli.settings import LossNetworkSettings, _setting


@dataclasses.dataclass
class EvaluateSettings:
    """Everything that `nst-fast evaluate` takes as key=value."""

    checkpoint: list[str] = _setting(MISSING, "a checkpoint file or a shipped style's name, or several (needed)")
    style: str = _setting(MISSING, "the painting: a picture file (needed)")
    content: str = _setting(MISSING, "a folder of photos; best that of training, which keeps some out (needed)")
    output: str | None = _setting(None, "the folder of the results; null: evaluations/CHECKPOINT")

    photos: int = _setting(4, "how many are judged, out of those that training keeps out")
    size: int = _setting(256, "pixels, side of the photos' middle that is judged")
    style_short_side: int = _setting(384, "pixels of the painting's short side")
    style_strength: float = _setting(20.0, "of the total: style_strength * style + content")
    iterations: int = _setting(500, "of L-BFGS on each photo, from noise and from the photo")
    seed: int = _setting(0, "of the noise and of random weights")
    loss_network: LossNetworkSettings = _setting(LossNetworkSettings, "")

    timing_sizes: list[int] | None = _setting(None, "pixels, sides of squares; null: [256,512,1024]; []: no timing")
    timed_iterations: int = _setting(5, "at each size; what 500 take is extrapolated from these")
    device: str | None = _setting(None, "cpu, cuda or mps; null: the best there is")
    overwrite: bool = _setting(False, "begin anew, whatever is there")
