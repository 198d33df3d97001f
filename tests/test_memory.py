import platform
import subprocess
import sys

import pytest

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
    """By the count of the system: memory taken and freed again and again is mapped page by page, unless it is kept."""
    output = subprocess.run([sys.executable, "-c", COUNT], check=True, capture_output=True, text=True).stdout
    usual, large, huge, any_size = map(int, output.split())
    assert usual > 20 and huge > 20  # huge pages would be 32
    assert large < 10 and any_size < 10
