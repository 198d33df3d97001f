import builtins
import io

import pytest

from nst_fast import processor


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx2 amx_tile amx_bf16 amx_int8", True), ("fpu avx2 avx512_bf16", False), ("", False), (None, False)],
)
def test_bfloat16_is_fast_with_matrix_instructions(monkeypatch, flags, expected):
    """Only a processor with AMX for bfloat16 counts, and none where the system has no /proc/cpuinfo."""

    def open_cpuinfo(path, *arguments, **options):
        assert path == "/proc/cpuinfo"
        if flags is None:
            raise FileNotFoundError(path)
        return io.StringIO(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}\n")

    monkeypatch.setattr(builtins, "open", open_cpuinfo)
    assert processor.has_fast_bfloat16.__wrapped__() is expected
