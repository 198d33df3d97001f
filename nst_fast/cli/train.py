"""nst-fast train: from a painting and a folder of photos to a checkpoint."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.settings import TrainSettings
from nst_fast.cli.settings_help import print_help, wants_help
from nst_fast.errors import SettingError
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.shipped import configs_folder
from nst_fast.training.recipe import Recipe

if TYPE_CHECKING:
    from nst_fast.training.loop import Moment, TrainingResult

# Taken as they are, whatever Hydra would read into them: file names and titles.
VERBATIM_KEYS = ("style", "content", "output", "init", "loss_network.weights", "name", "title", "artist")
MAPPING_KEYS = ("content_taps", "style_taps")
GROUPS = ("preset", "transform_net", "loss_network")

USAGE = """usage: nst-fast train style=PAINTING content=FOLDER [preset=NAME] [key=value ...]

Train one network for one painting. The same command again goes on with a run that was cut.

  nst-fast train style=starry_night.jpg content=photos
  nst-fast train style=starry_night.jpg content=photos preset=full style_strength=40
  nst-fast train -m style=a.jpg,b.jpg content=photos          one run after the other
  nst-fast train style=a.jpg content=photos --cfg job         only show the settings

presets:"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if wants_help(arguments):
        print_help("train", _describe_usage(), TrainSettings)
        return 0
    if not any(argument.partition("=")[0].lstrip("+~") == "preset" for argument in arguments):
        arguments = [*arguments, f"preset={_preset_for_this_computer()}"]
    run_experiment(
        "train",
        arguments,
        schema=TrainSettings,
        groups=GROUPS,
        verbatim_keys=VERBATIM_KEYS,
        mapping_keys=MAPPING_KEYS,
        experiment=run_training,
    )
    return 0


def build_recipe(settings: TrainSettings) -> Recipe:
    """The plain values that decide the weights, out of the settings."""
    return Recipe(
        transform_net=settings.transform_net.name,
        width=settings.transform_net.width,
        grain=settings.transform_net.grain,
        loss_network=settings.loss_network.name,
        weights=settings.loss_network.weights,
        pooling=settings.loss_network.pooling,
        input_normalisation=settings.loss_network.input_normalisation,
        content_taps=_check_taps("content_taps", settings.content_taps, DEFAULT_CONTENT_TAPS),
        style_taps=_check_taps("style_taps", settings.style_taps, DEFAULT_STYLE_TAPS),
        normalisation=settings.normalisation,
        content_weight=settings.content_weight,
        style_strength=settings.style_strength,
        total_variation_weight=settings.total_variation_weight,
        lattice_weight=settings.lattice_weight,
        style_short_side=settings.style_short_side,
        crop_size=settings.crop_size,
        largest_crop=settings.largest_crop,
        batch_size=settings.batch_size,
        held_out_photos=settings.held_out_photos,
        steps=settings.steps,
        compact_share=settings.compact_share,
        optimiser=settings.optimiser,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        cosine=settings.cosine,
        average_decay=settings.average_decay,
        seed=settings.seed,
    )


def run_training(settings: TrainSettings, swept: Mapping[str, str]) -> None:
    """One run, as the settings say, and a line about its result.

    Args:
        swept: in which settings this run of a sweep differs from the others.
    """
    name = settings.name or Path(settings.style).stem
    folder = _choose_folder(settings.output, name, swept)
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(_serve_page(name, folder)) if settings.live else None
        result = _train(settings, name, folder, watch)
    if result.held_out:
        held_out = result.held_out
        print(
            f"on {held_out['photos']} photos not trained on: style {held_out['style']:.3f}, "
            f"content {held_out['content']:.2f}"
        )
    print(f"wrote {result.checkpoint}; paint with: nst-fast stylize PHOTO --style {result.checkpoint}")


def _train(
    settings: TrainSettings, name: str, folder: Path, watch: "Callable[[Moment], None] | None"
) -> "TrainingResult":
    from nst_fast.training.loop import train  # slow: torch and TensorBoard

    return train(
        # Some shells leave the ~ of style=~/a.jpg as it is.
        os.path.expanduser(settings.style),
        os.path.expanduser(settings.content),
        folder,
        build_recipe(settings),
        init=settings.init,
        name=name,
        about={"title": settings.title, "artist": settings.artist, "year": settings.year},
        device=settings.device,
        precision=settings.precision,
        channels_last=settings.channels_last,
        compile=settings.compile,
        workers=settings.workers,
        photo_memory_gib=settings.photo_memory_gib,
        checkpoint_dtype=settings.checkpoint_dtype,
        log_every_steps=settings.log_every_steps,
        save_every_steps=settings.save_every_steps,
        strip_every_steps=settings.strip_every_steps,
        overwrite=settings.overwrite,
        watch=watch,
    )


@contextlib.contextmanager
def _serve_page(name: str, folder: Path) -> "Iterator[Callable[[Moment], None]]":
    """The live page runs beside the training; gives what the training is to call."""
    from nst_fast.cli.live import check_extra, open_browser

    check_extra()
    from nst_fast.live.gallery import list_styles
    from nst_fast.live.running import address_of, open_listener, running_in_thread
    from nst_fast.live.server import build_app
    from nst_fast.live.training_view import TrainingView

    view = TrainingView(name, folder / "strip.jpg")
    # The shipped styles stand beside it, to compare with.
    styles = {view.style.name: view.style, **list_styles([], device="cpu")}
    listener = open_listener("127.0.0.1", None)
    with running_in_thread(build_app(styles, port=listener.getsockname()[1], training=view), listener):
        print(f"the live page is at {address_of(listener)}", flush=True)
        open_browser(address_of(listener))
        yield view.watch


def _describe_usage() -> str:
    """The usage with the presets, each by the second line of its file."""
    lines = [USAGE]
    for preset in sorted((configs_folder() / "preset").glob("*.yaml")):
        description = preset.read_text().splitlines()[1].lstrip("# ")
        lines.append(f"  {preset.stem:<12}{description}")
    lines.append("\nkeys and their defaults (a preset may give another; --cfg job shows what is taken):")
    return "\n".join(lines)


def _preset_for_this_computer() -> str:
    from nst_fast.device import choose_device

    return "full" if choose_device(None).type == "cuda" else "laptop"


def _choose_folder(output: str | None, name: str, swept: Mapping[str, str]) -> Path:
    """The run's folder: `output` or runs/NAME; in a sweep one for each run, named by what makes it different."""
    output = output and os.path.expanduser(output)
    if not swept or "output" in swept:
        return Path(output or Path("runs", name))
    differences = ",".join(f"{key}={value}" for key, value in swept.items())
    folder = f"{name}-{differences}".replace(os.sep, "_")
    if len(os.fsencode(folder)) > 200:  # a name may have 255 bytes
        folder = f"{folder[:40]}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    return Path(output or "runs", folder)


def _check_taps(key: str, taps: Any, default: Mapping[str, float]) -> dict[str, float]:
    """The weights by tap. Hydra checks no mapping that takes the place of another."""
    if taps is None:
        return dict(default)
    if not isinstance(taps, dict) or not all(type(weight) in (int, float) for weight in taps.values()):
        raise SettingError(f"{key} is {taps!r}; give a weight for each tap, such as {{relu2_2:1}}")
    return {str(tap): float(weight) for tap, weight in taps.items()}
