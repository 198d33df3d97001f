"""How much of a picture one activation of a loss network sees, computed from the list of its layers."""

from typing import NamedTuple

from nst_fast.loss_networks.network import list_convolutions

_KERNEL, _POOL = 3, 2


class ReceptiveField(NamedTuple):
    """What one tap sees of a picture, and its own size.

    At the border of a picture an activation sees as much, but what lies beyond is the zeros of the padding.
    """

    tap: str
    side: int  # pixels: an activation sees a square of side x side of them
    stride: int  # pixels between what two neighbouring activations see
    height: int  # of the activations; 0: the picture is too small for this tap
    width: int
    channels: int


def list_receptive_fields(architecture: str, height: int, width: int) -> list[ReceptiveField]:
    """The receptive field of every tap of `vgg16` or `vgg19`, from shallow to deep, for a picture of height x width.

    A kernel of k whose neighbours lie `stride` pixels apart widens the field by (k - 1) * stride; a pooling of 2
    doubles the stride, and halves the size, rounded down. The convolutions are padded and keep the size.

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
