"""What changes from image to image in the training of an adjustable network: the strength, and how it moves."""

import torch
from torch import Tensor

from nst_fast.data.sampler import mix_seed
from nst_fast.losses.temporal import Motion, draw_motion, film_next_frame
from nst_fast.networks.description import STRENGTHS, leave_photo_out
from nst_fast.networks.torch_network import StyleNetwork

# Shares of the images that are trained at strength 1 and at 0; the others have any strength from 0 to 2.
_AT_ONE, _AT_ZERO = 0.55, 0.1


def draw_strengths(seed: int, step: int, count: int, *, other_than_one: bool = False) -> list[float]:
    """The strength for each image of a step, 0 to 2.

    Args:
        other_than_one: True: what the network does at 1 is not trained; those images have any strength.
    """
    generator = torch.Generator().manual_seed(mix_seed(seed, step, 4))
    choices, uniform = torch.rand(2, count, generator=generator).tolist()
    at_one = 0.0 if other_than_one else _AT_ONE
    return [
        1.0 if choice < at_one else 0.0 if choice < at_one + _AT_ZERO else 2 * strength
        for choice, strength in zip(choices, uniform, strict=True)
    ]


def keep_strength_one(network: StyleNetwork) -> None:
    """Train nothing but the steering of an adjustable network at strengths other than 1, from now on."""
    network.requires_grad_(False)
    network.steering.requires_grad_(True)
    allowed = torch.tensor([strength != 1 for strength in STRENGTHS], device=network.steering.device)
    network.steering.register_hook(lambda gradient: gradient * allowed[:, None, None])


def allow_steering(like: Tensor) -> Tensor:
    """1 where steering, (strengths, 2, channels), may be other than 0, else 0, see `leave_photo_out`."""
    return leave_photo_out(torch.ones_like(like))


def keep_photo_out(network: StyleNetwork) -> None:
    """Hold the steering to `allow_steering`, now and as long as the network is trained."""
    allowed = allow_steering(network.steering)
    with torch.no_grad():
        network.steering.mul_(allowed)
    network.steering.register_hook(lambda gradient: gradient * allowed.to(gradient.device))


def draw_second_frames(photos: Tensor, seed: int) -> tuple[Tensor, Motion]:
    """Photos as a camera would see them a moment later, and how they moved.

    Args:
        photos: (B, 3, H, W), RGB in [0, 1].
        seed: decides the motion and the noise.

    Returns:
        The second frames, shape and range of the photos; and the motion. The input noise follows the camera, as it does
        in films.
    """
    motion = draw_motion(photos, torch.Generator().manual_seed(seed))
    return film_next_frame(photos, motion, torch.Generator(photos.device).manual_seed(seed)), motion
