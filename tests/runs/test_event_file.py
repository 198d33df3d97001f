import errno
import subprocess
import sys

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nst_fast.errors import OutputError
from nst_fast.runs.event_file import EventFile


def read_scalars(folder, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_values_are_written_at_once(tmp_path):
    """TensorBoard's own reader finds values and images while the run continues, as after a power failure."""
    events = EventFile(tmp_path / "run", 0)
    events.add_scalar("loss", 0.5, 1)
    events.add_image("strip", torch.rand(3, 8, 12), 1)
    assert read_scalars(tmp_path / "run", "loss") == [(1, 0.5)]
    reader = EventAccumulator(str(tmp_path / "run"))
    reader.Reload()
    (strip,) = reader.Images("strip")
    assert (strip.step, strip.height, strip.width) == (1, 8, 12)


def test_values_beyond_the_first_step_are_dropped(tmp_path):
    """A run that resumes at step 2 replaces what was shown for step 3, also within the same second."""
    for first_step, steps, value in ((0, (1, 2, 3), 1.0), (2, (3, 4), 2.0)):
        events = EventFile(tmp_path, first_step)
        for step in steps:
            events.add_scalar("loss", value, step)
    assert read_scalars(tmp_path, "loss") == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]


FULL_DISK_SCRIPT = """
import resource, signal, sys
from pathlib import Path
from nst_fast.runs.event_file import EventFile
from nst_fast.errors import OutputError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
events = EventFile(Path(sys.argv[1]), 0)
try:
    for step in range(1000):
        events.add_scalar("loss", 1.0, step)
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_file_that_cannot_grow_is_one_error(tmp_path):
    """If a file may not grow, as on a full disk, the caller gets one error, and no thread prints a traceback."""
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK_SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert process.stdout == f"cannot write {next(tmp_path.iterdir())}: File too large; choose another path\n"
    assert process.stderr == ""


def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
    """The error of a full disk names the folder and what to do."""
    events = EventFile(tmp_path, 0)

    def refuse(records, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nst_fast.runs.event_file.RecordWriter.write", refuse)
    with pytest.raises(OutputError, match=r"^cannot write .*: the disk is full; free some space or choose a folder"):
        events.add_scalar("loss", 1.0, 1)


def test_a_folder_that_is_a_file(tmp_path):
    """A folder that cannot be created is an error before the first step."""
    (tmp_path / "run").write_text("")
    with pytest.raises(OutputError, match=r"^cannot write .*run: a part of this path is a file, not a folder"):
        EventFile(tmp_path / "run", 0)
