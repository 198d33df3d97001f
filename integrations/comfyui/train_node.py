"""The node *Train a style*."""

import dataclasses
import hashlib
import itertools
import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io
from PIL import Image

from nst_fast import TrainSettings, load_checkpoint, train
from nst_fast.errors import SettingError
from nst_fast.files.atomic import replace_atomically
from nst_fast.training.loop import Moment
from nst_fast.training.run_log import STRIP_FILE
from nst_fast.training.settings import choose_preset

from .images import to_pixels
from .stylize_nodes import CATEGORY, STYLES_FOLDER, StyleType

PLAN_FILE = "plan.json"  # the number of steps, so that a run that is resumed has the same
_TRIAL_STEPS = 8
_LEAST_STEPS = 20
_STEPS_BETWEEN_SAVES = 25  # and between two previews
_SHORTEST_LAPTOP_MINUTES = 4.0  # less is for the preset `quick`


class TrainStyle(io.ComfyNode):
    """A style network of your own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The inputs and the output."""
        return io.Schema(
            node_id="NstFastTrain",
            display_name="Train a style (nst_fast)",
            category=CATEGORY,
            description="Trains a style network for an image. Give a few hundred photos, as a folder or as a batch.",
            inputs=[
                io.Image.Input("style_image"),
                io.String.Input("name", default="my_style", tooltip="Of the style; it names the file."),
                io.Float.Input(
                    "minutes", default=6.0, min=0.5, max=600.0, step=0.5, tooltip="About how long it takes."
                ),
                io.String.Input("photo_folder", default="", tooltip="A folder of photos, searched recursively."),
                io.Image.Input("photos", optional=True, tooltip="Photos to train on, in place of a folder."),
            ],
            outputs=[StyleType.Output("style", display_name="STYLE"), io.String.Output("file", display_name="FILE")],
        )

    @classmethod
    def execute(
        cls,
        style_image: torch.Tensor,
        name: str,
        minutes: float,
        photo_folder: str,
        photos: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Train, or resume what an interruption ended; the style stays in ComfyUI's folder of styles."""
        if (photos is None) == (not photo_folder.strip()):
            raise SettingError("photos come from a folder or from a batch; give one of photo_folder and photos")
        comfy.model_management.unload_all_models()
        # ComfyUI runs nodes in inference mode, in which nothing can be trained.
        with torch.inference_mode(False), torch.enable_grad():
            settings = _prepare_run(style_image, name, minutes, photo_folder, photos)
            result = train(settings, on_moment=_show(settings))
        return io.NodeOutput(load_checkpoint(result.checkpoint), str(result.checkpoint))


def _prepare_run(
    style_image: torch.Tensor, name: str, minutes: float, photo_folder: str, photos: torch.Tensor | None
) -> TrainSettings:
    """The settings of the run, whose folder holds the style image, a batch's photos, and the plan."""
    name = re.sub(r"[^\w-]+", "_", name).strip("_")[:60] or "style"
    style = to_pixels(style_image[:1])[0]
    batch = None if photos is None else to_pixels(photos)
    key = hashlib.sha256(f"{style.shape} {minutes} {photo_folder}".encode() + style.tobytes())
    key.update(b"" if batch is None else batch.tobytes())
    folder = Path(folder_paths.models_dir, STYLES_FOLDER, f"{name}-{key.hexdigest()[:8]}")
    content = Path(photo_folder.strip()).expanduser() if batch is None else folder / "photos"
    for number, photo in enumerate(() if batch is None else batch):
        _save(Image.fromarray(photo), content / f"{number:05}.png")
    _save(Image.fromarray(style), folder / "style_image.png")
    preset = choose_preset()
    settings = TrainSettings.build(
        style=str(folder / "style_image.png"),
        content=str(content),
        output=str(folder),
        name=name,
        preset="quick" if preset == "laptop" and minutes < _SHORTEST_LAPTOP_MINUTES else preset,
        compile=False,
        workers=0,
        log_every_steps=1,
        save_every_steps=_STEPS_BETWEEN_SAVES,
        strip_every_steps=_STEPS_BETWEEN_SAVES,
        show_progress=False,
    )
    return dataclasses.replace(settings, steps=_plan_steps(settings, minutes))


def _save(image: Image.Image, path: Path) -> None:
    if not path.exists():
        with replace_atomically(path) as temporary:
            image.save(temporary)


def _plan_steps(settings: TrainSettings, minutes: float) -> int:
    """How many steps fit into the time on this computer: as planned before, else by a trial of a few steps."""
    file = settings.folder / PLAN_FILE
    if file.is_file():
        return int(json.loads(file.read_text(encoding="utf-8"))["steps"])
    began = time.monotonic()
    seconds_per_step, seconds_of_steps = _time_steps(settings)
    trial = time.monotonic() - began
    left = 60 * minutes - trial - (trial - seconds_of_steps)  # the training prepares itself once more
    steps = max(_LEAST_STEPS, int(left / seconds_per_step))
    with replace_atomically(file) as temporary:
        temporary.write_text(json.dumps({"steps": steps}), encoding="utf-8")
    return steps


def _time_steps(settings: TrainSettings) -> tuple[float, float]:
    """Seconds of a step, in the mean over the whole training, and of all steps of a trial together."""
    moments: list[float] = []

    def note(_: Moment) -> None:
        moments.append(time.monotonic())
        comfy.model_management.throw_exception_if_processing_interrupted()

    with tempfile.TemporaryDirectory(prefix="nst_fast.") as folder:
        train(dataclasses.replace(settings, steps=_TRIAL_STEPS, output=folder, held_out_photos=0), on_moment=note)
    seconds = [later - earlier for earlier, later in itertools.pairwise(moments)]
    opening = round(settings.compact_share * _TRIAL_STEPS)
    # The first step with each of the two loss networks takes longer than the others.
    parts = [(len(part) / len(seconds), part[1:] or part) for part in (seconds[:opening], seconds[opening:]) if part]
    return sum(share * statistics.median(part) for share, part in parts), sum(seconds)


def _show(settings: TrainSettings) -> Callable[[Moment], None]:
    """Shows the progress, with the sample images that the training writes as the preview, and minds interruptions."""
    progress = comfy.utils.ProgressBar(settings.steps)
    strip = settings.folder / STRIP_FILE
    shown = 0.0

    def show(moment: Moment) -> None:
        nonlocal shown
        preview, written = None, strip.stat().st_mtime if strip.exists() else 0.0
        if written > shown:
            shown = written
            with Image.open(strip) as image:
                preview = ("JPEG", image.convert("RGB"), 512)
        progress.update_absolute(moment.step, moment.steps, preview)
        comfy.model_management.throw_exception_if_processing_interrupted()

    return show
