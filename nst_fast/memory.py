"""How much memory a device has left, which errors mean that none is left, and how a process keeps what it frees."""

import contextlib
import ctypes
import platform
import sys
from pathlib import Path

# How PyTorch, OpenVINO and ONNX Runtime word it on each device. PyTorch's own class is a RuntimeError with these words.
_OUT_OF_MEMORY = (
    "out of memory",
    "DefaultCPUAllocator",
    "not enough memory",
    "bad_alloc",
    "Failed to allocate memory",
)

# From glibc's malloc.h. Trim threshold: the end of the heap goes back to the system once this many bytes are free
# there. Mmap threshold and maximum: from which size on, and how many, blocks are mapped one by one; such a block goes
# back to the system as soon as it is freed.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_LARGEST_MMAP_THRESHOLD = 32 << 20  # glibc accepts no more
_KEPT_BYTES = 256 << 20

_PROC = Path("/proc/self")
_CGROUPS = Path("/sys/fs/cgroup")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, in the words of Python, PyTorch or another engine."""
    return isinstance(error, MemoryError) or (
        (isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime"))
        and any(words in str(error) for words in _OUT_OF_MEMORY)
    )


def available_bytes(device: object = "cpu") -> int | None:
    """Bytes that can be allocated now without swapping; None where nothing tells.

    On the CPU this is the smallest of what the system has left, what the limits of the process's cgroups (containers)
    leave, and what the limit on its address space (`ulimit -v`) leaves.

    Args:
        device: a name such as "cpu" or "cuda:0", or a torch device. A GPU is asked through PyTorch, and only if the
            caller has imported it; otherwise, and on other devices, the answer is None.
    """
    kind = str(device).partition(":")[0]
    if kind == "cuda":
        torch = sys.modules.get("torch")
        if torch is None:
            return None
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if kind != "cpu":
        return None
    import psutil  # only here, since small pictures never ask and need not wait for it

    limits = [psutil.virtual_memory().available, _left_by_cgroups(), _left_by_address_space(psutil.Process())]
    return max(0, min(left for left in limits if left is not None))


def _left_by_cgroups() -> int | None:
    """The least that any cgroup of this process leaves, of version 2 or 1; None: there is no limit."""
    with contextlib.suppress(OSError):
        found = []
        for line in (_PROC / "cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                names = ("memory.max", "memory.current", "inactive_file")
                found += _left_by_ancestors(_CGROUPS, path, *names)
                # Both versions in use at once: version 2 then lies one level deeper.
                found += _left_by_ancestors(_CGROUPS / "unified", path, *names)
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                found += _left_by_ancestors(_CGROUPS / "memory", path, *names)
        return min(found, default=None)
    return None


def _left_by_ancestors(root: Path, path: str, limit: str, used: str, reclaimable: str) -> list[int]:
    """What each limited cgroup from `path` up to the root leaves.

    Inside a container the path is often that of the host, which does not exist here; the root is then the container's.
    """
    found = []
    relative = Path(path.lstrip("/"))
    for folder in (relative, *relative.parents):
        # "max" and missing files mean no limit. Version 1 writes a number near 2**63 instead, which is harmless.
        with contextlib.suppress(OSError, ValueError):
            limit_bytes = int((root / folder / limit).read_text())
            left = limit_bytes - int((root / folder / used).read_text())
            # Cached files count as used, and the kernel drops them before it runs out.
            lines = (root / folder / "memory.stat").read_text().splitlines()
            found.append(left + int(dict(line.split() for line in lines).get(reclaimable, 0)))
    return found


def _left_by_address_space(process) -> int | None:
    with contextlib.suppress(ImportError, OSError):  # Windows has no such limits
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            return limit - process.memory_info().vms
    return None


def has_address_space(wanted: int) -> bool:
    """Whether this process may have so many bytes of addresses, used or not (`ulimit -v`)."""
    with contextlib.suppress(ImportError, OSError):  # Windows has no such limits
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        return limit == resource.RLIM_INFINITY or limit >= wanted
    return True


def keep_freed_memory(*, of_any_size: bool = False) -> None:
    """Make this process keep the memory that it frees, for its next allocation. Does nothing without glibc.

    Every layer of a network allocates megabytes and frees them soon after. glibc hands blocks of that size back to the
    system, and the next layer gets them again page by page, each page zeroed first. On a virtual machine that took up
    to half of the time of a frame, and a tenth of that of a training step.

    Args:
        of_any_size: also keep blocks of 32 MiB and more. Right for training, where each step allocates the same sizes;
            where sizes differ, as between pictures, it would waste memory.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1 if of_any_size else _KEPT_BYTES)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        if of_any_size:
            library.mallopt(_M_MMAP_MAX, 0)
