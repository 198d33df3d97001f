"""How much memory a device has left, and whether an error says that it has none."""

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
