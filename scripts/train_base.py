#!/usr/bin/env python3
"""Train the base network and its predictor: python scripts/train_base.py STYLES PHOTOS --output runs/base

STYLES are folders or files of style images, of which --held-out are never trained on; PHOTOS is a folder of photos.
Most steps use the compact loss network, the last ones VGG-19 (NST_FAST_VGG19_WEIGHTS names a file with its weights).

Run the same command again to resume. With `torchrun --nproc-per-node N` the processes share each batch.
"""

import argparse
import functools
import hashlib
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed
from torch import nn

from nst_fast.data.content_images import ContentImages, list_photos
from nst_fast.data.held_out import cut_samples, hold_out_photos
from nst_fast.data.images import load_image, to_uint8
from nst_fast.data.sampler import iterate_batches
from nst_fast.loss_networks.network import LossNetwork, adapt_taps
from nst_fast.loss_networks.weights import load_loss_network
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import DEFAULT_STYLE_TAPS, LossSettings
from nst_fast.losses.tones import PhotoTones
from nst_fast.media.listing import find_images
from nst_fast.memory import keep_freed_memory
from nst_fast.networks.checkpoint import BASE_FILE, PREDICTOR_FILE, CheckpointInfo, load_checkpoint, save_checkpoint
from nst_fast.networks.style_predictor import StylePredictor, load_predictor, save_predictor
from nst_fast.networks.torch_network import build_network, checkpoint_from_network, load_network, make_adjustable
from nst_fast.networks.torch_style_predictor import StylePredictor as TrainedPredictor
from nst_fast.processor import has_fast_bfloat16
from nst_fast.runs.device import choose_device
from nst_fast.runs.saved_run import SavedRun
from nst_fast.runs.state import restore_parts
from nst_fast.settings.networks import LossNetworkSettings
from nst_fast.training.base_training import BaseNetwork, BaseTraining
from nst_fast.training.style_pool import StylePool, read_features, vary_style_image

SHORT_SIDE = 512  # pixels, at which style images are kept
FEATURE_SAMPLES = 400
_REPORTING = ("log_every", "save_seconds")


def main() -> None:
    """Train until all steps are done, saving as it goes."""
    options = parse_options()
    device = choose_device(options.device)
    if device.type == "cpu":
        keep_freed_memory(of_any_size=True)
    rank, processes = start_processes(device)
    if options.batch_size % processes:
        raise SystemExit(f"--batch-size {options.batch_size} is no multiple of the {processes} processes")
    style_files, _ = choose_styles(options.styles, options.held_out)
    photo_files, _ = hold_out_photos(list_photos(options.photos), options.photos, 64)
    photos = ContentImages(photo_files, round(options.crop_size * 2))
    photos.read_into_memory(os.cpu_count() or 1)
    style_images = [to_bytes(file) for file in style_files]
    compact = load_loss_network(
        LossNetworkSettings(name="compact", weights="shipped"), ["relu4_1"], seed=options.seed, device=device
    )
    vgg19 = LossNetworkSettings(name="vgg19", weights="imagenet")
    vgg19 = load_loss_network(vgg19, ["relu4_2"], seed=options.seed, device=device)
    steps = options.steps + options.vgg_steps
    decisive = {key: str(value) for key, value in vars(options).items() if key not in ("device", "output", *_REPORTING)}
    identity = {**decisive, "styles": len(style_files)}
    base = build_base(options, compact, style_images).to(device)
    training = BaseTraining(
        base,
        temporal_weight=options.temporal_weight,
        seed=options.seed,
        steps=steps,
        average_gradients=functools.partial(average_gradients, processes=processes),
        rank=rank,
        processes=processes,
    )
    folder = options.output if rank == 0 else options.output / f"process_{rank}"
    with SavedRun(folder, identity) as saved_run:
        state = saved_run.find_state(overwrite=False)
        if state is not None:
            restore_parts(state, training.parts())
            training.step = state["step"]
        phases = [
            Phase(range(options.steps), compact, options.pool, options.crop_size),
            Phase(range(options.steps, steps), vgg19, options.pool // 2, options.vgg_crop_size),
        ]
        for phase in phases:
            if training.step < phase.steps.stop:
                run_phase(training, phase, photos, style_images, compact, saved_run, options, report=rank == 0)
        if rank == 0:
            write_result(training, options)
    if processes > 1:
        torch.distributed.destroy_process_group()


def build_base(options: argparse.Namespace, compact: LossNetwork, style_images: list[torch.Tensor]) -> BaseNetwork:
    """The network and the predictor before the first step, on the CPU."""
    torch.manual_seed(options.seed)
    network = build_network("realtime", width=options.width, input_noise=0.016, adjustable=True)
    folder = Path(options.init) if options.init and Path(options.init).is_dir() else None
    if options.init:
        network = make_adjustable(load_network(folder / BASE_FILE if folder else options.init))
    predictor = TrainedPredictor(network.description.steering_channels)
    if folder:
        weights = load_predictor(folder / PREDICTOR_FILE).weights
        predictor.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
        return BaseNetwork(network, predictor)
    device = next(compact.parameters()).device
    generator = torch.Generator().manual_seed(options.seed)
    samples = [style_images[n % len(style_images)] for n in range(FEATURE_SAMPLES)]
    predictor.learn_scale(
        torch.cat([read_features(compact, vary_style_image(image.to(device), generator)).cpu() for image in samples])
    )
    return BaseNetwork(network, predictor)


class Phase(NamedTuple):
    """Steps with one loss network."""

    steps: range
    loss_network: LossNetwork
    pool_size: int
    crop_size: int


def run_phase(
    training: BaseTraining,
    phase: Phase,
    photos: ContentImages,
    style_images: list[torch.Tensor],
    compact: LossNetwork,
    saved_run: SavedRun,
    options: argparse.Namespace,
    *,
    report: bool,
) -> None:
    """Take the steps of a phase that are left, and save every few minutes."""
    device = next(training.base.parameters()).device
    style_image = style_images[0].float().to(device) / 255
    loss = build_loss(phase.loss_network, style_image, photos, options.style_strength)
    pool = StylePool(style_images, loss, compact, size=phase.pool_size, seed=options.seed + phase.steps.start)
    batches = iterate_batches(
        photos,
        crop_size=phase.crop_size,
        batch_size=options.batch_size,
        seed=options.seed,
        steps=range(max(phase.steps.start, training.step), phase.steps.stop),
        workers=0,
    )
    began, saved = time.monotonic(), time.monotonic()
    sums: dict[str, float] = {}
    for count, batch in enumerate(batches, 1):
        for name, term in training.take_step(batch.to(device), pool, loss).items():
            sums[name] = sums.get(name, 0.0) + float(term)
        if report and training.step % options.log_every == 0:
            shown = " ".join(
                f"{name} {value / options.log_every:.3f}" for name, value in sums.items() if "." not in name
            )
            print(
                f"step {training.step}/{training.steps} {count / (time.monotonic() - began):.2f}/s {shown}", flush=True
            )
            sums = {}
        if time.monotonic() - saved > options.save_seconds or training.step == phase.steps.stop:
            saved_run.save(step=training.step, parts=training.parts())
            if report:
                write_result(training, options)
            saved = time.monotonic()


def build_loss(
    loss_network: LossNetwork, style_image: torch.Tensor, photos: ContentImages, style_strength: float
) -> PerceptualLoss:
    """The loss of all styles; each image of a batch brings targets of its own."""
    device = style_image.device
    # Colors count twice: a predictor gets those of style images that it has not seen wrong before anything else.
    taps = {**DEFAULT_STYLE_TAPS, "relu1_1": 2 * DEFAULT_STYLE_TAPS["relu1_1"]}
    # With what the shipped base network was trained, which is older than the focus and the color loss.
    settings = LossSettings(
        style_strength=style_strength, style_taps=taps, content_focus=0.0, color_weight=0.0, grid_weight=30.0
    )
    settings = adapt_taps(settings, loss_network.architecture)
    if device.type == "cpu":
        if has_fast_bfloat16():
            loss_network.autocast_type = torch.bfloat16
        loss_network = loss_network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sample = cut_samples(photos, 64).to(device)
    variance = measure_feature_variance(loss_network, sample.split(4), settings.content_taps)
    return PerceptualLoss(
        loss_network, style_image, settings, feature_variance=variance, photo_tones=PhotoTones(sample)
    )


def write_result(training: BaseTraining, options: argparse.Namespace) -> None:
    """Write the base network, whose own steering is that of no style in particular, and its predictor."""
    average = training.average.network
    info = CheckpointInfo(
        style={"name": "base"},
        training={"steps": training.step, "batch_size": options.batch_size, "crop_size": options.crop_size},
    )
    path = options.output / BASE_FILE
    save_checkpoint(path, checkpoint_from_network(average.network, info), dtype="fp16")
    weights = {name: weight.cpu().numpy() for name, weight in average.predictor.state_dict().items()}
    # By the file, since rounding to fp16 changes the digest.
    save_predictor(options.output / PREDICTOR_FILE, StylePredictor(weights, load_checkpoint(path).shared_digest))


def choose_styles(sources: list[Path], held_out: int) -> tuple[list[Path], list[Path]]:
    """The style images to train on, and those that are held out, chosen by a hash of their names."""
    files = sorted({file for source in sources for file in (find_images(source) if source.is_dir() else [source])})
    spread = sorted(files, key=lambda file: hashlib.sha256(file.name.encode()).hexdigest())
    kept = [file for file in spread if file.stem.isdecimal()][:held_out]  # a style that has a name is shipped
    return [file for file in files if file not in kept], kept


def to_bytes(file: Path) -> torch.Tensor:
    """A style image, (3, H, W), uint8."""
    return torch.from_numpy(np.ascontiguousarray(to_uint8(load_image(file, short_side=SHORT_SIDE)).transpose(2, 0, 1)))


def start_processes(device: torch.device) -> tuple[int, int]:
    """This process's rank, and how many there are."""
    if "WORLD_SIZE" not in os.environ:
        return 0, 1
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def average_gradients(parameters: list[nn.Parameter], *, processes: int) -> None:
    """The mean of all processes' gradients."""
    if processes > 1:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= processes


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("styles", type=Path, nargs="+", metavar="STYLES")
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--output", type=Path, default=Path("runs/base"))
    parser.add_argument("--steps", type=int, default=12000, help="with the compact loss network")
    parser.add_argument("--vgg-steps", type=int, default=3000, help="with VGG-19, after those")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--crop-size", type=int, default=192)
    parser.add_argument("--vgg-crop-size", type=int, default=192)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--pool", type=int, default=400, help="style images measured ahead")
    parser.add_argument("--held-out", type=int, default=45, help="style images to keep out")
    parser.add_argument("--init", help="a realtime network to start from, or a folder with base network and predictor")
    parser.add_argument("--style-strength", type=float, default=4.0, help="weight of the style loss")
    parser.add_argument("--temporal-weight", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--save-seconds", type=float, default=180)
    return parser.parse_args()


if __name__ == "__main__":
    main()
