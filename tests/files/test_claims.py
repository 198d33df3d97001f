import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nst_fast.files import claims
from nst_fast.files.claims import claim, sweep_claims
from nst_fast.files.names import find_free_name, name_beside


def test_one_at_a_time(tmp_path):
    """While one holds a claim nobody else gets it, in this process or on another thread; afterwards it is free."""
    first = claim(tmp_path / "deep" / "a.png")
    assert first is not None
    assert claim(tmp_path / "deep" / "a.png") is None
    seen = []
    thread = threading.Thread(target=lambda: seen.append(claim(tmp_path / "deep" / "a.png")))
    thread.start()
    thread.join()
    assert seen == [None]
    first.release()
    first.release()
    assert os.listdir(tmp_path / "deep") == []
    second = claim(tmp_path / "deep" / "a.png")
    assert second is not None
    second.release()


def test_names_that_begin_alike_do_not_share_a_claim(tmp_path):
    """Outputs whose first hundred characters are equal are claimed side by side, even the longest names."""
    names = [f"{'Screenshot ' * 10}({number}).png" for number in range(6)] + ["x" * 251 + ".png", "x" * 250 + "y.png"]
    held = [claim(tmp_path / name) for name in names]
    assert None not in held
    assert len(os.listdir(tmp_path)) == len(names)
    for one in held:
        assert one is not None
        one.release()


HOLD = """
import sys
from pathlib import Path
from nst_fast.files.claims import claim
held = claim(Path(sys.argv[1]))
print("held" if held else "taken", flush=True)
sys.stdin.readline()
"""


def test_the_claim_of_a_killed_process_is_free_at_once(tmp_path):
    """Another process is refused while the owner lives, and gets the claim as soon as the owner is killed."""
    target = tmp_path / "a.png"
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    assert claim(target) is None
    owner.kill()
    owner.communicate()
    assert os.listdir(tmp_path) != []  # which stops nobody
    mine = claim(target)
    assert mine is not None
    mine.release()
    assert os.listdir(tmp_path) == []


def test_abandoned_claims_are_swept_and_held_ones_stay(tmp_path, monkeypatch):
    """The claim files that killed processes left go with the next claim in their folder; those in use stay."""
    monkeypatch.setattr(claims, "_swept", set())
    held = claim(tmp_path / "a.png")
    assert held is not None
    name_beside(tmp_path / "b.png", "claim").touch()
    monkeypatch.setattr(claims, "_swept", set())
    sweep_claims(tmp_path)
    assert os.listdir(tmp_path) == [name_beside(tmp_path / "a.png", "claim").name]
    assert claim(tmp_path / "a.png") is None
    held.release()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_stops_nobody(tmp_path, monkeypatch, code):
    """Where the disk cannot lock, everybody gets the claim."""

    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(claims, "_lock", refuse)
    assert claim(tmp_path / "a.png") is not None
    assert claim(tmp_path / "a.png") is not None


def test_a_folder_that_cannot_be_written_to_stops_nobody(tmp_path):
    """A path through a file can be claimed: whoever writes says what is wrong with it."""
    (tmp_path / "file").touch()
    held = claim(tmp_path / "file" / "a.png")
    assert held is not None
    held.release()


def test_free_names(tmp_path):
    """A name that exists gets the first free number."""
    path = tmp_path / "a.preview.png"
    assert find_free_name(path) == path
    path.touch()
    (tmp_path / "a.preview-2.png").symlink_to("nowhere")
    assert find_free_name(path) == Path(tmp_path, "a.preview-3.png")
