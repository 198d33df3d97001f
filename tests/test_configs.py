"""The YAML files of `configs`: each composes, and Python gets the same from them as the command."""

import itertools
from pathlib import Path

import pytest
import yaml

from nst_fast.files.shipped import configs_folder
from nst_fast.settings.declare import list_settings
from nst_fast.settings.presets import describe_choice, flatten, list_choices
from nst_fast.settings.values import as_plain_values
from nst_fast.training.settings import CHOICES, Optimization, TrainSettings

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
MEMBERS = {group: sorted(file.stem for file in (CONFIGS / group).glob("*.yaml")) for group in CHOICES}
NEEDED = ("style=a.jpg", "content=photos")
KEYS = {row.key for row in list_settings(TrainSettings)}


def read_yaml(group: str, name: str) -> dict:
    return yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text(encoding="utf-8"))


def test_the_command_uses_these_files():
    """In a checkout the files are those beside the package, and each of them can be chosen."""
    assert configs_folder() == CONFIGS
    files = {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*") if path.is_file()}
    assert files == {"train.yaml", "optimize.yaml", "reconstruct.yaml", "evaluate.yaml"} | {
        f"{group}/{name}.yaml" for group in CHOICES for name in MEMBERS[group]
    }
    assert {group: list_choices(group) for group in CHOICES} == MEMBERS


@pytest.mark.parametrize("preset", [*MEMBERS["preset"], None])
def test_python_gets_what_the_command_gets(compose_train, preset):
    """For every combination of preset, network and loss network, chosen or not, with settings by short and full key."""
    for network, loss_network, more in itertools.product(
        [*MEMBERS["network"], None],
        [*MEMBERS["loss_network"], None],
        [{}, {"style_strength": 40, "network.width": 16, "style_taps": {"relu1_1": 0.5}, "steps": 7}],
    ):
        chosen = {"network": network, "loss_network": loss_network}
        arguments = [f"{group}={name}" for group, name in chosen.items() if name is not None]
        arguments += [f"{key}={value}".replace("'", "").replace(" ", "") for key, value in more.items()]
        arguments.append("~preset" if preset is None else f"preset={preset}")
        ((by_command, _),) = compose_train(*NEEDED, *arguments)
        by_python = TrainSettings.build(style="a.jpg", content="photos", preset=preset, **chosen, **more)
        assert by_python == by_command
        assert by_python.network.name == network or network is None
        assert by_python.loss_network.name == loss_network or loss_network is None


def test_the_preset_of_this_computer_is_taken_on_both_sides(compose_train):
    """Whoever names no preset gets the same from Python and from the command."""
    ((by_command, _),) = compose_train(*NEEDED)
    assert TrainSettings.build(style="a.jpg", content="photos") == by_command


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in CHOICES for name in MEMBERS[group]])
def test_files_are_plain_data(group, name):
    """Each begins with a sentence for the help; what it sets are settings, and nothing in it is code of Hydra."""
    description = describe_choice(group, name)
    assert description[:1].isupper() and description.endswith((".", ","))
    text = (CONFIGS / group / f"{name}.yaml").read_text(encoding="utf-8")
    assert "${" not in text and "defaults:" not in text
    assert text.startswith("# @package _global_\n") == (group == "preset")
    data = read_yaml(group, name)
    assert flatten(data if group == "preset" else {group: data}, KEYS).keys() <= KEYS


def test_a_preset_sets_what_its_file_says(compose_train):
    """Every value in the file of a preset is the value of that setting."""
    for preset in MEMBERS["preset"]:
        ((settings, _),) = compose_train(*NEEDED, f"preset={preset}")
        values = as_plain_values(settings)
        for key, value in flatten(read_yaml("preset", preset), KEYS).items():
            assert values[key] == value


def test_the_paper_is_that_of_johnson(compose_train):
    """The preset `paper` is what Johnson et al. 2016 write in section 4.1 and in their code."""
    ((settings, _),) = compose_train(*NEEDED, "preset=paper")
    assert as_plain_values(settings, result_only=True) == {
        "network.name": "johnson",
        "network.width": 32,
        "network.input_noise": 0.0,
        "loss_network.name": "vgg16",
        "loss_network.weights": "imagenet_features",
        "loss_network.pooling": "max",
        "loss_network.input_normalization": None,
        "loss.scaling": "johnson",
        "crop_share": 1.0,
        "code_share": 0.1,  # only where training starts from the base network
        "network.adjustable": False,
        "temporal_weight": 0.0,
        "loss.style_statistic": None,  # by the scaling: Gram matrices
        "loss.tone_weight": None,  # by the scaling: 0
        "loss.color_weight": None,  # also 0
        "loss.band_share": 0.2,  # only of moments, like window_share
        "loss.window_share": 0.0,
        "loss.content_focus": 0.95,  # only with scaling=relative
        "loss.content_taps": {"relu3_3": 1.0},
        "loss.style_taps": {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_3": 1.0, "relu4_3": 1.0},
        "loss.content_weight": 1.0,
        "loss.style_strength": 5.0,
        "loss.total_variation_weight": 1e-6,
        "loss.grid_weight": 0.0,
        "style_short_side": 256,
        "color": None,
        "fit_colors": False,
        "train_only": None,
        "crop_size": 256,
        "largest_crop": 2.0,  # the paper scales photos to 256 pixels first; we cut crops at all scales
        "batch_size": 4,
        "held_out_photos": 64,
        "steps": 40_000,
        "compact_share": 0.0,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "warmup_steps": 0,
        "cosine": False,
        "ema_decay": 0.0,
        "seed": 0,
    }


def test_the_quick_start_needs_no_download(compose_train):
    """The preset `quickstart` trains with the loss network that ships with nst-fast."""
    ((settings, _),) = compose_train(*NEEDED, "preset=quickstart")
    assert (settings.loss_network.name, settings.loss_network.weights) == ("compact", "shipped")


def test_johnson_is_trained_by_adam(compose_train):
    """`network=johnson` brings its optimizer and rate; a preset and the command line take precedence."""
    for arguments, expected in (
        (("network=johnson",), ("adam", 2e-3)),
        (("network.name=johnson",), ("adam", 2e-3)),
        (("network=johnson", "learning_rate=0.5", "optimizer=muon"), ("muon", 0.5)),
        (("network=johnson", "preset=paper"), ("adam", 1e-3)),
        ((), ("muon", 1e-2)),
    ):
        ((settings, _),) = compose_train(*NEEDED, *arguments)
        assert settings.optimization == Optimization(*expected)
