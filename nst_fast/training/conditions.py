"""What changes from image to image in the training of an adjustable network: the strength, and how it moves."""

import torch
from torch import Tensor

from nst_fast.data.sampler import mix_seed
from nst_fast.losses.temporal import Motion, draw_motion, film_next_frame
from nst_fast.networks.description import STRENGTHS, AddPhoto
from nst_fast.networks.torch_network import StyleNetwork

# Shares of the images that are trained at strength 1 and at 0; the others have any strength from 0 to 2.
_AT_ONE, _AT_ZERO = 0.55, 0.1


def draw_strengths(seed: int, step: int, count: int) -> list[float]:
    """The strength for each image of a step, 0 to 2."""
    generator = torch.Generator().manual_seed(mix_seed(seed, step, 4))
    choices, uniform = torch.rand(2, count, generator=generator).tolist()
    return [
        1.0 if choice < _AT_ONE else 0.0 if choice < _AT_ONE + _AT_ZERO else 2 * strength
        for choice, strength in zip(choices, uniform, strict=True)
    ]


def keep_photo_out(network: StyleNetwork) -> None:
    """Let the photo go around an adjustable network only at strengths below 1, now and as long as it is trained.

    Elsewhere its detail would show through the strokes, and outlines that the strokes have moved would be doubled.
    """
    allowed = torch.ones_like(network.steering)
    allowed[[strength >= 1 for strength in STRENGTHS], :, -AddPhoto.channels :] = 0  # colors come last
    with torch.no_grad():
        network.steering.mul_(allowed)
    network.steering.register_hook(lambda gradient: gradient * allowed)


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
