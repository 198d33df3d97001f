"""An adjustable network fixed at one strength, for programs without that knob."""

import dataclasses

import numpy as np

from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.description import STEERING, STRENGTHS


def fix_strength(checkpoint: Checkpoint, strength: float) -> Checkpoint:
    """The same network, which stylizes as at this strength at all of them; its style says at which.

    Raises:
        SettingError: the strength is not from 0 to 2, or the network is not adjustable.
    """
    steering = np.repeat(checkpoint.steer(strength), len(STRENGTHS), axis=0)
    info = dataclasses.replace(checkpoint.info, style={**checkpoint.info.style, "strength": strength})
    return dataclasses.replace(checkpoint, weights={**checkpoint.weights, STEERING: steering}, info=info)
