"""The settings behind the YAML files: names, types, defaults, and what each means."""

import dataclasses
from typing import Any

from omegaconf import MISSING

from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS


def _setting(default: Any, meaning: str) -> Any:
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata={"meaning": meaning})
    return dataclasses.field(default=default, metadata={"meaning": meaning})


def _show(taps: dict[str, float]) -> str:
    return "{" + ",".join(f"{tap}:{weight:g}" for tap, weight in taps.items()) + "}"


@dataclasses.dataclass
class TransformNetSettings:
    """The image transformation network."""

    name: str = _setting("realtime", "network: realtime or johnson")
    width: int = _setting(32, "its channels")
    grain: float = _setting(0.016, "noise that makes strokes in flat areas irregular; 0: none")


@dataclasses.dataclass
class LossNetworkSettings:
    """The loss network and where its weights come from."""

    name: str = _setting("vgg19", "loss network: vgg19, vgg16 or compact")
    weights: str = _setting("imagenet", "imagenet, imagenet_features, shipped, random, or a file")
    pooling: str = _setting("max", "max or average")
    input_normalisation: str | None = _setting(None, "imagenet or caffe; null: what the weights are known to need")


@dataclasses.dataclass
class TrainLossNetworkSettings(LossNetworkSettings):
    """As for the other verbs, but training needs none of VGG's weights."""

    name: str = _setting("auto", "vgg19 where its weights can be had, else compact; or vgg19, vgg16, compact")


@dataclasses.dataclass
class TrainSettings:
    """Everything that `nst-fast train` takes as key=value."""

    style: str = _setting(MISSING, "the painting: a picture file (needed)")
    content: str = _setting(MISSING, "the photos: a folder, searched recursively (needed)")
    output: str | None = _setting(None, "the run's folder; null: runs/NAME")
    init: str | None = _setting(None, "start from this network: a shipped style or a checkpoint; null: random weights")
    name: str | None = _setting(None, "of the style; null: the painting's file name")
    title: str | None = _setting(None, "of the painting, for the checkpoint")
    artist: str | None = _setting(None, "of the painting, for the checkpoint")
    year: int | None = _setting(None, "of the painting, for the checkpoint")
    preset: Any = None

    style_strength: float = _setting(20.0, "the one knob: how much style against content; 20 is a good start")
    style_short_side: int = _setting(384, "pixels of the painting's short side; smaller: smaller strokes")

    transform_net: TransformNetSettings = _setting(TransformNetSettings, "")
    loss_network: TrainLossNetworkSettings = _setting(TrainLossNetworkSettings, "")
    # None rather than the defaults, which Hydra would merge what is given into; Any, since it merges into no null.
    content_taps: Any = _setting(None, f"such as {{relu2_2:1}}; null: {_show(DEFAULT_CONTENT_TAPS)}")
    style_taps: Any = _setting(None, f"such as {{relu1_2:1}}; null: {_show(DEFAULT_STYLE_TAPS)}")
    normalisation: str = _setting("relative", "of the losses: relative, gatys or johnson")
    content_weight: float = _setting(1.0, "of the content loss")
    total_variation_weight: float = _setting(0.0, "of the total variation")
    lattice_weight: float = _setting(30.0, "against screens of dots and lines four pixels apart")

    steps: int = _setting(1600, "how many; with batch_size and crop_size it decides the time it takes")
    compact_share: float = _setting(0.0, "share of the steps, the first, with the compact loss network: quicker")
    batch_size: int = _setting(4, "crops a step")
    crop_size: int = _setting(160, "pixels, the side of the square crops")
    largest_crop: float = _setting(2.0, "crops are cut up to this many times larger and scaled down")
    held_out_photos: int = _setting(64, "kept out of training and measured; at most a tenth of the folder")
    optimiser: str = _setting("muon", "muon or adam; the first learns in half of the steps")
    learning_rate: float = _setting(1e-2, "at its peak")
    warmup_steps: int = _setting(50, "until the peak")
    cosine: bool = _setting(True, "the rate falls to nothing along a cosine; false: it stays")
    average_decay: float = _setting(0.99, "of the moving average of the weights; 0: ships the last weights")
    seed: int = _setting(0, "of all that is drawn")

    device: str | None = _setting(None, "cpu, cuda or mps; null: the best there is")
    precision: str = _setting("auto", "fp32, bf16 or fp16; auto: bf16 on CUDA, else fp32")
    channels_last: bool = _setting(True, "memory layout")
    compile: bool = _setting(False, "torch.compile: minutes at the start, then faster steps")
    workers: int | None = _setting(None, "processes that read photos not in memory; null: as many as cores")
    photo_memory_gib: float = _setting(4.0, "GiB; a folder that fits is read once")
    checkpoint_dtype: str = _setting("fp16", "of the weights in the checkpoint: fp16 or fp32")
    log_every_steps: int = _setting(10, "steps between two entries in TensorBoard")
    save_every_steps: int = _setting(100, "steps between two saved states")
    strip_every_steps: int = _setting(200, "steps between two strips of held-out photos")
    overwrite: bool = _setting(False, "begin anew, whatever the run's folder holds")
    live: bool = _setting(False, "a page in the browser shows how it goes and paints the webcam, see nst-fast live")


def list_settings(schema: type = TrainSettings, prefix: str = "") -> list[tuple[str, Any, str]]:
    """Every key that can be given, with its default and its meaning, in order."""
    rows = []
    for field in dataclasses.fields(schema):
        default = field.default if field.default is not dataclasses.MISSING else field.default_factory()  # type: ignore[misc]
        if dataclasses.is_dataclass(default):
            rows += list_settings(type(default), f"{field.name}.")
        elif "meaning" in field.metadata:
            rows.append((prefix + field.name, default, field.metadata["meaning"]))
    return rows
