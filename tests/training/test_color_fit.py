"""Colors of outputs after the last touch, against what NumPy finds over other photos."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nst_fast.networks.torch_network import StyleNetwork, build_network, load_network
from nst_fast.training.color_fit import fit_colors


def make_photos(seed: int, count: int = 8) -> Tensor:
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (64, 64), mode="bicubic").clamp(0, 1)


@pytest.fixture
def style_image() -> Tensor:
    """Mostly blue, with some orange."""
    shares = make_photos(7, 1)[0, :1]
    blue, orange = (torch.tensor(color)[:, None, None] for color in ((0.15, 0.3, 0.6), (0.8, 0.5, 0.2)))
    return blue + (orange - blue) * (shares > 0.6) + 0.05 * make_photos(8, 1)[0]


def error_of_colors(network: StyleNetwork, style_image: Tensor) -> tuple[float, float]:
    """Of the mean, in [0, 1], and of the covariance, against its norm; over photos that were not fitted to."""
    with torch.no_grad():
        outputs = network(make_photos(1))
    found, wanted = (np.asarray(image).reshape(3, -1) for image in (outputs.transpose(0, 1).numpy(), style_image))
    covariance = np.cov(wanted)
    return (
        float(np.abs(found.mean(1) - wanted.mean(1)).max()),
        float(np.linalg.norm(np.cov(found) - covariance) / np.linalg.norm(covariance)),
    )


@pytest.mark.parametrize("name", ["composition_vii", "starry_night", "wave", "wave_johnson"])
def test_outputs_get_the_colors_of_the_style_image(style_image, name):
    """On other photos, trained networks get closer to another palette by half; johnson ones have no strength knob."""
    network = load_network(name)
    before = error_of_colors(network, style_image)
    after = error_of_colors(fit_colors(network, make_photos(0), style_image), style_image)
    assert after[0] < 0.5 * before[0] and after[1] < 0.5 * before[1]


def test_the_network_that_is_given_stays(style_image):
    """What is fitted is a copy."""
    network = load_network("wave")
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    fitted = fit_colors(network, make_photos(0), style_image)
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    changed = [name for name, weight in fitted.state_dict().items() if not torch.equal(weight, before[name])]
    assert changed == ["steering"]


def test_only_the_last_normalization_changes_and_only_from_strength_1_on(style_image):
    """Its scales are multiplied by the same at strengths 1 and 2; the photo that strength 0 leaves stays what it is."""
    network = load_network("wave")
    fitted = fit_colors(network, make_photos(0), style_image).steering
    changed = fitted != network.steering
    assert not changed[:2].any()
    # The last normalization has eight channels; the last three of all are those of the photo.
    assert not changed[..., :-11].any() and not changed[..., -3:].any()
    assert changed[2:, :, -11:-3].all()
    factors = fitted[2:, 0, -11:-3] / network.steering[2:, 0, -11:-3]
    torch.testing.assert_close(factors[0], factors[1])


@pytest.mark.parametrize("color", [0.0, 0.4, 1.0])
def test_a_style_image_of_one_color_does_no_harm(color):
    """There is no covariance to reach; the weights stay numbers."""
    fitted = fit_colors(load_network("wave"), make_photos(0), torch.full((3, 32, 32), color))
    assert all(weight.isfinite().all() for weight in fitted.state_dict().values())
    assert fitted(make_photos(1)).isfinite().all()


def test_changes_are_limited(style_image):
    """Random weights paint in gray, which few changes to its scales and shifts can help; they are limited."""
    torch.manual_seed(0)
    network = build_network("realtime", width=4, adjustable=True).eval().requires_grad_(False)
    fitted = fit_colors(network, make_photos(0), style_image)
    assert 0 < (fitted.steering - network.steering).abs().max() < 3
