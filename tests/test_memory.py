import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nst_fast import memory
from nst_fast.memory import available_bytes, is_out_of_memory

GIB = 1 << 30


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    """Gives a function that pretends a cgroup: `put("folder", file="text", ...)`; the computer has 64 GiB left."""
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=64 * GIB))
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "sys")
    monkeypatch.setattr(memory, "_left_by_address_space", lambda process: None)

    def put(folder: str, files: dict[str, object], *, entry: str) -> None:
        (tmp_path / "cgroup").write_text(f"12:cpu:/x\n{entry}\n")
        (tmp_path / "sys" / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (tmp_path / "sys" / folder / name).write_text(f"{text}\n")

    return put


def version_2(limit: object, used: int, cached: int = 0) -> dict[str, object]:
    return {"memory.max": limit, "memory.current": used, "memory.stat": f"anon 1\ninactive_file {cached}"}


def test_the_limit_of_a_container_counts(cgroups):
    """In a container with 2 GiB, of which it uses 1.5, 0.25 of them by cached files, 0.75 GiB are left."""
    cgroups("", version_2(2 * GIB, 3 * GIB // 2, GIB // 4), entry="0::/")
    assert available_bytes() == 3 * GIB // 4


def test_the_tightest_of_nested_groups_counts(cgroups):
    """A group within a smaller one gets no more than that; a group without a limit gets what its parents leave."""
    cgroups("outer/inner", version_2("max", 0), entry="0::/outer/inner")
    cgroups("outer", version_2(3 * GIB, GIB), entry="0::/outer/inner")
    assert available_bytes() == 2 * GIB
    cgroups("outer/inner", version_2(GIB, 0), entry="0::/outer/inner")
    assert available_bytes() == GIB


def test_groups_of_version_1(cgroups):
    """The older files are read too, at the container's root where the path is that of the host."""
    files = {
        "memory.limit_in_bytes": GIB,
        "memory.usage_in_bytes": GIB // 2,
        "memory.stat": f"cache 5\ntotal_inactive_file {GIB // 4}",
    }
    cgroups("memory", files, entry="4:memory:/docker/0123")
    assert available_bytes() == 3 * GIB // 4
    cgroups("memory", files | {"memory.limit_in_bytes": 2**63 - 4096}, entry="4:memory:/docker/0123")
    assert available_bytes() == 64 * GIB


def test_without_a_limit_the_system_decides(cgroups):
    """No group, or one that is used up, gives what the computer has left, or nothing; never less than 0."""
    assert available_bytes() == 64 * GIB
    cgroups("", version_2(GIB, 2 * GIB), entry="0::/")
    assert available_bytes() == 0


def test_every_system_gives_a_number(monkeypatch, tmp_path):
    """Where there is no /proc, as on macOS and Windows, there is still a number for the cpu."""
    monkeypatch.setattr(memory, "_PROC", tmp_path / "nothing")
    left = available_bytes()
    assert left is not None and left > 0


LIMITED = """
import resource
from nst_fast.memory import available_bytes
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
print(available_bytes())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_the_limit_on_the_address_space_counts():
    """Under `ulimit -v` no more is left than that."""
    output = subprocess.run([sys.executable, "-c", LIMITED], check=True, capture_output=True, text=True).stdout
    assert 0 < int(output) < 2 * GIB


def test_gpus_are_asked_only_through_a_torch_that_is_there(monkeypatch):
    """A GPU's memory is what torch says, counting what torch holds unused; None where nothing tells."""
    cuda = SimpleNamespace(
        mem_get_info=lambda device: (5, 80), memory_reserved=lambda device: 4, memory_allocated=lambda device: 3
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert available_bytes("cuda:0") == 6
    monkeypatch.delitem(sys.modules, "torch")
    assert available_bytes("cuda:0") is None
    assert available_bytes("mps") is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_mean_no_memory(error, expected):
    """The words of each engine are known, and other errors are not taken for a lack of memory."""
    assert is_out_of_memory(error) == expected


def test_torch_is_not_imported():
    """Asking for memory does not import torch."""
    code = "import sys; from nst_fast.memory import available_bytes; available_bytes(); print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output == "False\n"


COUNT = """
import resource
import numpy as np
from nst_fast.memory import keep_freed_memory

def count_page_faults(mebibytes):
    faults = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.ones(mebibytes << 17)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return max(faults[2:])

usual = count_page_faults(64)
keep_freed_memory()
large, huge = count_page_faults(24), count_page_faults(64)
keep_freed_memory(of_any_size=True)
print(usual, large, huge, count_page_faults(64))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_memory_that_is_taken_again_costs_no_page_faults():
    """By the system's own count: memory that is taken and freed again is mapped page by page, unless it is kept."""
    output = subprocess.run([sys.executable, "-c", COUNT], check=True, capture_output=True, text=True).stdout
    usual, large, huge, any_size = map(int, output.split())
    assert usual > 20 and huge > 20  # huge pages would be 32
    assert large < 10 and any_size < 10
