"""How many pixels one activation of a loss network depends on, computed from the list of its layers."""

from typing import NamedTuple

from nst_fast.loss_networks.network import list_convolutions

_KERNEL, _POOL = 3, 2


class ReceptiveField(NamedTuple):
    """The receptive field of one tap, and the size of its activations.

    At the border of an image the field reaches into the zeros of the padding.
    """

    tap: str
    side: int  # in pixels: an activation depends on a square of side x side pixels
    stride: int  # in pixels: the distance between the fields of two neighboring activations
    height: int  # of the activations; 0: the image is too small for this tap
    width: int
    channels: int


def list_receptive_fields(architecture: str, height: int, width: int) -> list[ReceptiveField]:
    """The receptive field of every tap of a loss network, from shallow to deep.

    A kernel of size k widens the field by (k - 1) * stride. Each pooling doubles the stride and halves the size,
    rounded down. The convolutions are padded and keep the size.

    Args:
        architecture: `vgg16`, `vgg19`, or `compact`.
        height, width: size of the image in pixels.

    Raises:
        SettingError: unknown architecture.
    """
    side, stride = 1, 1
    fields = []
    for convolution in list_convolutions(architecture):
        if convolution.pool_before:
            side += (_POOL - 1) * stride
            stride *= _POOL
            height, width = height // _POOL, width // _POOL
        side += (_KERNEL - 1) * stride
        if convolution.tap is not None:
            fields.append(ReceptiveField(convolution.tap, side, stride, height, width, convolution.out_channels))
    return fields
