"""The scripts that rebuild and measure what is shipped."""

import importlib.util
import types
from pathlib import Path

import pytest
import safetensors.torch
import torch

from nst_fast.checkpoint import list_shipped_checkpoints, load_checkpoint
from nst_fast.loss_networks.network import LossNetwork, list_convolutions
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.run_state import load_state

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))


def load_script(path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_each_says_what_it_is(path, monkeypatch, capsys):
    """Each can be imported without beginning its work, and `--help` says how it is used."""
    module = load_script(path)
    assert module.__doc__
    monkeypatch.setattr("sys.argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {path.name} ")


def test_the_zoo_is_what_is_shipped():
    """The script trains exactly the shipped networks; each says what painting it is of, as the script has it."""
    zoo = load_script(ROOT / "scripts" / "train_zoo.py")
    shipped = list_shipped_checkpoints()
    assert zoo.NETWORKS.keys() == shipped.keys()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, (painting, settings) in zoo.NETWORKS.items():
        checkpoint = load_checkpoint(shipped[name])
        about = zoo.PAINTINGS[painting]
        assert checkpoint.info.style == {
            "name": name,
            "title": about.title,
            "artist": about.artist,
            "year": about.year,
        }
        assert f"steps={checkpoint.info.training['steps']}" in settings
        assert f"| `{name}` |" in readme
    size = sum(file.stat().st_size for file in (ROOT / "checkpoints").rglob("*") if file.is_file())
    assert size < 12e6


def test_a_distillation_that_is_cut_goes_on(tmp_path, photo_folder, painting, monkeypatch):
    """Begun and given again it goes on where it was, and leaves a network that can be trained with."""
    script = load_script(ROOT / "scripts" / "distill_loss_network.py")
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
    arguments = ["x", "--photos", str(photo_folder), "--paintings", str(painting), "--output", str(output)]
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


def test_the_variants_of_networks_can_be_trained():
    """Each is built by its width and its grain, as a recipe builds it, and keeps the size of the photos."""
    for variant in load_script(ROOT / "scripts" / "compare_networks.py").VARIANTS.values():
        network = variant(width=8, grain=0.1)
        assert network(torch.rand(1, 3, 32, 40)).shape == (1, 3, 32, 40)
