import pytest

from nst_fast.errors import SettingError
from nst_fast.evaluation.plan import EvaluationPlan


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"photos": 0}, "photos is 0; it must be at least 1"),
        ({"photos": 65}, "photos is 65; it must be at most 64, as many as training keeps out"),
        ({"size": 8}, "size is 8; it must be at least 16"),
        ({"iterations": 0}, "iterations is 0; it must be at least 1"),
        ({"style_strength": -1.0}, "style_strength is -1.0; it must be at least 0"),
        ({"seed": 2**63}, f"seed is {2**63}; it must be less than {2**63}"),
    ],
)
def test_mistakes(settings, message):
    """What is not allowed is named, with what is."""
    with pytest.raises(SettingError) as caught:
        EvaluationPlan(**settings)
    assert str(caught.value) == message
