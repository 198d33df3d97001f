from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from nst_fast.errors import ImageError, SettingError
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.colors import compare_colors, list_colors, measure_palette
from nst_fast.losses.content import content_loss, measure_feature_variance, weigh_detail
from nst_fast.losses.grid import grid_power
from nst_fast.losses.moments import measure_moments, moment_loss
from nst_fast.losses.perceptual import PerceptualLoss, build_relative_loss, measure_losses
from nst_fast.losses.settings import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS, LossSettings
from nst_fast.losses.style import gram_matrix, style_loss
from nst_fast.losses.tones import PhotoTones, rank_style_tones, tone_loss, weigh_bands
from nst_fast.losses.total_variation import total_variation

CONTENT_TAPS = {"relu1_2": 1.0, "relu2_1": 3.0}
STYLE_TAPS = {"relu1_1": 2.0, "relu2_2": 0.5}
VARIANCE = {"relu1_2": 0.3, "relu2_1": 1.7}


def images(count: int, height: int = 16, width: int = 20, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network():
    return build_loss_network("vgg16", taps=["relu2_2"], weights="random")


@pytest.fixture(scope="module")
def style_image():
    return images(1, 24, 18, seed=5)[0]


def build_loss(network, style_image, *, feature_variance=None, style_weights=None, **settings) -> PerceptualLoss:
    loss_settings = LossSettings(**settings)
    return PerceptualLoss(
        network,
        style_image,
        loss_settings,
        style_weights=style_weights,
        feature_variance=feature_variance,
        photo_tones=PhotoTones(images(6, 48, 48, seed=9)) if loss_settings.needs_tones else None,
    )


class Fake(nn.Module):
    """A loss network whose taps, whatever their names, are the image times a number; it counts how often it runs."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.asked: list[list[str]] = []

    def forward(self, image: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        self.asked.append(sorted(taps))
        return dict.fromkeys(taps, self.scale * image)


@pytest.mark.parametrize(
    ("scaling", "statistic", "tone_weight"),
    [("relative", "moments", None), ("relative", "gram", 0.4), ("gatys", None, None), ("johnson", None, None)],
)
def test_total_is_the_weighted_sum(network, style_image, scaling, statistic, tone_weight):
    """The total is the weighted sum of the terms, each over its taps: a weighted mean for `relative`, else a sum.

    With the papers' scalings there are no tones, and Gram matrices are compared.
    """
    loss = build_loss(
        network,
        style_image,
        content_taps=CONTENT_TAPS,
        style_taps=STYLE_TAPS,
        scaling=scaling,
        content_focus=0.6,
        content_weight=0.7,
        style_strength=11.0,
        style_statistic=statistic,
        tone_weight=tone_weight,
        color_weight=None if scaling != "relative" else 0.6,
        band_share=0.3,
        window_share=0.5,
        total_variation_weight=0.2,
        grid_weight=40.0,
        feature_variance=VARIANCE,
    )
    stylized, photos = images(2, 64, 200, seed=1), images(2, 64, 200, seed=2)
    total, terms = loss(stylized, photos)

    features, targets = network(stylized, network.taps), network(photos, network.taps)
    style_features = network(style_image.unsqueeze(0), STYLE_TAPS)
    grams = {tap: gram_matrix(style_features[tap])[0] for tap in STYLE_TAPS}
    expected = {f"style.{tap}": style_loss(features[tap], grams[tap], scaling) for tap in STYLE_TAPS}
    style_ranks, curve = rank_style_tones(style_image.unsqueeze(0))
    tone_share = 0.0
    if scaling == "relative":
        ranks = PhotoTones(images(6, 48, 48, seed=9)).rank(photos)
        expected["tone"] = tone_loss(stylized, ranks, curve)
        tone_share = 1.0 if tone_weight is None else tone_weight
        expected["color"] = compare_colors(list_colors(stylized), measure_palette(style_image.unsqueeze(0)))
    if statistic == "moments":
        for tap in STYLE_TAPS:
            of_style, of_photo = (
                weigh_bands(of, *on[tap].shape[2:]) for of, on in ((style_ranks, style_features), (ranks, features))
            )
            whole = moment_loss(measure_moments(features[tap]), measure_moments(style_features[tap]))
            parts = moment_loss(
                measure_moments(features[tap], of_photo), measure_moments(style_features[tap], of_style)
            )
            # 64 rows are one window, 200 columns two; below 24 positions a side there are none.
            windows, half = whole, features[tap].shape[3] // 2
            if min(half, features[tap].shape[2]) >= 24:
                halves = (features[tap][..., :half], features[tap][..., half : 2 * half])
                windows = (
                    sum(moment_loss(measure_moments(one), measure_moments(style_features[tap])) for one in halves) / 2
                )
            expected[f"style.{tap}"] = 0.2 * whole + 0.3 * parts + 0.5 * windows
    for tap in CONTENT_TAPS:
        weights = weigh_detail(targets[tap], VARIANCE[tap], 0.6) if scaling == "relative" else None
        expected[f"content.{tap}"] = content_loss(features[tap], targets[tap], scaling, VARIANCE[tap], weights)
    relative = scaling == "relative"
    for kind, taps in (("content", CONTENT_TAPS), ("style", STYLE_TAPS)):
        weighted = sum(weight * expected[f"{kind}.{tap}"] for tap, weight in taps.items())
        expected[kind] = weighted / sum(taps.values()) if relative else weighted
    expected["total_variation"] = total_variation(stylized, scaling)
    expected["grid"] = grid_power(stylized)
    assert (expected["grid"] > 0).all()
    weights = {"content": 0.7, "style": 11, "tone": tone_share, "color": 0.6, "total_variation": 0.2, "grid": 40}
    expected["total"] = sum(weight * expected[name] for name, weight in weights.items() if name in expected)
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value.mean(), rtol=1e-4, atol=0)
    assert torch.equal(total, terms["total"])


def test_gradient_is_that_of_the_weighted_sum(style_image):
    """Gradients reach only the stylized images, and are those of a sum that is written out; terms carry none."""
    loss = build_loss(
        Fake(),
        style_image,
        content_taps={"a": 1.0},
        content_focus=0.0,
        style_taps={"b": 1.0},
        style_statistic="gram",
        tone_weight=0.0,
        color_weight=0.0,
        total_variation_weight=0.3,
        feature_variance={"a": 0.5},
    )
    stylized, photos = images(2, seed=1).requires_grad_(), images(2, seed=2).requires_grad_()
    total, terms = loss(stylized, photos)
    total.backward()
    again = stylized.detach().clone().requires_grad_()
    style = style_loss(again, gram_matrix(style_image.unsqueeze(0))[0])
    content = content_loss(again, photos.detach(), "relative", 0.5)
    (content + LossSettings().style_strength * style + 0.3 * total_variation(again)).mean().backward()
    torch.testing.assert_close(stylized.grad, again.grad, rtol=1e-5, atol=1e-9)
    assert photos.grad is None
    assert not any(term.requires_grad for term in terms.values())


def test_defaults(style_image):
    """By default: content 1, nearly all where there is detail, style by style_strength, tone 1; mostly windows."""
    network = Fake()
    loss = build_loss(network, style_image, feature_variance=dict.fromkeys(DEFAULT_CONTENT_TAPS, 2.0))
    assert network.asked == [["relu1_1", "relu2_1", "relu3_1", "relu4_1"]] == [sorted(DEFAULT_STYLE_TAPS)]
    assert list(DEFAULT_CONTENT_TAPS) == ["relu3_2", "relu4_2"]
    assert loss.settings.compares_moments and loss.settings.band_share == 0.2 and loss.settings.window_share == 0.6
    assert loss.settings.focuses_content == 0.95
    _, terms = loss(images(1, seed=1), images(1, seed=2))
    expected = terms["content"] + LossSettings().style_strength * terms["style"] + terms["tone"] + terms["color"]
    assert terms["total"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert terms["total_variation"] > 0


def test_content_pass_stops_early(style_image):
    """The pass of the photos keeps no gradients and runs no layer below the deepest content tap."""
    network = build_loss_network("vgg16", taps=["relu3_1"], weights="random")
    loss = build_loss(
        network, style_image, content_taps={"relu2_1": 1.0}, style_taps={"relu3_1": 1.0}, scaling="johnson"
    )
    runs = []
    for number, layer in enumerate(network.layers):
        layer.register_forward_hook(
            lambda _module, given, _result, number=number: runs.append((number, given[0].requires_grad))
        )
    loss(images(1, seed=1).requires_grad_(), images(1, seed=2))
    photo_runs = [number for number, with_gradient in runs if not with_gradient]
    stylized_runs = [number for number, with_gradient in runs if with_gradient]
    assert (photo_runs, stylized_runs) == ([0, 1, 2], [0, 1, 2, 3, 4])


def test_the_style_image_is_seen_once(style_image):
    """The loss network sees the style image when the loss is built and never again; nothing of it is saved."""
    network = Fake()
    loss = build_loss(network, style_image, feature_variance=dict.fromkeys(DEFAULT_CONTENT_TAPS, 2.0))
    for _ in range(3):
        loss(images(1, seed=1), images(1, seed=2))
    content, both = sorted(DEFAULT_CONTENT_TAPS), sorted({*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS})
    assert network.asked == [sorted(DEFAULT_STYLE_TAPS)] + 3 * [content, both]
    assert loss.state_dict() == {}


def test_a_batch_is_the_mean_of_its_images(network, style_image):
    """Every term of a batch is the mean of its images' own terms, so that batches can be split."""
    loss = build_loss(network, style_image, content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS, feature_variance=VARIANCE)
    stylized, photos = images(4, seed=1), images(4, seed=2)
    _, whole = loss(stylized, photos)
    each = [loss(stylized[i : i + 1], photos[i : i + 1])[1] for i in range(4)]
    for name, value in whole.items():
        assert value.item() == pytest.approx(sum(terms[name].item() for terms in each) / 4, rel=1e-5)


def test_number_of_taps_does_not_matter(style_image):
    """`relative` stays the same when taps are repeated or all their weights grow; the papers' sums grow with them."""
    stylized, photos = images(1, seed=1), images(1, seed=2)

    def total(scaling: str, taps: dict[str, float]) -> float:
        loss = build_loss(
            Fake(),
            style_image,
            content_taps=taps,
            style_taps=taps,
            scaling=scaling,
            feature_variance=dict.fromkeys(taps, 1.0),
        )
        return loss(stylized, photos)[0].item()

    one, three = {"a": 1.0}, {"a": 1.0, "b": 1.0, "c": 1.0}
    for taps in (three, {"a": 5.0}, {"a": 0.1, "b": 7.0}):
        assert total("relative", taps) == pytest.approx(total("relative", one), rel=1e-6)
    for scaling in ("gatys", "johnson"):
        assert total(scaling, three) == pytest.approx(3 * total(scaling, one), rel=1e-6)


def test_relative_does_not_know_the_loss_networks_scale(style_image):
    """With activations 7 times as large, and variances measured on them, every relative term is the same."""
    stylized, photos = images(2, seed=1), images(2, seed=2)
    results = []
    for scale in (1.0, 7.0):
        loss = build_relative_loss(Fake(scale), style_image, photos, content_taps={"a": 1.0}, style_taps={"a": 1.0})
        results.append(loss(stylized, photos)[1])
    for name, value in results[0].items():
        assert results[1][name].item() == pytest.approx(value.item(), rel=1e-5)


def test_taps_without_weight_are_left_out(style_image):
    """A tap of weight 0 is neither computed nor reported, and needs no variance."""
    network = Fake()
    loss = build_loss(
        network,
        style_image,
        content_taps={"a": 1.0, "b": 0.0},
        style_taps={"c": 0.0, "d": 2.0},
        feature_variance={"a": 1.0},
    )
    _, terms = loss(images(1, seed=1), images(1, seed=2))
    assert network.asked == [["d"], ["a"], ["a", "d"]]
    assert sorted(terms) == [
        "color",
        "content",
        "content.a",
        "grid",
        "style",
        "style.d",
        "tone",
        "total",
        "total_variation",
    ]


@pytest.mark.parametrize("variance", [None, {}, {"relu1_1": 1.0}])
def test_missing_variance(style_image, variance):
    """`relative` without the variance of a content tap is refused with the tap; the other scalings need none."""
    content_taps = {"relu1_1": 1.0, "relu2_2": 1.0, "relu1_2": 1.0}
    missing = "relu1_2, relu2_2" if variance else "relu1_1, relu1_2, relu2_2"
    with pytest.raises(SettingError) as caught:
        build_loss(Fake(), style_image, content_taps=content_taps, feature_variance=variance)
    assert str(caught.value) == (
        f"the relative scaling needs feature_variance of {missing}; measure it on photos with measure_feature_variance"
    )
    for scaling in ("gatys", "johnson"):
        loss = build_loss(Fake(), style_image, content_taps=content_taps, scaling=scaling, feature_variance=variance)
        assert loss(images(1), images(1, seed=1))[0].isfinite()


def test_missing_tones(style_image):
    """Without the tones of photos the terms that need them are refused; without these terms none are asked for."""
    variance = dict.fromkeys(DEFAULT_CONTENT_TAPS, 1.0)
    for settings in (LossSettings(), LossSettings(tone_weight=0.0), LossSettings(band_share=0.0)):
        with pytest.raises(SettingError) as caught:
            PerceptualLoss(Fake(), style_image, settings, feature_variance=variance)
        assert str(caught.value) == (
            "the tone loss and the bands of the style loss need photo_tones; make PhotoTones of some photos, or set "
            "tone_weight and band_share to 0"
        )
    loss = PerceptualLoss(Fake(), style_image, LossSettings(tone_weight=0.0, band_share=0.0), feature_variance=variance)
    assert "tone" not in loss(images(1), images(1, seed=1))[1]


def test_unknown_names(network, style_image):
    """An unknown scaling and a style tap that the loss network lacks are refused when the loss is built."""
    with pytest.raises(SettingError, match="scaling 'absolute' is unknown; allowed: relative, gatys, johnson"):
        build_loss(network, style_image, scaling="absolute")
    with pytest.raises(SettingError, match="tap 'relu9_1' was not built; this loss network has relu1_1, "):
        build_loss(network, style_image, scaling="gatys", style_taps={"relu9_1": 1.0})


def test_autocast(network, style_image):
    """Under bfloat16 autocast the terms are float32 and within 2 % of those in full precision."""
    loss = build_loss(network, style_image, content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS, feature_variance=VARIANCE)
    stylized, photos = images(1, seed=1), images(1, seed=2)
    _, exact = loss(stylized, photos)
    with torch.autocast("cpu", torch.bfloat16):
        _, rounded = loss(stylized, photos)
    for name, value in exact.items():
        assert rounded[name].dtype == torch.float32
        assert rounded[name].item() == pytest.approx(value.item(), rel=0.02)


@pytest.mark.parametrize("count", [1, 4, 6, 9])
def test_measured_losses_are_averages_over_photos(network, style_image, count):
    """The terms are the mean of what each photo has alone, also where the last batch is smaller than the others."""
    loss = build_loss(network, style_image, content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS, feature_variance=VARIANCE)
    photos = images(count, seed=3) * torch.linspace(0.2, 1, count).view(-1, 1, 1, 1)

    def stylize(batch: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return 1 - batch.flip(3)

    measured = measure_losses(stylize, loss, photos)
    each = [loss(stylize_alone(photo), photo.unsqueeze(0))[1] for photo in photos]
    assert measured.keys() == each[0].keys()
    for name, value in measured.items():
        assert value == pytest.approx(sum(terms[name].item() for terms in each) / count, rel=1e-5)


def stylize_alone(photo: Tensor) -> Tensor:
    return 1 - photo.unsqueeze(0).flip(3)


def test_measured_images_are_clamped(network, style_image):
    """Colors beyond [0, 1], which no image file can hold, are measured as the file would show them."""
    loss = build_loss(network, style_image, content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS, feature_variance=VARIANCE)
    photos = images(2, seed=3)
    beyond = measure_losses(lambda batch: 3 * batch - 1, loss, photos)
    within = measure_losses(lambda batch: (3 * batch - 1).clamp(0, 1), loss, photos)
    assert beyond == within


def test_no_photos(style_image):
    """Losses cannot be measured on no photos, and the error says so."""
    loss = build_loss(Fake(), style_image, feature_variance=dict.fromkeys(DEFAULT_CONTENT_TAPS, 1.0))
    with pytest.raises(ImageError) as caught:
        measure_losses(lambda batch: batch, loss, torch.empty(0, 3, 8, 8))
    assert str(caught.value) == "there is no photo to measure the losses on; give at least one"


def test_loss_to_compare_by(network, style_image):
    """The comparable loss is the default, with the variance and the tones of these very photos."""
    photos = images(6, seed=4)
    loss = build_relative_loss(network, style_image, photos, content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS)
    variance = measure_feature_variance(network, [photos], CONTENT_TAPS)
    settings = LossSettings(content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS)
    same = PerceptualLoss(network, style_image, settings, feature_variance=variance, photo_tones=PhotoTones(photos))
    stylized = images(6, seed=5)
    torch.testing.assert_close(loss(stylized, photos), same(stylized, photos), rtol=1e-6, atol=0)
