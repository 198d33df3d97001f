import numpy as np
import torch

from nst_fast.sheets import draw_sheet


def test_every_picture_is_shown():
    """Each is in the sheet in its own colour and size, also where rows differ in length and labels are too long."""
    colours = [torch.tensor(c).view(3, 1, 1).expand(3, 8, 12) for c in ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))]
    sheet = draw_sheet([[("red", colours[0]), ("green", colours[1])], [("a label that does not fit", colours[2])]])
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255)):
        assert np.all(sheet == np.array(colour), axis=2).sum() == 8 * 12
