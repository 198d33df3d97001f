import numpy as np

from nst_fast.figures.charts import draw_chart

CURVE, LEVEL = (0x24, 0x71, 0xA3), (0xC0, 0x39, 0x2B)
LABELS = {"x_label": "iterations", "y_label": "loss"}


def find(chart, color):
    """Rows and columns of the pixels with exactly this color, inside the chart's frame and left of its legend."""
    rows, columns = np.nonzero(np.all(chart[50:495, 75:600] == np.array(color), axis=2))
    return rows + 50, columns + 75


def test_a_curve_crosses_a_level():
    """A level is a horizontal line; a falling curve is above it before they cross, and below it after."""
    chart = draw_chart({"curve": [40.0, 30.0, 20.0, 10.0, 4.0, 2.0, 1.0]}, {"level": 10.0}, **LABELS)
    rows, columns = find(chart, LEVEL)
    assert np.ptp(rows) <= 2 and np.ptp(columns) > 400
    level = rows.mean()
    curve_rows, curve_columns = find(chart, CURVE)
    crossing = 70 + 3 / 6 * (960 - 70 - 24)
    assert curve_rows[curve_columns < crossing - 30].max() < level < curve_rows[curve_columns > crossing + 30].min()


def test_the_scale_is_logarithmic():
    """From 4 to 2 a curve falls as far as from 2 to 1."""
    rows, columns = find(draw_chart({"curve": [4.0, 2.0, 1.0]}, {"level": 1.0}, **LABELS), CURVE)
    at = [rows[columns == round(70 + x / 2 * 866)].mean() for x in (0.2, 0.7, 1.2)]
    assert at[1] - at[0] > 50
    assert abs((at[2] - at[1]) - (at[1] - at[0])) < 3


def test_a_start_far_above_does_not_flatten_the_rest():
    """Values above ten times the highest level are not shown, and nothing is drawn over the title."""
    chart = draw_chart({"curve": [1e6, 3.0, 2.0, 1.5, 1.0]}, {"level": 1.2}, **LABELS)
    assert not np.all(chart[:40] == np.array(CURVE), axis=2).any()
    rows, columns = find(chart, CURVE)
    at = [rows[columns == round(70 + x / 4 * 866)].mean() for x in (1.1, 2.1)]
    assert at[1] - at[0] > 50
