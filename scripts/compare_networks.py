#!/usr/bin/env python3
"""Compare `realtime` with other networks of about its cost, trained alike: the table of docs/experiments/networks.md.

    python scripts/compare_networks.py --style wave.jpg --content photos/ [--steps 400] [--photo PHOTO] [NAME ...]

Each is trained with `train` (crops of 128 pixels, batches of 2). Run the same command again to resume. Then the time
for one image of 640x360 is measured, in turns, with PyTorch. RUNS/NAME.png is PHOTO, stylized by that network.
"""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from nst_fast.benchmark import candidate_for, measure_candidates
from nst_fast.media.pictures import read_picture, write_picture
from nst_fast.networks import registry
from nst_fast.networks.checkpoint import load_checkpoint, save_checkpoint
from nst_fast.networks.description import (
    Layer,
    NetworkDescription,
    PixelUnshuffle,
    Sequence,
    Sigmoid,
    SmoothUpsampleConv,
    conv_norm,
    residual_block,
    sequence,
    smooth_upsample_conv_norm,
    to_colors,
    upsample_conv_norm,
)
from nst_fast.networks.realtime import describe_realtime
from nst_fast.networks.torch_network import StyleNetwork, build_network, checkpoint_from_network
from nst_fast.settings.networks import NetworkSettings
from nst_fast.stylize.stylizer import Stylizer
from nst_fast.training.loop import train
from nst_fast.training.settings import OPTIMIZATION_OF, TrainSettings

WIDTH = 32


def fine_strokes(upsampling: Layer, width: int, blocks: int) -> Sequence:
    """The part at half the resolution."""
    return sequence(upsampling, *[residual_block(width // 2)] * blocks)


# Name -> for a width, the parts in which the network differs from `realtime`.
VARIANTS: dict[str, Callable[[int], dict[str, Sequence]]] = {
    "realtime": lambda w: {},
    # Bilinear upsampling at both levels, and nearest-neighbor upsampling at both levels.
    "smooth_upsampling": lambda w: {"fine_strokes": fine_strokes(smooth_upsample_conv_norm(w, w // 2), w, 2)},
    "nearest_upsampling": lambda w: {"decoder": sequence(upsample_conv_norm(w // 2, w // 4), to_colors(w // 4, 3))},
    # All five residual blocks at a quarter of the resolution, none at half of it.
    "quarter_only": lambda w: {
        "strokes": sequence(*[residual_block(w)] * 5),
        "fine_strokes": fine_strokes(smooth_upsample_conv_norm(w, w // 2), w, 0),
    },
    # Two residual blocks at a quarter and three at half; three and three.
    "more_fine_strokes": lambda w: {
        "strokes": sequence(*[residual_block(w)] * 2),
        "fine_strokes": fine_strokes(upsample_conv_norm(w, w // 2), w, 3),
    },
    "deeper": lambda w: {"fine_strokes": fine_strokes(upsample_conv_norm(w, w // 2), w, 3)},
    # No layer at full resolution: bilinear upsampling and the convolution to RGB in one.
    "colors_from_half": lambda w: {"decoder": sequence(SmoothUpsampleConv(w // 2, 3), Sigmoid())},
    # Half as wide again at a quarter of the resolution.
    "wider": lambda w: {
        "encoder": sequence(PixelUnshuffle(4), conv_norm(48, w * 3 // 2, 3)),
        "strokes": sequence(*[residual_block(w * 3 // 2)] * 3),
        "fine_strokes": fine_strokes(upsample_conv_norm(w * 3 // 2, w // 2), w, 2),
    },
    # Residual blocks that start at a fifth of their strength, see `build_initial`.
    "weak_residuals": lambda w: {},
}


def describe_variant(name: str) -> Callable[..., NetworkDescription]:
    """What `registry.NETWORKS` has for a network: the function that describes it."""

    def describe(width: int = WIDTH, input_noise: float = 0.0) -> NetworkDescription:
        realtime = describe_realtime(width, input_noise)
        layers = tuple((part, VARIANTS[name](width).get(part, layer)) for part, layer in realtime.body.layers)
        return dataclasses.replace(realtime, name=name, body=Sequence(layers))

    return describe


def build_initial(name: str, seed: int = 0) -> StyleNetwork:
    """The network before its training, with random weights."""
    torch.manual_seed(seed)
    network = build_network(name, width=WIDTH, input_noise=NetworkSettings().input_noise)
    if name == "weak_residuals":
        for path, module in network.named_modules():
            if path.endswith(".second.1") and isinstance(module, nn.InstanceNorm2d):
                nn.init.constant_(module.weight, 0.2)
    return network


def main() -> None:
    """Train, measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(VARIANTS)} (default: all)")
    parser.add_argument("--style", required=True, type=Path)
    parser.add_argument("--content", required=True, type=Path)
    parser.add_argument("--photo", type=Path, help="a photo to stylize with each network")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--runs", type=Path, default=Path("runs/networks"))
    parser.add_argument("--weights", default="imagenet", help="of VGG-19, a word or a file (default: imagenet)")
    options = parser.parse_args()
    if unknown := set(options.names) - VARIANTS.keys():
        parser.error(f"{min(unknown)!r} is not a variant; there are {', '.join(VARIANTS)}")
    held_out, candidates = {}, []
    for name in options.names or VARIANTS:
        registry.NETWORKS[name] = describe_variant(name)
        initial = options.runs / name / "initial.safetensors"
        save_checkpoint(initial, checkpoint_from_network(build_initial(name)), dtype="fp32")
        settings = TrainSettings.build(
            preset=None,
            style=options.style,
            content=options.content,
            output=options.runs / name,
            init=initial,
            name=name,
            steps=options.steps,
            crop_size=128,
            batch_size=2,
            weights=options.weights,
            **{"network.name": name, "network.width": WIDTH, "network.adjustable": False},
            **OPTIMIZATION_OF["realtime"]._asdict(),
        )
        result = train(settings)
        held_out[name] = result.held_out
        candidates.append(candidate_for(name, load_checkpoint(result.checkpoint), engine="torch"))
        if options.photo:
            stylized = Stylizer(result.checkpoint).stylize_picture(read_picture(options.photo))
            write_picture(options.runs / f"{name}.png", stylized)
    print("| network | operations per pixel | ms at 640x360 | style | content | total |")
    print("| --- | --- | --- | --- | --- | --- |")
    for measured in measure_candidates(candidates, 360, 640):
        style, content, total = (held_out[measured.network][term] for term in ("style", "content", "total"))
        print(f"| `{measured.network}` | {measured.operations_per_pixel:,.0f} ", end="")
        print(f"| {measured.milliseconds_50:.0f} | {style:.3f} | {content:.2f} | {total:.2f} |")


if __name__ == "__main__":
    main()
