import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nst_fast.files import leftovers
from nst_fast.files.atomic import replace_atomically
from nst_fast.files.leftovers import name_temporary, sweep_temporaries


@pytest.fixture
def dead_process() -> int:
    """The number of a process that has ended."""
    code = "import os; print(os.getpid())"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def rename_process(path: Path, process_id: int) -> Path:
    return path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{process_id}-"))


def test_only_the_files_of_dead_processes_go(tmp_path, dead_process):
    """Of temporary files those of dead processes are removed; those of living ones, and all other files, stay."""
    ours = name_temporary(tmp_path / "a.png")
    living = rename_process(name_temporary(tmp_path / "b.png"), os.getppid())
    dead = [rename_process(name_temporary(tmp_path / name), dead_process) for name in ("c.png", "d", "e\n.tar.gz")]
    others = [tmp_path / name for name in (".hidden", "a.tmp.png", f".x.{dead_process}.tmp.png", "photo.png")]
    for path in (ours, living, *dead, *others):
        path.touch()
    sweep_temporaries(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([ours, living, *others])


def test_files_of_other_computers_go_after_a_day(tmp_path, dead_process, monkeypatch):
    """A temporary file of another computer stays while it may be in use, and goes a day after its last change."""
    monkeypatch.setattr(leftovers, "_identify_computer", lambda: "0123abcd")
    new, old = (rename_process(name_temporary(tmp_path / name), dead_process) for name in ("new.png", "old.png"))
    monkeypatch.undo()
    for path, age in ((new, 3600), (old, 25 * 3600)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    sweep_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_writing_sweeps_once(tmp_path, dead_process):
    """The first file that a process writes into a folder sweeps it, the later ones do not look again."""
    for expected in (1, 2):
        rename_process(name_temporary(tmp_path / "c.png"), dead_process).touch()
        with replace_atomically(tmp_path / "a.png") as temporary:
            temporary.touch()
        assert len(list(tmp_path.iterdir())) == expected


KILLED = """
import sys, time
from pathlib import Path
from nst_fast.files.atomic import replace_atomically
with replace_atomically(Path("a.png")) as temporary:
    temporary.write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
"""


def test_what_sigterm_leaves_is_gone_after_the_rerun(tmp_path, monkeypatch):
    """A process that is terminated while it writes leaves its temporary file; the rerun writes and removes it."""
    monkeypatch.chdir(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.terminate()
    process.communicate()
    assert len(os.listdir()) == 1
    with replace_atomically(Path("a.png")) as temporary:
        temporary.write_bytes(b"whole")
    assert os.listdir() == ["a.png"]
