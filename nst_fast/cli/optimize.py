"""nst-fast optimize: one picture by the slow method."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.optimize_settings import OptimizeSettings
from nst_fast.cli.path_lists import quote_path_lists
from nst_fast.cli.settings_help import print_help, wants_help
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS

if TYPE_CHECKING:
    from nst_fast.gatys.plan import Plan

VERBATIM_KEYS = ("content", "output", "loss_network.weights")
PATH_LIST_KEYS = ("style",)
MAPPING_KEYS = ("content_taps", "style_taps")
GROUPS = ("loss_network",)

USAGE = """usage: nst-fast optimize content=PHOTO style=PAINTING [PAINTING ...] [key=value ...]

Paint one picture by optimising its pixels (Gatys et al. 2016): slow, and the best there is. Ctrl-C writes the
picture as it is; the same command again goes on.

  nst-fast optimize content=photo.jpg style=starry_night.jpg short_side=512
  nst-fast optimize content=photo.jpg style=a.jpg b.jpg style_weights=[2,1]          two paintings at once
  nst-fast optimize content=photo.jpg style=a.jpg short_side=2048 coarsest_short_side=256   coarse to fine
  nst-fast optimize content=photo.jpg style=a.jpg frames_every_iterations=10 film=webp
  nst-fast optimize -m content=photo.jpg style=a.jpg style_strength=5,20,80          one after the other

keys and their defaults:"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if wants_help(arguments):
        print_help("optimize", USAGE, OptimizeSettings)
        return 0
    run_experiment(
        "optimize",
        quote_path_lists(arguments, PATH_LIST_KEYS),
        schema=OptimizeSettings,
        groups=GROUPS,
        verbatim_keys=VERBATIM_KEYS,
        mapping_keys=MAPPING_KEYS,
        experiment=run_optimization,
    )
    return 0


def build_plan(settings: OptimizeSettings) -> "Plan":
    """The plain values that decide the picture, out of the settings."""
    from nst_fast.gatys.plan import Plan  # slow: torch

    return Plan(
        start=settings.start,
        seed=settings.seed,
        method=settings.method,
        iterations=settings.iterations,
        learning_rate=settings.learning_rate,
        average_decay=settings.average_decay,
        short_side=settings.short_side,
        coarsest_short_side=settings.coarsest_short_side,
        style_short_side=settings.style_short_side,
        loss_network=settings.loss_network.name,
        weights=settings.loss_network.weights,
        pooling=settings.loss_network.pooling,
        input_normalisation=settings.loss_network.input_normalisation,
        content_taps=settings.content_taps or dict(DEFAULT_CONTENT_TAPS),
        style_taps=settings.style_taps or dict(DEFAULT_STYLE_TAPS),
        style_weights=None if settings.style_weights is None else tuple(settings.style_weights),
        normalisation=settings.normalisation,
        content_weight=settings.content_weight,
        style_strength=settings.style_strength,
        total_variation_weight=settings.total_variation_weight,
    )


def run_optimization(settings: OptimizeSettings, swept: Mapping[str, str]) -> None:
    """One picture, as the settings say, and a line about it; `swept` tells a job of a sweep from its siblings."""
    from nst_fast.gatys.optimize import optimize_image  # slow: torch and TensorBoard

    styles = "+".join(Path(style).stem for style in settings.style)
    job = "".join(f"-{key}={value}" for key, value in swept.items() if key not in ("content", "style"))
    name = f"{Path(settings.content).stem}-{styles}{job}".replace("/", "_")
    result = optimize_image(
        settings.content,
        settings.style,
        settings.output or f"painted/{name[:200]}.png",
        build_plan(settings),
        device=settings.device,
        log_every_iterations=settings.log_every_iterations,
        save_every_iterations=settings.save_every_iterations,
        frames_every_iterations=settings.frames_every_iterations,
        film=settings.film,
        overwrite=settings.overwrite,
    )
    terms = ", ".join(f"{name} {result.terms[name]:.4g}" for name in ("total", "content", "style"))
    print(f"after {result.iterations} iterations: {terms}")
    print(f"wrote {' and '.join(str(path) for path in (result.picture, result.film) if path is not None)}")
