import pytest
import torch

from nst_fast.errors import SettingError
from nst_fast.losses.content import content_loss
from nst_fast.losses.scaling import check_scaling, in_full_precision
from nst_fast.losses.style import gram_matrix, style_loss
from nst_fast.losses.total_variation import total_variation


def test_unknown_normalization():
    """Every loss answers an unknown scaling with the three that there are."""
    features = torch.rand(1, 2, 3, 3)
    for call in (
        lambda: check_scaling("gaty"),
        lambda: content_loss(features, features, "gaty"),
        lambda: style_loss(features, gram_matrix(features), "gaty"),
        lambda: total_variation(features, "gaty"),
    ):
        with pytest.raises(SettingError) as caught:
            call()
        assert str(caught.value) == "scaling 'gaty' is unknown; allowed: relative, gatys, johnson"


def test_full_precision():
    """Half precision becomes float32; float32 and float64 stay the very tensor they are."""
    for dtype in (torch.float16, torch.bfloat16):
        assert in_full_precision(torch.ones(2, dtype=dtype)).dtype == torch.float32
    for dtype in (torch.float32, torch.float64):
        tensor = torch.ones(2, dtype=dtype)
        assert in_full_precision(tensor) is tensor
