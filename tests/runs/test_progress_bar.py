import io

import pytest

from nst_fast.runs.progress_bar import open_bar, show_terms


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "updates"), [(Terminal, "many"), (io.StringIO, "few")])
def test_a_log_file_is_not_filled(monkeypatch, stream, updates):
    """On a terminal the bar updates ten times a second; in a file, where each update is a line, every ten seconds."""
    stream = stream()
    monkeypatch.setattr("sys.stderr", stream)
    clock = iter(range(10**9))
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock) / 10)  # each reading of the clock takes 0.1 s
    bar = open_bar("training", 0, 300, show=True)
    for step in range(300):
        bar.update(1)
        show_terms(bar, {"total": step}, ".1f")
    bar.close()
    shown = stream.getvalue().count("\r")
    assert shown > 100 if updates == "many" else 2 <= shown <= 10
    assert "300/300" in stream.getvalue() and "total=299.0" in stream.getvalue()


def test_a_bar_counts_from_where_a_run_resumes(capsys):
    """It shows the main loss terms beside other facts; without `show` it is silent."""
    bar = open_bar("training", 3, 10, show=True)
    bar.update(1)
    show_terms(bar, {"total": 21.0, "style.relu1_1": 5.0, "style": 1.0}, ".3f", px=64)
    bar.close()
    shown = capsys.readouterr().err
    assert "training: 3/10" in shown and "4/10" in shown
    assert "px=64, total=21.000, style=1.000" in shown and "relu1_1" not in shown
    bar = open_bar("training", 0, 10, show=False)
    bar.update(1)
    show_terms(bar, {"total": 1.0}, ".3f")
    bar.close()
    assert capsys.readouterr().err == ""
