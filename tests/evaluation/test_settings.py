import pytest

from nst_fast.errors import SettingError
from nst_fast.evaluation.settings import EvaluateSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"checkpoint": ()}, "checkpoint is empty; give a file or the name of a shipped style, or several"),
        ({"photos": 0}, "photos is 0; it must be at least 1"),
        ({"photos": 65}, "photos is 65; it must be at most 64"),
        ({"size": 8}, "size is 8; it must be at least 16"),
        ({"iterations": 0}, "iterations is 0; it must be at least 1"),
        ({"style_strength": -1.0}, "style_strength is -1.0; it must be at least 0"),
        ({"seed": 2**63}, f"seed is {2**63}; it must be less than {2**63}"),
        ({"timed_iterations": 0}, "timed_iterations is 0; it must be at least 1"),
        ({"timing_sizes": (256, 8)}, "timing_sizes has 8; each must be at least 16"),
    ],
)
def test_mistakes(settings, message):
    """Each value that is not allowed is named, with what is allowed."""
    with pytest.raises(SettingError) as caught:
        EvaluateSettings(**{"checkpoint": "wave", "style": "wave.jpg", "content": "photos", **settings})
    assert str(caught.value) == message


def test_the_folder_is_named_after_the_checkpoints():
    """Without an output it is evaluations/NAME, or all names for several checkpoints."""
    one = EvaluateSettings(checkpoint="runs/a/a.safetensors", style="a.jpg", content="photos")
    two = EvaluateSettings(checkpoint=("wave", "b.safetensors"), style="a.jpg", content="photos")
    assert one.output_path.as_posix() == "evaluations/a"
    assert two.output_path.as_posix() == "evaluations/wave+b"
