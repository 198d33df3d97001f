"""Pictures that move, GIF and WebP: all their frames, with their durations.

They are held in memory as a whole while they are written, which is how Pillow writes them.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from nst_fast.atomic_files import replace_atomically
from nst_fast.errors import ImageError, OutputError
from nst_fast.pictures import Picture, open_picture
from nst_fast.pixel_decoding import decode_pixels

# Where a file gives no duration, or next to none, browsers show a frame for a tenth of a second.
_USUAL_MILLISECONDS = 100
_LEAST_MILLISECONDS = 11
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".gif": {"format": "GIF", "disposal": 2},
    ".webp": {"format": "WEBP", "quality": 90, "method": 3},
}


@dataclass(frozen=True)
class AnimationInfo:
    """What an animation says of itself.

    Attributes:
        height, width: in pixels.
        frame_count: 1 for a picture that stands still.
        milliseconds: of all frames together; 0 for a picture that stands still.
        loop: how often it is played; 0: for ever; None: once.
    """

    height: int
    width: int
    frame_count: int
    milliseconds: int
    loop: int | None


def is_animated(path: Path) -> bool:
    """Whether a file that exists is a picture of several frames; False also where it cannot be read."""
    try:
        with open_picture(path) as image:
            return getattr(image, "is_animated", False)
    except ImageError:
        return False


def probe_animation(path: Path) -> AnimationInfo:
    """Read the size, the number of frames and their durations.

    Raises:
        ImageError: see `open_picture`; damaged.
    """
    with open_picture(path) as image:
        count = getattr(image, "n_frames", 1)
        milliseconds = 0
        if count > 1:
            milliseconds = sum(_duration_after_seek(image, number, path) for number in range(count))
        return AnimationInfo(image.height, image.width, count, milliseconds, image.info.get("loop"))


def read_animation(path: Path) -> Generator[tuple[Picture, int], None, None]:
    """Each frame in sRGB with its duration in milliseconds.

    Raises:
        ImageError: see `open_picture`; damaged.
    """
    with open_picture(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            milliseconds = _duration_after_seek(image, number, path)
            rgb, alpha = decode_pixels(image.copy())
            yield Picture(rgb, alpha), milliseconds


def _duration_after_seek(image: Image.Image, number: int, path: Path) -> int:
    try:
        image.seek(number)
        image.load()
    except Exception as error:  # a damaged file makes Pillow's decoders raise almost anything
        raise ImageError(f"{path} is damaged at frame {number + 1}; copy or download it again") from error
    given = round(image.info.get("duration") or 0)
    return given if given >= _LEAST_MILLISECONDS else _USUAL_MILLISECONDS


def write_animation(path: Path, frames: Iterable[tuple[Picture, int]], *, loop: int | None = 0) -> int:
    """Write frames with their durations in milliseconds; returns how many there were.

    GIF holds 256 colours a frame, whole hundredths of a second and no partial transparency.

    Args:
        path: ends in .gif or .webp; replaced atomically.
        frames: at least one.
        loop: how often it is played; 0: for ever; None: once.

    Raises:
        OutputError: no frame, or the file cannot be written.
    """
    images: list[Image.Image] = []
    durations: list[int] = []
    suffix = path.suffix.lower()
    for picture, milliseconds in frames:
        image = Image.fromarray(picture.rgb)
        if picture.alpha is not None:
            image.putalpha(Image.fromarray(picture.alpha))
        elif suffix == ".gif":
            image = image.quantize(256)  # now, since that takes a third of the memory
        images.append(image)
        durations.append(milliseconds)
    if not images:
        raise OutputError(f"cannot write {path}: there is no frame")
    options: dict[str, Any] = _SAVE_OPTIONS[suffix] | ({} if loop is None else {"loop": loop})
    if suffix == ".webp" and loop is None:
        options["loop"] = 1
    with replace_atomically(path) as temporary:
        images[0].save(temporary, save_all=True, append_images=images[1:], duration=durations, **options)
    return len(images)
