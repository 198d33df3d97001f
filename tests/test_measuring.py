"""The figures of scripts/measure_checkpoints.py, and the blind votes of scripts/make_blind_pairs.py."""

import json
import math
from pathlib import Path

import make_blind_pairs as blind
import measure_checkpoints as measuring
import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from nst_fast.errors import ImageError, SettingError


def draw_noise(height: int = 96, width: int = 128, seed: int = 0) -> torch.Tensor:
    """A random image, (1, 3, H, W), RGB in [0, 1]."""
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def draw_grid(period: int, side: int = 240, height: float = 0.2) -> torch.Tensor:
    """A gray image with a wave across, of a period in pixels and an amplitude of `height`."""
    wave = 0.5 + height * torch.cos(2 * math.pi / period * torch.arange(side))
    return wave.expand(1, 3, side, side).contiguous()


# Moments


def test_the_covariance_is_numpys():
    """The centered covariance is that of np.cov over the positions, and the Gram matrix is the mean outer product."""
    features = draw_noise()
    gram, covariance = measuring.second_moments(features)
    flat = features[0].flatten(1).numpy()
    np.testing.assert_allclose(covariance, np.cov(flat, bias=True), atol=1e-6)
    np.testing.assert_allclose(gram, np.mean([np.outer(column, column) for column in flat.T], 0), atol=1e-5)


def test_nothing_is_missing_of_itself():
    """The missing share is 0 for equal matrices, 1 for nothing at all, and a quarter for half of the matrix."""
    wanted = measuring.second_moments(draw_noise())[1]
    assert measuring.missing_share(wanted, wanted) == 0
    assert measuring.missing_share(torch.zeros(3, 3), wanted) == pytest.approx(1)
    assert measuring.missing_share(wanted / 2, wanted) == pytest.approx(0.25)


def test_luminance_is_that_of_pillow():
    """Luminance has the weights with which Pillow turns RGB into gray."""
    image = draw_noise()
    pixels = (255 * image[0]).round().byte().permute(1, 2, 0).numpy()
    gray = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_allclose(255 * measuring.luminance(image)[0, 0], gray, atol=1.5)


# Structure and flat areas


def test_the_structure_of_a_photo_with_itself_is_one():
    """Structure ignores brightness and contrast, is -1 for a negative, and near 0 for unrelated images."""
    light = draw_noise()[:, :1]
    assert measuring.local_correlation(light, light) == pytest.approx(1)
    assert measuring.local_correlation(light, 0.2 + 0.7 * light) == pytest.approx(1, abs=1e-3)
    assert measuring.local_correlation(light, 1 - light) == pytest.approx(-1, abs=0.02)
    assert abs(measuring.local_correlation(light, draw_noise(seed=1)[:, :1])) < 0.05


def test_structure_is_the_correlation_in_one_window():
    """In an image of a single window, structure is np.corrcoef but for the small constant."""
    photo, output = draw_noise(11, 11)[:, :1], draw_noise(11, 11, seed=1)[:, :1]
    expected = np.corrcoef(photo.flatten(), output.flatten())[0, 1]
    assert measuring.local_correlation(photo, output) == pytest.approx(expected, abs=0.01)


def test_flat_windows_tell_bare_walls_from_woven_ones():
    """Only windows where the photo is flat count, each with the output's standard deviation there."""
    photo = torch.cat([torch.full((1, 1, 32, 32), 0.5), draw_noise(32, 32)[:, :1]], 3)
    output = draw_noise(32, 64, seed=2)[:, :1]
    contrasts = measuring.flat_contrasts(photo, output)
    np.testing.assert_allclose(contrasts, [np.std(output[0, 0, :, :32].numpy(), ddof=1)], rtol=1e-5)
    assert measuring.flat_contrasts(photo, torch.full_like(photo, 0.5)).tolist() == [0]
    assert len(measuring.flat_contrasts(draw_noise()[:, :1], draw_noise()[:, :1])) == 0


# Grid artifacts


@pytest.mark.parametrize("period", measuring.PERIODS)
def test_a_grid_is_found_at_its_period_and_nowhere_else(period):
    """A wave has its whole variance at its period; periods that the window can tell apart have next to none."""
    image = draw_grid(period)
    powers = measuring.wave_powers(image)
    # On a window's length, a cosine of whole periods has the variance height^2 / 2, at the shortest period height^2.
    assert int(powers.argmax()) == period - 2
    assert float(powers[period - 2]) == pytest.approx(3 * 0.2**2 * (1 if period == 2 else 0.5), rel=0.05)
    for other in measuring.PERIODS:
        if abs(1 / other - 1 / period) > 2.1 / 64:
            assert powers[other - 2] < 0.01 * powers[period - 2]


def test_an_even_image_has_no_waves():
    """Neither a plain color nor its brightness leaks into any period."""
    assert float(measuring.wave_powers(torch.full((1, 3, 96, 96), 0.7)).max()) < 1e-10


@pytest.mark.parametrize("period", measuring.PERIODS)
def test_a_locked_grid_is_found_at_its_period_and_its_multiples(period):
    """Folding finds a wave at its period and the multiples, with its standard deviation, and nowhere else."""
    patterns = measuring.locked_patterns(draw_grid(period, side=1680)[:, :, :48])
    found = [float(pattern.square().mean().sqrt()) for pattern in patterns]
    # A mean over 17 pixels keeps this much of a wave, which is subtracted with the surroundings.
    kept = math.sin(17 * math.pi / period) / (17 * math.sin(math.pi / period))
    deviation = (1 - kept) * 0.2 * (1 if period == 2 else 0.5**0.5)
    for other, value in zip(measuring.PERIODS, found, strict=True):
        if other % period == 0:
            assert value == pytest.approx(deviation, rel=0.03)
        else:
            assert value < 0.06 * deviation  # an unfinished period at the rim
    figures = {f"locked.{other}": value for other, value in zip(measuring.PERIODS, found, strict=True)}
    assert measuring.largest_period(figures, "locked") == period


def test_noise_is_not_locked():
    """What has no period averages out: less than a tenth of the noise is left at the short periods."""
    patterns = measuring.locked_patterns(draw_noise(240, 240))
    assert all(float(pattern.square().mean().sqrt()) < 0.1 * 12**-0.5 for pattern in patterns[:7])


# Faces


def test_the_overlap_of_boxes():
    """Intersection over union: 1 with itself, 0 apart, 1/3 for a box moved by half its width."""
    box = np.array([10.0, 10, 30, 30, 0.9])
    assert measuring.overlap(box, box) == 1
    assert measuring.overlap(box, box + 20) == 0
    assert measuring.overlap(box, box + np.array([10.0, 0, 10, 0, 0])) == pytest.approx(1 / 3)


def test_faces_count_where_they_were():
    """A face counts if it is found again at the same place; small ones and photos without a face do not count."""
    photo, empty, lost = draw_noise(), draw_noise(seed=1), draw_noise(seed=2)
    left, right = [0, 0, 20, 20, 0.9], [60, 0, 90, 30, 0.8]
    small, moved = [0, 40, 8, 48, 0.9], [70, 20, 100, 50, 0.9]
    answers = {id(photo): [left, right, small], id(empty): [], id(lost): [left]}
    asked = []

    def find(image, threshold):
        asked.append(threshold)
        return np.array(answers[id(image)], float).reshape(-1, 5)

    meter = measuring.FaceMeter(find, [photo, empty, lost])
    assert (meter.count, meter.photos) == (3, 2)
    outputs = {id(photo): draw_noise(seed=3), id(lost): draw_noise(seed=4)}
    answers |= {id(outputs[id(photo)]): [left, moved], id(outputs[id(lost)]): []}
    assert meter.measure(lambda image: outputs[id(image)]) == pytest.approx(1 / 3)
    assert asked == [0.5] * 3 + [0.3] * 2
    assert math.isnan(measuring.FaceMeter(find, [empty]).measure(lambda image: image))


def save_detector(path: Path) -> None:
    """A file like centerface.onnx: the red channel is the score, faces are 4 e^2 px high and 4 e px wide."""
    helper = onnx.helper

    def constant(name: str, values: list[float]) -> onnx.TensorProto:
        return helper.make_tensor(name, onnx.TensorProto.FLOAT, [1, len(values), 1, 1], values)

    def value(name: str, channels: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [10, channels, 32, 32])

    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["pooled", "red"], ["heat"]),
        helper.make_node("Mul", ["heat", "none"], ["zero"]),
        helper.make_node("Add", ["zero", "logarithms"], ["scale"]),
        helper.make_node("Add", ["zero", "offsets"], ["offset"]),
        helper.make_node("Add", ["zero", "marks"], ["landmarks"]),
    ]
    weights = [
        constant("red", [1 / 255, 0, 0]),
        constant("none", [0]),
        constant("logarithms", [2, 1]),
        constant("offsets", [0.25, -0.25]),
        constant("marks", [0] * 10),
    ]
    outputs = [value("heat", 1), value("scale", 2), value("offset", 2), value("landmarks", 10)]
    # As in the file, a weight is listed as an input too.
    listed = helper.make_tensor_value_info("red", onnx.TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph(nodes, "detector", [value("image", 3), listed], outputs, weights)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)


def test_the_detector_gives_boxes_in_pixels(tmp_path):
    """Scores become boxes around their place, in images of any size; weaker boxes at the same place are dropped."""
    save_detector(tmp_path / "detector.onnx")
    detector = measuring.FaceDetector(tmp_path / "detector.onnx")
    image = torch.zeros(1, 3, 80, 112)
    image[:, 0, 40:44, 60:64] = 0.9  # row 10, column 15 of the score
    image[:, 0, 40:44, 64:68] = 0.6
    image[:, 0, 8:12, 100:104] = 0.2
    faces = detector.find(image, 0.5)
    middle_down, middle_across = 4 * (10 + 0.25 + 0.5), 4 * (15 - 0.25 + 0.5)
    high, wide = 4 * math.e**2, 4 * math.e
    expected = [middle_across - wide / 2, middle_down - high / 2, middle_across + wide / 2, middle_down + high / 2, 0.9]
    np.testing.assert_allclose(faces[0], expected, rtol=1e-4)
    assert all(measuring.overlap(faces[0], other) < 0.3 for other in faces[1:])
    assert (faces[:, 4] > 0.5).all()
    assert detector.find(torch.zeros(1, 3, 80, 112), 0.5).shape == (0, 5)


def test_a_wrong_detector_is_refused(tmp_path):
    """A file that is no ONNX network is an error that names it."""
    (tmp_path / "x.onnx").write_bytes(b"no network")
    with pytest.raises(SettingError, match=r"cannot read the face detector .*x\.onnx"):
        measuring.FaceDetector(tmp_path / "x.onnx")


# The whole table


class TinyLossNetwork(torch.nn.Module):
    """Random features at every tap, each block at half the size of the one before, as in VGG."""

    def forward(self, image, taps):
        features = {}
        for tap in taps:
            block, number = int(tap[4]), int(tap[6])
            kernels = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(10 * block + number))
            pooled = torch.nn.functional.avg_pool2d(image, 2 ** (block - 1))
            features[tap] = torch.nn.functional.conv2d(pooled - 0.5, kernels, padding=1).relu()
        return features


@pytest.fixture(scope="module")
def loss_network():
    return TinyLossNetwork()


def test_the_photo_itself_keeps_everything_and_has_no_style(loss_network):
    """The identity has content 0, structure 1, and no grid; the style image itself has all of the style."""
    photos = [draw_noise(96, 96), draw_noise(96, 96, seed=1)]
    style_image = draw_grid(8, side=96)[0] * torch.tensor([1.0, 0.6, 0.2]).view(3, 1, 1)
    meter = measuring.WholePhotoMeter(loss_network, photos)
    same = meter.measure(lambda photo: photo, style_image)
    assert same["content.relu3_2"] == same["content.relu4_2"] == 0
    assert same["structure"] == same["tones"] == pytest.approx(1)
    assert max(same[f"grid.{period}"] for period in measuring.PERIODS) <= 1
    assert max(same[f"locked.{period}"] for period in measuring.PERIODS) == 0
    assert same["color"] > 0.1 and "flat" not in same and "faces" not in same
    stylized = meter.measure(lambda photo: style_image[None], style_image)
    stylized_row = measuring.format_row("name", stylized)
    for tap in measuring.STYLE_TAPS:
        assert stylized[f"gram.{tap}"] == stylized[f"covariance.{tap}"] == 0
    assert stylized["color"] < 1e-6
    assert stylized_row.count("|") == measuring.format_title().count("|")
    assert stylized_row.rstrip().endswith("-"), "faces were not measured"


def test_a_grid_in_the_outputs_is_reported(loss_network):
    """A faint grid of six pixels that neither the photos nor the style image have is the largest of both figures."""
    photos = [draw_noise(96, 128, seed).mean((2, 3), keepdim=True).expand(1, 3, 96, 128).clone() for seed in (0, 1)]
    grid = draw_grid(6, side=128, height=0.02)[:, :, :96] - 0.5
    meter = measuring.WholePhotoMeter(loss_network, photos)
    ramp = torch.linspace(0, 1, 128).expand(3, 96, 128)
    figures = meter.measure(lambda photo: photo + grid, ramp)
    assert measuring.largest_period(figures, "grid") == measuring.largest_period(figures, "locked") == 6
    assert figures["grid.6"] > 2 and figures["locked.6"] == pytest.approx(255 * 0.02 * 0.5**0.5, rel=0.2)
    assert figures["flat"] > 0


def test_color_is_of_all_outputs_together(loss_network):
    """The color covariance is np.cov over the pixels of all outputs."""
    photos = [draw_noise(), draw_noise(seed=1)]
    outputs = {id(photos[0]): 0.5 * draw_noise(seed=2), id(photos[1]): 0.5 + 0.5 * draw_noise(seed=3)}
    style_image = draw_noise(seed=4)
    figures = measuring.WholePhotoMeter(loss_network, photos).measure(lambda photo: outputs[id(photo)], style_image[0])
    pixels = np.concatenate([output[0].flatten(1).numpy() for output in outputs.values()], 1)
    found, wanted = np.cov(pixels, bias=True), np.cov(style_image[0].flatten(1).numpy(), bias=True)
    assert figures["color"] == pytest.approx(((found - wanted) ** 2).sum() / (wanted**2).sum(), rel=1e-3)


# Blind pairs


@pytest.fixture
def two_folders(tmp_path):
    """Two folders of sixteen flat images: those of `first` are red, those of `second` are blue and larger."""
    for folder, color, size, suffix in (("first", "red", (20, 16), "png"), ("second", "blue", (40, 32), "webp")):
        (tmp_path / folder).mkdir()
        for number in range(16):
            Image.new("RGB", size, color).save(tmp_path / folder / f"{number}.{suffix}")
    Image.new("RGB", (20, 16), "lime").save(tmp_path / "first" / "alone.png")
    return tmp_path / "first", tmp_path / "second"


def read_sides(pairs: Path, number: int) -> tuple[str, str]:
    """The folders of the left and the right image of a pair, by their colors."""
    pixels = np.asarray(Image.open(pairs / f"pair_{number:03d}.png"))
    names = {0: "first", 2: "second"}
    return names[int(pixels[8, 10].argmax())], names[int(pixels[8, 20 + blind.GAP + 10].argmax())]


def test_the_key_tells_the_sides(two_folders, tmp_path):
    """Each pair shows both images at one size; the key says which is A; sides and order are shuffled by the seed."""
    pairs = tmp_path / "pairs"
    assert blind.make_pairs(*two_folders, pairs) == 16
    key = json.loads((pairs / "key.json").read_text())["pairs"]
    for number in range(1, 17):
        left, right = read_sides(pairs, number)
        assert {left, right} == {"first", "second"}
        assert key[str(number)]["first"] == ("A" if left == "first" else "B")
    names = [pair["name"] for pair in key.values()]
    assert sorted(names) == sorted(map(str, range(16))) and names != sorted(names)
    assert {pair["first"] for pair in key.values()} == {"A", "B"}
    blind.make_pairs(*two_folders, tmp_path / "again")
    blind.make_pairs(*two_folders, tmp_path / "other", seed=1)
    again, other = (json.loads((tmp_path / name / "key.json").read_text())["pairs"] for name in ("again", "other"))
    assert again == key and other != key


def test_photo_and_style_image_stand_beside(two_folders, tmp_path):
    """The photo stands in the middle and the style image, small, at the right end."""
    (tmp_path / "photos").mkdir()
    for number in range(16):
        Image.new("RGB", (20, 16), "lime").save(tmp_path / "photos" / f"{number}.jpg")
    Image.new("RGB", (64, 32), "black").save(tmp_path / "style.png")
    blind.make_pairs(*two_folders, tmp_path / "pairs", photos=tmp_path / "photos", style=tmp_path / "style.png")
    pixels = np.asarray(Image.open(tmp_path / "pairs" / "pair_001.png"))
    step = 20 + blind.GAP
    assert int(pixels[8, step + 10].argmax()) == 1
    assert pixels[2, 3 * step + 5].tolist() == [0, 0, 0]
    assert pixels[12, 3 * step + 5].tolist() == [255, 255, 255], "below the small style image"


def test_votes_are_counted_by_the_key(two_folders, tmp_path):
    """A vote for the side of the first folder counts as `first`; ties and blank lines are allowed."""
    pairs, votes = tmp_path / "pairs", tmp_path / "votes.csv"
    blind.make_pairs(*two_folders, pairs)
    lines = ["pair,question,vote", ""]
    for number in range(1, 15):  # for the first folder in twelve of fourteen
        left, _ = read_sides(pairs, number)
        lines.append(f"{number},overall,{'A' if (left == 'first') == (number <= 12) else 'B'}")
    votes.write_text("\n".join([*lines, "15, overall, tie", "16,clean,tie"]))
    counted = {question: dict(counts) for question, counts in blind.count_votes(pairs, votes).items()}
    assert counted == {"overall": {"first": 12, "second": 2, "tie": 1}, "clean": {"tie": 1}}


@pytest.mark.parametrize("line", ["99,overall,A", "1,overall,C", "1,A"])
def test_a_wrong_vote_is_refused(two_folders, tmp_path, line):
    """A vote for no pair, for no side, or without a question is an error that shows the line."""
    blind.make_pairs(*two_folders, tmp_path / "pairs")
    (tmp_path / "votes.csv").write_text(line)
    with pytest.raises(SettingError, match=line):
        blind.count_votes(tmp_path / "pairs", tmp_path / "votes.csv")


def test_pairs_are_not_mixed_up(two_folders, tmp_path):
    """A folder that holds pairs is not overwritten, since votes may be for those; no common name is an error."""
    blind.make_pairs(*two_folders, tmp_path / "pairs")
    with pytest.raises(SettingError, match="holds pairs already"):
        blind.make_pairs(*two_folders, tmp_path / "pairs")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no image of the same name"):
        blind.make_pairs(two_folders[0], tmp_path / "empty", tmp_path / "none")
