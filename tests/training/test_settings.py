"""The settings of a training: what is refused, what suits a network, and how Python builds them by name."""

import dataclasses
import math
import sys
import types

import pytest

from nst_fast.errors import SettingError
from nst_fast.losses.settings import LossSettings
from nst_fast.settings.networks import LossNetworkSettings, NetworkSettings
from nst_fast.settings.values import as_plain_values, replace_settings
from nst_fast.training import settings as training_settings
from nst_fast.training.settings import OPTIMIZATION_OF, Optimization, TrainSettings, guess_preset

SETTINGS = TrainSettings(style="a.jpg", content="photos")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("style_short_side", 15, "style_short_side is 15; it must be at least 16"),
        ("crop_size", 12, "crop_size is 12; it must be at least 16"),
        ("crop_size", 18, "crop_size is 18; it must be a multiple of 4"),
        ("largest_crop", 0.9, "largest_crop is 0.9; it must be at least 1"),
        ("batch_size", 0, "batch_size is 0; it must be at least 1"),
        ("held_out_photos", -1, "held_out_photos is -1; it must be at least 0"),
        ("steps", 0, "steps is 0; it must be at least 1"),
        ("steps", "many", "steps is 'many'; it must be a whole number"),
        ("compact_share", 1.5, "compact_share is 1.5; it must be at most 1"),
        ("warmup_steps", -1, "warmup_steps is -1; it must be at least 0"),
        ("ema_decay", -0.1, "ema_decay is -0.1; it must be at least 0"),
        ("ema_decay", 1.0, "ema_decay is 1.0; it must be less than 1"),
        ("optimizer", "adm", "optimizer 'adm' is unknown; allowed: muon, adam (nearest: adam)"),
        ("learning_rate", 0.0, "learning_rate is 0.0; it must be more than 0"),
        ("learning_rate", math.nan, "learning_rate is nan; it must be more than 0"),
        ("seed", -1, "seed is -1; it must be at least 0"),
        ("seed", 2**63, f"seed is {2**63}; it must be less than {2**63}"),
        ("precision", "fp8", "precision 'fp8' is unknown; allowed: auto, fp32, bf16, fp16"),
        ("checkpoint_dtype", "int8", "checkpoint_dtype 'int8' is unknown; allowed: fp16, fp32"),
        ("workers", -1, "workers is -1; it must be at least 0"),
        ("log_every_steps", 0, "log_every_steps is 0; it must be at least 1"),
        ("save_every_steps", -5, "save_every_steps is -5; it must be at least 1"),
        ("input_noise", -1, "input_noise is -1.0; it must be at least 0"),
        ("style_strength", -1, "style_strength is -1.0; it must be at least 0"),
    ],
)
def test_bad_values_are_refused(name, value, message):
    """Each value that is not allowed is refused with its name, itself and what is allowed."""
    with pytest.raises(SettingError) as caught:
        replace_settings(SETTINGS, {name: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("style_short_side", 16),
        ("crop_size", 16),
        ("largest_crop", 1.0),
        ("batch_size", 1),
        ("held_out_photos", 0),
        ("steps", 1),
        ("warmup_steps", 0),
        ("ema_decay", 0.0),
        ("ema_decay", 0.9999),
        ("seed", 2**63 - 1),
    ],
)
def test_limits_are_allowed(name, value):
    """The smallest and largest values themselves are taken."""
    assert getattr(replace_settings(SETTINGS, {name: value}), name) == value


@pytest.mark.parametrize("name", ["realtime", "johnson"])
def test_a_network_brings_its_optimizer(name):
    """However the network is named in Python, it gets its optimizer and learning rate; what is given wins."""
    needs = OPTIMIZATION_OF[name]
    ways = [
        TrainSettings(style="a", content="b", network=NetworkSettings(name=name)),
        TrainSettings.build(style="a", content="b", network=name, preset=None),
        TrainSettings.build(style="a", content="b", preset="laptop", **{"network.name": name}),
        replace_settings(SETTINGS, {"network.name": name}),
        dataclasses.replace(SETTINGS, network=NetworkSettings(name=name)),
    ]
    assert {settings.optimization for settings in ways} == {needs}
    filled_in = ways[0].fill_in()
    assert (filled_in.optimizer, filled_in.learning_rate) == needs
    given = replace_settings(ways[0], {"optimizer": "adam", "learning_rate": 0.5})
    assert given.optimization == Optimization("adam", 0.5)


def test_johnson_is_trained_by_adam():
    """Muon makes it stylize bright areas with white blots, so that it gets Adam."""
    assert OPTIMIZATION_OF["johnson"] == ("adam", 2e-3) and OPTIMIZATION_OF["realtime"] == ("muon", 1e-2)


def test_groups_can_be_given_as_instances():
    """A whole group stands for itself, and a single key beside it still wins."""
    settings = TrainSettings.build(
        style="a",
        content="b",
        preset=None,
        loss=LossSettings(style_strength=5),
        loss_network=LossNetworkSettings(name="compact", weights="shipped"),
        grid_weight=2,
    )
    assert settings.loss == LossSettings(style_strength=5, grid_weight=2)
    assert settings.loss_network.name == "compact"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"preset": "laptpo"},
            "preset=laptpo is unknown; allowed: full, laptop, paper, quick, quickstart (nearest: laptop)",
        ),
        ({"network": "jonson"}, "network=jonson is unknown; allowed: johnson, realtime (nearest: johnson)"),
        ({"style_strenght": 3}, "'style_strenght' is not a setting (nearest: style_strength)"),
        ({"transform_net": "johnson"}, "'transform_net' has a new name; give network instead"),
        ({"content": None}, "content is None; it must be text"),
    ],
)
def test_mistakes_in_python(given, message):
    """Unknown names and old ones are refused as on the command line."""
    with pytest.raises(SettingError) as caught:
        TrainSettings.build(**{"style": "a", "content": "b", "preset": "laptop", **given})
    assert str(caught.value) == message


def test_without_a_preset_the_computer_decides(monkeypatch):
    """As on the command line: `full` where there is a CUDA GPU, else `laptop`; None takes none."""
    for cuda, preset in ((True, "full"), (False, "laptop")):
        device = types.SimpleNamespace(type="cuda" if cuda else "cpu")
        monkeypatch.setattr("nst_fast.runs.device.choose_device", lambda name, device=device: device)
        expected = TrainSettings.build(style="a", content="b", preset=preset)
        assert TrainSettings.build(style="a", content="b") == expected
    plain = TrainSettings(style="a", content="b")
    assert TrainSettings.build(style="a", content="b", preset=None) == plain != expected


@pytest.mark.parametrize(("count", "preset"), [(None, "laptop"), (0, "laptop"), (1, "full")])
def test_the_help_asks_the_driver(monkeypatch, count, preset):
    """Without a driver or a GPU the guess is `laptop`, else `full`."""

    class Driver:
        def cuInit(self, flags: int) -> int:
            return 0

        def cuDeviceGetCount(self, found) -> int:
            found._obj.value = count
            return 0

    def load(name: str) -> Driver:
        if count is None:
            raise OSError("no such library")
        return Driver()

    monkeypatch.setattr(training_settings.ctypes, "CDLL", load)
    assert guess_preset() == preset


def test_places_follow_from_the_style():
    """Without a name or a folder these are those of the style image."""
    settings = TrainSettings(style="old/Great Wave.jpg", content="photos")
    assert (settings.style_name, str(settings.folder)) == ("Great Wave", "runs/Great Wave")
    settings = TrainSettings(style="old/a.jpg", content="photos", name="Wave", output="out")
    assert (settings.style_name, str(settings.folder)) == ("Wave", "out")


def test_what_decides_the_weights():
    """Exactly these settings tell a run from another; the files count by what they hold, see `find_inputs`."""
    decides = as_plain_values(SETTINGS, result_only=True).keys()
    rest = as_plain_values(SETTINGS).keys() - decides
    assert rest == {
        *("style", "content", "output", "init", "name", "title", "artist", "year"),
        *("device", "precision", "channels_last", "compile", "workers", "photo_memory_gib", "checkpoint_dtype"),
        *("log_every_steps", "save_every_steps", "strip_every_steps", "overwrite", "show_progress", "live"),
    }


def test_settings_need_no_torch():
    """Whoever only reads or prints settings does not wait for PyTorch, Hydra or OmegaConf."""
    import subprocess

    code = "import nst_fast.training.settings, sys; print({'torch', 'hydra', 'omegaconf'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
