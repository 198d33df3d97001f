"""One picture from files to a file: cut and continued, coarse to fine, and what is said when it cannot be."""

import itertools
import signal

import pytest
import torch
from PIL import Image

from nst_fast.errors import ImageError, OutputError, SettingError, TrainingError
from nst_fast.gatys import memory_estimate
from nst_fast.gatys.optimize import optimize_image
from nst_fast.gatys.plan import Plan
from nst_fast.gatys.progress import Progress
from nst_fast.images import load_image

QUICK = {
    "weights": "random",
    "loss_network": "vgg16",
    "content_taps": {"relu1_2": 1.0},
    "style_taps": {"relu1_1": 1.0},
    "short_side": 20,
}


@pytest.fixture
def photo_file(photo_folder):
    return photo_folder / "photo_00.jpg"


def paint(photo_file, painting, output, **settings):
    plan = Plan(**{**QUICK, "iterations": 4, **settings.pop("plan", {})})
    return optimize_image(
        photo_file, painting, output, plan, show_progress=False, say=lambda line: None, device="cpu", **settings
    )


def size_of(path):
    with Image.open(path) as image:
        return image.size


def test_writes_the_picture_and_its_losses(tmp_path, photo_file, painting):
    """The picture has the size asked for, the total is the weighted sum of its terms; a second call does nothing."""
    output = tmp_path / "out" / "picture.png"
    result = paint(photo_file, painting, output)
    assert size_of(output) == (27, 20)
    assert result.iterations == 4
    assert result.terms["total"] == pytest.approx(result.terms["content"] + 20 * result.terms["style"], rel=1e-5)
    lines = []
    plan = Plan(**QUICK, iterations=4)
    again = optimize_image(photo_file, painting, output, plan, device="cpu", show_progress=False, say=lines.append)
    assert again.terms == result.terms
    assert lines == [f"{output} is finished, by these very settings: nothing to do (overwrite=true begins anew)"]


def test_cut_and_continued_equals_straight(tmp_path, photo_file, painting, monkeypatch):
    """Ctrl-C in the second of two sizes writes the picture; the same call then ends as a straight run does."""
    plan = {"coarsest_short_side": 14}
    straight = paint(photo_file, painting, tmp_path / "straight.png", plan=plan)
    assert straight.iterations == 8
    count = itertools.count(1)
    log_iteration = Progress.log_iteration

    def interrupt(self, iteration, picture):
        log_iteration(self, iteration, picture)
        if next(count) == 6:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "log_iteration", interrupt)
    with pytest.raises(KeyboardInterrupt):
        paint(photo_file, painting, tmp_path / "cut.png", plan=plan)
    monkeypatch.setattr(Progress, "log_iteration", log_iteration)
    assert size_of(tmp_path / "cut.png") == (27, 20)
    resumed = paint(photo_file, painting, tmp_path / "cut.png", plan=plan)
    assert resumed.terms == straight.terms
    assert torch.equal(load_image(tmp_path / "straight.png"), load_image(tmp_path / "cut.png"))


def test_frames_and_film(tmp_path, photo_file, painting):
    """Every second picture is a frame of the final size, also while coarse; the film has them and the last one."""
    plan = {"coarsest_short_side": 14}
    result = paint(photo_file, painting, tmp_path / "p.png", plan=plan, frames_every_iterations=2, film="webp")
    frames = sorted((tmp_path / "p.run" / "frames").iterdir())
    assert [frame.name for frame in frames] == [f"frame_{number:06}.png" for number in (2, 4, 6, 8)]
    assert {size_of(frame) for frame in frames} == {(27, 20)}
    assert result.film == tmp_path / "p.webp"
    with Image.open(result.film) as film:
        assert film.n_frames in (4, 5)  # the encoder may join two that are alike


def test_several_paintings(tmp_path, photo_file, painting, photo_folder):
    """A second painting changes the picture; with weight 0 it does not."""
    other = photo_folder / "photo_05.jpg"
    for name, weights in (("equal", None), ("first", (1.0, 0.0))):
        paint(photo_file, [painting, other], tmp_path / f"{name}.png", plan={"style_weights": weights, "seed": 3})
    # Relative losses measure the variance on all pictures given, so one painting alone is no comparison here.
    equal, first = (load_image(tmp_path / f"{name}.png") for name in ("equal", "first"))
    assert not torch.equal(equal, first)


def test_other_settings_are_refused(tmp_path, photo_file, painting):
    """A run of another plan is not continued; the message names what differs and the ways out."""
    paint(photo_file, painting, tmp_path / "p.png")
    with pytest.raises(TrainingError, match=r"holds a run begun with other settings \(seed 0 there, 5 now\)"):
        paint(photo_file, painting, tmp_path / "p.png", plan={"seed": 5})
    paint(photo_file, painting, tmp_path / "p.png", plan={"seed": 5}, overwrite=True)


def test_a_strange_file_is_not_overwritten(tmp_path, photo_file, painting):
    """A picture that this command did not make stays."""
    (tmp_path / "p.png").write_bytes(b"precious")
    with pytest.raises(
        OutputError, match="exists and is no result of this command; give another output, or overwrite"
    ):
        paint(photo_file, painting, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("plan", "settings", "kind", "message"),
    [
        (
            {"style_taps": {"relu9_1": 1.0}},
            {},
            SettingError,
            "tap 'relu9_1' does not exist in vgg16; allowed: relu1_1,",
        ),
        (
            {"style_taps": {"relu1_1": 0.0}},
            {},
            SettingError,
            "style_taps: relu1_1 0; each must be a number of at least",
        ),
        ({"style_weights": (1.0,) * 3}, {}, SettingError, "style_weights has 3 numbers for 1 paintings; give one for"),
        ({"short_side": 1, "style_taps": {"relu2_1": 1.0}}, {}, ImageError, "is too small for the deepest tap"),
        ({}, {"film": "mp4"}, SettingError, "film 'mp4' is unknown; allowed: webp, gif"),
        ({}, {"film": "gif"}, SettingError, "film=gif is made of frames; give frames_every_iterations, such as 10"),
        ({}, {"log_every_iterations": 0}, SettingError, "log_every_iterations is 0; it must be at least 1"),
    ],
)
def test_mistakes(tmp_path, photo_file, painting, plan, settings, kind, message):
    """Each is one line that says what is allowed."""
    with pytest.raises(kind) as caught:
        paint(photo_file, painting, tmp_path / "p.png", plan=plan, **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_large_for_the_memory(tmp_path, photo_file, painting, monkeypatch):
    """Before anything starts, with the size that would fit."""
    monkeypatch.setattr(memory_estimate, "available_bytes", lambda device: 400_000)
    with pytest.raises(ImageError) as caught:
        paint(photo_file, painting, tmp_path / "p.png", plan={"short_side": 48})
    assert "optimising 64 x 48 pixels does not fit the memory of cpu; " in str(caught.value)
    assert "would: give short_side=" in str(caught.value)
    assert not (tmp_path / "p.png").exists()


def test_out_of_memory_on_the_way(tmp_path, photo_file, painting, monkeypatch):
    """What torch says is turned into a line with a smaller size."""

    def fail(*arguments, **settings):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr("nst_fast.gatys.run.PixelOptimiser", fail)
    with pytest.raises(ImageError, match="27 x 20 pixels does not fit the memory of cpu; 19 x 14 would"):
        paint(photo_file, painting, tmp_path / "p.png")


def test_a_loss_that_is_no_number(tmp_path, photo_file, painting, monkeypatch):
    """It ends with a line, not with a black picture."""

    def spoil(loss, painted, photos):
        total = painted.sum() * float("nan")
        return total, {"total": total.detach()}

    monkeypatch.setattr("nst_fast.gatys.run.PerceptualLoss.forward", spoil)
    with pytest.raises(TrainingError, match=r"no longer a number at iteration .*; give a lower learning_rate"):
        paint(photo_file, painting, tmp_path / "p.png", plan={"method": "adam"})
    assert not (tmp_path / "p.png").exists()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_chicago_as_starry_night_from_noise(tmp_path, shared_folder):
    """From noise, 300 iterations at 256 px with the published weights end under 2 % of the starting total."""
    data = shared_folder / "data"
    plan = Plan(
        start="noise",
        iterations=300,
        short_side=256,
        weights=str(data / "weights" / "vgg19_conv5_1.safetensors"),
        normalisation="gatys",
        style_strength=1e3,
    )
    totals = []
    log_terms = Progress.log_terms

    def record(self, iteration, terms, short_side):
        totals.append(terms["total"])
        log_terms(self, iteration, terms, short_side)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "log_terms", record)
        optimize_image(
            data / "content" / "chicago.jpg",
            data / "styles" / "starry_night.jpg",
            tmp_path / "p.png",
            plan,
            log_every_iterations=1,
            show_progress=False,
        )
    # The first entry is that of the first iteration, which is lower than the start.
    assert totals[-1] < 0.02 * totals[0]
