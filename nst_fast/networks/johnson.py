"""The image transformation network of Johnson, Alahi and Fei-Fei 2016 (arXiv 1603.08155, supplement, table 1)."""

from nst_fast.errors import SettingError
from nst_fast.networks.description import (
    NetworkDescription,
    Sequence,
    conv_norm,
    residual_block,
    sequence,
    to_colors,
    upsample_conv_norm,
)


def describe_johnson(width: int = 32, input_noise: float = 0.0) -> NetworkDescription:
    """c9s1-w, d2w, d4w, five residual blocks R4w, u2w, uw, c9s1-3, with w = width.

    Three things differ from the paper because its authors and others later found better: instance instead of batch
    normalization, nearest-neighbor upsampling before convolutions instead of stride 1/2, and reflection padding in
    every layer instead of 40 pixels around the photo, so the size is kept.

    At width 32: 1.68 M parameters, about 308 thousand floating-point operations a pixel.

    Args:
        width: channels of the first layer; 32 in the paper.
        input_noise: standard deviation of the noise that is added to photos in [0, 1]; 0, as in the paper: none.

    Raises:
        SettingError: `width` is less than 1.
    """
    if width < 1:
        raise SettingError(f"network.width is {width}; it must be at least 1")
    encoder = sequence(
        conv_norm(3, width, 9), conv_norm(width, 2 * width, 3, stride=2), conv_norm(2 * width, 4 * width, 3, stride=2)
    )
    residual = sequence(*(residual_block(4 * width) for _ in range(5)))
    decoder = sequence(
        upsample_conv_norm(4 * width, 2 * width), upsample_conv_norm(2 * width, width), to_colors(width, 9)
    )
    return NetworkDescription(
        name="johnson",
        arguments={"width": width, "input_noise": input_noise},
        body=Sequence((("encoder", encoder), ("residual", residual), ("decoder", decoder))),
        stride=4,
        min_side=8,  # a reflection needs two positions at a quarter of the size
        input_noise=input_noise,
    )
