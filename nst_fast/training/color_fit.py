"""The last touch of a training: the colors that outputs have over many photos become those of the style image.

The color loss compares each crop with the whole style image, and the tone loss pulls the other way: what is light in a
photo stays light. Between the two, outputs end up a little grayer than the style image. Taken over many photos, that is
a matter of mean and covariance, and the last normalization has enough scales and shifts to set both right.

Only mean and covariance: with the whole distribution of colors fitted in the same way, rare colors of the style image
became blots, such as green skies (see docs/experiments/style-loss.md).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst_fast.data.content_images import ContentImages
from nst_fast.data.held_out import cut_samples
from nst_fast.networks.description import STRENGTHS, AddPhoto
from nst_fast.networks.torch_layers import EPSILON, InstanceNorm, SteeredInstanceNorm
from nst_fast.networks.torch_network import StyleNetwork
from nst_fast.stylize.color import LUMINANCE_WEIGHTS

# Photos to measure on, their side in pixels, and how many places count of each.
_PHOTOS, _SIDE = 16, 160
_PLACES = 512
# What keeps the fit near to where it began: the mean square of all changes, and the change of each pixel's luminance
# against its variance. The errors of mean and covariance are relative, too.
_STAY, _STAY_LIGHT = 0.05, 0.3
_ITERATIONS = 25


def fit_colors(network: StyleNetwork, photos: Tensor, style_image: Tensor) -> StyleNetwork:
    """A copy of a network whose outputs have about the style image's mean and covariance of colors.

    Of an adjustable network, what it does at strengths below 1 stays.

    Args:
        photos: (N, 3, H, W), RGB in [0, 1], over which the colors are measured.
        style_image: (3, H, W), RGB in [0, 1].
    """
    network = copy.deepcopy(network)
    wanted_mean, wanted = _measure(style_image.cpu().flatten(1).T.double())
    patches = _collect_patches(network, photos)
    convolution = _find_last_convolution(network)
    assert convolution.bias is not None
    kernel, bias = (weight.detach().cpu().double() for weight in (convolution.weight.flatten(1), convolution.bias))
    scales, shifts = (part[0].detach().cpu().double() for part in _list_last_steering(network))

    def paint(changes: Tensor) -> Tensor:
        """The colors at all places, (places, 3)."""
        scale, shift = scales * changes[0].exp(), shifts + changes[1]
        hidden = (patches * scale[:, None] + shift[:, None]).relu().flatten(1)
        return (hidden @ kernel.T + bias).sigmoid()

    light = torch.from_numpy(LUMINANCE_WEIGHTS)
    before = paint(patches.new_zeros(2, len(scales))) @ light
    changes = patches.new_zeros(2, len(scales)).requires_grad_()
    optimizer = torch.optim.LBFGS([changes], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def compute() -> Tensor:
        optimizer.zero_grad()
        colors = paint(changes)
        mean, covariance = _measure(colors)
        loss = (covariance - wanted).square().sum() / wanted.square().sum().clamp(min=1e-8)
        loss = loss + (mean - wanted_mean).square().sum() / wanted.trace().clamp(min=1e-4)
        moved = (colors @ light - before).square().mean() / before.var().clamp(min=1e-4)
        loss = loss + _STAY * changes.square().mean() + _STAY_LIGHT * moved
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(compute)
    if changes.isfinite().all():
        with torch.no_grad():
            scale_changes, shift_changes = changes.to(next(network.parameters()))
            for scale, shift in zip(*_list_last_steering(network), strict=True):
                scale *= scale_changes.exp()
                shift += shift_changes
    return network


def cut_sample(photos: ContentImages) -> Tensor:
    """The middle of the first photos, small: what `fit_colors` measures on; shape (N, 3, 160, 160), RGB in [0, 1]."""
    return functional.interpolate(cut_samples(photos, _PHOTOS), [_SIDE, _SIDE], mode="area")


def _measure(colors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3,) and covariance (3, 3) of (N, 3)."""
    mean = colors.mean(0)
    around = colors - mean
    return mean, around.T @ around / len(colors)


@torch.no_grad()
def _collect_patches(network: StyleNetwork, photos: Tensor) -> Tensor:
    """What the last convolution sees at some places, before it is scaled and shifted: (places, channels, k * k)."""
    margin = _find_last_convolution(network).kernel_size[0] // 2
    found: list[Tensor] = []

    def collect(_module: nn.Module, given: tuple[Tensor, ...], _result: Tensor) -> None:
        hidden = given[0].cpu().double()
        variance, mean = torch.var_mean(hidden, (2, 3), correction=0, keepdim=True)
        normal = functional.pad((hidden - mean) * torch.rsqrt(variance + EPSILON), [margin] * 4, mode="reflect")
        height, width = hidden.shape[2:]
        side = 2 * margin + 1
        places = (torch.arange(_PLACES) + 0.5) * (height * width / _PLACES)  # in the order of rows
        rows, columns = places.long() // width, places.long() % width
        around = torch.arange(side)
        rows, columns = rows[:, None, None] + around[:, None], columns[:, None, None] + around
        found.append(normal[0][:, rows, columns].transpose(0, 1).flatten(2))

    handle = _find_last_normalization(network).register_forward_hook(collect)
    try:
        for photo in photos.to(next(network.parameters()).device):
            network(photo[None])
    finally:
        handle.remove()
    return torch.cat(found)


def _list_last_steering(network: StyleNetwork) -> tuple[list[Tensor], list[Tensor]]:
    """Scales and shifts of the last normalization, (channels,) each and without a copy; at strengths from 1 on."""
    last = _find_last_normalization(network)
    if isinstance(last, InstanceNorm):
        return [last.weight], [last.bias]
    stop = network.description.steering_channels - AddPhoto.channels
    start = stop - _find_last_convolution(network).in_channels
    tables = [table for table, strength in zip(network.steering, STRENGTHS, strict=True) if strength >= 1]
    return [table[0, start:stop] for table in tables], [table[1, start:stop] for table in tables]


def _find_last_convolution(network: StyleNetwork) -> nn.Conv2d:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]


def _find_last_normalization(network: StyleNetwork) -> InstanceNorm | SteeredInstanceNorm:
    return [module for module in network.modules() if isinstance(module, InstanceNorm | SteeredInstanceNorm)][-1]
