"""The settings of an optimization: what is refused, and where the results go."""

import subprocess
import sys
from pathlib import Path

import pytest

from nst_fast.errors import NstFastError
from nst_fast.optimization.settings import OptimizeSettings
from nst_fast.settings.values import as_plain_values


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": "nois"}, "start 'nois' is unknown; allowed: content, noise, style (nearest: noise)"),
        ({"method": "sgd"}, "method 'sgd' is unknown; allowed: lbfgs, adam, gradient_descent"),
        ({"iterations": 0}, "iterations is 0; it must be at least 1"),
        ({"short_side": 0}, "short_side is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"seed": 2**63}, f"seed is {2**63}; it must be less than {2**63}"),
        ({"log_every_iterations": 0}, "log_every_iterations is 0; it must be at least 1"),
        ({"style": ()}, "style is empty; give at least one style image"),
        ({"style_weights": (1.0,) * 3}, "style_weights has 3 numbers for 1 style images; give one for each"),
        ({"film": "mp4", "frames_every_iterations": 1}, "film 'mp4' is unknown; allowed: webp, gif"),
        ({"film": "gif"}, "film 'gif' is made of frames; set frames_every_iterations, such as 10"),
        (
            {"film": "webp", "frames_every_iterations": 1, "output": "a.webp"},
            "the film would overwrite the image 'a.webp'; choose an output with another suffix",
        ),
    ],
)
def test_mistakes(settings, message):
    """Each names the setting, the value, and what is allowed."""
    with pytest.raises(NstFastError) as caught:
        OptimizeSettings(**{"content": "a.jpg", "style": "b.jpg", **settings})
    assert str(caught.value) == message


def test_results_are_named_after_the_images():
    """Without an output the image lies in `stylized`, with the film and the run's folder beside it."""
    settings = OptimizeSettings(
        content="photos/a.jpg", style=("b.jpg", Path("c.png")), film="gif", frames_every_iterations=5
    )
    assert settings.output_path == Path("stylized/a-b+c.png")
    assert settings.film_path == Path("stylized/a-b+c.gif")
    assert settings.run_folder == Path("stylized/a-b+c.run")
    assert OptimizeSettings(content="a.jpg", style="b.jpg", output="~/o.png").output_path == Path.home() / "o.png"


def test_a_run_may_be_resumed_with_another_cadence():
    """How often something is logged, where the output lies, and the device do not decide the result; the seed does."""
    settings = OptimizeSettings(content="a.jpg", style="b.jpg")
    same = OptimizeSettings(content="c.jpg", style="d.jpg", log_every_iterations=3, device="cpu", overwrite=True)
    assert as_plain_values(settings, result_only=True) == as_plain_values(same, result_only=True)
    assert "seed" in as_plain_values(settings, result_only=True)


def test_the_settings_need_no_torch():
    """`--help` of the three verbs that optimize pixels does not wait for PyTorch."""
    code = (
        "import nst_fast.optimization.settings, nst_fast.evaluation.settings, nst_fast.reconstruction.settings, sys;"
        "print({'torch', 'hydra', 'omegaconf'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
