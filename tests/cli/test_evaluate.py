"""nst-fast evaluate from end to end, on images that take a moment."""

import json
from pathlib import Path

import pytest
import torch

from nst_fast.cli.main import main
from nst_fast.evaluation.settings import EvaluateSettings
from nst_fast.networks.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.settings.networks import LossNetworkSettings

QUICK = ("size=32", "style_short_side=32", "iterations=2", "timing_sizes=[16]", "timed_iterations=1", "device=cpu")
RANDOM = ("loss_network=vgg16", "loss_network.weights=random")


@pytest.fixture
def run(tmp_path, painting, photo_folder, monkeypatch):
    """Runs the command in an empty folder that holds two checkpoints, `a,b` and `c`."""
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "c"):
        torch.manual_seed(len(name))
        checkpoint = checkpoint_from_network(build_network("realtime", width=4), CheckpointInfo(style={"name": name}))
        save_checkpoint(Path(f"{name}.safetensors"), checkpoint, dtype="fp32")

    def call(*arguments):
        return main(["evaluate", f"style={painting}", f"content={photo_folder}", *QUICK, *RANDOM, *arguments])

    return call


def test_tables_and_files(run, capsys):
    """The tables show the numbers of the JSON, say that times are extrapolated, and where the files are."""
    assert run("checkpoint=a,b.safetensors") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "wrote evaluation.json, chart.png and sheet.png into evaluations/a,b"
    report = json.loads(Path("evaluations/a,b/evaluation.json").read_text(encoding="utf-8"))
    network = report["networks"]["a,b.safetensors"]
    ((photo, reached),) = network["photos"].items()
    for label, figures in ((photo, reached), ("average of 1", network)):
        (line,) = (line for line in lines if line.startswith(label))
        terms, counts = figures["terms"], figures["iterations_to_equal"]
        shown = ["> 2" if counts[start] is None else str(counts[start]) for start in ("noise", "content")]
        numbers = [
            f"{terms['total']:.3f}",
            f"{terms['style']:.4f}",
            *(f"{terms[t]:.3f}" for t in ("content", "tone", "color")),
        ]
        assert line.removeprefix(label).split() == ["a,b", *numbers, *" ".join(shown).split()]
    (line,) = (line for line in lines if line.strip().startswith("16 px"))
    assert f"{report['timings'][0]['networks']['a,b.safetensors']['times_faster_than_500_iterations']:,.0f}" in line
    assert any("times of more iterations are extrapolated" in line for line in lines)


def test_two_networks_are_compared(run, capsys):
    """Both are judged on the same photos, in one table; a list may be written in two ways."""
    assert run("checkpoint=[c.safetensors,'a,b.safetensors']", "output=out") == 0
    shown = capsys.readouterr().out
    assert shown.count("average of 1") == 2
    report = json.loads(Path("out/evaluation.json").read_text(encoding="utf-8"))
    assert list(report["networks"]) == ["c.safetensors", "a,b.safetensors"]
    assert main(["evaluate", "checkpoint=c.safetensors", "a,b.safetensors", "--cfg", "job"]) == 0
    assert "- a,b.safetensors" in capsys.readouterr().out


def test_no_timing(run, capsys):
    """Without sizes there is no table of times."""
    assert run("checkpoint=c.safetensors", "timing_sizes=[]") == 0
    assert "one pass" not in capsys.readouterr().out


def test_the_command_makes_settings(compose_evaluate):
    """Settings that are not given have the defaults of the class; those that are given arrive."""
    needed = ("checkpoint=wave", "style=a.jpg", "content=photos")
    ((settings),) = compose_evaluate(*needed)
    assert settings == EvaluateSettings(checkpoint="wave", style="a.jpg", content="photos")
    ((settings),) = compose_evaluate(
        *needed, "photos=8", "size=128", "style_short_side=200", "style_strength=5", "iterations=7", "seed=3", *RANDOM
    )
    assert settings == EvaluateSettings(
        checkpoint="wave",
        style="a.jpg",
        content="photos",
        photos=8,
        size=128,
        style_short_side=200,
        style_strength=5.0,
        iterations=7,
        seed=3,
        loss_network=LossNetworkSettings(name="vgg16", weights="random"),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["checkpoint=absent"], "style 'absent' is neither a file nor a shipped style; shipped: "),
        (["checkpoint=c.safetensors", "photos=0"], "photos is 0; it must be at least 1"),
        (
            ["checkpoint=c.safetensors", "itertions=5"],
            "'itertions' is not a setting (nearest: iterations); see nst-fast evaluate --help",
        ),
        ([], "checkpoint must be given, as checkpoint=..."),
    ],
)
def test_mistakes_are_one_line(run, capsys, arguments, message):
    """Exit status 2 and one line that says what was given and what is allowed."""
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"nst-fast: error: {message}") and error.count("\n") == 1
