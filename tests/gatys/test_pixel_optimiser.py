"""Each method lowers the loss, L-BFGS in every iteration and with one look a time, and all can be cut and resumed."""

import io
import itertools

import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.gatys.pixel_optimiser import METHODS, PixelOptimiser
from nst_fast.losses.perceptual import PerceptualLoss


@pytest.fixture
def loss(loss_network, photo, style):
    perceptual = PerceptualLoss(
        loss_network,
        style,
        content_taps={"relu2_1": 1.0},
        style_taps={"relu1_1": 1.0, "relu2_1": 1.0},
        feature_variance={"relu2_1": 1.0},
    )
    target = perceptual.measure_content(photo.unsqueeze(0))
    return lambda picture: perceptual(picture, target)


@pytest.fixture
def noise(photo):
    return torch.rand(photo.shape, generator=torch.Generator().manual_seed(2)).unsqueeze(0)


def test_lbfgs_never_rises(loss, noise):
    """Strong Wolfe steps, with the clamping in between, lower the total in every iteration."""
    optimiser = PixelOptimiser(noise, loss)
    totals = [optimiser.total]
    for _ in range(30):
        optimiser.take_iteration()
        totals.append(optimiser.total)
        assert float(loss(optimiser.picture)[0]) == pytest.approx(optimiser.total, rel=1e-6)
    assert all(after < before for before, after in itertools.pairwise(totals))
    assert totals[-1] < 0.3 * totals[0]


def test_lbfgs_looks_little_more_than_once(loss, noise):
    """The look with which an iteration begins is that with which the last one ended."""
    optimiser = PixelOptimiser(noise, loss)
    for _ in range(30):
        optimiser.take_iteration()
    assert optimiser.evaluations <= 1.3 * 30


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lowers_the_loss_within_the_range(loss, noise, method):
    """Twenty iterations from noise take at least a tenth off, and colours stay in [0, 1]."""
    optimiser = PixelOptimiser(noise, loss, method=method)
    before = optimiser.total
    for _ in range(20):
        optimiser.take_iteration()
    assert optimiser.total < 0.9 * before
    assert float(optimiser.picture.min()) >= 0 and float(optimiser.picture.max()) <= 1


@pytest.mark.parametrize(("method", "decay"), [("lbfgs", 0.0), ("adam", 0.9), ("gradient_descent", 0.0)])
def test_resumed_equals_straight(loss, noise, method, decay):
    """A state that went through a file goes on to the very picture of a run that was never cut."""
    straight = PixelOptimiser(noise, loss, method=method, average_decay=decay)
    for _ in range(5):
        straight.take_iteration()
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed = PixelOptimiser(torch.zeros_like(noise), loss, method=method, average_decay=decay)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(5):
        straight.take_iteration()
        resumed.take_iteration()
    assert torch.equal(resumed.picture, straight.picture)
    assert resumed.total == straight.total
    assert resumed.evaluations == straight.evaluations


def test_the_start_is_not_changed(loss, noise):
    """The picture given stays what it was."""
    before = noise.clone()
    PixelOptimiser(noise, loss).take_iteration()
    assert torch.equal(noise, before)


def test_stops_where_nothing_is_lower():
    """At a minimum, L-BFGS says so and leaves the picture as it is."""
    target = torch.full((1, 3, 4, 4), 0.5)

    def loss(picture):
        total = (picture - target).square().sum()
        return total, {"total": total.detach()}

    optimiser = PixelOptimiser(torch.full((1, 3, 4, 4), 0.6), loss)
    for _ in range(20):
        optimiser.take_iteration()
    assert optimiser.converged
    assert torch.allclose(optimiser.picture, target, atol=1e-3)


def test_the_limits_of_the_range_are_reached_and_kept():
    """Where the lowest loss lies outside [0, 1], the picture ends at the limit; elsewhere at the minimum."""
    target = torch.tensor([-0.5, 0.25, 1.5]).view(1, 3, 1, 1).expand(1, 3, 4, 4)

    def loss(picture):
        total = (picture - target).square().sum()
        return total, {"total": total.detach()}

    optimiser = PixelOptimiser(torch.full((1, 3, 4, 4), 0.6), loss)
    for _ in range(30):
        optimiser.take_iteration()
    assert torch.allclose(optimiser.picture, target.clamp(0, 1), atol=1e-3)


def test_average_is_between_the_pictures(loss, noise):
    """With a decay the picture is the average, which is not the last one."""
    averaged = PixelOptimiser(noise, loss, method="adam", average_decay=0.9)
    plain = PixelOptimiser(noise, loss, method="adam")
    for _ in range(5):
        averaged.take_iteration()
        plain.take_iteration()
    assert averaged.total == plain.total
    assert not torch.equal(averaged.picture, plain.picture)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "sgd"}, "method 'sgd' is unknown; allowed: lbfgs, adam, gradient_descent"),
        ({"learning_rate": 0.1}, "learning_rate is given, but method lbfgs chooses its steps itself; leave it out"),
        ({"method": "adam", "learning_rate": 0.0}, "learning_rate is 0.0; it must be a number more than 0"),
        ({"average_decay": 1.0}, "average_decay is 1.0; it must be at least 0 and less than 1"),
    ],
)
def test_errors(loss, noise, arguments, message):
    """Each value that is not allowed is named with what is."""
    with pytest.raises(SettingError) as caught:
        PixelOptimiser(noise, loss, **arguments)
    assert str(caught.value) == message
