import pytest
import torch

from nst_fast.evaluation import curves
from nst_fast.evaluation.curves import STARTS, CurveRun, count_iterations_to_equal
from nst_fast.files.interruption import Interruption
from nst_fast.optimization.pixel_optimizer import PixelOptimizer
from nst_fast.runs.saved_run import SavedRun

ITERATIONS = 6


@pytest.fixture
def build_run(loss, photos, tmp_path):
    """Gives a run over both photos, with networks that reach the given totals."""

    def build(network_totals=(0.0,)):
        totals = dict.fromkeys(photos, tuple(network_totals))
        saved_run = SavedRun(tmp_path, {"of": "this"})
        return CurveRun(loss, photos, totals, iterations=ITERATIONS, seed=3, saved_run=saved_run)

    return build


def assert_same(run, other):
    """The same curves, with the same images, bit for bit."""
    assert run.curves.keys() == other.curves.keys()
    for key, curve in run.curves.items():
        assert curve.totals == other.curves[key].totals
        assert curve.images.keys() == other.curves[key].images.keys()
        for iteration, image in curve.images.items():
            assert torch.equal(image, other.curves[key].images[iteration])


@pytest.mark.parametrize(
    ("network_total", "expected"), [(9.0, 0), (5.0, 0), (4.9, 1), (3.0, 1), (2.0, 3), (1.0, 3), (0.9, None)]
)
def test_n(network_total, expected):
    """N is the first iteration after which the total is no higher; 0 if the initial image is no worse already."""
    assert count_iterations_to_equal([5.0, 3.0, 3.0, 1.0], network_total) == expected


def test_curves_are_those_of_the_optimization(build_run, loss, photos):
    """From each start the totals are those of L-BFGS step by step, with the photo's content and the seeded noise."""
    run = build_run()
    run.take_iterations(Interruption(), lambda: None)
    noise = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(3))
    for (name, start), curve in run.curves.items():
        first = {"noise": noise, "content": photos[name]}[start]
        optimizer = PixelOptimizer(first[None], lambda image, photo=photos[name]: loss(image, photo[None]))
        totals = [optimizer.total]
        for _ in range(ITERATIONS):
            optimizer.take_iteration()
            totals.append(optimizer.total)
        assert curve.totals == pytest.approx(totals, rel=1e-5)
    assert {start for _, start in run.curves} == set(STARTS)


def test_the_image_at_n_is_kept(build_run, loss, photos):
    """Besides the last image there is one for each network: the first whose total, computed again, is no higher."""
    straight = build_run()
    straight.take_iterations(Interruption(), lambda: None)
    reached = straight.curves["a.jpg", "noise"].totals
    run = build_run([reached[2] * 1.0001, (reached[3] + reached[4]) / 2])
    run.take_iterations(Interruption(), lambda: None)
    curve = run.curves["a.jpg", "noise"]
    assert sorted(curve.images) == [2, 4, ITERATIONS]
    for iteration, image in curve.images.items():
        total = loss(image[None], photos["a.jpg"][None])[0]
        assert float(total) == pytest.approx(curve.totals[iteration], rel=1e-4)


@pytest.mark.parametrize("done", [1, ITERATIONS - 1, ITERATIONS, ITERATIONS + 2, 4 * ITERATIONS])
def test_interrupted_and_resumed_equals_straight(build_run, done):
    """Interrupted after any iteration, within a curve or between two, it ends as a run without interruption."""
    straight, interrupted, resumed = build_run(), build_run(), build_run()
    straight.take_iterations(Interruption(), lambda: None)
    interruption = Interruption()

    def count():
        if interrupted.step == done:
            interruption.signal_number = 2

    interrupted.take_iterations(interruption, count)
    assert interrupted.step == done
    resumed.restore(interrupted.saved_run.load())
    assert resumed.step == done
    resumed.take_iterations(Interruption(), lambda: None)
    assert resumed.step == resumed.steps == 4 * ITERATIONS
    assert_same(resumed, straight)


def test_killed_and_resumed_equals_straight(build_run, monkeypatch):
    """A run that was killed resumes from the last state that was saved."""
    monkeypatch.setattr(curves, "SAVE_EVERY_ITERATIONS", 2)
    straight, killed, resumed = build_run(), build_run(), build_run()
    straight.take_iterations(Interruption(), lambda: None)

    class Killed(Exception):
        pass

    def kill():
        if killed.step == ITERATIONS + 3:
            raise Killed

    with pytest.raises(Killed):
        killed.take_iterations(Interruption(), kill)
    resumed.restore(killed.saved_run.load())
    assert resumed.step == ITERATIONS + 2
    resumed.take_iterations(Interruption(), lambda: None)
    assert_same(resumed, straight)
