import errno
import os
import re
import threading
from pathlib import Path

import pytest

from nst_fast.errors import OutputError
from nst_fast.files import atomic
from nst_fast.files.atomic import replace_atomically


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_new_file_appears_with_its_parents(tmp_path):
    """Missing parent folders are made, and afterwards the folder holds the file alone."""
    path = tmp_path / "a" / "b" / "result.bin"
    with replace_atomically(path) as temporary:
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["result.bin"]


def test_temporary_is_hidden_near_and_of_the_same_suffix(tmp_path):
    """The temporary file lies in the same folder, starts with a dot, names its process and keeps the suffix."""
    with replace_atomically(tmp_path / "result.safetensors") as temporary:
        temporary.touch()
        assert temporary.parent == tmp_path
        assert re.fullmatch(rf"\.result\.[0-9a-f]{{8}}-{os.getpid()}-[0-9a-f]{{8}}\.tmp\.safetensors", temporary.name)


def test_longest_name_still_works(tmp_path):
    """A name of 255 bytes, the most that file systems take, does not grow beyond that."""
    path = tmp_path / ("é" * 125 + "e.png")
    assert len(os.fsencode(path.name)) == 255
    with replace_atomically(path) as temporary:
        temporary.write_bytes(b"x")
    assert path.exists()


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt])
def test_failure_keeps_the_old_file(tmp_path, exception):
    """An exception or an interrupt halfway comes through as it is, and leaves the old file and no temporary one."""
    path = tmp_path / "result.bin"
    path.write_bytes(b"old")
    with pytest.raises(exception), replace_atomically(path) as temporary:
        temporary.write_bytes(b"half")
        raise exception
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result.bin"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the disk is full; free some space or choose a folder on another disk"),
        (errno.EROFS, "the disk is read-only; choose another folder"),
        (errno.EACCES, "no permission; choose a folder that you may write to"),
        (errno.EIO, "Input/output error; choose another path"),
    ],
)
def test_os_errors_are_explained(tmp_path, monkeypatch, function, code, message):
    """What the system refuses becomes one line that says what, why and what to do, and the old file stays."""

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    path = tmp_path / "result.bin"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch, pytest.raises(OutputError) as caught:
        patch.setattr(os, function, fail)
        with replace_atomically(path) as temporary:
            temporary.write_bytes(b"new")
    assert str(caught.value) == f"cannot write {path}: {message}"
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["result.bin"]


@pytest.mark.parametrize("below", ["result.bin", "folder/result.bin"])
def test_path_through_a_file(tmp_path, below):
    """A path that leads through a regular file is refused before anything is written."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / below
    with pytest.raises(OutputError) as caught, replace_atomically(path):
        pytest.fail("the block must not be entered")
    assert str(caught.value) == (
        f"cannot write {path}: a part of this path is a file, not a folder; choose another path"
    )
    assert names(tmp_path) == ["file"]


def test_folder_is_not_replaced(tmp_path):
    """The path of a folder is refused and the folder stays."""
    with pytest.raises(OutputError) as caught, replace_atomically(tmp_path):
        pytest.fail("the block must not be entered")
    assert str(caught.value) == f"cannot write {tmp_path}: it is a folder; give the path of a file"


def test_device_is_not_replaced(tmp_path):
    """A pipe (or a device such as /dev/null) is refused, where a replacement would destroy it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OutputError) as caught, replace_atomically(path):
        pytest.fail("the block must not be entered")
    assert str(caught.value) == f"cannot write {path}: it is not a regular file; give the path of a file"
    assert path.is_fifo()


def test_symbolic_link_is_followed(tmp_path):
    """Writing to a link replaces the file that it points to, and the link stays a link."""
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "result.bin"
    target.write_bytes(b"old")
    link = tmp_path / "latest.bin"
    link.symlink_to(target)
    with replace_atomically(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_two_writers_of_one_path_do_not_meet(tmp_path):
    """Two threads that write one path use two temporary files; one of them wins with a whole file."""
    path = tmp_path / "result.bin"
    both_are_inside = threading.Barrier(2)
    seen = []

    def write(content: bytes) -> None:
        with replace_atomically(path) as temporary:
            seen.append(temporary)
            temporary.write_bytes(content)
            both_are_inside.wait(timeout=10)

    threads = [threading.Thread(target=write, args=(content,)) for content in (b"aaaa", b"bbbb")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 2
    assert path.read_bytes() in (b"aaaa", b"bbbb")
    assert names(tmp_path) == ["result.bin"]


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    """Whoever could read the old file can read the new one, and nobody else; a new file has the usual permissions."""
    path = tmp_path / "result.bin"
    for mode in (0o600, 0o640, 0o444):
        path.touch()
        path.chmod(mode)
        with replace_atomically(path) as temporary:
            temporary.write_bytes(b"new")
        assert path.stat().st_mode & 0o777 == mode
        path.unlink()
    (tmp_path / "usual").touch()
    with replace_atomically(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_new_folders_are_synced(tmp_path, monkeypatch):
    """The folder that each new folder lies in is synced, and the last one after the file is in place."""
    synced = []
    monkeypatch.setattr(atomic, "_fsync_folder", synced.append)
    with replace_atomically(tmp_path / "a" / "b" / "result.bin") as temporary:
        temporary.touch()
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_a_loop_of_links_is_refused(tmp_path):
    """A link to itself, or a folder reached through one, is one line and stays as it is."""
    (tmp_path / "loop").symlink_to("loop")
    expected = r"^cannot write .*loop.*: (it leads through a loop|a part of this path)"
    for path in (tmp_path / "loop", tmp_path / "loop" / "result.bin"):
        with pytest.raises(OutputError, match=expected), replace_atomically(path):
            pytest.fail("the block must not be entered")
    assert (tmp_path / "loop").is_symlink()
