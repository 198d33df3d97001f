import json

import pytest

from nst_fast.cli import styles
from nst_fast.errors import CheckpointError
from nst_fast.networks.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Two checkpoints in place of the shipped ones: one that says all of itself, one that says only its name."""
    files = {name: tmp_path / f"{name}.safetensors" for name in ("plain", "wave")}
    plain = CheckpointInfo(style={"name": "plain"})
    save_checkpoint(files["plain"], checkpoint_from_network(build_network("johnson", width=4), plain), dtype="fp16")
    wave = CheckpointInfo(
        style={"name": "wave", "title": "The Great Wave", "artist": "Hokusai", "year": 1831},
        training={"steps": 1900},
        held_out={"style": 0.0186, "content": 0.5, "total": 0.872, "photos": 8},
    )
    save_checkpoint(files["wave"], checkpoint_from_network(build_network("realtime", width=8), wave), dtype="fp32")
    monkeypatch.setattr("nst_fast.cli.styles.list_shipped_checkpoints", lambda: files)
    return files


def test_the_table_has_a_row_for_each_style(shipped, capsys):
    """Each style's row gives what its header says, and a dash where it does not say."""
    assert styles.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    sizes = {name: round(path.stat().st_size / 1000) for name, path in shipped.items()}
    first_cells = ["wave", "The", "Great", "Wave,", "Hokusai,", "1831", "realtime", "8"]
    assert [line.split() for line in lines] == [
        ["name", "style", "image", "network", "kB", "style", "loss", "content", "loss", "steps"],
        ["plain", "-", "johnson", "4", str(sizes["plain"]), "-", "-", "-"],
        [*first_cells, str(sizes["wave"]), "0.019", "0.500", "1900"],
    ]
    assert lines[0].index("network") == lines[1].index("johnson") == lines[2].index("realtime")
    assert len({len(line) for line in lines}) == 1


def test_json_holds_the_same_for_programs(shipped, capsys):
    """--json gives numbers as numbers, and null where a header does not say."""
    assert styles.main(["--json"]) == 0
    plain, wave = json.loads(capsys.readouterr().out)
    assert wave == {
        "name": "wave",
        "title": "The Great Wave",
        "artist": "Hokusai",
        "year": 1831,
        "network": {"name": "realtime", "width": 8, "input_noise": 0.0},
        "size_kilobytes": round(shipped["wave"].stat().st_size / 1000),
        "style_loss": 0.0186,
        "content_loss": 0.5,
        "total_loss": 0.872,
        "steps": 1900,
        "file": str(shipped["wave"]),
    }
    assert plain["title"] is plain["style_loss"] is plain["steps"] is None


def test_no_styles_is_said(monkeypatch, capsys):
    """Without shipped styles the table is a sentence, and the JSON an empty list."""
    monkeypatch.setattr("nst_fast.cli.styles.list_shipped_checkpoints", dict)
    assert styles.main([]) == 0
    assert capsys.readouterr().out == "no styles are shipped; train one with nst-fast train\n"
    assert styles.main(["--json"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_a_broken_checkpoint_is_named(shipped):
    """A shipped file that is damaged is an error that names it."""
    shipped["wave"].write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"wave\.safetensors' is truncated or damaged"):
        styles.main([])


def test_wrong_usage_exits_with_2(shipped, capsys):
    """An argument that is not known is refused by argparse, with exit status 2."""
    with pytest.raises(SystemExit) as caught:
        styles.main(["wave"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == "nst-fast styles: error: unrecognized arguments: wave"
