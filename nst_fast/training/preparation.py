"""What a training needs before its first step: the style image, photos, and the loss."""

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nst_fast.data.content_images import ContentImages, digest_photos, list_photos
from nst_fast.data.held_out import cut_samples, hold_out_photos, read_held_out
from nst_fast.data.images import load_image, resize, to_tensor
from nst_fast.errors import CheckpointError, SettingError
from nst_fast.loss_networks.network import LossNetwork, adapt_taps, list_taps
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.tones import PhotoTones
from nst_fast.media.pictures import Picture, read_picture
from nst_fast.media.resizing import size_for_short_side
from nst_fast.networks.checkpoint import load_base
from nst_fast.networks.checkpoint_header import find_checkpoint
from nst_fast.networks.description import NetworkDescription
from nst_fast.networks.torch_network import (
    StyleNetwork,
    load_network,
    make_adjustable,
    network_from_checkpoint,
)
from nst_fast.processor import has_fast_bfloat16
from nst_fast.runs.state import digest
from nst_fast.settings.networks import LossNetworkSettings, NetworkSettings
from nst_fast.stylize.style_image import STYLE_SHORT_SIDE, predict_style
from nst_fast.training.settings import TrainSettings
from nst_fast.training.style_colors import match_to_photos

_log = logging.getLogger(__name__)

# What `init` may be, besides a style and a checkpoint.
BASE, RANDOM = "base", "random"
PHOTOS_FOR_VARIANCE = 64
STRIP_PHOTOS = 4


@dataclasses.dataclass(frozen=True)
class Initial:
    """Where a training starts from.

    Attributes:
        network: with the weights to start with.
        identity: tells them from others.
        is_base: whether it is the base network, steered to the style image by its predictor.
    """

    network: StyleNetwork
    identity: str
    is_base: bool


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The files of a training.

    Attributes:
        style_image: shape (3, H, W), RGB in [0, 1], at the size and in the colors of the settings.
        photo_files: to train on.
        held_out_files: never trained on.
        initial: where to start from; None: random weights.
        identity: what tells this style image, these photos and this network from others.
    """

    style_image: Tensor
    photo_files: list[Path]
    held_out_files: list[Path]
    initial: Initial | None
    identity: dict[str, Any]


def find_inputs(settings: TrainSettings) -> Inputs:
    """Read the style image and the network to start from, and list the photos.

    Raises:
        ImageError: the style image cannot be read, or the content folder does not exist or holds no image.
        CheckpointError: `init` is neither a shipped style nor a checkpoint.
        SettingError: `init` is another network than the settings ask for.
    """
    style_image, matched = load_image(settings.style, short_side=settings.style_short_side), None
    content = Path(settings.content)
    photo_files, held_out_files = hold_out_photos(list_photos(content), content, settings.held_out_photos)
    if settings.color == "match":
        matched = _match_style_image(settings, photo_files)
        height, width = matched.rgb.shape[:2]
        style_image = resize(to_tensor(matched.rgb), *size_for_short_side(height, width, settings.style_short_side))
    initial = _find_initial(settings, matched)
    identity = {
        "style": digest(style_image),
        "content": digest_photos(photo_files, content),
        "init": None if initial is None else initial.identity,
    }
    return Inputs(style_image, photo_files, held_out_files, initial, identity)


def _match_style_image(settings: TrainSettings, photo_files: list[Path]) -> Picture:
    """The style image in the colors of the photos, no smaller than the training and the predictor need it."""
    short_side = max(settings.style_short_side, STYLE_SHORT_SIDE)
    return match_to_photos(read_picture(settings.style, min_short_side=short_side), photo_files)


def _find_initial(settings: TrainSettings, matched: Picture | None) -> Initial | None:
    """The network to start from; None: random weights.

    Args:
        matched: the style image in the colors of the photos; None: it keeps its own.

    Raises:
        CheckpointError: `init` is neither a shipped style nor a checkpoint.
        SettingError: `init` is another network than the settings ask for, or `train_only` asks for what it has not.
    """
    init = settings.init
    if settings.train_only == "strength" and (init in (None, RANDOM) or not settings.network.adjustable):
        raise SettingError(
            "train_only strength is for a network that is trained already; give its checkpoint or style as init, and "
            "leave network.adjustable true"
        )
    if init == RANDOM:
        return None
    if init is None or init == BASE:
        return _start_from_base(settings, matched)
    path = find_checkpoint(init)
    network = load_network(init)
    found, wanted = _shape(network.description), (settings.network.name, settings.network.width)
    if found != wanted:
        raise SettingError(
            f"init {init!r} is a {found[0]} network of width {found[1]}, not {wanted[0]} of width {wanted[1]}; "
            f"set network.name to {found[0]} and network.width to {found[1]}, or choose another init"
        )
    return Initial(_adapt(network, settings.network), f"{path.stem} {digest(path.read_bytes())}", is_base=False)


def _start_from_base(settings: TrainSettings, matched: Picture | None) -> Initial | None:
    wanted = settings.network
    try:
        base = load_base()
    except CheckpointError:
        if settings.init == BASE:
            raise
        return None
    if not wanted.adjustable or _shape(base.description) != (wanted.name, wanted.width):
        if settings.init == BASE:
            name, width = _shape(base.description)
            raise SettingError(f"init base is an adjustable {name} network of width {width}; choose another init")
        return None
    network = network_from_checkpoint(predict_style(matched or Path(settings.style)))
    return Initial(network, f"base {base.digest}", is_base=True)


def _shape(description: NetworkDescription) -> tuple[str, int]:
    return description.name, description.arguments["width"]


def _adapt(network: StyleNetwork, settings: NetworkSettings) -> StyleNetwork:
    """The network with the strength knob, or without it, as the settings ask for."""
    if network.description.adjustable == settings.adjustable:
        return network
    if network.description.adjustable:
        raise SettingError("init is an adjustable network; set network.adjustable to true, or choose another init")
    return make_adjustable(network)


@dataclasses.dataclass(frozen=True)
class Material:
    """What the steps of a training work with.

    Attributes:
        photos: to train on.
        held_out: shape (N, 3, 256, 256), RGB in [0, 1], on the CPU; N may be 0.
        strip: shape (N, 3, 256, 256), RGB in [0, 1]: the photos shown in strip.jpg.
        loss: to train with, and to measure the result with.
        opening_loss: with the compact loss network, for the first steps; None: `loss` for all steps.
    """

    photos: ContentImages
    held_out: Tensor
    strip: Tensor
    loss: PerceptualLoss
    opening_loss: PerceptualLoss | None


def prepare_material(settings: TrainSettings, inputs: Inputs, device: torch.device) -> Material:
    """Load the loss networks, read the photos, and measure what the loss needs.

    Args:
        settings: with the loss network chosen (not `auto`).
        inputs: from `find_inputs`.
        device: to train on.

    Raises:
        WeightsError: the weights of the loss network are not available.
        ImageError: nearly all photos are broken.
        SettingError: a tap that the loss network does not have.
    """

    def load(loss_network: LossNetworkSettings) -> LossNetwork:
        of_loss = adapt_taps(settings.loss, loss_network.name)
        taps = [*of_loss.content_taps, *of_loss.style_taps]
        network = load_loss_network(loss_network, taps, seed=settings.seed, device=device)
        if settings.precision == "auto" and device.type == "cpu" and has_fast_bfloat16():
            network.autocast_type = torch.bfloat16
        if settings.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    loss_network = load(settings.loss_network)  # first, because it may fail, and reading photos may take minutes
    photos = read_photos(inputs.photo_files, settings, device)
    held_out = read_held_out(inputs.held_out_files)
    strip = held_out[:STRIP_PHOTOS] if len(held_out) else cut_samples(photos, STRIP_PHOTOS)
    loss = build_loss(settings, loss_network, inputs.style_image, photos, device)
    opening_loss = None
    taps = adapt_taps(settings.loss, "compact")
    missing = [tap for tap in (*taps.content_taps, *taps.style_taps) if tap not in list_taps("compact")]
    if settings.compact_share > 0 and missing:
        _log.warning(
            f"training all steps with {settings.loss_network.name}: the compact loss network has no {missing[0]}"
        )
    elif settings.compact_share > 0 and settings.loss_network.name != "compact":
        # As it was distilled: pooling and input_normalization of the settings belong to the other network.
        compact = load(LossNetworkSettings(name="compact", weights="shipped"))
        opening_loss = build_loss(settings, compact, inputs.style_image, photos, device)
    return Material(photos, held_out, strip, loss, opening_loss)


def read_photos(files: list[Path], settings: TrainSettings, device: torch.device) -> ContentImages:
    """The photos to train on; in memory if they fit into `photo_memory_gib`, and on the GPU if they fit there."""
    photos = ContentImages(files, round(settings.crop_size * settings.largest_crop))
    size = photos.bytes_in_memory()
    if size <= settings.photo_memory_gib * 2**30:
        with tqdm(total=len(photos), desc="reading photos", unit="photo", disable=not settings.show_progress) as bar:
            photos.read_into_memory(os.cpu_count() or 1, bar.update)
        if photos.in_memory is not None and device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] / 4:
            photos.in_memory = [photo.to(device) for photo in photos.in_memory]
        if photos.broken:
            _log.warning(f"skipping {len(photos.broken)} of {len(files)} photos, which cannot be read")
    return photos


def build_loss(
    settings: TrainSettings,
    loss_network: LossNetwork,
    style_image: Tensor,
    photos: ContentImages,
    device: torch.device,
) -> PerceptualLoss:
    """The loss to train with; its feature variances are those of some of the photos."""
    sample = cut_samples(photos, PHOTOS_FOR_VARIANCE).to(device)
    of_loss = adapt_taps(settings.loss, loss_network.architecture)
    variance = measure_feature_variance(loss_network, sample.split(4), of_loss.content_taps)
    return PerceptualLoss(
        loss_network, style_image.to(device), of_loss, feature_variance=variance, photo_tones=PhotoTones(sample)
    )
