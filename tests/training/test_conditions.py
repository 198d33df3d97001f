"""What changes from image to image in the training of an adjustable network."""

import torch

from nst_fast.losses.temporal import move
from nst_fast.networks.torch_network import build_network
from nst_fast.training.conditions import draw_second_frames, draw_strengths, keep_photo_out, keep_strength_one


def test_shares_of_the_strengths():
    """55 % of the images have strength 1, 10 % strength 0, and the others any strength from 0 to 2, spread evenly."""
    drawn = torch.tensor([strength for step in range(500) for strength in draw_strengths(3, step, 8)])
    assert abs((drawn == 1).float().mean() - 0.55) < 0.03
    assert abs((drawn == 0).float().mean() - 0.10) < 0.02
    others = drawn[(drawn != 0) & (drawn != 1)]
    assert others.min() > 0 and others.max() < 2
    quarters = torch.histc(others, 4, 0, 2) / len(others)
    torch.testing.assert_close(quarters, torch.full((4,), 0.25), atol=0.04, rtol=0)


def test_strengths_without_one():
    """Where strength 1 is not trained, its images have any strength; those at 0 are as many as ever."""
    drawn = torch.tensor(
        [strength for step in range(500) for strength in draw_strengths(3, step, 8, other_than_one=True)]
    )
    assert not (drawn == 1).any()
    assert abs((drawn == 0).float().mean() - 0.10) < 0.02


def test_strengths_belong_to_seed_and_step():
    """The same step of the same run has the same strengths; another step, or another run, has others."""
    assert draw_strengths(0, 7, 16) == draw_strengths(0, 7, 16)
    assert draw_strengths(0, 7, 16) != draw_strengths(0, 8, 16)
    assert draw_strengths(0, 7, 16) != draw_strengths(1, 7, 16)


def test_second_frames_belong_to_their_seed():
    """The same seed gives the same motion and noise; the frames are the photos, moved, within the noise of a camera."""
    photos = torch.full((2, 3, 48, 56), 0.5) + 0.2 * torch.rand(2, 3, 48, 1, generator=torch.Generator().manual_seed(0))
    frames, motion = draw_second_frames(photos, 5)
    again, same_motion = draw_second_frames(photos, 5)
    assert torch.equal(frames, again) and torch.equal(motion.sources, same_motion.sources)
    assert not torch.equal(motion.sources, draw_second_frames(photos, 6)[1].sources)
    assert (frames - move(photos, motion)).abs().max() < 6 * 2 / 255


def test_photo_stays_out_at_full_strength():
    """From strength 1 on, the photo's share of the colors is 0 and stays 0; all other steering is trained."""
    torch.manual_seed(0)
    network = build_network("realtime", width=8, adjustable=True)
    with torch.no_grad():
        network.steering.normal_()
    before = network.steering.detach().clone()
    keep_photo_out(network)
    optimizer = torch.optim.Adam([network.steering], 0.1)
    network.steering.square().sum().backward()
    optimizer.step()
    assert not network.steering[2:, :, -3:].any()
    assert (network.steering[:2] != before[:2]).all() and (network.steering[2:, :, :-3] != before[2:, :, :-3]).all()


def test_strength_one_stays():
    """Nothing is trained but the steering at strengths other than 1."""
    torch.manual_seed(0)
    network = build_network("realtime", width=8, adjustable=True)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    keep_strength_one(network)
    network(torch.rand(1, 3, 32, 32), steering=network.steering.sum(0, keepdim=True)).square().sum().backward()
    torch.optim.Adam(network.parameters(), 0.1).step()
    trained = [name for name, weight in network.state_dict().items() if not torch.equal(weight, before[name])]
    assert trained == ["steering"]
    changed = (network.steering != before["steering"]).flatten(1).any(1)
    assert changed.tolist() == [True, True, False, True]
