"""A network whose convolutions pad with zeros, for phones, whose converters know no reflection or compute it slowly."""

import dataclasses

from nst_fast.networks.checkpoint import Checkpoint


def pad_with_zeros(checkpoint: Checkpoint) -> Checkpoint:
    """The same weights in a network that pads with zeros, which it was not trained for.

    The borders of its results differ most; `judging.measure_graphs` tells what that costs.
    """
    description = dataclasses.replace(checkpoint.description, zero_padding=True)
    return dataclasses.replace(checkpoint, description=description)
