"""How much memory a device has left, whether an error says that it has none, and how a process keeps what it has."""

import contextlib
import ctypes
import platform

import torch

# How torch says on each device that there is no memory left (on CUDA it also has a class of its own); then how
# OpenVINO and ONNX Runtime say it.
_OUT_OF_MEMORY = (
    "out of memory",
    "DefaultCPUAllocator",
    "not enough memory",
    "bad_alloc",
    "Failed to allocate memory",
)


# From glibc's malloc.h: give the end of the heap back when so many bytes are free there; from which size, and how many
# pieces are mapped by themselves, and go back to the system when they are freed.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_LARGEST_MMAP_THRESHOLD = 32 << 20  # glibc takes no more
_KEPT_BYTES = 256 << 20


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that there is not enough memory, in whichever way of torch or another engine."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        (isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime"))
        and any(words in str(error) for words in _OUT_OF_MEMORY)
    )


def available_bytes(device: torch.device) -> int | None:
    """What could be had now without swapping, in bytes; None where that cannot be told (CPU beside Linux, MPS)."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused
    if device.type != "cpu":
        return None
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def keep_freed_memory(*, of_any_size: bool = False) -> None:
    """Let this process keep what it frees.

    Every layer of a network asks for megabytes and frees them soon after. glibc hands pieces of that size back to the
    system, and the next layer takes them again page by page, each page filled with zeros first. On a virtual machine
    that was up to half of the time of painting a frame, and a tenth of that of a training step. Elsewhere than under
    glibc this does nothing.

    Args:
        of_any_size: also pieces of 32 MiB and more, of which a training step takes and frees the same again and again.
            Where sizes differ, as in painting pictures, that would cost memory.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1 if of_any_size else _KEPT_BYTES)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        if of_any_size:
            library.mallopt(_M_MMAP_MAX, 0)
