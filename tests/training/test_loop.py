import math
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nst_fast.data import content_images, held_out
from nst_fast.data.content_images import list_photos, read_photo
from nst_fast.data.held_out import hold_out_photos
from nst_fast.data.images import load_image
from nst_fast.data.sampler import cut_center
from nst_fast.errors import ImageError, OutputError, SettingError, TrainingError
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.perceptual import PerceptualLoss, build_relative_loss, measure_losses
from nst_fast.losses.settings import LossSettings
from nst_fast.networks.checkpoint_header import read_checkpoint_header
from nst_fast.networks.torch_network import load_network
from nst_fast.runs.state import load_state
from nst_fast.settings.networks import LossNetworkSettings, NetworkSettings
from nst_fast.settings.values import replace_settings
from nst_fast.training import result_file
from nst_fast.training.loop import TrainingResult, train
from nst_fast.training.run import TrainingRun, draw_noise_origin
from nst_fast.training.settings import TrainSettings

CONTENT_TAPS = {"relu2_1": 1.0}
STYLE_TAPS = {"relu1_1": 1.0, "relu2_1": 1.0}
SETTINGS = TrainSettings(
    style="replaced.png",
    content="replaced",
    network=NetworkSettings(width=4),
    loss_network=LossNetworkSettings(name="auto", weights="random"),
    loss=LossSettings(content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS, grid_weight=30),
    style_short_side=32,
    crop_size=32,
    largest_crop=1.5,
    batch_size=2,
    steps=8,
    learning_rate=0.01,
    warmup_steps=2,
    ema_decay=0.9,
    device="cpu",
    checkpoint_dtype="fp32",
    log_every_steps=2,
    save_every_steps=3,
    strip_every_steps=4,
    show_progress=False,
)


@pytest.fixture(autouse=True)
def small_measurements(monkeypatch):
    """Photos are measured at 32 pixels rather than 256, which is a matter of time only."""
    monkeypatch.setattr(held_out, "HELD_OUT_SHORT_SIDE", 40)
    monkeypatch.setattr(held_out, "HELD_OUT_SIZE", 32)


@pytest.fixture
def start(photo_folder, painting, tmp_path, caplog):
    """Trains with SETTINGS, changed as given, into the folder of this name; `start.logged` is what it logged."""

    def start(folder: str = "run", on_moment=None, **changes) -> TrainingResult:
        caplog.clear()
        start.logged = caplog.messages
        given = {"style": painting, "content": photo_folder, "output": tmp_path / folder, **changes}
        try:
            return train(replace_settings(SETTINGS, given), on_moment=on_moment)
        finally:
            start.logged = list(caplog.messages)

    caplog.set_level("INFO", "nst_fast")
    start.logged = []
    return start


def weights_of(result: TrainingResult) -> list[torch.Tensor]:
    return list(load_network(result.checkpoint).state_dict().values())


def same_weights(first: TrainingResult, second: TrainingResult) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights_of(first), weights_of(second), strict=True))


def act_after_step(monkeypatch, number: int, act) -> None:
    """Have `act(run)` called when this step is done."""
    take_step = TrainingRun.take_step

    def take_step_and_act(run: TrainingRun, photos: torch.Tensor) -> None:
        take_step(run, photos)
        if run.step == number:
            act(run)

    monkeypatch.setattr(TrainingRun, "take_step", take_step_and_act)


class PowerOffError(Exception):
    """As if the computer went off: nothing is written any more."""


def power_off(run: TrainingRun) -> None:
    raise PowerOffError


def interrupt(run: TrainingRun) -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_loss_falls(start, painting, photo_folder):
    """After 60 steps the photos trained on have lost a quarter of the style loss that the untrained network gives."""
    files, _ = hold_out_photos(list_photos(photo_folder), photo_folder, 64)
    photos = torch.stack([cut_center(read_photo(file, 40), 32) for file in files])
    network = build_loss_network("vgg19", taps=[*CONTENT_TAPS, *STYLE_TAPS], weights="random")
    style = load_image(painting, short_side=32)
    loss = build_relative_loss(network, style, photos, content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS)
    losses = []
    for steps in (1, 60):
        result = start(
            f"run_{steps}", steps=steps, width=8, strip_every_steps=100, save_every_steps=100, style_strength=16
        )
        with torch.no_grad():
            losses.append(measure_losses(load_network(result.checkpoint), loss, photos))
    assert losses[1]["style"] < 0.75 * losses[0]["style"]
    assert losses[1]["total"] < losses[0]["total"] * 0.7


def test_a_checkpoint_describes_itself(start):
    """The checkpoint says which style image, losses and settings made it, and how far it got."""
    result = start(name="Wave", title="The Great Wave", artist="Hokusai")
    assert result.steps == 8 and result.seconds > 0
    assert result.checkpoint.name == "Wave.safetensors"
    header = read_checkpoint_header(result.checkpoint)
    assert header["network"] == {"name": "realtime", "width": 4, "input_noise": 0.016, "adjustable": True}
    assert header["style"] == {"name": "Wave", "title": "The Great Wave", "artist": "Hokusai"}
    assert header["loss"] == {
        "loss_network": "vgg19",
        "weights": "random, seed 0",
        "pooling": "max",
        "scaling": "relative",
        "content_taps": CONTENT_TAPS,
        "content_focus": 0.95,
        "style_taps": STYLE_TAPS,
        "content_weight": 1.0,
        "style_strength": SETTINGS.loss.style_strength,
        "style_statistic": "moments",
        "band_share": 0.2,
        "window_share": 0.6,
        "tone_weight": 1.0,
        "color_weight": 1.0,
        "total_variation_weight": 0.0,
        "grid_weight": 30.0,
    }
    assert header["training"] == {
        "steps": 8,
        "of_steps": 8,
        "batch_size": 2,
        "crop_size": 32,
        "largest_crop": 1.5,
        "style_short_side": 32,
        "color": None,
        "fit_colors": False,
        "train_only": None,
        "optimizer": "muon",
        "learning_rate": 0.01,
        "warmup_steps": 2,
        "cosine": True,
        "ema_decay": 0.9,
        "seed": 0,
        "compact_share": 0.0,
        "temporal_weight": 2.0,
        "crop_share": 0.25,
        "code_share": 0.1,
        "held_out_photos": 64,
        "stroke_reference_size": 32,
    }
    assert header["held_out"] == result.held_out
    assert result.held_out.keys() == {"total", "style", "content", "photos"}
    assert start.logged == ["training realtime for 8 steps on cpu in float32"]


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_what_is_measured_is_what_is_shipped(start, painting, photo_folder, dtype):
    """The checkpoint's losses are those of the network in it, measured again on the photos held out."""
    result = start(checkpoint_dtype=dtype)
    _, files = hold_out_photos(list_photos(photo_folder), photo_folder, 64)
    photos = torch.stack([cut_center(read_photo(file, 40), 32) for file in files])
    network = build_loss_network("vgg19", taps=[*CONTENT_TAPS, *STYLE_TAPS], weights="random")
    style = load_image(painting, short_side=32)
    loss = build_relative_loss(network, style, photos, content_taps=CONTENT_TAPS, style_taps=STYLE_TAPS)
    with torch.no_grad():
        measured = measure_losses(load_network(result.checkpoint), loss, photos)
    assert result.held_out["photos"] == len(files) == 1
    for name in ("total", "style", "content"):
        assert result.held_out[name] == pytest.approx(measured[name], rel=1e-4)


def test_a_run_can_be_watched(start, tmp_path):
    """The folder holds the state, the checkpoint, strips, and for TensorBoard all terms at the right steps."""
    start()
    names = {path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith("events.")}
    assert names == {"painting.safetensors", "state.pt", "strip.jpg", "strips"}
    assert sorted(path.name for path in (tmp_path / "run" / "strips").iterdir()) == [
        "step_000004.jpg",
        "step_000008.jpg",
    ]
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/temporal")] == [2, 3, 4, 6, 8]
    terms = ["total", "content", "style", "tone", "color", "total_variation", "grid"]
    for term in (*terms, "content.relu2_1", "style.relu1_1", "style.relu2_1"):
        # Looked at every 2 steps, and where something is saved (3, 6) or stylized (4, 8).
        assert [event.step for event in events.Scalars(f"train/{term}")] == [2, 3, 4, 6, 8]
        assert [event.step for event in events.Scalars(f"held_out/{term}")] == [4, 8]
    rates = [event.value for event in events.Scalars("learning_rate")]
    expected = [0.01 * 0.5 * (1 + math.cos(math.pi * (step - 1 - 2) / 6)) for step in (3, 4, 6, 8)]
    assert rates == pytest.approx([0.01, *expected])  # that of the step just taken; the warm-up is two steps
    assert all(event.value > 0 for event in events.Scalars("images_per_second"))


def test_a_run_starts_from_another_network(start):
    """With `init` the first weights are those of the checkpoint: a step of next to no length leaves them there."""
    first = start("first")
    still = {"steps": 1, "learning_rate": 1e-12, "ema_decay": 0, "seed": 5}
    second = start("second", init=first.checkpoint, **still)
    for before, after in zip(weights_of(first), weights_of(second), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=1e-6)
    assert not same_weights(first, start("third", **still))
    assert read_checkpoint_header(second.checkpoint)["training"]["init"].startswith("painting ")


def test_a_run_is_not_continued_from_another_start(start):
    """`init` belongs to what a run is: given or not, it is not another run that goes on."""
    checkpoint = start("first").checkpoint
    start("second", init=checkpoint)
    with pytest.raises(TrainingError, match="other settings \\(init was 'painting "):
        start("second")


def test_an_older_network_gets_the_strength_knob(start, photo_folder):
    """With `train_only=strength` a network without the knob gets it: at strength 1 it gives the very same as before,
    and at 0 something much nearer to the photo."""
    checkpoint = start("first", adjustable=False).checkpoint
    older = load_network(checkpoint)
    knob = {"init": checkpoint, "train_only": "strength", "steps": 20}
    adjustable = load_network(start("second", **knob).checkpoint)
    photos = load_image(list_photos(photo_folder)[0], short_side=32)[None, :, :32, :32]
    assert torch.equal(adjustable(photos), older(photos))
    difference = [
        (adjustable(photos, steering=adjustable.steer(strength)) - photos).abs().mean() for strength in (0, 1)
    ]
    assert difference[0] < 0.5 * difference[1]


@pytest.mark.parametrize("changes", [{}, {"init": "random"}, {"init": "wave", "adjustable": False}])
def test_the_knob_alone_needs_a_network(start, changes):
    """Without a network that is trained already there is nothing to keep at strength 1."""
    with pytest.raises(SettingError, match="train_only strength is for a network that is trained already; give its"):
        start(train_only="strength", **changes)


def test_a_network_of_another_shape_cannot_be_started_from(start):
    """The message says what the checkpoint is and what was asked for."""
    checkpoint = start("first").checkpoint
    message = (
        "is a realtime network of width 4, not realtime of width 8; set network.name to realtime and network.width to"
    )
    with pytest.raises(SettingError, match=message):
        start("second", width=8, init=checkpoint)


def test_the_first_steps_may_be_with_the_compact_network(start, monkeypatch):
    """`compact_share` takes its steps exactly as `loss_network=compact` does, and goes on with the other network.

    Cut on either side of the change, the run ends in the same weights.
    """
    plain = {"cosine": False}  # else the rate stays at its peak for the opening steps
    compact = {**plain, "loss_network.name": "compact", "weights": "shipped"}
    mixed = {**plain, "compact_share": 4 / SETTINGS.steps}
    seen: dict[str, list[torch.Tensor]] = {}
    for folder, changes in (("compact", compact), ("mixed", mixed), ("straight", plain)):
        with monkeypatch.context() as patch:
            act_after_step(
                patch,
                4,
                lambda run, folder=folder: seen.update({folder: [p.clone() for p in run.network.parameters()]}),
            )
            results = start(folder, **changes)
        seen[f"{folder}, end"] = weights_of(results)
    for when, expected in (("", True), (", end", False)):
        pairs = zip(seen[f"compact{when}"], seen[f"mixed{when}"], strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) == expected
    assert not torch.equal(seen["mixed"][0], seen["straight"][0])
    for number in (2, 5):
        with monkeypatch.context() as patch:
            act_after_step(patch, number, interrupt)
            with pytest.raises(KeyboardInterrupt):
                start(f"cut_{number}", **mixed)
        resumed = weights_of(start(f"cut_{number}", **mixed))
        assert all(torch.equal(a, b) for a, b in zip(resumed, seen["mixed, end"], strict=True))


def test_photos_held_out_are_not_trained_on(start, photo_folder, monkeypatch):
    """The photos that the run trains on are exactly those that are not held out."""
    files = list_photos(photo_folder)
    _, held_out = hold_out_photos(files, photo_folder, 64)
    trained_on: set[Path] = set()

    def note(path: Path, short_side: int) -> torch.Tensor:
        trained_on.add(path)
        return read_photo(path, short_side)

    monkeypatch.setattr(content_images, "read_photo", note)
    result = start()
    assert trained_on == set(files) - set(held_out)
    assert len(held_out) == result.held_out["photos"] == 1
    trained_on.clear()
    start("loaded", photo_memory_gib=0.0, workers=0)
    assert trained_on == set(files) - set(held_out)


def test_without_held_out_photos(start):
    """Fewer than ten photos hold out none: nothing is measured, and the strip shows photos trained on."""
    result = start(held_out_photos=0)
    assert result.held_out == {}
    assert read_checkpoint_header(result.checkpoint)["held_out"] == {}
    assert load_image(result.checkpoint.with_name("strip.jpg")).shape == (3, 64, 128)


def test_a_cut_run_ends_in_the_same_weights(start, monkeypatch):
    """Interrupted, or cut off without warning, at any step and given again: bit for bit the weights of a straight run.

    The state is written at steps 3 and 6, so a run cut off at 1 begins again, at 5 goes on from 3, and at 8, when the
    last state is written but the checkpoint is not, from there.
    """
    straight = start("straight")
    for act, expected_error in [(interrupt, KeyboardInterrupt), (power_off, PowerOffError)]:
        for number in (1, 3, 5):
            folder = f"{act.__name__}_{number}"
            with monkeypatch.context() as patch:
                act_after_step(patch, number, act)
                with pytest.raises(expected_error):
                    start(folder)
            resumed = start(folder)
            went_on_at = number if act is interrupt else {1: 0, 3: 0, 5: 3}[number]
            assert start.logged[-1].endswith(f"{folder} at step {went_on_at} of 8")
            assert same_weights(resumed, straight)
            assert resumed.held_out == straight.held_out


def test_runs_cut_twice_with_workers_end_in_the_same_weights(start, monkeypatch):
    """Read by two worker processes, which get the signals too, and cut twice: the weights of a straight run."""
    straight = start("straight")

    def signal_workers(number: int) -> None:
        children = multiprocessing.active_children()
        assert len(children) == 2
        for child in children:
            assert child.pid is not None
            os.kill(child.pid, number)

    def terminate_all(run: TrainingRun) -> None:
        signal_workers(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        act_after_step(patch, 2, lambda run: signal_workers(signal.SIGINT))
        act_after_step(patch, 4, terminate_all)
        with pytest.raises(SystemExit):
            start(photo_memory_gib=0.0, workers=2)
    assert multiprocessing.active_children() == []
    with monkeypatch.context() as patch:
        act_after_step(patch, 7, power_off)
        with pytest.raises(PowerOffError):
            start(photo_memory_gib=0.0, workers=2)
    assert multiprocessing.active_children() == []
    resumed = start(photo_memory_gib=0.0, workers=0)
    assert start.logged[-1].endswith("at step 6 of 8")
    assert same_weights(resumed, straight)


KILLED_SCRIPT = """
import os, signal, sys

if __name__ == "__main__":
    from test_loop import SETTINGS, TrainingRun, held_out, replace_settings, train

    held_out.HELD_OUT_SHORT_SIDE, held_out.HELD_OUT_SIZE = 40, 32
    take_step = TrainingRun.take_step

    def take_step_and_die(run, photos):
        take_step(run, photos)
        if run.step == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    TrainingRun.take_step = take_step_and_die
    style, content, output = sys.argv[1:]
    print("started", flush=True)
    given = {"style": style, "content": content, "output": output, "photo_memory_gib": 0, "workers": 2}
    train(replace_settings(SETTINGS, given))
"""


def test_a_killed_process_leaves_no_workers_and_goes_on(start, painting, photo_folder, tmp_path):
    """Killed with SIGKILL after the state of step 3, its workers end by themselves, and the run can be continued."""
    script = tmp_path / "script.py"
    script.write_text(KILLED_SCRIPT)
    # As many threads as here: sums over another number of them differ in their last bits.
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    environment = {**os.environ, **threads, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.run(
        [sys.executable, str(script), str(painting), str(photo_folder), str(tmp_path / "run")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=280,  # the output ends when the last process that could write to it has ended
    )
    assert process.returncode == -signal.SIGKILL, process.stdout.decode()
    assert process.stdout.startswith(b"started")
    resumed = start()
    assert start.logged[-1].endswith("at step 3 of 8")
    assert same_weights(resumed, start("straight"))


def test_an_interrupted_run_leaves_all_that_is_needed(start, monkeypatch):
    """Ctrl-C ends the step under way; state, strip and checkpoint are of that step, and one line says how to go on."""
    act_after_step(monkeypatch, 5, interrupt)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        start()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert start.logged[-1].startswith("stopped at step 5 of 8; run the same again to resume. ")
    assert start.logged[-1].endswith("painting.safetensors holds the network so far")


def test_the_second_ctrl_c_acts_at_once(start, tmp_path, monkeypatch):
    """Two Ctrl-C in one step end the run in the midst of it, and the state before is still good."""

    def interrupt_twice(run: TrainingRun) -> None:
        interrupt(run)
        interrupt(run)
        raise AssertionError("the run went on")

    act_after_step(monkeypatch, 5, interrupt_twice)
    with pytest.raises(KeyboardInterrupt):
        start()
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 3


def test_sigterm_saves_and_gives_its_exit_status(start, tmp_path, monkeypatch):
    """SIGTERM, as from a batch system, saves the state and leaves with 143."""
    act_after_step(monkeypatch, 4, lambda run: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as caught:
        start()
    assert caught.value.code == 143
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 4
    header = read_checkpoint_header(tmp_path / "run" / "painting.safetensors")
    assert (header["training"]["steps"], header["training"]["of_steps"]) == (4, 8)


@pytest.mark.parametrize(
    ("number", "ending"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_in_the_last_step_lets_the_run_finish_and_is_not_lost(start, tmp_path, monkeypatch, number, ending):
    """The result is that of a run without it; whoever called, such as a sweep, still learns that it is to stop."""
    straight = start("straight")
    with monkeypatch.context() as patch:
        act_after_step(patch, 8, lambda run: signal.raise_signal(number))
        with pytest.raises(ending):
            start()
    checkpoint = tmp_path / "run" / "painting.safetensors"
    assert start.logged[-1] == f"stopped, but this run is finished: {checkpoint}"
    again = start()
    assert start.logged == [
        f"{tmp_path / 'run'} holds this very run, finished: nothing to do (set overwrite to start over)"
    ]
    assert again.held_out == straight.held_out != {}


def test_a_second_sigterm_does_no_harm(start, tmp_path, monkeypatch):
    """`timeout` and some batch systems send SIGTERM twice; the step under way is saved all the same."""

    def terminate_twice(run: TrainingRun) -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    act_after_step(monkeypatch, 4, terminate_twice)
    with pytest.raises(SystemExit):
        start()
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 4


def test_an_error_tells_of_the_signal_before_it(start, monkeypatch):
    """Where a run fails while it is being stopped, the error says that it was, so that no other run begins."""
    turn_to_nan_from(monkeypatch, 5)
    with pytest.raises(TrainingError) as caught:
        start()
    assert caught.value.signal_number is None
    act_after_step(monkeypatch, 5, interrupt)
    with pytest.raises(TrainingError) as caught:
        start(overwrite=True)
    assert caught.value.signal_number == signal.SIGINT


def test_a_continued_run_shows_each_step_once(start, tmp_path, monkeypatch):
    """TensorBoard shows a run that was cut off and continued like one that was not."""
    start("straight")
    with monkeypatch.context() as patch:
        act_after_step(patch, 5, power_off)
        with pytest.raises(PowerOffError):
            start()
    start()
    steps = []
    for folder in ("straight", "run"):
        events = EventAccumulator(str(tmp_path / folder))
        events.Reload()
        steps.append([(event.step, event.value) for event in events.Scalars("train/total")])
    # The first look after going on is at step 4, which was looked at before, too.
    assert steps[1] == steps[0]


def test_a_finished_run_is_left_alone(start, tmp_path):
    """The same call on a finished run does nothing, says so, and gives the same result."""
    first = start()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    again = start()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before
    assert start.logged == [
        f"{tmp_path / 'run'} holds this very run, finished: nothing to do (set overwrite to start over)"
    ]
    assert (again.checkpoint, again.held_out, again.steps) == (first.checkpoint, first.held_out, 8)


@pytest.mark.parametrize("left", ["nothing", "that of an interruption", "half a file"])
def test_a_run_cut_before_its_last_checkpoint_writes_it(start, tmp_path, monkeypatch, left):
    """Where the last state was written but not the checkpoint, the same call writes it and trains no further."""
    straight = start("straight")
    with monkeypatch.context() as patch:
        act_after_step(patch, 3, interrupt)
        with pytest.raises(KeyboardInterrupt):
            start()
    with monkeypatch.context() as patch:
        patch.setattr(result_file, "measure_held_out", lambda run, *_: power_off(run))
        with pytest.raises(PowerOffError):
            start()
    checkpoint = tmp_path / "run" / "painting.safetensors"
    assert read_checkpoint_header(checkpoint)["training"]["steps"] == 3
    if left == "nothing":
        checkpoint.unlink()
    elif left == "half a file":
        checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "take_step", power_off)
        resumed = start()
    assert read_checkpoint_header(checkpoint)["training"]["steps"] == 8
    assert same_weights(resumed, straight)


def test_another_recipe_in_the_same_folder_is_refused(start, tmp_path, photo_folder, painting):
    """Another setting, painting or choice of photos is refused by name, and what is there stays."""
    start()
    state = (tmp_path / "run" / "state.pt").read_bytes()
    with pytest.raises(TrainingError) as caught:
        start(steps=9, style_strength=40.0)
    assert str(caught.value) == (
        f"'{tmp_path / 'run'}' holds a run with other settings "
        f"(loss.style_strength was {SETTINGS.loss.style_strength}, is 40.0 now; steps was 8, is 9 now); "
        f"use the same settings to resume it, choose another output, "
        f"or set overwrite to start over"
    )
    with pytest.raises(TrainingError, match=r"other settings \(style was '\w+', is '\w+' now\)"):
        start(style=photo_folder / "photo_00.jpg", name="painting")
    (photo_folder / "photo_00.jpg").rename(photo_folder / "photo_99.jpg")
    with pytest.raises(TrainingError, match=r"other settings \(content was '\w+', is '\w+' now\)"):
        start()
    assert (tmp_path / "run" / "state.pt").read_bytes() == state


def test_overwrite_begins_anew(start):
    """With overwrite, another recipe or the same one trains from the first step."""
    first = start()
    other = start(seed=1, overwrite=True)
    assert "resuming" not in " ".join(start.logged)
    changed = start("elsewhere", seed=1)
    assert same_weights(other, changed)
    again = start(overwrite=True)
    assert "resuming" not in " ".join(start.logged)
    assert again.held_out == first.held_out != other.held_out


def test_a_damaged_state_is_an_error(start, tmp_path):
    """A state that cannot be read is not silently replaced."""
    start()
    (tmp_path / "run" / "state.pt").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"state\.pt' cannot be read .*, or set overwrite to start over"):
        start()
    assert (tmp_path / "run" / "state.pt").read_bytes() == b""


def turn_to_nan_from(monkeypatch, step: int) -> None:
    compute_losses = TrainingRun._compute_losses

    def compute_and_spoil(run: TrainingRun, loss: PerceptualLoss, *tensors: torch.Tensor):
        total, terms, measured = compute_losses(run, loss, *tensors)
        factor = math.nan if run.step + 1 >= step else 1.0
        return total * factor, {name: term * factor for name, term in terms.items()}, measured

    monkeypatch.setattr(TrainingRun, "_compute_losses", compute_and_spoil)


def test_a_diverged_run_keeps_its_last_good_state(start, tmp_path, monkeypatch):
    """A loss of NaN from step 5 on stops the run at the state of step 3, whose checkpoint paints numbers."""
    turn_to_nan_from(monkeypatch, 5)
    with pytest.raises(TrainingError) as caught:
        start()
    checkpoint = tmp_path / "run" / "painting.safetensors"
    assert str(caught.value) == (
        f"the loss is no longer a number between steps 4 and 6; "
        f"{checkpoint} holds the last good network, of step 3; "
        f"set learning_rate lower than 0.01, and choose another output"
    )
    state = load_state(tmp_path / "run" / "state.pt")
    assert state["step"] == 3
    for part in (state["network"], state["average"]["network"]):
        assert all(bool(weight.isfinite().all()) for weight in part.values())
    assert all(
        bool(value.isfinite().all())
        for part in ("muon", "adam")
        for values in state[part]["state"].values()
        for value in values.values()
    )
    assert read_checkpoint_header(checkpoint)["training"]["steps"] == 3
    with torch.no_grad():
        stylized = load_network(checkpoint)(torch.rand(1, 3, 32, 32))
    assert bool(stylized.isfinite().all())


def test_a_run_diverged_at_once_leaves_the_first_state(start, tmp_path, monkeypatch):
    """Without a saved step the good state is that before the first."""
    turn_to_nan_from(monkeypatch, 1)
    with pytest.raises(TrainingError, match=r"between steps 0 and 2; .* holds the last good network, of step 0;"):
        start()
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 0


def test_weights_of_nan_are_found(start, monkeypatch):
    """Weights that are no numbers are found in the very step, before the loss shows them."""

    def spoil(run: TrainingRun) -> None:
        with torch.no_grad():
            next(run.network.parameters()).fill_(math.nan)

    act_after_step(monkeypatch, 6, spoil)
    with pytest.raises(TrainingError, match=r"^the weights are no longer numbers between steps 4 and 6; "):
        start()


def test_folders_that_cannot_be_written_are_found_at_once(start, tmp_path, monkeypatch):
    """An output that is a file, or lies in one, or has too long a name is an error before the first step."""
    (tmp_path / "file").write_text("")
    act_after_step(monkeypatch, 1, power_off)
    for folder in ("file", "file/run"):
        with pytest.raises(OutputError, match=r"^cannot write .*: a part of this path is a file, not a folder"):
            start(folder)
    with pytest.raises(OutputError, match=r"^cannot write .*: the name is too long; choose a shorter one"):
        start("x" * 300)
    assert (tmp_path / "file").read_text() == ""


def test_content_and_style_are_checked(start, tmp_path, photo_folder):
    """A content folder that is empty or not there, a painting that cannot be read, photos that are all broken."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"^content folder '.*empty' holds no images; give a folder of photos"):
        start(content=tmp_path / "empty")
    with pytest.raises(ImageError, match=r"absent does not exist; check the path$"):
        start(content=tmp_path / "absent")
    with pytest.raises(ImageError, match=r"absent\.jpg does not exist; check the path$"):
        start(style=tmp_path / "absent.jpg")
    for file in list_photos(photo_folder):
        file.write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"^11 of 11 photos cannot be read"):
        start()
    assert not (tmp_path / "run").exists()


def test_broken_photos_are_told_and_left_out(start, photo_folder):
    """A run goes on without a broken photo, names it, and says how many were left out."""
    files, held_out = hold_out_photos(list_photos(photo_folder), photo_folder, 64)
    for file in (files[2], held_out[0]):
        file.write_bytes(b"no picture")
    result = start()
    assert result.held_out == {}
    told = [line for line in start.logged if "not a picture" in line]
    assert [line.split(" ")[0] for line in told] == [str(files[2]), str(held_out[0])]
    assert "skipping 1 of 11 photos, which cannot be read" in start.logged


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "abacus"}, "device 'abacus' is not available; this computer has: "),
        ({"precision": "fp8"}, "precision 'fp8' is unknown; allowed: auto, fp32, bf16, fp16"),
        ({"checkpoint_dtype": "int8"}, "checkpoint_dtype 'int8' is unknown; allowed: fp16, fp32"),
        ({"workers": -1}, "workers is -1; it must be at least 0"),
        ({"log_every_steps": 0}, "log_every_steps is 0; it must be at least 1"),
        ({"save_every_steps": -5}, "save_every_steps is -5; it must be at least 1"),
        ({"strip_every_steps": 0}, "strip_every_steps is 0; it must be at least 1"),
        ({"network.name": "gan"}, "network 'gan' is unknown; allowed: johnson, realtime"),
        ({"width": 6}, "network.width is 6; it must be a multiple of 4, such as 32"),
        ({"loss_network.name": "vgg11"}, "loss network 'vgg11' is unknown; allowed: vgg16, vgg19, compact"),
        ({"pooling": "min"}, "pooling 'min' is unknown; allowed: max, average"),
        ({"scaling": "none"}, "scaling 'none' is unknown; allowed: relative,"),
        ({"style_taps": {"relu9_1": 1.0}}, "tap 'relu9_1' does not exist in vgg19; allowed: "),
        ({"style_taps": {"relu1_1": 0.0}}, "style_taps: relu1_1 0; each must be a number of at least 0"),
        ({"live": True}, "live is for the command line, which serves the page; in Python pass on_moment instead"),
    ],
)
def test_settings_that_are_not_allowed(start, tmp_path, arguments, message):
    """Each is refused by name with what is allowed, before anything is written."""
    with pytest.raises(SettingError) as caught:
        start(**arguments)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "run").exists()


def test_the_callers_random_numbers_are_untouched(start):
    """A run neither reads nor changes torch's random state."""
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    first = start("memory")
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(4)
    before = torch.random.get_rng_state()
    second = start("loaded", photo_memory_gib=0.0, workers=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same_weights(first, second)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_takes_a_step(start, precision):
    """Under autocast a step changes the weights by about what it does in float32, and all stay numbers."""
    short = {"steps": 1, "ema_decay": 0.0}
    exact, rounded = start("exact", **short), start("rounded", **short, precision=precision)
    assert start.logged[0].endswith(f"in {'bfloat16' if precision == 'bf16' else 'float16'}")
    assert not same_weights(exact, rounded)
    for a, b in zip(weights_of(exact), weights_of(rounded), strict=True):
        assert b.isfinite().all() and (a - b).abs().max() <= 2 * 0.01


def test_memory_layout_hardly_matters(start):
    """With and without channels_last a short run ends in the same losses up to rounding."""
    short = {"steps": 3, "learning_rate": 1e-3}
    first, second = start("last", **short), start("first", **short, channels_last=False)
    assert second.held_out == pytest.approx(first.held_out, rel=1e-2)


def test_the_compact_network_alone_with_the_default_taps(start):
    """It has no relu4_2: relu4_1 counts instead, in the training and in what is measured; the settings stay."""
    taps = {"content_taps": LossSettings().content_taps, "style_taps": LossSettings().style_taps}
    result = start(**{"loss_network.name": "compact"}, weights="shipped", steps=2, **taps)
    assert all(math.isfinite(result.held_out[term]) for term in ("total", "content", "style"))
    assert read_checkpoint_header(result.checkpoint)["loss"]["content_taps"] == {"relu3_2": 1.0, "relu4_2": 1.0}


def test_johnson_trains(start):
    """The network of Johnson et al. trains like the other one, with the losses of their paper."""
    johnson = {"network.name": "johnson", "network.adjustable": False}
    result = start(**johnson, steps=2, scaling="johnson", total_variation_weight=1e-6)
    header = read_checkpoint_header(result.checkpoint)
    assert header["network"] == {"name": "johnson", "width": 4, "input_noise": 0.016}
    of_loss = header["loss"]
    assert (of_loss["scaling"], of_loss["style_statistic"], of_loss["tone_weight"]) == ("johnson", "gram", 0.0)
    assert all(weight.isfinite().all() for weight in weights_of(result))


def test_one_photo_is_enough(start, tmp_path, photo_folder):
    """A folder of one photo, smaller than the crop, trains, and the strip shows it."""
    (tmp_path / "one").mkdir()
    (photo_folder / "photo_00.jpg").rename(tmp_path / "one" / "photo.jpg")
    result = start(content=tmp_path / "one", crop_size=64, steps=2)
    assert result.held_out == {}
    assert load_image(result.checkpoint.with_name("strip.jpg")).shape == (3, 64, 32)


@pytest.mark.slow
def test_compiled_runs_give_nearly_the_same(start):
    """torch.compile changes the weights of a short run by no more than rounding does."""
    plain, compiled = start("plain", steps=3), start("compiled", steps=3, compile=True)
    assert compiled.held_out == pytest.approx(plain.held_out, rel=1e-2)


def test_without_a_compiler_one_line_says_so(start, monkeypatch):
    """Where torch.compile lacks its compiler, the error names it and the way without."""
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/absent/g++",))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    torch._dynamo.reset()
    with pytest.raises(
        SettingError, match=r"^torch\.compile does not work here \(.*\); .* set compile to false"
    ) as caught:
        start(compile=True)
    assert "\n" not in str(caught.value)


def test_each_moment_is_shown_to_who_watches(start):
    """That is the start and every logged step with its losses, and the network that becomes the checkpoint."""
    moments = []
    result = start(
        on_moment=lambda moment: moments.append((moment.step, moment.steps, set(moment.terms), moment.take_network()))
    )
    assert [(step, steps) for step, steps, _, _ in moments] == [(step, 8) for step in (0, 2, 3, 4, 6, 8)]
    assert moments[0][2] == set() and all({"total", "style", "content"} <= terms for _, _, terms, _ in moments[1:])
    watched = list(moments[-1][3].state_dict().values())
    assert all(torch.equal(a, b) for a, b in zip(watched, weights_of(result), strict=True))


def test_colors_are_fitted_in_the_end(start):
    """With fit_colors the checkpoint differs from that of the same training without only in the last normalization."""
    plain, fitted = start("plain"), start("fitted", fit_colors=True)
    before, after = (load_network(result.checkpoint) for result in (plain, fitted))
    changed = [
        name for name, weight in before.state_dict().items() if not torch.equal(weight, after.state_dict()[name])
    ]
    assert changed == ["steering"]
    strengths, _, channels = (before.steering != after.steering).nonzero(as_tuple=True)
    assert set(strengths.tolist()) == {2, 3}  # strengths of 1 and 2
    assert set(channels.tolist()) == {before.steering.shape[2] - 4}  # the only one before those of the photo


def test_colors_are_not_fitted_where_only_strengths_are_trained(start):
    """The style has to stay, whatever fit_colors says: presets set it too."""
    knob = {"init": start("first", fit_colors=False).checkpoint, "train_only": "strength"}
    assert same_weights(start("plain", **knob), start("fitted", fit_colors=True, **knob))


def test_taps_that_the_compact_network_has_not_are_left_to_the_other(start):
    """With a tap in a block that only VGG has, every step is taken with VGG, and a line says so."""
    taps = {"style_taps": {"relu1_1": 1.0, "relu5_1": 1.0}}
    mixed = start("mixed", cosine=False, compact_share=0.5, **taps)
    lines = start.logged
    plain = start("plain", cosine=False, **taps)
    assert all(torch.equal(a, b) for a, b in zip(weights_of(mixed), weights_of(plain), strict=True))
    assert "training all steps with vgg19: the compact loss network has no relu5_1" in lines


def test_each_step_has_its_own_noise():
    """Steps see different pieces of the input noise; the same step of the same run sees the same again."""
    origins = [tuple(draw_noise_origin(0, step).tolist()) for step in range(100)]
    assert len(set(origins)) == 100
    assert origins == [tuple(draw_noise_origin(0, step).tolist()) for step in range(100)]
    assert tuple(draw_noise_origin(1, 0).tolist()) != origins[0]
    assert min(map(min, origins)) >= 0 and max(map(max, origins)) < 4096
