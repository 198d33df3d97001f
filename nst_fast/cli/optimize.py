"""nst-fast optimize: stylize one photo by optimizing its pixels."""

from collections.abc import Mapping
from pathlib import Path

from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.settings_help import print_help, wants_help
from nst_fast.cli.sweep_outputs import with_sweep_output
from nst_fast.optimization.settings import OptimizeSettings

USAGE = """usage: nst-fast optimize content=FILE style=FILE [FILE ...] [key=value ...]

Stylize one photo by optimizing its pixels (Gatys et al. 2016). This takes minutes instead of a fraction of a second,
but it needs no training. Ctrl-C writes the image as it is; run the same command again to resume.

  nst-fast optimize content=photo.jpg style=starry_night.jpg short_side=512
  nst-fast optimize content=photo.jpg style=a.jpg b.jpg style_weights=[2,1]          blend two style images
  nst-fast optimize content=photo.jpg style=a.jpg short_side=2048 coarsest_short_side=256   from coarse to fine
  nst-fast optimize content=photo.jpg style=a.jpg frames_every_iterations=10 film=webp      film of the optimization
  nst-fast optimize content=photo.jpg style=a.jpg loss_network=compact               faster, and no download
  nst-fast optimize -m content=photo.jpg style=a.jpg style_strength=8,16,32          one run after the other"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if wants_help(arguments):
        print_help("optimize", USAGE, OptimizeSettings)
        return 0
    run_experiment(
        "optimize", arguments, settings_class=OptimizeSettings, experiment=run_optimization, outputs=list_outputs
    )
    return 0


def list_outputs(settings: OptimizeSettings, swept: Mapping[str, str]) -> list[Path]:
    """The files that `run_optimization` writes."""
    settings = _place(settings, swept)
    return [path for path in (settings.output_path, settings.film_path) if path is not None]


def _place(settings: OptimizeSettings, swept: Mapping[str, str]) -> OptimizeSettings:
    return with_sweep_output(settings, swept, named_by=("content", "style"))


def run_optimization(settings: OptimizeSettings, swept: Mapping[str, str]) -> None:
    """Optimize one image, then print its losses and where it is.

    Args:
        settings: of this run.
        swept: in which settings this run of a sweep differs from the others.
    """
    from nst_fast.optimization.optimize import optimize_image  # slow: torch and TensorBoard

    result = optimize_image(_place(settings, swept))
    terms = ", ".join(f"{name} {result.terms[name]:.4g}" for name in ("total", "content", "style"))
    print(f"after {result.iterations} iterations: {terms}")
    print(f"wrote {' and '.join(str(path) for path in (result.output, result.film) if path is not None)}")
