"""Looks through a Stylizer: what they do together, engine by engine, in films and in tiles."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.errors import SettingError
from nst_fast.media.pictures import Picture, read_picture
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.stylize.color import measure_colors, take_luminance
from nst_fast.stylize.engines.choice import list_engines
from nst_fast.stylize.engines.engine import FilmFrame
from nst_fast.stylize.finishing import FrameMemory
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer

PHOTOS = Path(__file__).resolve().parents[2] / "docs" / "examples" / "photos"
ENGINES = [name for name in list_engines("cpu") if name != "compile"]


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """A person before a wall, (160, 160, 3), uint8."""
    return np.asarray(Image.fromarray(read_picture(PHOTOS / "astronaut.jpg").rgb).resize((160, 160)))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize(
    "look",
    [
        "stroke_size=2",
        "stroke_size=1.7",
        "stroke_size=0.5",
        "keep_color=luminance",
        "keep_color=match",
        "region=person",
        "region=background",
        "stroke_size=3&keep_color=match&region=person",
    ],
)
def test_engines_are_alike(look, portrait):
    """With a shipped style every engine gives the same, within a level; where colors are scaled, so is that level."""
    results = [
        Stylizer("udnie", device="cpu", engine=engine, look=Look.parse(look)).stylize_pixels(portrait)
        for engine in ENGINES
    ]
    for one in results[1:]:
        assert np.abs(one.astype(int) - results[0]).max() <= (4 if "keep_color" in look else 1)
        assert difference(one, results[0]) < 0.02
    assert results[0].shape == portrait.shape and results[0].flags.writeable


def test_a_plain_look_is_the_network(stylizer, portrait):
    """`Look()` changes no byte, before and after another look."""
    expected = stylizer.stylize_pixels(portrait)
    stylizer.look = Look(stroke_size=2)
    assert difference(stylizer.stylize_pixels(portrait), expected) > 2
    stylizer.look = Look()
    assert np.array_equal(stylizer.stylize_pixels(portrait), expected)


def test_the_subject_is_stylized_and_the_rest_is_the_photo(stylizer, portrait, tmp_path):
    """A white half of a mask is the stylized image, a black half the photo; person and background are opposites."""
    everything = stylizer.stylize_pixels(portrait)
    mask = np.zeros((10, 10), np.uint8)
    mask[:, 5:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    results = {}
    for region in (str(tmp_path / "mask.png"), "person", "background"):
        stylizer.look = Look(region=region)
        results[region] = stylizer.stylize_pixels(portrait)
    stylizer.look = Look()
    half = results[str(tmp_path / "mask.png")]
    assert np.array_equal(half[:, :64], portrait[:, :64]) and np.array_equal(half[:, 96:], everything[:, 96:])
    together = results["person"].astype(int) + results["background"]
    assert np.abs(together - everything.astype(int) - portrait).max() <= 2


def test_colors_are_the_photos(stylizer, portrait):
    """Kept luminance and matched statistics, against the definitions and measured on the output."""
    plain = stylizer.stylize_pixels(portrait)
    stylizer.look = Look(keep_color="luminance")
    kept = stylizer.stylize_pixels(portrait).astype(int)
    stylizer.look = Look(keep_color="match")
    matched = measure_colors(stylizer.stylize_pixels(portrait))
    stylizer.look = Look()
    chroma = kept - kept.mean(2, keepdims=True) - portrait + portrait.mean(2, keepdims=True)
    inside = (kept > 0).all(2) & (kept < 255).all(2)
    assert inside.mean() > 0.5 and np.abs(chroma[inside]).max() < 0.01
    assert np.allclose(matched.mean, measure_colors(portrait).mean, atol=12), "as far as bytes can hold the colors"
    assert difference(plain, kept) > 5


def test_a_batch_is_its_pictures(stylizer, portrait):
    """Several pictures at once get the look that each gets alone."""
    batch = np.stack([portrait, portrait[::-1]])
    stylizer.look = Look(stroke_size=2, keep_color="match")
    together = stylizer.stylize_pixels(batch)
    alone = [stylizer.stylize_pixels(photo) for photo in batch]
    stylizer.look = Look()
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 2


@pytest.mark.parametrize("look", [Look(stroke_size=2), Look(keep_color="luminance"), Look(region="person")])
def test_frames_and_pictures_are_alike(stylizer, portrait, look):
    """A film of one frame, frame by frame or as a whole, and a picture file give what the pixels give."""
    stylizer.look = look
    expected = stylizer.stylize_pixels(portrait)
    assert np.array_equal(stylizer.stylize_picture(Picture(portrait)).rgb, expected)
    assert np.array_equal(stylizer.for_frames(0).stylize_pixels(portrait), expected)
    frames = [frame for frame, _ in stylizer.for_frames(0).stylize_frames([FilmFrame(portrait, False)] * 3)]
    stylizer.look = Look()
    # A difference of one level between two ways through the engine is scaled as the colors are.
    most = 4 if look.keep_color else 1
    assert len(frames) == 3 and all(np.abs(frame.astype(int) - expected).max() <= most for frame in frames)


def test_colors_of_films_change_slowly(torch_stylizer, portrait):
    """After a sudden change without a cut the matched colors are between those before and after; a reset ends that."""
    bright = (255 - (255 - portrait.astype(int)) // 3).astype(np.uint8)
    torch_stylizer.look = Look(keep_color="match")
    frames = torch_stylizer.for_frames(0.9)
    before = frames.stylize_pixels(portrait).mean()
    after = frames.stylize_pixels(bright).mean()
    alone = torch_stylizer.stylize_pixels(bright).mean()
    frames.reset()
    reset = frames.stylize_pixels(bright).mean()
    torch_stylizer.look = Look()
    assert abs(after - before) < 0.4 * abs(alone - before)
    assert abs(reset - alone) < 1


@pytest.mark.parametrize("coherence", [0.0, 0.6])
@pytest.mark.parametrize("look", ["keep_color=match", "region=person", "keep_color=luminance&region=background"])
def test_a_film_continues_as_it_was(torch_stylizer, portrait, look, coherence):
    """What comes with a frame is enough to continue behind it as if nothing had happened."""
    frames = [FilmFrame((portrait * share).astype(np.uint8), False) for share in (1, 0.9, 0.8, 0.7, 0.6, 0.5)]
    torch_stylizer.look = Look.parse(look)
    whole = list(torch_stylizer.for_frames(0.8, coherence).stylize_frames(frames))
    continued = list(torch_stylizer.for_frames(0.8, coherence).stylize_frames(frames[3:], whole[2][1]))
    torch_stylizer.look = Look()
    for (one, left), (other, left_again) in zip(whole[3:], continued, strict=True):
        assert np.array_equal(one, other) and np.array_equal(left.used, left_again.used)


def test_the_memory_is_kept_whole():
    """Colors and masks that were added to statistics come back, and so do the statistics."""
    random = np.random.default_rng(0)
    colors = (measure_colors(random.integers(0, 256, (9, 9, 3), dtype=np.uint8)) for _ in range(2))
    memory = FrameMemory(*colors, random.integers(0, 256, (256, 256), dtype=np.uint8))
    used = random.normal(size=(1, 2, 7)).astype(np.float32)
    taken, rest = FrameMemory.take_from(memory.add_to(used), colors=True, mask=True)
    assert np.array_equal(rest, used) and np.array_equal(taken.mask, memory.mask)
    for one, other in ((taken.photo, memory.photo), (taken.stylized, memory.stylized)):
        assert np.array_equal(one.mean, other.mean) and np.array_equal(one.covariance, other.covariance)
    assert FrameMemory.take_from(None, colors=True, mask=True) == (FrameMemory(), None)
    assert np.array_equal(FrameMemory().add_to(used), used) and memory.add_to(None) is None


def test_tiles_take_looks(portrait):
    """In tiles, large strokes and kept colors are those of the whole, but for the thumbnail's statistics."""
    look = Look(stroke_size=2, keep_color="luminance")
    results = [
        Stylizer("udnie", device="cpu", engine="onnxruntime", tiles=tiles, look=look).stylize_picture(Picture(portrait))
        for tiles in ("always", "never")
    ]
    assert difference(results[0].rgb, results[1].rgb) < 1


def test_smaller_strokes_work_at_a_larger_size(stylizer, portrait):
    """Half of the stroke size is the network at twice the size, scaled down."""
    large = np.asarray(Image.fromarray(portrait).resize((320, 320), Image.Resampling.BICUBIC))
    stylized = Image.fromarray(stylizer.stylize_pixels(large))
    stylizer.look = Look(stroke_size=0.5)
    result = stylizer.stylize_pixels(portrait)
    stylizer.look = Look()
    assert np.array_equal(result, np.asarray(stylized.resize((160, 160), Image.Resampling.BICUBIC)))


def build_adjustable() -> Checkpoint:
    """A network with the strength knob, whose steering differs from strength to strength; the photo goes around it at
    strengths below 1 only."""
    torch.manual_seed(0)
    network = build_network("realtime", width=4, adjustable=True)
    with torch.no_grad():
        network.steering += 0.3 * torch.randn_like(network.steering)
        network.steering[2:, :, -3:] = 0
    return checkpoint_from_network(network)


@pytest.mark.parametrize("engine", ENGINES)
def test_strength_is_the_networks(engine, portrait):
    """Another strength is the network with the steering of that strength, and goes back without a trace."""
    checkpoint = build_adjustable()
    stylizer = Stylizer(checkpoint, device="cpu", engine=engine)
    as_trained = stylizer.stylize_pixels(portrait)
    stylizer.look = Look(strength=0.5)
    weak = stylizer.stylize_pixels(portrait)
    fixed = dict(checkpoint.weights, steering=np.repeat(checkpoint.steer(0.5), 4, axis=0))
    expected = Stylizer(dataclasses.replace(checkpoint, weights=fixed), device="cpu", engine="torch")
    assert np.abs(weak.astype(int) - expected.stylize_pixels(portrait)).max() <= 1
    assert difference(weak, as_trained) > 1
    stylizer.look = Look()
    assert np.abs(stylizer.stylize_pixels(portrait).astype(int) - as_trained).max() <= 1


def test_a_style_without_the_knob_says_so(torch_stylizer):
    """One line names the style, and the look stays as it was."""
    with pytest.raises(SettingError) as caught:
        torch_stylizer.look = Look(strength=0.5)
    assert str(caught.value) == (
        "this style was trained without the strength knob; leave strength at 1, or add the knob with "
        "nst-fast train train_only=strength"
    )
    assert torch_stylizer.look == Look()


def test_the_fingerprint_tells_looks_apart(torch_stylizer, tmp_path):
    """Network, look and the content of a mask decide it; the name of the mask does not."""
    seen = [torch_stylizer.fingerprint]
    for name, level in (("a.png", 200), ("b.png", 200), ("c.png", 100)):
        Image.fromarray(np.full((4, 4), level, np.uint8)).save(tmp_path / name)
        torch_stylizer.look = Look(region=str(tmp_path / name))
        seen.append(torch_stylizer.fingerprint)
    torch_stylizer.look = Look(stroke_size=2)
    seen.append(torch_stylizer.fingerprint)
    torch_stylizer.look = Look()
    assert seen[1] == seen[2] and len(set(seen)) == 4


def test_luminance_is_that_of_the_output(portrait):
    """The light and dark of the output are those of the stylized image, moved to the photo's statistics."""
    stylizer = Stylizer("udnie", device="cpu", engine="onnxruntime")
    plain = stylizer.stylize_pixels(portrait)
    stylizer.look = Look(keep_color="luminance")
    kept = stylizer.stylize_pixels(portrait)
    gray = [np.asarray(Image.fromarray(one).convert("L")).astype(float) for one in (plain, kept)]
    assert np.corrcoef(gray[0].ravel(), gray[1].ravel())[0, 1] > 0.97
    assert take_luminance(portrait, portrait, 1, 0).tolist() == portrait.tolist()
