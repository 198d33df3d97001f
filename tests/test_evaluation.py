"""N, the summary and the timing, on a total whose optimisation is known."""

import math

import numpy as np
import pytest
import torch

from nst_fast.errors import ImageError, SettingError
from nst_fast.evaluation import OptimizationCurve, PhotoEvaluation, Timing, evaluate_photo, measure_timing, summarise
from nst_fast.inference.stylizer import Stylizer
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss
from nst_fast.sheets import draw_chart, draw_sheet
from nst_fast.transform_nets import build_transform_net


@pytest.fixture(scope="module")
def loss():
    network = build_loss_network("vgg16", taps=["relu1_2"], weights="random")
    painting = torch.rand(3, 20, 24, generator=torch.Generator().manual_seed(0))
    taps = {"content_taps": {"relu1_2": 1.0}, "style_taps": {"relu1_1": 1.0}}
    return PerceptualLoss(network, painting, **taps, feature_variance={"relu1_2": 1.0})


@pytest.fixture(scope="module")
def stylizer():
    torch.manual_seed(0)
    return Stylizer(build_transform_net("realtime", width=4), device="cpu")


@pytest.fixture
def photo():
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_n_is_the_first_iteration_that_is_no_worse(loss, stylizer, photo):
    """Before N every total is above the network's, at N it is not; the terms are those of the network's picture."""
    result = evaluate_photo(stylizer, loss, photo, iterations=30)
    expected = loss(stylizer.stylize(photo).unsqueeze(0), photo.unsqueeze(0))[1]
    assert result.terms["total"] == pytest.approx(float(expected["total"]), rel=1e-5)
    for curve in result.curves.values():
        n = curve.iterations_to_equal
        assert len(curve.totals) == 31
        assert n is not None
        assert all(total > result.terms["total"] for total in curve.totals[:n])
        assert curve.totals[n] <= result.terms["total"]
        at_equal = loss(curve.picture_at_equal.unsqueeze(0), photo.unsqueeze(0))[0]
        assert float(at_equal) == pytest.approx(curve.totals[n], rel=1e-4)


def test_summary():
    """The median N counts a photo without one as more than all others."""

    def photo(total, n):
        curve = OptimizationCurve([1.0], n, None, torch.zeros(3, 1, 1))
        return PhotoEvaluation({"total": total}, torch.zeros(3, 1, 1), {"noise": curve})

    summary = summarise([photo(1.0, 10), photo(2.0, 30), photo(3.0, None)])
    assert summary == {
        "photos": 3,
        "terms": {"total": 2.0},
        "iterations_to_equal": {"noise": 30.0},
        "photos_without": {"noise": 1},
    }
    assert summarise([photo(1.0, None)])["iterations_to_equal"] == {"noise": None}
    with pytest.raises(ImageError, match="there is no photo to evaluate on; give at least one"):
        summarise([])


def test_timing(loss, stylizer, photo):
    """Positive times, and a speed-up that is their ratio."""
    timing = measure_timing(stylizer, loss, photo, 20, timed_iterations=2)
    assert timing.size == 20 and timing.timed_iterations == 2
    assert timing.forward_seconds > 0 and timing.iteration_seconds > 0
    assert Timing(256, 0.5, 2.0, 3).speed_up(500) == pytest.approx(2000)


def test_mistakes(loss, stylizer, photo):
    """Counts of nothing are named."""
    with pytest.raises(SettingError, match=r"^iterations is 0; it must be at least 1$"):
        evaluate_photo(stylizer, loss, photo, iterations=0)
    with pytest.raises(SettingError, match=r"^timed_iterations is 0; it must be at least 1$"):
        measure_timing(stylizer, loss, photo, 16, timed_iterations=0)


def test_sheet_holds_every_picture():
    """Each picture is somewhere in the sheet, in its own colour, and rows may differ in length."""
    colours = [
        torch.tensor(colour).view(3, 1, 1).expand(3, 8, 12) for colour in ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))
    ]
    sheet = draw_sheet(
        [[("red", colours[0]), ("green", colours[1])], [("a very long label that does not fit", colours[2])]]
    )
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255)):
        assert np.all(sheet == np.array(colour), axis=2).sum() == 8 * 12


def test_chart_places_the_line_where_the_curve_is():
    """A level line at the curve's last value ends where the curve ends."""
    chart = draw_chart({"curve": [100.0, 10.0, 1.0]}, {"level": 1.0}, x_label="x", y_label="y")
    assert chart.shape[2] == 3
    level = np.all(chart == np.array((0x24, 0x71, 0xA3)), axis=2)
    assert level[200:].any(axis=1).sum() in (2, 3)
    assert math.isclose(float(np.argmax(level[200:].sum(axis=1))) + 200, 480 - 64 - 0.05 / 1.1 * 352, abs_tol=4)
