"""What a run needs before its first step: photos at hand, and the loss."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nst_fast.checkpoint import find_checkpoint, load_checkpoint
from nst_fast.data.content_images import ContentImages, hold_out_photos, list_photos, read_photo
from nst_fast.data.sampler import cut_centre
from nst_fast.errors import ImageError, SettingError
from nst_fast.images import load_image
from nst_fast.loss_networks.network import LossNetwork, list_taps
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.run_state import digest
from nst_fast.training.recipe import Recipe
from nst_fast.transform_nets import TransformNet, name_of_transform_net

# Held-out figures of different runs can be compared at this size: the middle of photos of this short side, in pixels.
HELD_OUT_SHORT_SIDE, HELD_OUT_SIZE = 288, 256
PHOTOS_FOR_VARIANCE = 64
STRIP_PHOTOS = 4


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The painting and the photos of a run.

    Attributes:
        style_image: shape (3, H, W), RGB in [0, 1], at the recipe's size.
        photo_files: to train on.
        held_out_files: never trained on.
        initial: the network that the training starts from; None: random weights.
        identity: what tells this painting and these photos from others; with the recipe, a run is continued only with
            the same.
    """

    style_image: Tensor
    photo_files: list[Path]
    held_out_files: list[Path]
    initial: TransformNet | None
    identity: dict[str, Any]


def find_inputs(
    recipe: Recipe, style: Path, content: Path, init: str | Path | None, say: Callable[[str], None]
) -> Inputs:
    """Read the painting and the network to start from, and list the photos below the folder `content`.

    Raises:
        ImageError: the painting cannot be read; no folder, or no picture in it.
        CheckpointError: `init` is neither a shipped style nor a checkpoint.
        SettingError: `init` is not of the recipe's network and width.
    """
    initial = None if init is None else _load_initial(init, recipe)
    style_image = load_image(style, short_side=recipe.style_short_side, say=say)
    photo_files, held_out_files = hold_out_photos(list_photos(content), content, recipe.held_out_photos)
    names = "\n".join(file.relative_to(content).as_posix() for file in photo_files)
    identity = {
        "style": digest(style_image),
        "content": digest(names.encode()),
        "init": None if init is None else f"{Path(init).stem} {digest(find_checkpoint(init).read_bytes())}",
    }
    return Inputs(style_image, photo_files, held_out_files, initial, identity)


def _load_initial(init: str | Path, recipe: Recipe) -> TransformNet:
    network = load_checkpoint(init).network
    name, width = name_of_transform_net(network), network.arguments["width"]
    if (name, width) != (recipe.transform_net, recipe.width):
        raise SettingError(
            f"init {str(init)!r} is a {name} network of width {width}, not {recipe.transform_net} of width "
            f"{recipe.width}; give transform_net={name} transform_net.width={width}, or another init"
        )
    return network


@dataclasses.dataclass(frozen=True)
class Material:
    """All that a run works with.

    Attributes:
        photos: to train on.
        held_out: shape (N, 3, 256, 256), RGB in [0, 1], on the CPU; N may be 0.
        strip: shape (N, 3, 256, 256): the photos that are painted again and again as training goes.
        loss: that is trained on, and by which the result is judged.
        opening_loss: for the first steps, by the compact loss network, where the recipe wants it.
    """

    photos: ContentImages
    held_out: Tensor
    strip: Tensor
    loss: PerceptualLoss
    opening_loss: PerceptualLoss | None


def gather_material(
    recipe: Recipe,
    inputs: Inputs,
    device: torch.device,
    *,
    channels_last: bool,
    photo_memory_gib: float,
    show_progress: bool,
    say: Callable[[str], None],
) -> Material:
    """Load the loss network, read the photos, and measure what the loss needs.

    Raises:
        WeightsError: the loss network's weights cannot be had.
        ImageError: nearly all photos are broken.
        SettingError: a loss that does not exist.
    """
    taps = [*recipe.content_taps, *recipe.style_taps]

    def load(name: str, weights: str, pooling: str, input_normalisation: str | None) -> LossNetwork:
        network = load_loss_network(name, taps, weights, pooling, input_normalisation, recipe.seed, device)
        if channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    loss_network = load(recipe.loss_network, recipe.weights, recipe.pooling, recipe.input_normalisation)
    photos = read_photos(
        inputs.photo_files, recipe, memory_gib=photo_memory_gib, device=device, show_progress=show_progress, say=say
    )
    held_out = read_held_out(inputs.held_out_files, say)
    strip = held_out[:STRIP_PHOTOS] if len(held_out) else sample_photos(photos, STRIP_PHOTOS)
    loss = build_loss(recipe, loss_network, inputs.style_image, photos, device)
    opening_loss = None
    missing = [tap for tap in taps if tap not in list_taps("compact")]
    if recipe.compact_share > 0 and missing:
        say(f"all steps with {recipe.loss_network}, since the compact loss network has no {missing[0]}")
    elif recipe.compact_share > 0 and recipe.loss_network != "compact":
        # As it was distilled: pooling and input_normalisation of the recipe are those of the other network.
        compact = load("compact", "shipped", pooling="max", input_normalisation=None)
        opening_loss = build_loss(recipe, compact, inputs.style_image, photos, device)
    return Material(photos, held_out, strip, loss, opening_loss)


def read_photos(
    files: list[Path],
    recipe: Recipe,
    *,
    memory_gib: float,
    device: torch.device,
    show_progress: bool,
    say: Callable[[str], None],
) -> ContentImages:
    """The photos to train on; in memory, on the device where it has room, if they fit into `memory_gib`."""
    photos = ContentImages(files, round(recipe.crop_size * recipe.largest_crop), on_broken=say)
    size = photos.bytes_in_memory()
    if size <= memory_gib * 2**30:
        with tqdm(total=len(photos), desc="reading photos", unit="photo", disable=not show_progress) as bar:
            photos.read_into_memory(os.cpu_count() or 1, bar.update)
        if photos.in_memory is not None and device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] / 4:
            photos.in_memory = [photo.to(device) for photo in photos.in_memory]
        if photos.broken:
            say(f"{len(photos.broken)} of {len(files)} photos cannot be read and are left out")
    return photos


def read_held_out(files: list[Path], say: Callable[[str], None], size: int | None = None) -> Tensor:
    """The photos that are measured and shown, never trained on.

    Args:
        size: pixels; another one cuts the same middle and scales it. None: HELD_OUT_SIZE.

    Returns:
        Shape (N, 3, size, size), float32, RGB in [0, 1], on the CPU; N may be 0.
    """
    size = size or HELD_OUT_SIZE
    crops = []
    for file in files:
        try:
            crops.append(cut_centre(read_photo(file, round(size * HELD_OUT_SHORT_SIDE / HELD_OUT_SIZE)), size))
        except ImageError as error:
            say(str(error))
    return torch.stack(crops) if crops else torch.empty(0, 3, size, size)


def sample_photos(photos: ContentImages, count: int) -> Tensor:
    """The middles of the first `count` photos to train on, as `read_held_out` gives those held out."""
    return torch.stack([cut_centre(photos.read(i)[0].cpu(), HELD_OUT_SIZE) for i in range(min(count, len(photos)))])


def build_loss(
    recipe: Recipe, loss_network: LossNetwork, style_image: Tensor, photos: ContentImages, device: torch.device
) -> PerceptualLoss:
    """The loss that is trained on; its feature variances are those of some of the photos."""
    sample = sample_photos(photos, PHOTOS_FOR_VARIANCE).to(device)
    return PerceptualLoss(
        loss_network,
        style_image.to(device),
        content_taps=recipe.content_taps,
        style_taps=recipe.style_taps,
        normalisation=recipe.normalisation,
        content_weight=recipe.content_weight,
        style_strength=recipe.style_strength,
        total_variation_weight=recipe.total_variation_weight,
        lattice_weight=recipe.lattice_weight,
        feature_variance=measure_feature_variance(loss_network, sample.split(4), recipe.content_taps),
    )
