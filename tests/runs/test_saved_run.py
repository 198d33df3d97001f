"""A run starts or resumes, belongs to one set of settings, and has its folder to itself."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from nst_fast.errors import OutputError, TrainingError
from nst_fast.runs.saved_run import STATE_FILE, SavedRun, skip_run_folders
from nst_fast.runs.state import restore_parts

IDENTITY = {"steps": 5, "loss": {"scaling": "relative"}}


def test_it_starts_and_then_resumes(tmp_path):
    """A new folder has no state; what was saved comes back to the same identity, and the parts with it."""
    folder = tmp_path / "runs" / "a"
    network = nn.Linear(3, 2)
    with SavedRun(folder, IDENTITY) as saved_run:
        assert saved_run.find_state(overwrite=False) is None
        saved_run.save(step=3, parts={"network": network}, facts={"terms": {"total": 1.5}})
    other = nn.Linear(3, 2)
    with SavedRun(folder, dict(reversed(IDENTITY.items()))) as saved_run:
        state = saved_run.find_state(overwrite=False)
        assert state is not None
        assert (state["step"], state["finished"], state["terms"]) == (3, False, {"total": 1.5})
        restore_parts(state, {"network": other})
        assert torch.equal(other.weight, network.weight)
        saved_run.save(step=5, finished=True)
        assert saved_run.load()["finished"]
        assert saved_run.find_state(overwrite=True) is None


def test_another_identity_is_refused(tmp_path):
    """The message names the setting that differs, also inside a group, and says what to do."""
    with SavedRun(tmp_path / "a", IDENTITY) as saved_run:
        saved_run.save(step=1)
    other = {"steps": 5, "loss": {"scaling": "gatys"}}
    with SavedRun(tmp_path / "a", other) as saved_run:
        with pytest.raises(TrainingError) as caught:
            saved_run.find_state(overwrite=False)
        assert str(caught.value) == (
            f"'{tmp_path / 'a'}' holds a run with other settings (loss.scaling was 'relative', is 'gatys' now); "
            f"use the same settings to resume it, choose another output, or set overwrite to start over"
        )
        assert saved_run.find_state(overwrite=True) is None


def test_going_back_to_a_foreign_state_is_refused(tmp_path):
    """A state that somebody put into the folder while the run went on is not taken for the run's own."""
    with SavedRun(tmp_path / "b", {"steps": 9}) as other:
        other.save(step=9)
    with SavedRun(tmp_path / "a", IDENTITY) as saved_run:
        saved_run.save(step=1)
        other.state_path.replace(saved_run.state_path)
        with pytest.raises(TrainingError, match="holds a run with other settings"):
            saved_run.load()


def test_an_output_of_somebody_else_is_kept(tmp_path):
    """An output file that exists must be listed in the state of this run, else only overwrite allows to replace it."""
    image, film = tmp_path / "a.png", tmp_path / "a.webp"
    film.write_bytes(b"precious")
    with SavedRun(tmp_path / "a.run", IDENTITY, outputs=[image, film]) as saved_run:
        with pytest.raises(OutputError, match=r"a\.webp' exists and is not the output of this run; choose another"):
            saved_run.find_state(overwrite=False)
        assert saved_run.find_state(overwrite=True) is None
    with SavedRun(tmp_path / "a.run", IDENTITY, outputs=[image]) as saved_run:
        saved_run.save(step=1)
        image.write_bytes(b"own")
        assert saved_run.find_state(overwrite=False) is not None
    saved_run = SavedRun(tmp_path / "a.run", IDENTITY, outputs=[image, film])
    with saved_run, pytest.raises(OutputError, match="exists and is not the output of this run"):
        saved_run.find_state(overwrite=False)


SECOND_PROCESS = """
import sys
from pathlib import Path
from nst_fast.errors import TrainingError
from nst_fast.runs.saved_run import SavedRun
try:
    with SavedRun(Path(sys.argv[1]), {}):
        print("locked it")
except TrainingError as error:
    print(error)
"""


def test_a_second_process_is_refused(tmp_path):
    """While a run works in its folder another process gets one line; afterwards the folder is free."""

    def try_it() -> str:
        command = [sys.executable, "-c", SECOND_PROCESS, str(tmp_path / "a")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with SavedRun(tmp_path / "a", IDENTITY) as saved_run:
        saved_run.save(step=1)
        assert try_it() == (
            f"another process is working on the run in '{tmp_path / 'a'}'; wait until it ends, or choose another output"
        )
    assert try_it() == "locked it"


def test_a_run_that_never_saved_leaves_no_folder(tmp_path):
    """If a mistake ends the call before the first state, the folder of the lock is removed; one with files stays."""
    with pytest.raises(ZeroDivisionError), SavedRun(tmp_path / "a", IDENTITY):
        raise ZeroDivisionError
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    with SavedRun(tmp_path / "b", IDENTITY):
        pass
    assert (tmp_path / "b").is_dir()
    with SavedRun(tmp_path / "c", IDENTITY) as saved_run:
        saved_run.save(step=1)
    assert [path.name for path in (tmp_path / "c").iterdir()] == [STATE_FILE]


def test_files_of_runs_are_skipped(tmp_path):
    """Files anywhere below a folder with a state do not count, but the listed folder itself may be inside a run."""
    names = ["a.jpg", "more/b.jpg", "run/strip.jpg", "run/strips/step_000200.jpg", "more/b.run/frames/frame_000010.png"]
    files = [tmp_path / name for name in names]
    for folder in (tmp_path / "run", tmp_path / "more" / "b.run"):
        folder.mkdir(parents=True)
        (folder / STATE_FILE).write_bytes(b"")
    assert skip_run_folders(files, tmp_path) == files[:2]
    assert skip_run_folders(files[2:4], tmp_path / "run") == files[2:4]
