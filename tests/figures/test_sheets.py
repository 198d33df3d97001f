import numpy as np

from nst_fast.figures.sheets import draw_sheet


def test_every_image_is_shown():
    """Each image is in the sheet in its own color and size, also if rows differ in length or a label is too long."""
    colors = [np.full((8, 12, 3), color, np.uint8) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    sheet = draw_sheet([[("red", colors[0]), ("green", colors[1])], [("a label that does not fit", colors[2])]])
    for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255)):
        assert np.all(sheet == np.array(color), axis=2).sum() == 8 * 12
