"""Sizes on the command line."""

import argparse


def size_in_pixels(text: str) -> tuple[int, int]:
    """(width, height) of a text such as 640x360, for argparse."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; give width x height in pixels, such as 640x360")
    return int(width), int(height)
