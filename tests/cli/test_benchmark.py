import json

import pytest

from nst_fast.cli import benchmark


def test_a_table_and_json(tmp_path, capsys):
    """Each network and size has a line for each engine, and the file holds the same figures."""
    file = tmp_path / "speed.json"
    arguments = ["--network", "realtime", "--engine", "torch", "--size", "16x8", "24x24", "--seconds", "0.001"]
    assert benchmark.main([*arguments, "--device", "cpu", "--threads", "1", "--json", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "torch " in lines[0] and lines[1].split()[:2] == ["network", "engine"]
    assert [line.split()[0] for line in lines[2:]] == ["realtime", "realtime"]
    result = json.loads(file.read_text())
    assert [(one["width"], one["height"]) for one in result["measurements"]] == [(16, 8), (24, 24)]
    assert result["measurements"][0]["engine"] == "torch on cpu in fp32, 1 thread"
    assert result["computer"]["cores"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "640"], "'640' is not a size; give width x height in pixels, such as 640x360"),
        (["--size", "0x10"], "'0x10' is not a size; give width x height in pixels, such as 640x360"),
        (["--seconds", "none"], "'none' is not allowed; give a number of seconds above 0"),
    ],
)
def test_mistakes_are_told(arguments, message, capsys):
    """What is not a size or not a time is refused with an example."""
    with pytest.raises(SystemExit) as caught:
        benchmark.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
