"""Each method lowers the loss, L-BFGS in every iteration and with one evaluation, and each can be resumed."""

import io
import itertools

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.losses.settings import LossSettings
from nst_fast.losses.tones import PhotoTones
from nst_fast.optimization.pixel_optimizer import PixelOptimizer
from nst_fast.optimization.settings import METHODS


@pytest.fixture
def loss(loss_network, photo, style):
    perceptual = PerceptualLoss(
        loss_network,
        style,
        LossSettings(content_taps={"relu2_1": 1.0}, style_taps={"relu1_1": 1.0, "relu2_1": 1.0}),
        feature_variance={"relu2_1": 1.0},
        photo_tones=PhotoTones(photo.unsqueeze(0)),
    )
    target = perceptual.measure_content(photo.unsqueeze(0))
    return lambda image: perceptual(image, target)


@pytest.fixture
def noise(photo):
    return torch.rand(photo.shape, generator=torch.Generator().manual_seed(2)).unsqueeze(0)


def test_lbfgs_never_rises(loss, noise):
    """Strong Wolfe steps, with clamping in between, lower the total in every iteration."""
    optimizer = PixelOptimizer(noise, loss)
    totals = [optimizer.total]
    for _ in range(30):
        optimizer.take_iteration()
        totals.append(optimizer.total)
        assert float(loss(optimizer.image)[0]) == pytest.approx(optimizer.total, rel=1e-6)
    assert all(after < before for before, after in itertools.pairwise(totals))
    assert totals[-1] < 0.5 * totals[0]


def test_lbfgs_evaluates_little_more_than_once(loss, noise):
    """An iteration reuses the evaluation that the last one ended with."""
    optimizer = PixelOptimizer(noise, loss)
    for _ in range(30):
        optimizer.take_iteration()
    assert optimizer.evaluations <= 1.3 * 30


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lowers_the_loss_within_the_range(loss, noise, method):
    """Twenty iterations from noise lower the loss by at least a tenth, and colors stay in [0, 1]."""
    optimizer = PixelOptimizer(noise, loss, method=method)
    before = optimizer.total
    for _ in range(20):
        optimizer.take_iteration()
    assert optimizer.total < 0.9 * before
    assert float(optimizer.image.min()) >= 0 and float(optimizer.image.max()) <= 1


@pytest.mark.parametrize(("method", "decay"), [("lbfgs", 0.0), ("adam", 0.9), ("gradient_descent", 0.0)])
def test_resumed_equals_straight(loss, noise, method, decay):
    """A state that went through a file continues to the same image as a run that was never interrupted."""
    straight = PixelOptimizer(noise, loss, method=method, ema_decay=decay)
    for _ in range(5):
        straight.take_iteration()
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed = PixelOptimizer(torch.zeros_like(noise), loss, method=method, ema_decay=decay)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(5):
        straight.take_iteration()
        resumed.take_iteration()
    assert torch.equal(resumed.image, straight.image)
    assert resumed.total == straight.total
    assert resumed.evaluations == straight.evaluations


def test_the_initial_image_is_not_modified(loss, noise):
    """The image given stays as it was."""
    before = noise.clone()
    PixelOptimizer(noise, loss).take_iteration()
    assert torch.equal(noise, before)


def test_stops_where_nothing_is_lower():
    """At a minimum, L-BFGS reports convergence and leaves the image as it is."""
    target = torch.full((1, 3, 4, 4), 0.5)

    def loss(image):
        total = (image - target).square().sum()
        return total, {"total": total.detach()}

    optimizer = PixelOptimizer(torch.full((1, 3, 4, 4), 0.6), loss)
    for _ in range(20):
        optimizer.take_iteration()
    assert optimizer.converged
    assert torch.allclose(optimizer.image, target, atol=1e-3)


def test_the_limits_of_the_range_are_reached_and_kept():
    """Where the lowest loss lies outside [0, 1], the image ends at the limit; elsewhere at the minimum."""
    target = torch.tensor([-0.5, 0.25, 1.5]).view(1, 3, 1, 1).expand(1, 3, 4, 4)

    def loss(image):
        total = (image - target).square().sum()
        return total, {"total": total.detach()}

    optimizer = PixelOptimizer(torch.full((1, 3, 4, 4), 0.6), loss)
    for _ in range(30):
        optimizer.take_iteration()
    assert torch.allclose(optimizer.image, target.clamp(0, 1), atol=1e-3)


def test_the_average_is_not_the_last_image(loss, noise):
    """With a decay the image is the average, which differs from the last image."""
    averaged = PixelOptimizer(noise, loss, method="adam", ema_decay=0.9)
    plain = PixelOptimizer(noise, loss, method="adam")
    for _ in range(5):
        averaged.take_iteration()
        plain.take_iteration()
    assert averaged.total == plain.total
    assert not torch.equal(averaged.image, plain.image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "sgd"}, "method 'sgd' is unknown; allowed: lbfgs, adam, gradient_descent"),
        ({"learning_rate": 0.1}, "learning_rate is set, but method lbfgs chooses its own steps; leave it out"),
        ({"method": "adam", "learning_rate": 0.0}, "learning_rate is 0.0; it must be a number more than 0"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0; it must be at least 0 and less than 1"),
    ],
)
def test_errors(loss, noise, arguments, message):
    """Each value that is not allowed is named, with what is allowed."""
    with pytest.raises(SettingError) as caught:
        PixelOptimizer(noise, loss, **arguments)
    assert str(caught.value) == message
