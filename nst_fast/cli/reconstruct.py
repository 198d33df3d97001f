"""nst-fast reconstruct: what the layers of a loss network keep of a picture, and how much of it they see."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.reconstruct_settings import ReconstructSettings
from nst_fast.cli.settings_help import print_help, wants_help

if TYPE_CHECKING:
    from nst_fast.representations.plan import ReconstructionPlan

VERBATIM_KEYS = ("content", "style", "output", "loss_network.weights")
GROUPS = ("loss_network",)
RECEPTIVE_FIELDS = "--receptive-fields"

USAGE = """usage: nst-fast reconstruct content=PHOTO style=PAINTING [key=value ...]
       nst-fast reconstruct --receptive-fields [content=PHOTO] [key=value ...]

What the layers of the loss network keep of a picture (Gatys et al. 2015, figure 1): the photo from each content tap
alone, the painting's style from the first tap, the first two, the first three, ..., all from noise, as one sheet;
beside it lies a folder with each picture alone. Ctrl-C writes the sheet as it is; the same command again goes on.

  nst-fast reconstruct content=photo.jpg style=starry_night.jpg
  nst-fast reconstruct content=photo.jpg content_taps=[relu3_1,relu3_2,relu3_3,relu3_4]     one row only
  nst-fast reconstruct content=photo.jpg style=starry_night.jpg loss_network.pooling=average
  nst-fast reconstruct --receptive-fields                     prints, for every tap, how many pixels an activation sees
  nst-fast reconstruct --receptive-fields short_side=34       ... and the sizes for a square of 34 pixels

keys and their defaults:"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if wants_help(arguments):
        print_help("reconstruct", USAGE, ReconstructSettings)
        return 0
    wants_table = RECEPTIVE_FIELDS in arguments
    run_experiment(
        "reconstruct",
        [argument for argument in arguments if argument != RECEPTIVE_FIELDS],
        schema=ReconstructSettings,
        groups=GROUPS,
        verbatim_keys=VERBATIM_KEYS,
        experiment=print_receptive_fields if wants_table else run_reconstruction,
    )
    return 0


def build_reconstruction_plan(settings: ReconstructSettings) -> "ReconstructionPlan":
    """The plain values that decide the sheet, out of the settings."""
    from nst_fast.representations.plan import DEFAULT_TAPS, ReconstructionPlan

    return ReconstructionPlan(
        content_taps=DEFAULT_TAPS if settings.content_taps is None else tuple(settings.content_taps),
        style_taps=DEFAULT_TAPS if settings.style_taps is None else tuple(settings.style_taps),
        iterations=settings.iterations,
        seed=settings.seed,
        short_side=settings.short_side,
        loss_network=settings.loss_network.name,
        weights=settings.loss_network.weights,
        pooling=settings.loss_network.pooling,
        input_normalisation=settings.loss_network.input_normalisation,
        normalisation=settings.normalisation,
        total_variation_weight=settings.total_variation_weight,
    )


def run_reconstruction(settings: ReconstructSettings, swept: Mapping[str, str]) -> None:
    """One sheet, as the settings say, and a line about it; `swept` tells a job of a sweep from its siblings."""
    from nst_fast.representations.reconstruct import reconstruct  # slow: torch

    originals = "-".join(Path(file).stem for file in (settings.style, settings.content) if file is not None)
    job = "".join(f"-{key}={value}" for key, value in swept.items() if key not in ("content", "style"))
    name = f"reconstructions-{originals}{job}".replace("/", "_")
    result = reconstruct(
        settings.content,
        settings.style,
        settings.output or f"painted/{name[:200]}.png",
        build_reconstruction_plan(settings),
        device=settings.device,
        save_every_iterations=settings.save_every_iterations,
        overwrite=settings.overwrite,
    )
    print(f"what is left of the loss: {', '.join(f'{name} {loss:.2g}' for name, loss in result.losses.items())}")
    print(f"wrote {result.sheet}, and each picture alone into {result.sheet.with_suffix('.run')}")


def print_receptive_fields(settings: ReconstructSettings, swept: Mapping[str, str]) -> None:
    """A line for every tap, for the photo at its size, or for a square."""
    from nst_fast.images import load_image  # slow: torch
    from nst_fast.representations.receptive_fields import list_receptive_fields

    height = width = settings.short_side
    if settings.content is not None:
        height, width = load_image(settings.content, short_side=settings.short_side).shape[1:]
    print(f"{settings.loss_network.name}, for a picture of {width} x {height} pixels\n")
    print("tap      an activation sees  stride  activations  channels")
    for field in list_receptive_fields(settings.loss_network.name, height, width):
        size = f"{field.width} x {field.height}" if min(field.width, field.height) > 0 else "none"
        seen = f"{field.side} x {field.side} px"
        print(f"{field.tap:<9}{seen:>18}  {field.stride:>3} px  {size:>11}  {field.channels:>8}")
