"""scripts/benchmark_films.py: what it counts, and a run on tiny films."""

import itertools
import json
from pathlib import Path

import benchmark_films as benchmark
import numpy as np
import pytest

from nst_fast.networks.description import (
    Conv,
    NetworkDescription,
    PixelUnshuffle,
    Residual,
    Sequence,
    SmoothUpsampleConv,
    Upsample,
    sequence,
)


def describe(*layers) -> NetworkDescription:
    return NetworkDescription("x", {}, sequence(*layers), stride=4, min_side=8)


def test_bytes_are_those_of_inputs_and_results():
    """Values a pixel, counted by hand: unshuffling moves nothing, a convolution reads and writes, a block has parts."""
    assert benchmark.count_bytes(describe(PixelUnshuffle(4), Conv(48, 32, 3))) == 4 * (3 + 2)
    assert benchmark.count_bytes(describe(Conv(3, 8, 9), Conv(8, 16, 3, stride=2))) == 4 * (3 + 8 + 8 + 4)
    assert benchmark.count_bytes(describe(Upsample(), Conv(3, 1, 3))) == 4 * (12 + 4)
    assert benchmark.count_bytes(describe(SmoothUpsampleConv(3, 2))) == 4 * (3 + 8)
    block = Residual((("first", Conv(3, 3, 3)), ("second", Sequence((("0", Conv(3, 3, 3)),)))))
    assert benchmark.count_bytes(describe(block)) == 4 * 12


def test_a_run_on_tiny_films(folder_with_style, monkeypatch, capsys):
    """One row for each size, precision, stroke size and coherence, a roofline, and the same figures as JSON."""
    pytest.importorskip("av")
    monkeypatch.setattr(benchmark, "build_yardstick", lambda: lambda: np.array([0.5, 0.8]))
    monkeypatch.setattr(benchmark, "measure_processor", lambda: (1e11, 1e10))
    arguments = ["--style", "x.safetensors", "--engine", "onnxruntime", "--size", "64x48", "48x64", "--seconds", "0.02"]
    monkeypatch.setattr(
        "sys.argv",
        ["x", *arguments, "--stroke-size", "1", "2", "--coherence", "0", "0.6", "--turns", "1", "--json", "speed.json"],
    )
    benchmark.main()
    output = capsys.readouterr().out
    result = json.loads(Path("speed.json").read_text())
    assert json.loads(output.splitlines()[-1]) == result
    rows = [(row["width"], row["height"], row["stroke_size"], row["coherence"]) for row in result["rows"]]
    assert rows == list(itertools.product((64,), (48,), (1, 2), (0, 0.6))) + list(
        itertools.product((48,), (64,), (1, 2), (0, 0.6))
    )
    for row in result["rows"]:
        assert row["engine"] == "onnxruntime"
        assert min(row["file_to_file"], row["network_alone"], row["film_core_ms"], row["encoding_core_ms"]) > 0
    assert "the textbook network takes 500 ms, 800 core ms, for a frame of 640x360" in output
    assert (result["yardstick_ms"], result["yardstick_core_ms"]) == (500, 800)
