"""One optimization from files to a file: interrupted and resumed, coarse to fine, and what is refused."""

import itertools
import logging
import signal

import pytest
import torch
from PIL import Image

from nst_fast.data.images import load_image
from nst_fast.errors import ImageError, OutputError, SettingError, TrainingError
from nst_fast.losses.settings import LossSettings
from nst_fast.optimization import memory_estimate
from nst_fast.optimization.optimize import optimize_image
from nst_fast.optimization.progress import Progress
from nst_fast.optimization.settings import OptimizeSettings
from nst_fast.runs.saved_run import SavedRun
from nst_fast.settings.networks import LossNetworkSettings
from nst_fast.settings.values import replace_settings

LOSS = LossSettings(content_taps={"relu1_2": 1.0}, style_taps={"relu1_1": 1.0})
LOSS_NETWORK = LossNetworkSettings(name="vgg16", weights="random")


@pytest.fixture
def photo_file(photo_folder):
    return photo_folder / "photo_00.jpg"


@pytest.fixture
def optimize(photo_file, painting):
    """Optimizes a tiny image for four iterations, with other settings where they are given."""

    def call(output, **settings):
        quick = OptimizeSettings(
            content=photo_file,
            style=painting,
            output=output,
            loss=LOSS,
            loss_network=LOSS_NETWORK,
            short_side=20,
            iterations=4,
            device="cpu",
            show_progress=False,
        )
        return optimize_image(replace_settings(quick, settings))

    return call


def size_of(path):
    with Image.open(path) as image:
        return image.size


def interrupt_at(monkeypatch, number):
    """Ctrl-C in that iteration, counted from now."""
    count = itertools.count(1)
    log_iteration = Progress.log_iteration

    def interrupt(self, iteration, image):
        log_iteration(self, iteration, image)
        if next(count) == number:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "log_iteration", interrupt)


def test_writes_the_image_and_its_losses(tmp_path, optimize, caplog):
    """The image has the size asked for, and the total is the weighted sum of its terms; a second call does nothing."""
    caplog.set_level(logging.INFO, "nst_fast")
    output = tmp_path / "out" / "image.png"
    result = optimize(output)
    assert size_of(output) == (27, 20)
    assert result.iterations == 4
    expected = result.terms["content"] + LOSS.style_strength * result.terms["style"] + result.terms["tone"]
    expected += result.terms["color"]
    assert result.terms["total"] == pytest.approx(expected, rel=1e-5)
    caplog.clear()
    assert optimize(output).terms == result.terms
    assert caplog.messages == [f"{output} is finished already; set overwrite to start over"]


def test_interrupted_and_resumed_equals_straight(tmp_path, optimize, monkeypatch, caplog):
    """Ctrl-C at the second of two sizes writes the image; the same call then ends as a straight run does."""
    caplog.set_level(logging.INFO, "nst_fast")
    straight = optimize(tmp_path / "straight.png", coarsest_short_side=14)
    assert straight.iterations == 8
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, 6)
        optimize(tmp_path / "interrupted.png", coarsest_short_side=14)
    assert size_of(tmp_path / "interrupted.png") == (27, 20)
    assert "stopped at iteration 6 of 8" in caplog.messages[-1]
    resumed = optimize(tmp_path / "interrupted.png", coarsest_short_side=14)
    assert any("resuming" in message and "at iteration 6 of 8" in message for message in caplog.messages)
    assert resumed.terms == straight.terms
    assert torch.equal(load_image(tmp_path / "straight.png"), load_image(tmp_path / "interrupted.png"))


def test_killed_after_the_last_iteration(tmp_path, optimize, monkeypatch):
    """A run that is killed before it writes its image, with all iterations done, tells its losses when resumed."""
    straight = optimize(tmp_path / "straight.png")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("nst_fast.optimization.optimize.save_image", lambda image, path: 1 / 0)
        optimize(tmp_path / "killed.png")
    assert optimize(tmp_path / "killed.png").terms == straight.terms
    assert optimize(tmp_path / "killed.png").terms == straight.terms
    assert torch.equal(load_image(tmp_path / "straight.png"), load_image(tmp_path / "killed.png"))


def test_frames_and_film(tmp_path, optimize):
    """Every second image is a frame of the final size, also while coarse; the film has them and the last one."""
    result = optimize(tmp_path / "p.png", coarsest_short_side=14, frames_every_iterations=2, film="webp")
    frames = sorted((tmp_path / "p.run" / "frames").iterdir())
    assert [frame.name for frame in frames] == [f"frame_{number:06}.png" for number in (2, 4, 6, 8)]
    assert {size_of(frame) for frame in frames} == {(27, 20)}
    assert result.film == tmp_path / "p.webp"
    with Image.open(result.film) as film:
        assert film.n_frames in (4, 5)  # the encoder may join two that are alike


def test_a_film_asked_for_later_is_made(tmp_path, optimize):
    """A finished run without a film starts over when a film is wanted, since its frames are missing."""
    optimize(tmp_path / "p.png")
    result = optimize(tmp_path / "p.png", frames_every_iterations=2, film="gif")
    assert result.film is not None and result.film.exists()


def test_several_style_images(tmp_path, optimize, photo_folder, painting):
    """A second style image changes the result; with weight 0 it does not."""
    styles = (str(painting), str(photo_folder / "photo_05.jpg"))
    for name, weights in (("equal", None), ("first", (1.0, 0.0))):
        optimize(tmp_path / f"{name}.png", style=styles, style_weights=weights, seed=3)
    # Relative losses measure the variance over all images given, so one style image alone is no comparison here.
    equal, first = (load_image(tmp_path / f"{name}.png") for name in ("equal", "first"))
    assert not torch.equal(equal, first)


def test_other_settings_are_refused(tmp_path, optimize):
    """A run with other settings is not resumed; the message names what differs and what to do."""
    optimize(tmp_path / "p.png")
    with pytest.raises(TrainingError, match=r"holds a run with other settings \(seed was 0, is 5 now\)"):
        optimize(tmp_path / "p.png", seed=5)
    with pytest.raises(TrainingError, match=rf"\(loss.style_strength was {LOSS.style_strength}, is 40.0 now\)"):
        optimize(tmp_path / "p.png", style_strength=40)
    optimize(tmp_path / "p.png", seed=5, overwrite=True)


def test_a_run_in_progress_is_left_alone(tmp_path, optimize):
    """A second call with the same output is refused while the first one works."""
    with SavedRun(tmp_path / "p.run", {}), pytest.raises(TrainingError, match="another process is working on the run"):
        optimize(tmp_path / "p.png", overwrite=True)


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path, optimize):
    """An image or a film that this run did not write stays."""
    (tmp_path / "p.png").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists and is not the output of this run; choose another output, or set"):
        optimize(tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes() == b"precious"
    (tmp_path / "q.gif").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"q\.gif' exists and is not the output of this run"):
        optimize(tmp_path / "q.png", frames_every_iterations=2, film="gif")
    assert (tmp_path / "q.gif").read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["photo", "style", "link", "film", "frame"])
def test_an_input_is_not_overwritten(tmp_path, optimize, photo_file, painting, kind):
    """No file that would be written may be an input, not even with overwrite; nothing is written then."""
    settings = {}
    if kind == "photo":
        given = output = photo_file
    elif kind == "style":
        given = output = painting
    elif kind == "link":
        given, output = painting, tmp_path / "link.png"
        output.symlink_to(painting)
    elif kind == "film":
        given, output = tmp_path / "holiday.webp", tmp_path / "holiday.png"
        Image.new("RGB", (64, 48), "red").save(given)
        settings = {"content": str(given), "film": "webp", "frames_every_iterations": 1}
    else:
        output, given = tmp_path / "p.png", tmp_path / "p.run" / "frames" / "frame_000010.png"
        given.parent.mkdir(parents=True)
        Image.new("RGB", (64, 48), "red").save(given)
        settings = {"content": str(given)}
    before = given.read_bytes()
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(SettingError, match=r"would overwrite the input|lies in .* which will be written to"):
        optimize(output, overwrite=True, **settings)
    assert given.read_bytes() == before
    assert sorted(tmp_path.rglob("*")) == files


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (
            {"loss.style_taps": {"relu9_1": 1.0}},
            SettingError,
            "tap 'relu9_1' does not exist in vgg16; allowed: relu1_1,",
        ),
        ({"short_side": 1, "loss.style_taps": {"relu2_1": 1.0}}, ImageError, "too small for the deepest tap"),
        ({"output": "p.pdf"}, OutputError, "p.pdf: the suffix '.pdf' is not one of"),
        ({"device": "abacus"}, SettingError, "device 'abacus' is not available"),
    ],
)
def test_mistakes(tmp_path, optimize, settings, kind, message):
    """Each is one line that says what is allowed."""
    with pytest.raises(kind) as caught:
        optimize(**{"output": str(tmp_path / "p.png"), **settings})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_large_for_the_memory(tmp_path, optimize, monkeypatch):
    """It is refused before anything starts, with a size that would fit."""
    monkeypatch.setattr(memory_estimate, "available_bytes", lambda device: 400_000)
    with pytest.raises(ImageError) as caught:
        optimize(tmp_path / "p.png", short_side=48)
    assert "optimizing 64 x 48 pixels does not fit into the memory of cpu, " in str(caught.value)
    assert "would; set short_side to " in str(caught.value)
    assert not (tmp_path / "p.png").exists()


def test_out_of_memory_during_the_run(tmp_path, optimize, monkeypatch):
    """The error of torch becomes one line with a smaller size."""

    def fail(*arguments, **settings):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr("nst_fast.optimization.run.PixelOptimizer", fail)
    with pytest.raises(ImageError, match="27 x 20 pixels does not fit into the memory of cpu, 19 x 14 pixels would"):
        optimize(tmp_path / "p.png")


def test_the_compact_loss_network_has_the_default_taps_but_one(tmp_path, optimize):
    """With the default taps it takes relu4_1, its deepest, for relu4_2."""
    compact = {"loss_network.name": "compact", "loss_network.weights": "shipped"}
    taps = {"loss.content_taps": LossSettings().content_taps, "loss.style_taps": LossSettings().style_taps}
    result = optimize(tmp_path / "p.png", **compact, **taps)
    assert {"content.relu3_2", "content.relu4_1", "style.relu4_1"} <= result.terms.keys()


@pytest.mark.parametrize("short_side", [1, 3])
def test_an_image_smaller_than_a_square_of_tones(tmp_path, optimize, short_side):
    """Tones are averaged over squares of four pixels; a smaller image is one square."""
    optimize(tmp_path / "p.png", short_side=short_side)
    assert min(size_of(tmp_path / "p.png")) == short_side


def test_a_loss_that_is_not_a_number(tmp_path, optimize, monkeypatch):
    """It ends with an error, not with a black image."""

    def spoil(loss, stylized, photos):
        total = stylized.sum() * float("nan")
        return total, {"total": total.detach()}

    monkeypatch.setattr("nst_fast.optimization.run.PerceptualLoss.forward", spoil)
    with pytest.raises(TrainingError, match=r"no longer a finite number at iteration .*; lower learning_rate"):
        optimize(tmp_path / "p.png", method="adam")
    assert not (tmp_path / "p.png").exists()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_chicago_as_starry_night_from_noise(tmp_path, shared_folder):
    """From noise, 300 iterations at 256 px with the published weights end under 2 % of the initial total."""
    data = shared_folder / "data"
    settings = OptimizeSettings(
        content=data / "content" / "chicago.jpg",
        style=data / "styles" / "starry_night.jpg",
        output=tmp_path / "p.png",
        start="noise",
        iterations=300,
        short_side=256,
        loss=LossSettings(scaling="gatys", style_strength=1e3),
        loss_network=LossNetworkSettings(weights=data / "weights" / "vgg19_conv5_1.safetensors"),
        log_every_iterations=1,
        show_progress=False,
    )
    totals = []
    log_terms = Progress.log_terms

    def record(self, iteration, terms, short_side):
        totals.append(terms["total"])
        log_terms(self, iteration, terms, short_side)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "log_terms", record)
        optimize_image(settings)
    # The first entry is that of the first iteration, which is lower than the start.
    assert totals[-1] < 0.02 * totals[0]
