from pathlib import Path

import pytest

from nst_fast.cli.sweep_outputs import with_sweep_output
from nst_fast.optimization.settings import OptimizeSettings

NAMED_BY = ("content", "style")


@pytest.mark.parametrize(
    ("given", "swept", "expected"),
    [
        ({}, {}, "stylized/a-b.png"),
        ({}, {"style_strength": "5"}, "stylized/a-b-style_strength=5.png"),
        ({}, {"style": "b.jpg", "seed": "1"}, "stylized/a-b-seed=1.png"),
        ({"output": "out/o.jpg"}, {"seed": "1"}, "out/o-seed=1.jpg"),
        ({"output": "out/o.jpg"}, {"style": "x/b.jpg"}, "out/o-style=x_b.jpg.jpg"),
        ({"output": "one.png"}, {"output": "one.png"}, "one.png"),
    ],
)
def test_each_run_of_a_sweep_has_its_own_output(given, swept, expected):
    """The name shows every setting that differs, unless the output was swept or shows it already."""
    settings = OptimizeSettings(content="a.jpg", style="b.jpg", **given)
    assert with_sweep_output(settings, swept, named_by=NAMED_BY).output_path == Path(expected)


def test_long_names_stay_short_and_different():
    """Differences that are too long for a file name are hashed."""
    settings = OptimizeSettings(content="a.jpg", style="b.jpg")
    names = [
        with_sweep_output(settings, {"weights": "x" * 300 + end}, named_by=NAMED_BY).output_path.name for end in "yz"
    ]
    assert names[0] != names[1]
    assert all(len(name) < 100 for name in names)
