"""A line chart with a logarithmic axis.

It is drawn with Pillow, which the program needs anyway: one small chart does not justify a plotting library such as
matplotlib as a dependency.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# In pixels. The chart is drawn twice as large as the result and then reduced, so that lines are smooth.
_WIDTH, _HEIGHT = 1920, 1120
_LEFT, _RIGHT, _TOP, _BOTTOM = 140, 48, 88, 120
_FONT_PIXELS, _LINE_HEIGHT, _LEGEND_WIDTH, _LINE_WIDTH = 30, 44, 660, 4
_CURVE_COLORS = ("#2471a3", "#b9770e", "#616a6b")
_LEVEL_COLORS = ("#c0392b", "#1e8449", "#7d3c98", "#117a65")
_NICE_STEPS = (1, 2, 5)


def draw_chart(
    curves: Mapping[str, Sequence[float]], levels: Mapping[str, float], *, x_label: str, y_label: str
) -> np.ndarray:
    """Draw curves, horizontal lines, and a mark where a curve first is no higher than a line.

    The vertical axis is logarithmic and ends at ten times the highest line; what is above is not shown.

    Args:
        curves: name -> positive values at 0, 1, 2, ...
        levels: name -> the positive value of a horizontal line.

    Returns:
        Pixels of shape (height, width, 3), uint8.
    """
    font = ImageFont.load_default(_FONT_PIXELS)
    chart = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(chart)
    every = [value for values in curves.values() for value in values]
    low = min(*every, *levels.values()) / 1.1
    high = min(max(*every, *levels.values()), 10 * max(levels.values())) * 1.1
    last = max(1, *(len(values) - 1 for values in curves.values()))

    def place(x: float, value: float) -> tuple[float, float]:
        up = math.log(value / low) / math.log(high / low)
        return _LEFT + x / last * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    for value in _list_ticks_of_logarithm(low, high):
        y = place(0, value)[1]
        draw.line([(_LEFT, y), (_WIDTH - _RIGHT, y)], "#e5e5e5", 2)
        draw.text((_LEFT - 16, y), f"{value:g}", "black", font, anchor="rm")
    for x in _list_ticks(last):
        across = place(x, low)[0]
        draw.line([(across, _TOP), (across, _HEIGHT - _BOTTOM)], "#e5e5e5", 2)
        draw.text((across, _HEIGHT - _BOTTOM + 16), str(x), "black", font, anchor="ma")
    draw.text(((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 52), x_label, "black", font, anchor="ma")

    legend: list[tuple[str, str]] = []
    for (name, level), color in zip(levels.items(), itertools.cycle(_LEVEL_COLORS), strict=False):
        draw.line([place(0, level), place(last, level)], color, _LINE_WIDTH)
        legend.append((f"{name}: {level:.3g}", color))
    for (name, values), color in zip(curves.items(), itertools.cycle(_CURVE_COLORS), strict=False):
        draw.line([place(x, value) for x, value in enumerate(values)], color, _LINE_WIDTH, joint="curve")
        legend.append((name, color))
        for level in levels.values():
            crossing = next((x for x, value in enumerate(values) if value <= level), None)
            if crossing is not None:
                x, y = place(crossing, level)
                draw.ellipse([(x - 8, y - 8), (x + 8, y + 8)], color)
                draw.text((x + 10, y - 10), str(crossing), color, font, anchor="ls")
    draw.rectangle([(0, 0), (_WIDTH, _TOP)], "white")  # covers the parts of the curves above the chart
    draw.text((_LEFT, 28), y_label, "black", font)
    for number, (text, color) in enumerate(legend):
        y = _TOP + 32 + number * _LINE_HEIGHT
        draw.line([(_WIDTH - _RIGHT - _LEGEND_WIDTH, y), (_WIDTH - _RIGHT - _LEGEND_WIDTH + 56, y)], color, 6)
        draw.text((_WIDTH - _RIGHT - _LEGEND_WIDTH + 72, y), text, "black", font, anchor="lm")
    draw.rectangle([(_LEFT, _TOP), (_WIDTH - _RIGHT, _HEIGHT - _BOTTOM)], outline="#999999", width=2)
    return np.asarray(chart.reduce(2))


def _list_ticks_of_logarithm(low: float, high: float) -> list[float]:
    """Those of 1, 2, 5, 10, 20, ... that lie between `low` and `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in _NICE_STEPS if low <= step * 10.0**power <= high]


def _list_ticks(last: int) -> list[int]:
    """0 and at most ten more, in steps of 1, 2, 5, 10, 20, ..."""
    steps = (step * 10**power for power in range(12) for step in _NICE_STEPS)
    step = next(step for step in steps if step * 10 >= last)
    return list(range(0, last + 1, step))
