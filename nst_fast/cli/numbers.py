"""Numbers on the command line, for argparse."""

import argparse
from collections.abc import Callable


def size_in_pixels(text: str) -> tuple[int, int]:
    """(width, height) of a text such as 640x360."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; give width x height in pixels, such as 640x360")
    return int(width), int(height)


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """What reads a whole number from `lowest`, at least 0, to `highest`."""

    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
        if number is None or not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a whole number from {lowest} to {highest}")
        return number

    return parse
