"""The scripts that rebuild and measure what is shipped, and the files that keep the project."""

import importlib
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml

from nst_fast.loss_networks.network import LossNetwork, list_convolutions
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.networks.checkpoint import load_base, load_checkpoint
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.networks.description import STEERING
from nst_fast.networks.registry import NETWORKS
from nst_fast.networks.torch_network import build_network
from nst_fast.runs.state import load_state
from nst_fast.stylize.styles import load_code

ROOT = Path(__file__).resolve().parent.parent
# The others are modules that scripts import, and the build hook, which tests/test_docs.py tests.
SCRIPTS = [path for path in sorted((ROOT / "scripts").glob("*.py")) if "__main__" in path.read_text(encoding="utf-8")]
SHELL_SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_each_says_what_it_is(path, monkeypatch, capsys):
    """Importing a script does not start its work, and `--help` says how to use it."""
    module = importlib.import_module(path.stem)
    assert module.__doc__
    monkeypatch.setattr("sys.argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {path.name} ")


@pytest.mark.parametrize("path", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_are_sound(path):
    """Every shell script is executable, starts with what it is for, and has no syntax error."""
    assert os.access(path, os.X_OK)
    first, second, *_ = path.read_text(encoding="utf-8").splitlines()
    assert first == "#!/usr/bin/env bash" and second.startswith("# ")
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_pre_commit_runs_the_checks_of_continuous_integration():
    """The hooks run the same tools as scripts/check.sh, which .ci/run runs; both use those of the environment."""
    tool = re.compile(r"\.venv/bin/python -m (ruff \w+|pyright)")
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    check = (ROOT / "scripts" / "check.sh").read_text(encoding="utf-8")
    assert [tool.findall(hook["entry"]) for hook in hooks] == [[name] for name in tool.findall(check)]
    assert "scripts/check.sh" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_developers_get_every_extra_but_ray():
    """A plain `uv sync` installs what any test needs; `all` names every extra but `camera`, which is under the GPL."""
    extras = PYPROJECT["project"]["optional-dependencies"]

    def named(requirements: list[str]) -> set[str]:
        (names,) = (match[1] for match in (re.match(r"nst-fast\[(.*)\]", given) for given in requirements) if match)
        return set(names.split(","))

    assert named(extras["all"]) == extras.keys() - {"all", "camera"}
    assert named(PYPROJECT["dependency-groups"]["dev"]) == extras.keys() - {"all", "camera", "ray"}


def test_the_citation_names_this_version():
    """CITATION.cff has the version and the license of pyproject.toml."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = PYPROJECT["project"]
    assert (str(citation["version"]), citation["license"]) == (project["version"], project["license"])


def test_the_zoo_is_what_is_shipped():
    """The script knows exactly the shipped styles, and which of them are codes. Each names its artwork, can be blended
    by its code, and has a thumbnail of its style image and a row in the table.
    """
    zoo = importlib.import_module("train_zoo")
    shipped = list_shipped_checkpoints()
    assert zoo.ARTWORKS.keys() == {name.removesuffix("_johnson") for name in shipped}
    page = (ROOT / "checkpoints" / "README.md").read_text(encoding="utf-8")
    for name, file in shipped.items():
        artwork = zoo.ARTWORKS[name.removesuffix("_johnson")]
        checkpoint = load_checkpoint(file)
        about = {"name": name, "title": artwork.title, "artist": artwork.artist, "year": artwork.year}
        assert checkpoint.info.style == about
        assert f"\n| `{name}` | " in page
    for name, artwork in zoo.ARTWORKS.items():
        code, checkpoint = load_code(name), load_checkpoint(name)
        assert code.shared_digest == load_base().shared_digest
        assert artwork.has_network == (checkpoint.shared_digest != code.shared_digest)
        assert artwork.has_network or (checkpoint.weights[STEERING] == code.weights[STEERING]).all()
        assert (ROOT / "docs" / "style_images" / f"{name}.jpg").is_file()
    size = sum(file.stat().st_size for file in (ROOT / "checkpoints").rglob("*") if file.is_file())
    assert size < 12e6


def test_an_interrupted_distillation_resumes(tmp_path, photo_folder, painting, monkeypatch):
    """Run again after an interruption, it resumes, and ends with a loss network that can be trained with."""
    script = importlib.import_module("distill_loss_network")
    teacher = LossNetwork("vgg19", script.TAPS)
    names = [f"features.{convolution.features_index}" for convolution in list_convolutions("vgg19")]
    weights = {
        f"{name}.{kind}": getattr(layer, kind)
        for name, layer in zip(names, teacher.layers, strict=False)
        for kind in ("weight", "bias")
    }
    safetensors.torch.save_file(weights, tmp_path / "vgg19.safetensors")
    monkeypatch.setenv("NST_FAST_VGG19_WEIGHTS", str(tmp_path / "vgg19.safetensors"))
    monkeypatch.setattr(script, "CROP", 32)
    monkeypatch.setattr(script, "SAVE_EVERY_STEPS", 1)
    output = tmp_path / "distilled"
    arguments = ["x", "--photos", str(photo_folder), "--style-images", str(painting), "--output", str(output)]
    monkeypatch.setattr("sys.argv", [*arguments, "--steps", "3"])

    save_state = script.save_state

    def save_and_stop(path: Path, *, step: int, **rest: object) -> None:
        save_state(path, step=step, **rest)
        if step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(script, "save_state", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            script.main()
    assert load_state(output / "state.pt")["step"] == 2
    script.main()
    assert load_state(output / "state.pt")["step"] == 3
    network = build_loss_network("compact", taps=script.TAPS, weights=output / "compact.safetensors")
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert all(bool(features.isfinite().all()) for features in network(image, script.TAPS).values())


def test_the_variants_of_networks_can_be_trained(monkeypatch):
    """Each variant is built by its width and input noise, as training builds it, and keeps the size of the photos."""
    script = importlib.import_module("compare_networks")
    for name in script.VARIANTS:
        monkeypatch.setitem(NETWORKS, name, script.describe_variant(name))
        network = build_network(name, width=8, input_noise=0.1)
        assert network(torch.rand(1, 3, 32, 40)).shape == (1, 3, 32, 40)
        assert script.build_initial(name).description.name == name
