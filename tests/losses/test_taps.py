from nst_fast.loss_networks.network import check_taps
from nst_fast.losses.taps import DEFAULT_CONTENT_TAPS, DEFAULT_STYLE_TAPS


def test_defaults_exist_in_every_loss_network():
    """The default taps exist in VGG-16 and in VGG-19, so that the loss network can be changed alone."""
    for architecture in ("vgg16", "vgg19"):
        check_taps(architecture, [*DEFAULT_CONTENT_TAPS, *DEFAULT_STYLE_TAPS])
