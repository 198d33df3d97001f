"""The settings behind `nst-fast reconstruct`: names, types, defaults, and what each means."""

import dataclasses

from nst_fast.cli.settings import LossNetworkSettings, _setting


@dataclasses.dataclass
class ReconstructSettings:
    """Everything that `nst-fast reconstruct` takes as key=value."""

    content: str | None = _setting(None, "the photo: a picture file; null: no content is reconstructed")
    style: str | None = _setting(None, "the painting: a picture file; null: no style is reconstructed")
    output: str | None = _setting(None, "the sheet's file; null: painted/reconstructions-STYLE-CONTENT.png")

    content_taps: list[str] | None = _setting(None, "one picture for each; null: relu1_1, relu2_1, ... relu5_1")
    style_taps: list[str] | None = _setting(
        None, "the first alone, the first two, the first three, ...; null: likewise"
    )
    iterations: int = _setting(200, "for each picture")
    seed: int = _setting(0, "of the noise that every picture begins with, and of random weights")
    short_side: int = _setting(256, "pixels of the photo and of the painting")

    loss_network: LossNetworkSettings = _setting(LossNetworkSettings, "")
    normalisation: str = _setting("relative", "of the losses: relative, gatys or johnson")
    total_variation_weight: float = _setting(0.0, "of the total variation")

    device: str | None = _setting(None, "cpu, cuda or mps; null: the best there is")
    save_every_iterations: int = _setting(100, "iterations between two saved states")
    overwrite: bool = _setting(False, "begin anew, whatever is there")
