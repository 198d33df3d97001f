"""Paint `docs/examples/painting.jpg`: the project's own style image, so that the quick start needs no download.

    python scripts/make_example_painting.py [--output FILE] [--seed NUMBER]

Rolling hills under a large sun, laid down as oil paint is: brush strokes follow a swirling flow field, first broad
ones, then ever finer ones. A stroke carries two colors that mix along its bristles, runs dry towards its end, and
stands out of the canvas; a lamp from the upper left shades that relief at the end. One seed gives one picture.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]

HEIGHT, WIDTH = 512, 640
SUPERSAMPLING = 2  # painted this much larger and then reduced, which smooths the strokes' hard edges
ROWS, COLUMNS = HEIGHT * SUPERSAMPLING, WIDTH * SUPERSAMPLING
DEFAULT_OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "examples" / "painting.jpg"

# Deep blues and teals against ochre, vermilion and cream (sRGB).
NIGHT, ULTRAMARINE, COBALT = (14, 26, 74), (26, 56, 146), (42, 104, 190)
FOREST, TEAL, TURQUOISE = (14, 66, 74), (20, 124, 138), (92, 186, 180)
CREAM, YELLOW, OCHRE = (252, 238, 200), (248, 200, 64), (212, 144, 42)
ORANGE, VERMILION, CARMINE = (236, 118, 38), (214, 60, 34), (136, 24, 44)

# The picture's areas from back to front. Strokes of one area choose among its colors by the scene's `tone`, 0 to 1.
SKY, SUN, FAR, MIDDLE, NEAR, FRONT = range(6)
PALETTES = {
    SKY: (NIGHT, ULTRAMARINE, ULTRAMARINE, COBALT, COBALT, TURQUOISE, CREAM),
    SUN: (CREAM, YELLOW, YELLOW, ORANGE, VERMILION),
    FAR: (NIGHT, ULTRAMARINE, TEAL, TURQUOISE, TEAL, COBALT),
    MIDDLE: (OCHRE, YELLOW, CREAM, YELLOW, ORANGE, OCHRE),
    NEAR: (FOREST, NIGHT, FOREST, TEAL, TURQUOISE, TEAL),
    FRONT: (CARMINE, VERMILION, ORANGE, VERMILION, CARMINE, NIGHT),
}

# Lengths and positions are in units of the picture's width; the picture is 1 wide and 0.8 high.
SUN_CENTRE, SUN_RADIUS = (0.69, 0.27), 0.088
# Whirls of the sky: x, y, radius, direction of turning.
WHIRLS = (
    (0.69, 0.27, 0.200, 1.0),
    (0.27, 0.20, 0.170, -1.0),
    (0.49, 0.05, 0.100, 1.0),
    (0.06, 0.37, 0.100, 1.0),
    (0.94, 0.06, 0.110, -1.0),
    (0.43, 0.355, 0.085, 1.0),
    (0.94, 0.42, 0.080, -1.0),
)


@dataclass(frozen=True)
class Brush:
    """One pass over the whole canvas; lengths in units of the picture's width."""

    spacing: float  # mean distance between the starts of neighbouring strokes
    width: float
    length: float
    coverage: float  # share of the canvas that this brush paints over, in patches; the rest keeps the broader strokes
    tone_jitter: float  # standard deviation, in units of the tone
    color_jitter: float  # standard deviation, in sRGB steps of 0 to 255


BRUSHES = (
    Brush(spacing=0.028, width=0.055, length=0.26, coverage=1.0, tone_jitter=0.08, color_jitter=8),
    Brush(spacing=0.020, width=0.034, length=0.20, coverage=1.0, tone_jitter=0.14, color_jitter=12),
    Brush(spacing=0.0145, width=0.0170, length=0.140, coverage=0.72, tone_jitter=0.18, color_jitter=15),
    Brush(spacing=0.0125, width=0.0100, length=0.085, coverage=0.42, tone_jitter=0.26, color_jitter=18),
)


@dataclass(frozen=True)
class Scene:
    """What is to be painted, one value for each pixel of the large canvas."""

    area: NDArray[np.int64]
    angle: Array  # direction of the strokes, radians
    tone: Array  # place in the area's palette, 0 to 1


def ridge(area: int, x: Array) -> Array:
    """The upper edge of a range of hills at the abscissas `x`, measured from the top of the picture."""
    base, swing, waves, phase = {
        FAR: (0.445, 0.030, 1.35, 0.10),
        MIDDLE: (0.520, 0.045, 0.85, 0.62),
        NEAR: (0.615, 0.050, 0.80, 0.08),
        FRONT: (0.715, 0.030, 0.75, 0.45),
    }[area]
    wave = np.sin(2 * math.pi * (waves * x + phase)) + 0.3 * np.sin(2 * math.pi * (2.3 * waves * x + 3 * phase))
    return (base + swing * wave).astype(np.float32)


def smooth_noise(rng: np.random.Generator, cell: float) -> Array:
    """Noise over the canvas with features of about `cell` of the width, roughly normal with deviation 1."""
    size = (math.ceil(1 / cell) + 3, math.ceil(0.8 / cell) + 3)
    coarse = Image.fromarray(rng.standard_normal(size[::-1]).astype(np.float32))
    noise = np.asarray(coarse.resize((COLUMNS, ROWS), Image.Resampling.BICUBIC))
    return noise / noise.std()


def design_scene(rng: np.random.Generator) -> Scene:
    y, x = (np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32) + 0.5) / COLUMNS
    drift = smooth_noise(rng, 0.16)

    # Sky: a wavy wind from the left, which each whirl bends into a circle around itself.
    wind_x, wind_y = np.ones_like(x), 0.45 * np.sin(9 * x + 5 * y) + 0.25 * drift
    bands = 5.5 * y + 0.9 * np.sin(6 * x + 2)
    for center_x, center_y, radius, turning in WHIRLS:
        dx, dy = x - center_x, y - center_y
        distance = np.hypot(dx, dy) + 1e-6
        pull = np.exp(-((distance / radius) ** 4))
        # Turned slightly inwards, so that the strokes make spirals rather than rings.
        flow_x, flow_y = turning * -dy - 0.22 * dx, turning * dx - 0.22 * dy
        wind_x = (1 - pull) * wind_x + pull * flow_x / distance
        wind_y = (1 - pull) * wind_y + pull * flow_y / distance
        turns = distance / radius * 1.9 + turning * np.arctan2(dy, dx) / (2 * math.pi)
        bands = (1 - pull) * bands + pull * turns
    angle = np.arctan2(wind_y, wind_x)
    tone = 0.46 + 0.40 * np.cos(2 * math.pi * bands) + 0.08 * drift
    area = np.full(x.shape, SKY, dtype=np.int64)

    from_sun = np.hypot(x - SUN_CENTRE[0], y - SUN_CENTRE[1])
    area[from_sun < SUN_RADIUS] = SUN
    tone = np.where(area == SUN, (from_sun / SUN_RADIUS) ** 1.5 * 0.9, tone)
    halo = np.exp(-(((from_sun - SUN_RADIUS) / 0.045) ** 2))
    tone = np.where(area == SKY, tone * (1 - halo) + halo * 0.93, tone)

    # Hills: strokes run along the ridge, and further down roll over into furrows.
    for hill, furrow, density in ((FAR, 0.35, 14), (MIDDLE, 1.00, 16), (NEAR, -0.75, 14), (FRONT, 0.45, 16)):
        top = ridge(hill, x[0])
        slope = np.gradient(top, x[0])[None, :]
        depth = y - top[None, :]
        inside = depth > 0
        roll = np.tanh(depth / 0.05) * furrow * np.sin(2 * math.pi * (1.3 * x + 3 * depth) + 2 * hill)
        angle = np.where(inside, np.arctan(slope) + roll + 0.10 * drift, angle)
        stripes = np.abs(np.mod(depth * density + 1.2 * roll + 0.20 * drift, 2) - 1)
        tone = np.where(inside, 0.05 + 0.9 * stripes, tone)
        area[inside] = hill
    return Scene(area, angle.astype(np.float32), np.clip(tone, 0, 1).astype(np.float32))


def trace(scene: Scene, starts: Array, length: float, step: float) -> tuple[Array, NDArray[np.int64]]:
    """Follow the flow from each start, and stop where the area ends.

    Args:
        starts: shape (strokes, 2), (x, y) in pixels of the large canvas.
        length: pixels.
        step: pixels between two points of a path.

    Returns:
        Paths of shape (strokes, points, 2), and how many points of each are valid, shape (strokes,).
    """
    points = max(4, round(length / step))
    paths = np.empty((len(starts), points, 2), dtype=np.float32)
    position = starts.astype(np.float32)
    alive = np.ones(len(starts), dtype=bool)
    valid = np.zeros(len(starts), dtype=np.int64)
    home = None
    for index in range(points):
        column = np.clip(position[:, 0].astype(np.int64), 0, COLUMNS - 1)
        row = np.clip(position[:, 1].astype(np.int64), 0, ROWS - 1)
        here = scene.area[row, column]
        home = here if home is None else home
        alive &= here == home
        valid += alive
        paths[:, index] = position
        angle = scene.angle[row, column]
        position = position + step * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return paths, valid


def bristles(rng: np.random.Generator, count: int, fineness: int) -> Array:
    """One value for each of `count` places across the brush, in clumps of about `fineness` places; deviation 1."""
    knots = rng.standard_normal(count // fineness + 3)
    values = np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots)
    values = 0.75 * values + 0.5 * rng.standard_normal(count)
    return values.astype(np.float32)


def lay_stroke(
    canvas: Array, relief: Array, path: Array, width: float, colors: Array, rng: np.random.Generator
) -> None:
    """Put one stroke on the canvas (rows, columns, 3) and into the relief (rows, columns), both changed in place.

    Args:
        path: shape (points, 2), (x, y) in pixels.
        width: pixels.
        colors: shape (2, 3), the two colors on the brush, sRGB 0 to 255.
    """
    # The stroke is a grid of samples, `along` the path and `across` the brush, dense enough to leave no holes.
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    along = max(6, int(lengths[-1] / 0.62))
    across = max(5, int(width / 0.62))
    at = np.linspace(0, lengths[-1], along)
    center = np.stack([np.interp(at, lengths, path[:, axis]) for axis in range(2)], axis=1)
    tangent = np.gradient(center, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-6
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)

    t = np.linspace(0, 1, along, dtype=np.float32)[:, None]
    u = np.linspace(-1, 1, across, dtype=np.float32)[None, :]
    # A brush set down is round, swells, and tapers as it is lifted.
    swell = np.clip(np.minimum(t * 7 + 0.45, (1 - t) * 2.6 + 0.35), 0, 1)
    points = center[:, None, :] + normal[:, None, :] * (u * swell * width / 2)[:, :, None]

    hair = bristles(rng, across, 4)[None, :]
    streak = bristles(rng, along, 9)[:, None]
    grain = rng.standard_normal((along, across), dtype=np.float32)
    start, end = 0.05 + 0.03 * hair, 0.90 + 0.085 * hair  # each bristle touches down and runs dry at its own place
    dryness = np.clip((t - 0.55) / 0.45, 0, 1)
    wet = (t > start) & (t < end) & (hair + 0.5 * grain > -2.4 + 1.9 * dryness) & (np.abs(u) < 0.93 + 0.05 * streak)

    mix = np.clip(0.42 + 0.30 * bristles(rng, across, 7)[None, :] + 0.25 * u * rng.choice([-1, 1]), 0, 1)
    shade = 10 * hair + 4 * grain + 4 * streak
    paint = colors[0] + (colors[1] - colors[0]) * mix[:, :, None] + shade[:, :, None]
    # Paint is pushed to the brush's sides and piles up where the stroke ends.
    thickness = 0.55 + 0.50 * np.abs(u) ** 3 + 0.34 * hair + 0.10 * grain + 0.5 * np.exp(-((t - end) ** 2) / 0.003)
    thickness = thickness * math.sqrt(width)

    column, row = np.rint(points[..., 0]).astype(np.int64), np.rint(points[..., 1]).astype(np.int64)
    wet &= (column >= 0) & (column < COLUMNS) & (row >= 0) & (row < ROWS)
    row, column = row[wet], column[wet]
    canvas[row, column] = paint[wet]
    relief[row, column] = 0.45 * relief[row, column] + thickness[wet]


def mix_colors(scene: Scene, places: Array, brush: Brush, rng: np.random.Generator) -> Array:
    """The two colors of each stroke, shape (strokes, 2, 3), for strokes at `places` (strokes, 2) in pixels."""
    column = np.clip(places[:, 0].astype(np.int64), 0, COLUMNS - 1)
    row = np.clip(places[:, 1].astype(np.int64), 0, ROWS - 1)
    area, tone = scene.area[row, column], scene.tone[row, column]
    colors = np.empty((len(places), 2, 3), dtype=np.float32)
    for index in range(len(places)):
        palette = np.array(PALETTES[int(area[index])], dtype=np.float32)
        first = np.clip(tone[index] + brush.tone_jitter * rng.standard_normal(), 0, 1) * (len(palette) - 1)
        low = min(int(first), len(palette) - 2)
        base = palette[low] + (palette[low + 1] - palette[low]) * (first - low)
        neighbour = palette[np.clip(low + rng.choice([-1, 0, 1, 2]), 0, len(palette) - 1)]
        colors[index] = np.stack([base, 0.45 * base + 0.55 * neighbour])
    brightness = rng.standard_normal((len(places), 1, 1)) * brush.color_jitter
    return colors + brightness + rng.standard_normal((len(places), 1, 3)) * brush.color_jitter * 0.6


def scatter(spacing: float, coverage: float, rng: np.random.Generator) -> Array:
    """Starts of strokes in random order: a grid of the given spacing (pixels), moved at random, in patches."""
    x, y = np.meshgrid(np.arange(-spacing, COLUMNS + spacing, spacing), np.arange(-spacing, ROWS + spacing, spacing))
    starts = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-spacing, spacing, (x.size, 2))
    wanted = smooth_noise(rng, 0.07)
    column = np.clip(starts[:, 0].astype(np.int64), 0, COLUMNS - 1)
    row = np.clip(starts[:, 1].astype(np.int64), 0, ROWS - 1)
    starts = starts[wanted[row, column] <= np.quantile(wanted, coverage)]
    return rng.permutation(starts).astype(np.float32)


def contours(rng: np.random.Generator) -> Iterator[Array]:
    """Paths of dark strokes along the ridges, as in woodcuts and much of the painting after 1880."""
    for hill in (FAR, MIDDLE, NEAR, FRONT):
        x = rng.uniform(-0.05, 0.08)
        while x < 1.0:
            length = rng.uniform(0.10, 0.20)
            along = np.linspace(x, x + length, 40, dtype=np.float32)
            yield np.stack([along, ridge(hill, along) + rng.normal(0, 0.002)], axis=1) * COLUMNS
            x += length * rng.uniform(0.75, 1.05)


def light(canvas: Array, relief: Array) -> Array:
    """Shade the relief of the paint by a lamp from the upper left, with a glint where a ridge faces it."""
    down, right = np.gradient(relief)
    facing = np.tanh((down + right) * 0.24)
    return canvas * (1 + 0.24 * facing[:, :, None]) + 40 * np.clip(facing - 0.6, 0, 1)[:, :, None]


def paint(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    scene = design_scene(rng)
    canvas = np.empty((ROWS, COLUMNS, 3), dtype=np.float32)
    canvas[:] = OCHRE  # a warm ground, which shows between the strokes
    relief = np.zeros((ROWS, COLUMNS), dtype=np.float32)
    for brush in BRUSHES:
        starts = scatter(brush.spacing * COLUMNS, brush.coverage, rng)
        paths, valid = trace(scene, starts, brush.length * COLUMNS, step=4.0)
        middles = paths[np.arange(len(paths)), valid // 2]
        colors = mix_colors(scene, middles, brush, rng)
        for path, points, pair in zip(paths, valid, colors, strict=True):
            if points >= 4:
                lay_stroke(canvas, relief, path[:points], brush.width * COLUMNS * rng.uniform(0.7, 1.2), pair, rng)
    for path in contours(rng):
        pair = np.array([NIGHT, ULTRAMARINE], dtype=np.float32)
        lay_stroke(canvas, relief, path, 0.0085 * COLUMNS * rng.uniform(0.7, 1.3), pair, rng)
    pixels = np.clip(light(canvas, relief), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Paint the example style image of this project.")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="the JPEG to write (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1889, help="another seed, another picture (default: %(default)s)")
    arguments = parser.parse_args()
    paint(arguments.seed).save(arguments.output, quality=90, optimize=True)
    print(f"{arguments.output}: {arguments.output.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
