import numpy as np
import pytest
import torch

from nst_fast.evaluation.curves import Curve
from nst_fast.evaluation.judging import Judged
from nst_fast.evaluation.report import build_report, draw_report_chart, draw_report_sheet, label_networks
from nst_fast.evaluation.timing import Timing


def plain(color):
    return torch.tensor(color).view(3, 1, 1).expand(3, 16, 16)


PHOTOS = {"a.jpg": plain((1.0, 0.0, 0.0)), "b.jpg": plain((0.0, 1.0, 0.0))}
CURVES = {
    ("a.jpg", "noise"): Curve([8.0, 4.0, 2.0], {1: plain((0.2, 0.4, 0.6)), 2: plain((0.6, 0.2, 0.4))}),
    ("a.jpg", "content"): Curve([4.0, 2.0, 1.0], {}),
    ("b.jpg", "noise"): Curve([9.0, 6.0, 5.0], {2: plain((0.2, 0.6, 0.4))}),
    ("b.jpg", "content"): Curve([5.0, 4.0, 1.0], {}),
}
JUDGED = {
    "nets/x.safetensors": Judged(
        {"a.jpg": plain((0.0, 0.0, 1.0)), "b.jpg": plain((0.0, 1.0, 1.0))},
        {"a.jpg": {"total": 4.0, "style": 0.1}, "b.jpg": {"total": 4.5, "style": 0.3}},
    )
}
REPORT = build_report({"device": "cpu"}, JUDGED, CURVES, [Timing(64, 5, {"nets/x.safetensors": 0.01}, 0.2)])


def test_averages_and_n():
    """Terms and curves are averaged over the photos, and N of the averages is where they cross."""
    network = REPORT["networks"]["nets/x.safetensors"]
    assert REPORT["mean_curves"] == {"noise": [8.5, 5.0, 3.5], "content": [4.5, 3.0, 1.0]}
    assert network["terms"] == {"total": 4.25, "style": pytest.approx(0.2)}
    assert network["iterations_to_equal"] == {"noise": 2, "content": 1}
    assert network["photos"]["a.jpg"]["iterations_to_equal"] == {"noise": 1, "content": 0}
    assert network["photos"]["b.jpg"]["iterations_to_equal"] == {"noise": None, "content": 1}
    assert REPORT["curves"]["b.jpg"] == {"noise": [9.0, 6.0, 5.0], "content": [5.0, 4.0, 1.0]}
    assert REPORT["device"] == "cpu"


def test_speed_ups():
    """A speed-up is the time of 500 iterations, or of the averages' N from noise, divided by that of one pass."""
    (timing,) = REPORT["timings"]
    assert timing["networks"]["nets/x.safetensors"] == {
        "forward_seconds": 0.01,
        "times_faster_than_500_iterations": pytest.approx(500 * 0.2 / 0.01),
        "times_faster_than_n_iterations": pytest.approx(2 * 0.2 / 0.01),
    }
    assert (timing["size"], timing["timed_iterations"], timing["iteration_seconds"]) == (64, 5, 0.2)


def test_a_network_that_is_never_equalled():
    """If no iteration is as good, there is no N and no speed-up over N."""
    judged = {"x": Judged(JUDGED["nets/x.safetensors"].stylized, {name: {"total": 0.5} for name in PHOTOS})}
    report = build_report({}, judged, CURVES, [Timing(64, 5, {"x": 0.01}, 0.2)])
    assert report["networks"]["x"]["iterations_to_equal"] == {"noise": None, "content": None}
    assert report["timings"][0]["networks"]["x"]["times_faster_than_n_iterations"] is None


def test_the_sheet_shows_every_image():
    """Photo, style image, network, and the optimization at N, if there is one, and at the end, each in its color."""
    sheet = draw_report_sheet(PHOTOS, plain((1.0, 1.0, 0.0)), JUDGED, CURVES)
    shown = [*PHOTOS.values(), *JUDGED["nets/x.safetensors"].stylized.values()]
    shown += [image for curve in CURVES.values() for image in curve.images.values()]
    for image in shown:
        color = (image[:, 0, 0] * 255).round().byte().numpy()
        assert np.all(sheet == color, axis=2).sum() == 16 * 16
    assert np.all(sheet == (255, 255, 0), axis=2).sum() == 2 * 16 * 16


def test_the_chart_has_a_curve_for_each_start_and_a_line_for_each_network(monkeypatch):
    """The chart shows the averages, under names that tell them apart."""
    drawn = []
    monkeypatch.setattr(
        "nst_fast.evaluation.report.draw_chart",
        lambda curves, levels, **labels: drawn.append((curves, levels, labels)),
    )
    draw_report_chart(REPORT)
    ((curves, levels, labels),) = drawn
    assert curves == {"L-BFGS from noise": [8.5, 5.0, 3.5], "L-BFGS from the photo": [4.5, 3.0, 1.0]}
    assert levels == {"x, one forward pass": 4.25}
    assert labels["y_label"] == "total loss, average over 2 held-out photos"


def test_labels():
    """The label of a network is its file's name, or its whole path if two files have the same name."""
    assert label_networks(["wave", "runs/a/a.safetensors"]) == {"wave": "wave", "runs/a/a.safetensors": "a"}
    assert label_networks(["1/a.safetensors", "2/a.safetensors"]) == {
        name: name for name in ("1/a.safetensors", "2/a.safetensors")
    }
