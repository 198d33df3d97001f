"""Outputs that are carried along the motion of the scene, without any network: strokes here are made up."""

from pathlib import Path

import numpy as np
import pytest

from nst_fast.errors import SettingError
from nst_fast.evaluation.motion import Motion, film_photo
from nst_fast.evaluation.warping import Warp
from nst_fast.media.pictures import read_picture
from nst_fast.stylize.coherence import CoherenceFilter
from nst_fast.stylize.coherence_graph import build_coherence_graph
from nst_fast.stylize.engines.choice import list_engines, open_graph

ENGINES = [name for name in list_engines("cpu") if name in ("onnxruntime", "openvino")]
PHOTO = read_picture(Path(__file__).parents[2] / "docs" / "examples" / "photos" / "china.jpg").rgb
HEIGHT, WIDTH = 180, 260  # no multiples of the squares that are compared


def build_filter(coherence: float, engine: str = "onnxruntime") -> CoherenceFilter:
    return CoherenceFilter(coherence, lambda graph, beside: open_graph(graph, engine, 1 if beside else None))


def shoot(motion: Motion, frames: int, noise: float = 2.0) -> list[np.ndarray]:
    return list(film_photo(PHOTO, motion, height=HEIGHT, width=WIDTH, frames=frames, noise=noise))


def flicker(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Stands in for a network whose strokes change from frame to frame: blotches that are new each time."""
    random = np.random.default_rng(1)
    blotches = [np.kron(random.normal(0, 20, (HEIGHT // 4, WIDTH // 4, 1)), np.ones((4, 4, 1))) for _ in frames]
    return [
        (frame + blotch).round().clip(0, 255).astype(np.uint8) for frame, blotch in zip(frames, blotches, strict=True)
    ]


def change_along(motion: Motion, outputs: list[np.ndarray], apart: int) -> float:
    """The root mean square change between outputs along the motion."""
    errors = []
    for number in range(apart, len(outputs)):
        warp = Warp(motion.flow(number, number - apart, HEIGHT, WIDTH))
        moved = warp(outputs[number - apart].astype(np.float32))
        errors.append(((outputs[number] - moved)[warp.inside] ** 2).mean())
    return float(np.sqrt(np.mean(errors)))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_still_scene_follows_the_stated_formula(engine):
    """Where the photos are the same, each output is stylized + coherence * (last output - stylized), within a level."""
    photo = shoot(Motion("still"), 1, noise=0)[0]
    random = np.random.default_rng(0)
    stylized = random.integers(0, 256, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)
    filter_ = build_filter(0.6, engine)
    outputs = [filter_.blend(photo, one) for one in stylized]
    assert np.array_equal(outputs[0], stylized[0])
    for before, now, output in zip(outputs, stylized[1:], outputs[1:], strict=False):
        assert output.dtype == np.uint8
        assert np.abs(output - (now + 0.6 * (before.astype(float) - now))).max() <= 1


@pytest.mark.parametrize(
    "motion",
    [
        Motion("pan", shift=(1, 2)),
        Motion("slow pan", shift=(0.35, 0.6)),
        Motion("zoom", zoom=1.01),
        Motion("turn", turn=0.5),
        Motion("ripple", ripple=2.0),
    ],
    ids=lambda motion: motion.name,
)
def test_strokes_hold_still_along_the_motion(motion):
    """Strokes that are new in each frame change by at most 0.55 as much one frame apart, and 0.85 as much
    eight frames apart. In theory it is 0.32 and 0.5 for a coherence of 0.6."""
    frames = shoot(motion, 14)
    stylized, filter_ = flicker(frames), build_filter(0.6)
    outputs = [filter_.blend(*pair) for pair in zip(frames, stylized, strict=True)]
    for apart, most in ((1, 0.55), (8, 0.85)):
        assert change_along(motion, outputs[4:], apart) < most * change_along(motion, stylized[4:], apart)


def test_detail_stays_sharp():
    """A photo that moves by half a pixel a frame keeps nine tenths of its contrast from pixel to pixel."""
    frames = shoot(Motion("pan", shift=(0.5, 0.5)), 12, noise=0)
    filter_ = build_filter(0.6)
    output = [filter_.blend(frame, frame) for frame in frames][-1]

    def contrast(image: np.ndarray) -> float:
        return float(np.diff(image[20:-20, 20:-20].astype(float), axis=1).std())

    assert contrast(output) > 0.9 * contrast(frames[-1])


def test_nothing_is_dragged_along():
    """Where a disc has moved away from, the output is what the network makes of the wall behind it, and the disc itself
    has no tail."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wall = shoot(Motion("still"), 1, noise=0)[0]
    frames = []
    for number in range(6):
        disc = np.hypot(rows - 90, columns - 60 - 12 * number) < 25
        frames.append(np.where(disc[..., None], np.uint8([240, 40, 30]), wall))
    filter_ = build_filter(0.6)
    outputs = [filter_.blend(frame, frame) for frame in frames]
    differences = np.abs(outputs[-1].astype(int) - frames[-1])
    assert differences.mean() < 1
    uncovered = (np.hypot(rows - 90, columns - 108) < 24) & (np.hypot(rows - 90, columns - 120) > 27)
    assert uncovered.sum() > 100
    assert differences[uncovered].mean() < 3


def test_without_a_past_outputs_are_the_networks():
    """The first frame, frames of another size, tiny ones, and all with a coherence of 0 are left as they are."""
    large, small = np.full((64, 80, 3), 50, np.uint8), np.full((20, 80, 3), 60, np.uint8)
    narrow = np.full((640, 64, 3), 70, np.uint8)
    filter_ = build_filter(0.6)
    for photo in (large, large[:48], small, small, large, narrow, narrow, large):
        stylized = 255 - photo
        assert filter_.blend(photo, stylized) is stylized
        assert (filter_.shown is None) == (photo is small or photo is narrow)
    assert filter_.blend(large, 200 - large) is not None and filter_.shown is not None
    off = CoherenceFilter(0.0, lambda *_: pytest.fail("no graph is needed"))
    for _ in range(2):
        assert off.blend(large, stylized) is stylized


def test_engines_agree():
    """Over ten frames of a zoom, ONNX Runtime and OpenVINO give the same within two levels."""
    if len(ENGINES) < 2:
        pytest.skip("OpenVINO is not installed")
    frames = shoot(Motion("zoom", zoom=1.02), 10)
    filters = [build_filter(0.6, engine) for engine in ENGINES]
    for frame, stylized in zip(frames, flicker(frames), strict=True):
        one, other = (filter_.blend(frame, stylized).astype(int) for filter_ in filters)
        assert np.abs(one - other).max() <= 2


def test_the_graph_is_valid():
    """ONNX's own checker accepts the graph, for frames that are compared as they are and for large ones."""
    onnx = pytest.importorskip("onnx")
    for height, width, compared, step in ((64, 100, (64, 96), 1), (HEIGHT, WIDTH, (56, 80), 3)):
        model = onnx.load_from_string(build_coherence_graph(height, width, compared, step))
        onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("coherence", [-0.1, 1.0, float("nan")])
def test_impossible_coherence(coherence):
    """A share below 0, of 1 or no number is refused with what is allowed."""
    with pytest.raises(SettingError, match=r"coherence is .*; it must be at least 0 and below 1, such as 0.6"):
        build_filter(coherence)


def test_motion_is_found_anew_at_another_size():
    """One filter serves frames of several sizes, one after the other."""
    filter_ = build_filter(0.5)
    for side in (64, 96, 64):
        photo = np.ascontiguousarray(PHOTO[:side, :side])
        filter_.blend(photo, np.full_like(photo, 100))
        assert np.abs(filter_.blend(photo, np.full_like(photo, 200)).astype(int) - 150).max() <= 1
