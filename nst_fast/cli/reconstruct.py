"""nst-fast reconstruct: what the layers of a loss network keep of an image, and how much of it they see."""

import os
from collections.abc import Mapping
from pathlib import Path

from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.settings_help import print_help, wants_help
from nst_fast.cli.sweep_outputs import with_sweep_output
from nst_fast.reconstruction.settings import ReconstructSettings

RECEPTIVE_FIELDS = "--receptive-fields"

USAGE = """usage: nst-fast reconstruct content=FILE style=FILE [key=value ...]
       nst-fast reconstruct --receptive-fields [content=FILE] [key=value ...]

Show what the layers of the loss network keep of an image (Gatys et al. 2015, figure 1), as one sheet. From noise it
reconstructs the photo from each content tap alone, and the style from the first tap, the first two, the first three,
and so on. A folder beside the sheet has each image alone. Ctrl-C writes the sheet as it is; run the same command again
to resume.

  nst-fast reconstruct content=photo.jpg style=starry_night.jpg
  nst-fast reconstruct content=photo.jpg content_taps=[relu3_1,relu3_2,relu3_3,relu3_4]     only one row
  nst-fast reconstruct content=photo.jpg style=starry_night.jpg pooling=average
  nst-fast reconstruct --receptive-fields                     how many pixels an activation sees, for every tap
  nst-fast reconstruct --receptive-fields short_side=34       ... and the sizes for a square of 34 pixels"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if wants_help(arguments):
        print_help("reconstruct", USAGE, ReconstructSettings)
        return 0
    only_fields = RECEPTIVE_FIELDS in arguments
    run_experiment(
        "reconstruct",
        [argument for argument in arguments if argument != RECEPTIVE_FIELDS],
        settings_class=ReconstructSettings,
        experiment=print_receptive_fields if only_fields else run_reconstruction,
        outputs=list_no_outputs if only_fields else list_outputs,
    )
    return 0


def list_outputs(settings: ReconstructSettings, swept: Mapping[str, str]) -> list[Path]:
    """The file that `run_reconstruction` writes, besides those in the folder beside it."""
    return [_place(settings, swept).output_path]


def list_no_outputs(settings: ReconstructSettings, swept: Mapping[str, str]) -> list[Path]:
    """`print_receptive_fields` writes no file."""
    return []


def _place(settings: ReconstructSettings, swept: Mapping[str, str]) -> ReconstructSettings:
    return with_sweep_output(settings, swept, named_by=("content", "style"))


def run_reconstruction(settings: ReconstructSettings, swept: Mapping[str, str]) -> None:
    """Make one sheet, then print the losses that are left and where it is.

    Args:
        settings: of this run.
        swept: in which settings this run of a sweep differs from the others.
    """
    from nst_fast.reconstruction.reconstruct import reconstruct  # slow: torch

    result = reconstruct(_place(settings, swept))
    print(f"remaining loss: {', '.join(f'{name} {loss:.2g}' for name, loss in result.losses.items())}")
    print(f"wrote {result.output}, and each image alone into {result.output.with_suffix('.run')}")


def print_receptive_fields(settings: ReconstructSettings, swept: Mapping[str, str]) -> None:
    """Print a line for every tap: its receptive field, and its size for the photo, or for a square without one."""
    from nst_fast.data.images import load_image  # slow: torch
    from nst_fast.reconstruction.receptive_fields import list_receptive_fields

    height = width = settings.short_side
    if settings.content is not None:
        content = os.path.expanduser(settings.content)
        height, width = load_image(content, short_side=settings.short_side).shape[1:]
    print(f"{settings.loss_network.name}, for an image of {width} x {height} pixels\n")
    print("tap      an activation sees  stride  activations  channels")
    for field in list_receptive_fields(settings.loss_network.name, height, width):
        size = f"{field.width} x {field.height}" if min(field.width, field.height) > 0 else "none"
        seen = f"{field.side} x {field.side} px"
        print(f"{field.tap:<9}{seen:>18}  {field.stride:>3} px  {size:>11}  {field.channels:>8}")
