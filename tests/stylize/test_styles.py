"""Blends of styles, and styles that are read off an image."""

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.errors import CheckpointError, ImageError, SettingError
from nst_fast.files.shipped import compact_loss_network
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.media.pictures import read_picture
from nst_fast.networks import checkpoint as checkpoint_module
from nst_fast.networks.checkpoint import (
    Checkpoint,
    CheckpointInfo,
    blend_checkpoints,
    load_base,
    load_checkpoint,
    save_checkpoint,
)
from nst_fast.networks.description import STEERING
from nst_fast.networks.style_features import FEATURE_CHANNELS, FEATURES, build_style_features_graph
from nst_fast.networks.style_predictor import StylePredictor, load_predictor, save_predictor
from nst_fast.networks.torch_style_predictor import StylePredictor as TorchPredictor
from nst_fast.networks.torch_style_predictor import measure_style_features
from nst_fast.stylize import styles
from nst_fast.stylize.style_image import STYLE_SHORT_SIDE, predict_style, prepare_style_image
from tests.networks.test_onnx_graph import run


def code(name: str, seed: int) -> Checkpoint:
    """The base network with some steering."""
    base = load_base()
    noise = np.random.default_rng(seed).normal(size=base.weights[STEERING].shape).astype(np.float32)
    return Checkpoint(base.description, {**base.weights, STEERING: noise}, CheckpointInfo(style={"name": name}))


def test_features_equal_torch() -> None:
    """The graph's features of an image are those that the loss network and PyTorch's moments give."""
    import safetensors.numpy

    pixels = np.random.default_rng(0).integers(0, 256, (1, 41, 58, 3), np.uint8)
    (features,) = run(build_style_features_graph(safetensors.numpy.load_file(compact_loss_network())), images=pixels)
    network = build_loss_network("compact", taps=["relu4_1"], weights="shipped")
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    expected = measure_style_features(network.activate(image, FEATURE_CHANNELS), image)[0]
    assert features.shape == (FEATURES,)
    assert np.allclose(features, expected.numpy(), atol=1e-4)


def test_features_of_two_halves_are_the_mean_of_their_squares() -> None:
    """Root mean squares are of squares: for a tap without neighbors, colors, moments of a canvas average."""
    a, b = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    none = {tap: torch.zeros(1, channels, 1, 1) for tap, channels in FEATURE_CHANNELS.items()}
    of_a, of_b, of_both = (measure_style_features(none, one) for one in (a, b, torch.cat([a, b], 3)))
    assert torch.allclose((of_a + of_b)[:, -9:] / 2, of_both[:, -9:], atol=1e-6)


def test_predictor_equals_torch(tmp_path) -> None:
    """The NumPy predictor, saved in fp16 and loaded, gives what the trained module gives."""
    torch.manual_seed(0)
    module = TorchPredictor(steering_channels=11)
    module.learn_scale(torch.rand(20, FEATURES))
    with torch.no_grad():
        module.to_steering.weight.mul_(20)
        for weight in module.state_dict().values():
            weight.copy_(weight.half())
    weights = {name: weight.numpy() for name, weight in module.state_dict().items()}
    save_predictor(tmp_path / "p.safetensors", StylePredictor(weights, "abc"))
    loaded = load_predictor(tmp_path / "p.safetensors")
    features = torch.rand(FEATURES)
    expected = module(module.standardize(features[None]))[0].detach().numpy()
    assert loaded.base == "abc"
    assert np.allclose(loaded.predict(features.numpy()), expected, atol=1e-4)


def test_damaged_predictor(tmp_path) -> None:
    """A file that is no predictor is told in one line."""
    (tmp_path / "p.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        load_predictor(tmp_path / "p.safetensors")


def test_style_image_of_any_size(tmp_path) -> None:
    """A pixel, a black image, a strip and a transparent one give a network whose steering is finite."""
    images = {
        "pixel": Image.new("RGB", (1, 1), "red"),
        "black": Image.new("RGB", (50, 40)),
        "strip": Image.effect_noise((900, 4), 80).convert("RGB"),
        "clear": Image.new("RGBA", (60, 60), (0, 0, 0, 0)),
    }
    for name, image in images.items():
        image.save(tmp_path / f"{name}.png")
        checkpoint = predict_style(tmp_path / f"{name}.png")
        assert checkpoint.info.style["name"] == name
        assert np.isfinite(checkpoint.weights[STEERING]).all()
    assert min(prepare_style_image(read_picture(tmp_path / "strip.png")).shape[:2]) == STYLE_SHORT_SIDE


def test_style_image_that_is_none(tmp_path) -> None:
    """A file that is no picture is refused with its name."""
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        predict_style(tmp_path / "a.jpg")


def test_style_file_of_a_few_kilobytes(tmp_path) -> None:
    """A style saved without what it shares is small, and loads as the same network up to fp16."""
    style = code("mine", 1)
    save_checkpoint(tmp_path / "mine.safetensors", style, dtype="fp16", without_shared=True)
    assert (tmp_path / "mine.safetensors").stat().st_size < 10_000
    loaded = load_checkpoint(tmp_path / "mine.safetensors")
    assert loaded.shared_digest == style.shared_digest
    assert np.allclose(loaded.weights[STEERING], style.weights[STEERING], atol=1e-2)


def test_style_file_of_another_base(tmp_path, monkeypatch) -> None:
    """A style of another base network is refused, rather than stylized with wrong weights."""
    save_checkpoint(tmp_path / "mine.safetensors", code("mine", 1), dtype="fp16", without_shared=True)
    base = load_base()
    other = Checkpoint(base.description, {name: 2 * weight for name, weight in base.weights.items()}, base.info)
    monkeypatch.setattr(checkpoint_module, "load_base", lambda: other)
    with pytest.raises(CheckpointError, match="belongs to another base network"):
        load_checkpoint(tmp_path / "mine.safetensors")


def test_blend_is_the_weighted_mean(monkeypatch) -> None:
    """A blend's steering is the weighted mean, whatever the unit of the shares, and all else is shared."""
    a, b = code("a", 1), code("b", 2)
    monkeypatch.setattr(styles, "_load_codes", lambda: {"wave": a.weights[STEERING], "udnie": b.weights[STEERING]})
    blend = styles.open_style("wave:3, udnie:1")
    assert np.allclose(blend.weights[STEERING], 0.75 * a.weights[STEERING] + 0.25 * b.weights[STEERING], atol=1e-6)
    assert blend.shared_digest == a.shared_digest
    assert blend.info.style["name"] == "wave:0.75,udnie:0.25"


def test_blend_refusals(monkeypatch, tmp_path) -> None:
    """What cannot be blended is told in one line: networks of their own, unknown names, shares that are none."""
    monkeypatch.setattr(styles, "_load_codes", lambda: {"wave": code("a", 1).weights[STEERING]})
    with pytest.raises(SettingError, match=r"only styles of the base network share their convolutions$"):
        blend_checkpoints([(load_checkpoint("wave"), 1.0), (load_checkpoint("udnie"), 1.0)])
    with pytest.raises(SettingError, match=r"^style 'udnie' cannot be blended; allowed: wave"):
        styles.open_style("wave:0.5,udnie:0.5")
    with pytest.raises(SettingError, match=r"^'wave:-1' is no part of a blend; give NAME:SHARE"):
        styles.open_style("wave:-1")
    with pytest.raises(CheckpointError, match="neither a file nor a shipped style"):
        styles.open_style("nothing:1,wave:1")
