#!/usr/bin/env python3
"""What the strength knob does along its range: python scripts/measure_strengths.py PHOTOS STYLE[=IMAGE] [...]

PHOTOS is the folder that was trained on; 12 of the photos that training holds out are measured. For each STYLE:

- structure: that of `scripts/measure_checkpoints.py`, the correlation of the luminance of photo and output in windows
  of 11 pixels;
- with IMAGE, the style image, also the content loss and the style loss, judged by the compact loss network. The style
  loss is on a scale on which the photos themselves have 1.
"""

import argparse
import statistics
from pathlib import Path

import measure_checkpoints as measuring
import torch

from nst_fast.data.images import load_image, to_tensor, to_uint8
from nst_fast.loss_networks.network import adapt_taps
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.content import measure_feature_variance
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.tones import PhotoTones
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


class LossMeter:
    """Content and style losses of outputs.

    Args:
        photos: (1, 3, H, W) each, RGB in [0, 1].
    """

    def __init__(self, photos: list[torch.Tensor]) -> None:
        self._photos = photos
        self._settings = adapt_taps(LossSettings(), "compact")
        taps = [*self._settings.content_taps, *self._settings.style_taps]
        self._network = build_loss_network("compact", taps=taps, weights="shipped")
        self._variance = measure_feature_variance(self._network, photos, self._settings.content_taps)
        self._tones = PhotoTones(torch.cat([photo[..., :256, :256] for photo in photos]))

    @torch.no_grad()
    def measure(self, image: str, outputs: dict[float, list[torch.Tensor]]) -> dict[str, list[float]]:
        """The losses at each strength, given the style image's file."""
        style_image = load_image(image, short_side=measuring.STYLE_SHORT_SIDE)
        loss = PerceptualLoss(
            self._network, style_image, self._settings, feature_variance=self._variance, photo_tones=self._tones
        )
        unstylized = self._measure(loss, self._photos, "style")
        return {
            "content": [self._measure(loss, images, "content") for images in outputs.values()],
            "style": [self._measure(loss, images, "style") / unstylized for images in outputs.values()],
        }

    def _measure(self, loss: PerceptualLoss, outputs: list[torch.Tensor], term: str) -> float:
        pairs = zip(outputs, self._photos, strict=True)
        return statistics.fmean(float(loss(output, photo)[1][term]) for output, photo in pairs)


def main() -> None:
    """Print the rows of each style."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("styles", nargs="+", metavar="STYLE[=IMAGE]")
    options = parser.parse_args()
    photos = measuring.read_unseen_photos(options.photos, 12)
    meter = LossMeter(photos)
    print(f"{'strength':<34}", *(f"{strength:5g}" for strength in STRENGTHS))
    for style, _, image in (one.partition("=") for one in options.styles):
        stylizer = Stylizer(style)
        outputs = {}
        for strength in STRENGTHS:
            stylizer.look = Look(strength=strength)
            outputs[strength] = [to_tensor(stylizer.stylize_pixels(to_uint8(photo[0])))[None] for photo in photos]
        rows = {"structure": [measure_structure(photos, images) for images in outputs.values()]}
        rows |= meter.measure(image, outputs) if image else {}
        for term, values in rows.items():
            print(f"{Path(style).stem:<23} {term:<10}", *(f"{value:.3f}" for value in values), flush=True)


def measure_structure(photos: list[torch.Tensor], outputs: list[torch.Tensor]) -> float:
    """The mean structure of outputs."""
    pairs = zip(photos, outputs, strict=True)
    return statistics.fmean(measuring.local_correlation(photo, output) for photo, output in pairs)


if __name__ == "__main__":
    main()
