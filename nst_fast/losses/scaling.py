"""The scaling of the losses, and the precision in which they are summed."""

from torch import Tensor

from nst_fast.errors import SettingError
from nst_fast.losses.settings import SCALINGS


def check_scaling(scaling: str) -> None:
    """Raises SettingError unless `scaling` is one of SCALINGS."""
    if scaling not in SCALINGS:
        raise SettingError(f"scaling {scaling!r} is unknown; allowed: {', '.join(SCALINGS)}")


def in_full_precision(tensor: Tensor) -> Tensor:
    """`tensor` in at least float32: sums over an image's positions overflow float16 and lose digits in bfloat16."""
    return tensor.float() if tensor.element_size() < 4 else tensor
