"""What the style loss compares with: one style image, several on one canvas, one for each image."""

import pytest
import torch
from torch import Tensor, nn

from nst_fast.errors import SettingError
from nst_fast.losses.style_targets import StyleTargets, measure_style, mix_targets, share_out, stack_targets


class Pixels(nn.Module):
    """A loss network whose taps are the image itself, and so see no neighbors."""

    def forward(self, image: Tensor, taps: list[str]) -> dict[str, Tensor]:
        return dict.fromkeys(taps, image)


def style_image(seed: int, width: int) -> Tensor:
    return torch.rand(3, 24, width, generator=torch.Generator().manual_seed(seed))


def list_tensors(targets: StyleTargets) -> list[Tensor]:
    return [*(part for one in targets.moments.values() for part in one), *targets.grams.values(), targets.tone_curves]


@pytest.mark.parametrize("moments", [True, False])
def test_a_mixture_of_one_image_is_that_image(moments):
    """A style image mixed with itself, in any shares, has its own targets."""
    alone = measure_style(Pixels(), style_image(0, 32), ["a", "b"], moments=moments)
    mixed = mix_targets([alone, alone], [0.3, 0.7])
    for part, of_alone in zip(list_tensors(mixed), list_tensors(alone), strict=True):
        torch.testing.assert_close(part, of_alone, rtol=1e-4, atol=1e-6)


def test_a_mixture_is_a_canvas_of_both():
    """The mixed targets, over all bands, are those of one canvas on which each style image covers its share.

    Single bands differ, since each style image is ranked by itself.
    """
    first, second = style_image(1, 36), 0.5 * style_image(2, 12)
    for moments in (True, False):
        each = [measure_style(Pixels(), image, ["a"], moments=moments) for image in (first, second)]
        mixed = mix_targets(each, [0.75, 0.25])
        canvas = measure_style(Pixels(), torch.cat([first, second], 2), ["a"], moments=moments)
        if moments:
            torch.testing.assert_close(
                mixed.moments["a"].over_all(), canvas.moments["a"].over_all(), rtol=1e-4, atol=1e-6
            )
        else:
            torch.testing.assert_close(mixed.grams["a"], canvas.grams["a"], rtol=1e-4, atol=1e-6)


def test_stacked_targets_are_one_for_each_image():
    """Stacked, each target stays what it was, in its place."""
    each = [measure_style(Pixels(), style_image(seed, 28), ["a"], moments=True) for seed in (3, 4)]
    stacked = stack_targets(each)
    for place in range(2):
        for whole, part in zip(list_tensors(stacked), list_tensors(each[place]), strict=True):
            assert torch.equal(whole[place : place + 1], part)


@pytest.mark.parametrize("moments", [True, False])
def test_targets_move_to_a_device(moments):
    """All parts go along."""
    targets = measure_style(Pixels(), style_image(5, 28), ["a"], moments=moments).to("meta")
    assert {part.device.type for part in list_tensors(targets)} == {"meta"}


def test_shares():
    """Shares are the weights divided by their sum, equal without weights; none and too many are refused."""
    assert share_out(4, None) == [0.25] * 4
    assert share_out(2, [6, 2]) == [0.75, 0.25]
    with pytest.raises(SettingError, match=r"^no style image was given; give at least one$"):
        share_out(0, None)
    with pytest.raises(SettingError, match=r"^style_weights has 3 numbers for 2 style images; give one for each$"):
        share_out(2, [1, 2, 3])
