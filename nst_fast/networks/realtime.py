"""The small network that works at a quarter of the resolution from the first layer on."""

from nst_fast.errors import SettingError
from nst_fast.networks.description import (
    NetworkDescription,
    PixelUnshuffle,
    Sequence,
    conv_norm,
    residual_block,
    sequence,
    smooth_upsample_conv_norm,
    to_colors,
    upsample_conv_norm,
)


def describe_realtime(width: int = 32, input_noise: float = 0.0, adjustable: bool = False) -> NetworkDescription:
    """Most of the work at a quarter of the resolution, fine strokes at half of it. With w = width:

    pixel-unshuffle 4, 3x3 to w, three residual blocks at w; up to half, 3x3 to w/2, two residual blocks at w/2;
    up to full and 3x3 to w/4, 3x3 to RGB.

    This is the shape of Johnson et al. 2016 without its costly ends: their two 9x9 convolutions at full resolution and
    the downsampling become one rearrangement of pixels, which loses nothing.

    The residual blocks at half resolution are for flat areas. A network fills these with the finest texture it can
    make. With all blocks at a quarter of the resolution that was an alternation from one position to the next, visible
    as a grid of dots 8 pixels apart. Half of the resolution leaves room for irregular strokes, and the bilinear
    upsampling behind it hides the blocks' own alternations.

    At width 32: 0.08 M parameters, about 18 thousand floating-point operations a pixel.

    Args:
        width: channels at a quarter of the resolution; a multiple of 4.
        input_noise: standard deviation of the noise that is added to photos in [0, 1]; 0: none.
        adjustable: True: steered by the strength, see `description`, and the photo is added to the colors at the end.

    Raises:
        SettingError: `width` is not a positive multiple of 4.
    """
    if width < 4 or width % 4:
        raise SettingError(f"network.width is {width}; it must be a multiple of 4, such as 32")
    encoder = sequence(PixelUnshuffle(4), conv_norm(48, width, 3))
    strokes = sequence(*(residual_block(width) for _ in range(3)))
    fine_strokes = sequence(upsample_conv_norm(width, width // 2), *(residual_block(width // 2) for _ in range(2)))
    decoder = sequence(
        smooth_upsample_conv_norm(width // 2, width // 4), to_colors(width // 4, 3, add_photo=adjustable)
    )
    return NetworkDescription(
        name="realtime",
        # Without what older checkpoints do not name, so that they stay what they are.
        arguments={"width": width, "input_noise": input_noise, **({"adjustable": True} if adjustable else {})},
        body=Sequence(
            (("encoder", encoder), ("strokes", strokes), ("fine_strokes", fine_strokes), ("decoder", decoder))
        ),
        stride=4,
        min_side=8,  # a reflection needs two positions at a quarter of the size
        input_noise=input_noise,
        adjustable=adjustable,
    )
