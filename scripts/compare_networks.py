#!/usr/bin/env python3
"""The `realtime` network beside other shapes at about its cost, trained alike: the table of docs/networks.md.

    python scripts/compare_networks.py --style wave.jpg --content photos/ [--steps 400] [--photo PHOTO] [NAME ...]

Each is trained by the program's own `train` (128-pixel crops, batch 2); a run that was cut is continued. Then, in
turns, the time of one 640x360 picture is taken in plain torch. RUNS/NAME.png is PHOTO as each paints it.
"""

import argparse
import os
from pathlib import Path

import torch
from torch import nn

from nst_fast import transform_nets
from nst_fast.benchmark import candidate_for, measure_candidates
from nst_fast.images import load_image, save_image
from nst_fast.inference.stylizer import Stylizer
from nst_fast.training.loop import train
from nst_fast.training.recipe import Recipe
from nst_fast.transform_nets.layers import (
    ConvNorm,
    ResidualBlock,
    SmoothUpsampleConv,
    SmoothUpsampleConvNorm,
    ToColours,
    UpsampleConvNorm,
)
from nst_fast.transform_nets.realtime import RealtimeNet
from nst_fast.transform_nets.statistics import Chain


class Variant(RealtimeNet):
    """`realtime` with something changed once it is built."""

    def __init__(self, width: int = 32, grain: float = 0.0) -> None:
        super().__init__(width, grain)
        self.change(width)

    def change(self, width: int) -> None:
        """What is different."""


class SmoothUpsampling(Variant):
    """Bilinear upsampling on both levels."""

    def change(self, width: int) -> None:
        self.fine_strokes[0] = SmoothUpsampleConvNorm(width, width // 2)


class NearestUpsampling(Variant):
    """Nearest-neighbour upsampling on both levels."""

    def change(self, width: int) -> None:
        self.decoder[0] = UpsampleConvNorm(width // 2, width // 4)


class QuarterOnly(Variant):
    """All five residual blocks at a quarter of the resolution, none at half."""

    def change(self, width: int) -> None:
        self.strokes = Chain(*(ResidualBlock(width) for _ in range(5)))
        self.fine_strokes = Chain(SmoothUpsampleConvNorm(width, width // 2))


class MoreFineStrokes(Variant):
    """Two residual blocks at a quarter, three at half."""

    def change(self, width: int) -> None:
        self.strokes = Chain(*(ResidualBlock(width) for _ in range(2)))
        self.fine_strokes.append(ResidualBlock(width // 2))


class Deeper(Variant):
    """Three residual blocks at a quarter, three at half."""

    def change(self, width: int) -> None:
        self.fine_strokes.append(ResidualBlock(width // 2))


class PixelShuffled(Variant):
    """From half to full by pixel-shuffle with kernels that start equal (ICNR, Aitken et al. 2017), then 3x3 to RGB."""

    def change(self, width: int) -> None:
        interleaved = nn.Conv2d(width // 2, 16, 3, padding=1, padding_mode="reflect")
        with torch.no_grad():
            interleaved.weight.copy_(interleaved.weight[:4].repeat_interleave(4, 0))
        self.decoder = Chain(interleaved, nn.PixelShuffle(2), nn.ReLU(inplace=True), ToColours(4, 3))


class ColoursFromHalf(Variant):
    """No layer at full resolution: bilinear upsampling and 3x3 to RGB in one."""

    def change(self, width: int) -> None:
        self.decoder = Chain(SmoothUpsampleConv(width // 2, 3), nn.Sigmoid())


class Wider(Variant):
    """Half as wide again at a quarter of the resolution."""

    def change(self, width: int) -> None:
        self.encoder[1] = ConvNorm(48, width * 3 // 2, 3)
        self.strokes = Chain(*(ResidualBlock(width * 3 // 2) for _ in range(3)))
        self.fine_strokes[0] = UpsampleConvNorm(width * 3 // 2, width // 2)


class WeakResiduals(Variant):
    """Residual blocks that begin at a fifth of their strength."""

    def change(self, width: int) -> None:
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                nn.init.constant_(module.second[1].weight, 0.2)  # pyright: ignore[reportArgumentType]


VARIANTS: dict[str, type[RealtimeNet]] = {
    "realtime": RealtimeNet,
    "smooth_upsampling": SmoothUpsampling,
    "nearest_upsampling": NearestUpsampling,
    "quarter_only": QuarterOnly,
    "more_fine_strokes": MoreFineStrokes,
    "deeper": Deeper,
    "pixel_shuffled": PixelShuffled,
    "colours_from_half": ColoursFromHalf,
    "wider": Wider,
    "weak_residuals": WeakResiduals,
}


def main() -> None:
    """Train, measure, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(VARIANTS)} (default: all)")
    parser.add_argument("--style", required=True, type=Path)
    parser.add_argument("--content", required=True, type=Path)
    parser.add_argument("--photo", type=Path, help="painted by each, to be looked at")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--runs", type=Path, default=Path("runs/networks"))
    parser.add_argument("--weights", default=os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet"), help="of VGG-19")
    options = parser.parse_args()
    if unknown := set(options.names) - VARIANTS.keys():
        parser.error(f"{min(unknown)!r} is no variant; there are {', '.join(VARIANTS)}")
    held_out, candidates = {}, []
    for name in options.names or VARIANTS:
        transform_nets.TRANSFORM_NETS[name] = VARIANTS[name]
        recipe = Recipe(transform_net=name, steps=options.steps, crop_size=128, batch_size=2, weights=options.weights)
        result = train(options.style, options.content, options.runs / name, recipe)
        held_out[name] = result.held_out
        candidates.append(candidate_for(name, str(result.checkpoint)))
        if options.photo:
            painted = Stylizer(result.checkpoint).stylize(load_image(options.photo))
            save_image(painted, options.runs / f"{name}.png")
    print("| network | operations a pixel | ms at 640x360 | style | content | 20 * style + content |")
    print("| --- | --- | --- | --- | --- | --- |")
    for measured in measure_candidates(candidates, 360, 640):
        style, content = held_out[measured.network]["style"], held_out[measured.network]["content"]
        print(f"| `{measured.network}` | {measured.operations_per_pixel:,.0f} ", end="")
        print(f"| {measured.milliseconds_50:.0f} | {style:.3f} | {content:.2f} | {20 * style + content:.2f} |")


if __name__ == "__main__":
    main()
