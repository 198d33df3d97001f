"""scripts/benchmark_film_jobs.py on tiny films."""

import re

import benchmark_film_jobs as benchmark
import pytest


def test_workers_and_lengths_are_measured(folder_with_style, monkeypatch, capsys):
    """One line for one process, one for each number of workers, and one for each length."""
    pytest.importorskip("av")
    arguments = ["--style", "x.safetensors", "--engine", "onnxruntime", "--size", "32x32", "--frames", "5"]
    monkeypatch.setattr("sys.argv", ["x", *arguments, "--turns", "1", "--workers", "1", "--lengths", "1"])
    benchmark.main()
    times = r"\d+\.\d frames/s, \d+ core ms; the textbook network \d+ ms"
    assert re.fullmatch(
        rf" one process: {times}\n   1 workers: {times}\n1 s of film: peak memory \d+ MB\n", capsys.readouterr().out
    )


def test_nothing_to_measure_is_refused(monkeypatch, capsys):
    """Without workers and lengths there is nothing to do."""
    monkeypatch.setattr("sys.argv", ["x"])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert "give --workers or --lengths" in capsys.readouterr().err
