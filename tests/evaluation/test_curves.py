import pytest
import torch

from nst_fast.evaluation import curves
from nst_fast.evaluation.curves import STARTS, CurveRun, count_iterations_to_equal
from nst_fast.gatys.pixel_optimiser import PixelOptimiser
from nst_fast.interruption import Interruption
from nst_fast.run_state import load_state

ITERATIONS = 6


@pytest.fixture
def build_run(loss, photos, tmp_path):
    """Gives a run over both photos whose networks reach the given totals."""

    def build(network_totals=(0.0,)):
        totals = dict.fromkeys(photos, tuple(network_totals))
        path = tmp_path / "state.pt"
        return CurveRun(loss, photos, totals, iterations=ITERATIONS, seed=3, identity={"of": "this"}, state_path=path)

    return build


def assert_same(run, other):
    """The same curves, with the same pictures, bit for bit."""
    assert run.curves.keys() == other.curves.keys()
    for key, curve in run.curves.items():
        assert curve.totals == other.curves[key].totals
        assert curve.pictures.keys() == other.curves[key].pictures.keys()
        for iteration, picture in curve.pictures.items():
            assert torch.equal(picture, other.curves[key].pictures[iteration])


@pytest.mark.parametrize(
    ("network_total", "expected"), [(9.0, 0), (5.0, 0), (4.9, 1), (3.0, 1), (2.0, 3), (1.0, 3), (0.9, None)]
)
def test_n(network_total, expected):
    """N is the first iteration after which the total is no higher; 0 where the start is no worse already."""
    assert count_iterations_to_equal([5.0, 3.0, 3.0, 1.0], network_total) == expected


def test_curves_are_those_of_the_slow_method(build_run, loss, photos):
    """From each start the totals are those of L-BFGS by hand, with the photo's content and the seed's noise."""
    run = build_run()
    run.take_iterations(Interruption(), lambda: None)
    noise = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(3))
    for (name, start), curve in run.curves.items():
        first = {"noise": noise, "content": photos[name]}[start]
        optimiser = PixelOptimiser(first[None], lambda picture, photo=photos[name]: loss(picture, photo[None]))
        totals = [optimiser.total]
        for _ in range(ITERATIONS):
            optimiser.take_iteration()
            totals.append(optimiser.total)
        assert curve.totals == pytest.approx(totals, rel=1e-5)
    assert {start for _, start in run.curves} == set(STARTS)


def test_the_picture_at_n_is_kept(build_run, loss, photos):
    """Beside the last picture there is one for each network: the first whose total, looked at anew, is no higher."""
    straight = build_run()
    straight.take_iterations(Interruption(), lambda: None)
    reached = straight.curves["a.jpg", "noise"].totals
    run = build_run([reached[2] * 1.0001, (reached[3] + reached[4]) / 2])
    run.take_iterations(Interruption(), lambda: None)
    curve = run.curves["a.jpg", "noise"]
    assert sorted(curve.pictures) == [2, 4, ITERATIONS]
    for iteration, picture in curve.pictures.items():
        total = loss(picture[None], photos["a.jpg"][None])[0]
        assert float(total) == pytest.approx(curve.totals[iteration], rel=1e-4)


@pytest.mark.parametrize("done", [1, ITERATIONS - 1, ITERATIONS, ITERATIONS + 2, 4 * ITERATIONS])
def test_interrupted_and_continued_equals_straight(build_run, done):
    """Cut after any number of iterations, within a curve or between two, it ends as if it had never been cut."""
    straight, cut, continued = build_run(), build_run(), build_run()
    straight.take_iterations(Interruption(), lambda: None)
    interruption = Interruption()

    def count():
        if cut.step == done:
            interruption.signal_number = 2

    cut.take_iterations(interruption, count)
    assert cut.step == done
    continued.restore(load_state(cut.state_path))
    assert continued.step == done
    continued.take_iterations(Interruption(), lambda: None)
    assert continued.step == continued.steps == 4 * ITERATIONS
    assert_same(continued, straight)


def test_killed_and_continued_equals_straight(build_run, monkeypatch):
    """Killed without a word, it goes on from the last of the states that are saved on the way."""
    monkeypatch.setattr(curves, "SAVE_EVERY_ITERATIONS", 2)
    straight, killed, continued = build_run(), build_run(), build_run()
    straight.take_iterations(Interruption(), lambda: None)

    class Killed(Exception):
        pass

    def kill():
        if killed.step == ITERATIONS + 3:
            raise Killed

    with pytest.raises(Killed):
        killed.take_iterations(Interruption(), kill)
    continued.restore(load_state(killed.state_path))
    assert continued.step == ITERATIONS + 2
    continued.take_iterations(Interruption(), lambda: None)
    assert_same(continued, straight)
