"""nst-fast evaluate from end to end, on pictures that take a moment."""

import json
from pathlib import Path

import pytest
import torch

from nst_fast.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.cli.evaluate import build_evaluation_plan
from nst_fast.cli.main import main
from nst_fast.evaluation.plan import EvaluationPlan
from nst_fast.transform_nets import build_transform_net

QUICK = ("size=32", "style_short_side=32", "iterations=2", "timing_sizes=[16]", "timed_iterations=1", "device=cpu")
RANDOM = ("loss_network=vgg16", "loss_network.weights=random")


@pytest.fixture
def run(tmp_path, painting, photo_folder, monkeypatch):
    """Runs the command in an empty folder that holds two checkpoints, `a,b` and `c`."""
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "c"):
        torch.manual_seed(len(name))
        info = CheckpointInfo(style={"name": name})
        save_checkpoint(
            Path(f"{name}.safetensors"), build_transform_net("realtime", width=4), info, dtype=torch.float32
        )

    def call(*arguments):
        return main(["evaluate", f"style={painting}", f"content={photo_folder}", *QUICK, *RANDOM, *arguments])

    return call


def test_tables_and_files(run, capsys):
    """The tables show what the JSON holds, say that times are extrapolated, and where the files are."""
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
        numbers = [f"{terms['total']:.3f}", f"{terms['style']:.4f}", f"{terms['content']:.3f}"]
        assert line.removeprefix(label).split() == ["a,b", *numbers, *" ".join(shown).split()]
    (line,) = (line for line in lines if line.strip().startswith("16 px"))
    assert f"{report['timings'][0]['networks']['a,b.safetensors']['times_faster_than_500_iterations']:,.0f}" in line
    assert any("times of more iterations extrapolated" in line for line in lines)


def test_two_networks_are_compared(run, capsys):
    """Both are judged on the same photos, in one table, in either way of writing them."""
    assert run("checkpoint=[c.safetensors,'a,b.safetensors']", "output=out") == 0
    shown = capsys.readouterr().out
    assert shown.count("average of 1") == 2
    report = json.loads(Path("out/evaluation.json").read_text(encoding="utf-8"))
    assert list(report["networks"]) == ["c.safetensors", "a,b.safetensors"]
    assert main(["evaluate", "checkpoint=c.safetensors", "a,b.safetensors", "--cfg", "job"]) == 0
    assert "- a,b.safetensors" in capsys.readouterr().out


def test_no_timing(run, capsys):
    """With no sizes there is no table of times."""
    assert run("checkpoint=c.safetensors", "timing_sizes=[]") == 0
    assert "one pass" not in capsys.readouterr().out


def test_the_settings_become_the_plan(compose_evaluate):
    """What is not given has the plan's own defaults; what is given gets there."""
    needed = ("checkpoint=wave", "style=a.jpg", "content=photos")
    ((settings),) = compose_evaluate(*needed)
    assert build_evaluation_plan(settings) == EvaluationPlan()
    ((settings),) = compose_evaluate(
        *needed, "photos=8", "size=128", "style_short_side=200", "style_strength=5", "iterations=7", "seed=3", *RANDOM
    )
    assert build_evaluation_plan(settings) == EvaluationPlan(8, 128, 200, 5.0, 7, 3, "vgg16", "random")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["checkpoint=absent"], "style 'absent' is neither a file nor a shipped style; shipped: "),
        (["checkpoint=c.safetensors", "photos=0"], "photos is 0; it must be at least 1"),
        (
            ["checkpoint=c.safetensors", "itertions=5"],
            "'itertions' is no setting of nst-fast evaluate (nearest: iterations)",
        ),
        ([], "checkpoint must be given, as checkpoint=..."),
    ],
)
def test_mistakes_are_one_line(run, capsys, arguments, message):
    """Exit status 2 and one line that says what was given and what is allowed."""
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"nst-fast: error: {message}") and error.count("\n") == 1
