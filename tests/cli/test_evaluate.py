"""nst-fast evaluate from end to end, on pictures that take a moment."""

import json

import numpy as np
import torch
from PIL import Image

from nst_fast.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.cli.evaluate import _load_photos
from nst_fast.cli.evaluate_settings import EvaluateSettings
from nst_fast.cli.main import main
from nst_fast.transform_nets import build_transform_net


def test_photos_are_the_middles_in_the_range(photo_folder):
    """From a folder of twelve photos: the one that training would keep out, its middle, with its own colours."""
    settings = EvaluateSettings(checkpoint=[], style="", content=str(photo_folder), size=32)
    ((name, middle),) = _load_photos(settings).items()
    assert middle.shape == (3, 32, 32)
    with Image.open(photo_folder / name) as image:
        mean = np.asarray(image).mean() / 255
    assert abs(float(middle.mean()) - mean) < 0.1


def test_tables_and_files(tmp_path, photo_folder, painting, monkeypatch, capsys):
    """A table on the screen, and beside it JSON, a chart and a sheet; times are said to be extrapolated."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_checkpoint(
        tmp_path / "a,b.safetensors",
        build_transform_net("realtime", width=4),
        CheckpointInfo(style={"name": "a"}),
        dtype=torch.float32,
    )
    arguments = [
        "checkpoint=a,b.safetensors",
        f"style={painting}",
        f"content={photo_folder / 'photo_00.jpg'}",
        "size=32",
        "style_short_side=32",
        "iterations=2",
        "timing_sizes=[16]",
        "timed_iterations=1",
        "loss_network=vgg16",
        "loss_network.weights=random",
        "output=out",
        "device=cpu",
    ]
    assert main(["evaluate", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "photo_00.jpg" in shown and "(extrapolated from 1 iterations)" in shown
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    entry = report["checkpoints"]["a,b.safetensors"]
    assert entry["timing"][0]["size"] == 16 and entry["timing"][0]["timed_iterations"] == 1
    assert len(entry["each_photo"]["photo_00.jpg"]["totals"]["noise"]) == 3
    assert sorted(file.name for file in (tmp_path / "out").glob("*.png")) == ["a,b-chart.png", "a,b-sheet.png"]
