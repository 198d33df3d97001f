import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import numpy as np
from nst_fast.memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
faults = []
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(64 << 17)  # 64 MiB, more than glibc ever keeps by itself
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(max(faults[5:]))
"""


def count_page_faults(how: str) -> int:
    command = [sys.executable, "-c", COUNT, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's")
def test_memory_that_is_taken_again_costs_no_page_faults():
    """By the count of the system: 64 MiB taken and freed again and again are mapped page by page, unless kept."""
    assert count_page_faults("usual") > 20  # huge pages would be 32
    assert count_page_faults("kept") < 5
