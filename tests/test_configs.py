"""The YAML files of `configs`, each composed as the command does it."""

import itertools
from pathlib import Path

import pytest
import yaml

from nst_fast.cli.settings import list_settings
from nst_fast.cli.train import GROUPS, build_recipe
from nst_fast.shipped import configs_folder
from nst_fast.training.recipe import Recipe

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
MEMBERS = {group: sorted(file.stem for file in (CONFIGS / group).glob("*.yaml")) for group in GROUPS}
NEEDED = ("style=a.jpg", "content=photos")


def read_yaml(group: str, name: str) -> dict:
    return yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text(encoding="utf-8"))


def test_the_command_uses_these_files():
    """In a checkout the files are those beside the package, and each of them can be chosen."""
    assert configs_folder() == CONFIGS
    files = {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*") if path.is_file()}
    assert files == {"train.yaml", "optimize.yaml", "reconstruct.yaml", "evaluate.yaml"} | {
        f"{group}/{name}.yaml" for group in GROUPS for name in MEMBERS[group]
    }


@pytest.mark.parametrize("preset", [*MEMBERS["preset"], None])
def test_every_combination_is_a_recipe(compose_train, preset):
    """Every preset, and none, composes with every network and loss network, and gives a valid recipe of these."""
    chosen = "~preset" if preset is None else f"preset={preset}"
    for transform_net, loss_network in itertools.product(MEMBERS["transform_net"], MEMBERS["loss_network"]):
        arguments = (f"transform_net={transform_net}", f"loss_network={loss_network}")
        ((settings, _),) = compose_train(*NEEDED, chosen, *arguments)
        recipe = build_recipe(settings)
        assert (recipe.transform_net, recipe.loss_network) == (transform_net, loss_network)
        for key, value in ({} if preset is None else read_yaml("preset", preset)).items():
            if key not in ("defaults", "loss_network", "transform_net"):
                assert getattr(settings, key) == value


@pytest.mark.parametrize("preset", MEMBERS["preset"])
def test_presets_say_what_they_are_for(preset):
    """The second line of each preset is the sentence that the help shows; what it sets are settings."""
    lines = (CONFIGS / "preset" / f"{preset}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith("# ") and lines[1].endswith((".", ","))
    keys = {key.partition(".")[0] for key, _, _ in list_settings()}
    assert read_yaml("preset", preset).keys() <= keys | {"defaults"}


def test_the_paper_is_that_of_johnson(compose_train):
    """The preset `paper` is what Johnson et al. 2016 write in section 4.1 and in their code."""
    ((settings, _),) = compose_train(*NEEDED, "preset=paper")
    recipe = build_recipe(settings)
    assert recipe == Recipe(
        transform_net="johnson",
        width=32,
        grain=0.0,
        loss_network="vgg16",
        weights="imagenet_features",
        normalisation="johnson",
        content_taps={"relu3_3": 1.0},
        style_taps={"relu1_2": 1.0, "relu2_2": 1.0, "relu3_3": 1.0, "relu4_3": 1.0},
        content_weight=1.0,
        style_strength=5.0,
        total_variation_weight=1e-6,
        lattice_weight=0.0,
        style_short_side=256,
        crop_size=256,
        largest_crop=recipe.largest_crop,  # the paper scales photos to 256 pixels before; ours are cut at all scales
        batch_size=4,
        steps=40_000,
        optimiser="adam",
        learning_rate=1e-3,
        warmup_steps=0,
        cosine=False,
        average_decay=0.0,
    )


def test_the_quick_start_needs_no_download(compose_train):
    """The preset `quickstart` trains with the loss network that comes with the program."""
    ((settings, _),) = compose_train(*NEEDED, "preset=quickstart")
    recipe = build_recipe(settings)
    assert (recipe.loss_network, recipe.weights) == ("compact", "shipped")


def test_johnson_is_trained_by_adam(compose_train):
    """`transform_net=johnson` brings its optimiser and rate; a preset and the command line have the last word."""
    for arguments, expected in (
        ((), ("adam", 2e-3)),
        (("learning_rate=0.5", "optimiser=muon"), ("muon", 0.5)),
        (("preset=paper",), ("adam", 1e-3)),
    ):
        ((settings, _),) = compose_train(*NEEDED, "transform_net=johnson", *arguments)
        recipe = build_recipe(settings)
        assert (recipe.transform_net, recipe.width) == ("johnson", 32)
        assert (recipe.optimiser, recipe.learning_rate) == expected
    ((settings, _),) = compose_train(*NEEDED)
    assert build_recipe(settings).optimiser == "muon"
