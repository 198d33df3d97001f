"""The three ways in which the losses are scaled, and the precision in which they are summed."""

from torch import Tensor

from nst_fast.errors import SettingError

# relative: dimensionless, so that one style_strength means the same for every painting and loss network (ours).
# gatys:    Gatys, Ecker, Bethge 2016 (CVPR), equations 1, 4 and 5.
# johnson:  Johnson, Alahi, Fei-Fei 2016 (arXiv 1603.08155), section 3.2.
NORMALISATIONS = ("relative", "gatys", "johnson")


def check_normalisation(normalisation: str) -> None:
    """Raises SettingError unless `normalisation` is one of NORMALISATIONS."""
    if normalisation not in NORMALISATIONS:
        raise SettingError(f"normalisation {normalisation!r} is unknown; allowed: {', '.join(NORMALISATIONS)}")


def in_full_precision(tensor: Tensor) -> Tensor:
    """`tensor` in at least float32: sums over a picture's positions overflow float16 and lose digits in bfloat16."""
    return tensor.float() if tensor.element_size() < 4 else tensor
