"""Animated GIF and WebP files: their frames, one at a time, with durations."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from nst_fast.errors import ImageError
from nst_fast.media.opening import OpenPicture, explain_decoder_errors, open_picture
from nst_fast.media.pictures import Picture
from nst_fast.media.pixel_decoding import decode_pixels

# Browsers show a frame for a tenth of a second where its file gives no duration, or next to none.
_USUAL_MILLISECONDS = 100
_LEAST_MILLISECONDS = 11


@dataclass(frozen=True)
class AnimationInfo:
    """What an animation says about itself.

    Attributes:
        height, width: in pixels.
        frame_count: 1 for a still picture.
        milliseconds: of all frames together; 0 for a still picture.
        loop: how often it is played; 0: forever; None: once.
    """

    height: int
    width: int
    frame_count: int
    milliseconds: int
    loop: int | None


def is_animated(path: Path) -> bool:
    """Whether a file is a picture of several frames; False too where it cannot be read."""
    try:
        with open_picture(path) as opened:
            return getattr(opened.image, "is_animated", False)
    except ImageError:
        return False


def probe_animation(path: Path) -> AnimationInfo:
    """Read the size, the number of frames and their durations.

    Raises:
        ImageError: see `open_picture`; damaged.
    """
    with open_picture(path) as opened:
        image = opened.image
        height, width = image.height, image.width
        count = getattr(image, "n_frames", 1)
        milliseconds = 0
        if count > 1:
            milliseconds = sum(_load_frame(opened, number) for number in range(count))
        return AnimationInfo(height, width, count, milliseconds, image.info.get("loop"))


def read_animation(path: Path) -> Generator[tuple[Picture, int], None, None]:
    """Yield each frame in sRGB, all of one size, with its duration in milliseconds.

    Raises:
        ImageError: see `open_picture`; damaged, or a frame has too many pixels or does not fit into memory.
    """
    with open_picture(path) as opened:
        width, height = opened.image.size
        for number in range(getattr(opened.image, "n_frames", 1)):
            milliseconds = _load_frame(opened, number)
            frame = opened.image.copy()
            if frame.size != (width, height):  # Pillow grows the picture for a frame that reaches beyond it
                frame = frame.crop((0, 0, width, height))
            yield Picture(*decode_pixels(frame)), milliseconds


def _load_frame(opened: OpenPicture, number: int) -> int:
    """Decode a frame; returns its duration in milliseconds."""
    with explain_decoder_errors(opened.name, f"is damaged at frame {number + 1}"):
        opened.image.seek(number)
        # A later frame may claim more than the header did, and nothing of it is decoded yet.
        opened.check_size()
        opened.image.load()
        given = round(opened.image.info.get("duration") or 0)
    return given if given >= _LEAST_MILLISECONDS else _USUAL_MILLISECONDS
