"""nst-fast train: from a style image and a folder of photos to a checkpoint."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nst_fast.cli.hydra_command import run_experiment
from nst_fast.cli.settings_help import print_help, wants_help
from nst_fast.settings.presets import PRESET, describe_choice, list_choices
from nst_fast.settings.values import replace_settings
from nst_fast.training import settings as training_settings
from nst_fast.training.settings import CHOICES, TrainSettings

if TYPE_CHECKING:
    from nst_fast.training.loop import Moment

USAGE = """usage: nst-fast train style=FILE content=FOLDER [preset=NAME] [key=value ...]

Train one network for one style image. Run the same command again to resume an interrupted training.

  nst-fast train style=starry_night.jpg content=photos
  nst-fast train style=starry_night.jpg content=photos preset=full style_strength=30
  nst-fast train style=starry_night.jpg content=photos network=johnson
  nst-fast train -m style=a.jpg,b.jpg content=photos          one training after the other
  nst-fast train style=a.jpg content=photos --cfg job         only print the settings"""


def main(arguments: list[str]) -> int:
    """Run the verb; see `--help`."""
    if wants_help(arguments):
        preset = training_settings.guess_preset()
        print_help("train", _describe_usage(preset), TrainSettings.build(preset=preset, style="", content="").fill_in())
        return 0
    if not any(argument.partition("=")[0].lstrip("+~") == PRESET for argument in arguments):
        arguments = [*arguments, f"{PRESET}={training_settings.choose_preset()}"]
    run_experiment(
        "train",
        arguments,
        settings_class=TrainSettings,
        choices=CHOICES,
        experiment=run_training,
        outputs=list_outputs,
    )
    return 0


def list_outputs(settings: TrainSettings, swept: Mapping[str, str]) -> list[Path]:
    """The file that `run_training` writes, besides those that tell of the run."""
    from nst_fast.training.result_file import ResultFile

    return [ResultFile(_find_places(settings, swept)).path]


def run_training(settings: TrainSettings, swept: Mapping[str, str]) -> None:
    """Train once, then print the result in two lines.

    Args:
        settings: of this training.
        swept: in which settings this run of a sweep differs from the others.
    """
    from nst_fast.training.loop import train  # slow: torch and TensorBoard

    settings = _find_places(settings, swept)
    with contextlib.ExitStack() as stack:
        on_moment = stack.enter_context(_serve_page(settings)) if settings.live else None
        result = train(settings, on_moment=on_moment)
    if result.held_out:
        held_out = result.held_out
        print(
            f"on {held_out['photos']} held-out photos: style {held_out['style']:.3f}, content {held_out['content']:.2f}"
        )
    print(f"wrote {result.checkpoint}; try it: nst-fast stylize PHOTO --style {result.checkpoint}")


@contextlib.contextmanager
def _serve_page(settings: TrainSettings) -> "Iterator[Callable[[Moment], None]]":
    """Serve the live page during the training; gives what the training is to call."""
    from nst_fast.cli.live import check_extra, open_browser

    check_extra()
    from nst_fast.live.access import new_token
    from nst_fast.live.gallery import list_styles
    from nst_fast.live.running import address_of, open_listener, running_in_thread
    from nst_fast.live.server import build_app
    from nst_fast.live.training_view import TrainingView
    from nst_fast.networks.torch_network import checkpoint_from_network

    view = TrainingView(settings.style_name, settings.folder / "strip.jpg", checkpoint_from_network)
    # The shipped styles stand beside it, to compare with.
    styles = {view.style.name: view.style, **list_styles([], device="cpu")}
    listener, token = open_listener("127.0.0.1", None), new_token()
    with running_in_thread(build_app(styles, port=listener.getsockname()[1], token=token, training=view), listener):
        address = address_of(listener, token=token)
        print(f"the live page is at {address}", flush=True)
        open_browser(address)
        yield view.watch


def _describe_usage(preset: str) -> str:
    """The usage with the presets, each as its file describes itself."""
    lines = [USAGE, "\npresets:"]
    lines += [f"  {name:<12}{describe_choice(PRESET, name)}" for name in list_choices(PRESET)]
    lines.append(
        f"\nThe values below are those you get on this computer, where the preset is {preset} unless you choose one.\n"
        f"network, loss_network and single settings take precedence over the preset. --cfg job prints the result."
    )
    return "\n".join(lines)


def _find_places(settings: TrainSettings, swept: Mapping[str, str]) -> TrainSettings:
    """The settings with the folder of the run, and with ~ expanded where the shell left it, as in style=~/a.jpg."""
    names = ("style", "content", "output", "init")
    expanded = {name: os.path.expanduser(path) for name in names if (path := getattr(settings, name)) is not None}
    settings = replace_settings(settings, expanded)
    return replace_settings(settings, {"output": _choose_folder(settings.output, settings.style_name, swept)})


def _choose_folder(output: str | None, name: str, swept: Mapping[str, str]) -> Path:
    """The run's folder: `output` or runs/NAME; in a sweep one for each run, named by what makes it different."""
    if not swept or "output" in swept:
        return Path(output or Path("runs", name))
    differences = ",".join(f"{key}={value}" for key, value in swept.items())
    folder = f"{name}-{differences}".replace(os.sep, "_")
    if len(os.fsencode(folder)) > 200:  # a name may have 255 bytes
        folder = f"{folder[:40]}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    return Path(output or "runs", folder)
