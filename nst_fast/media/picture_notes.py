"""A note in a picture file on how it was made: PNG text, JPEG and GIF comment, EXIF description elsewhere."""

from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nst_fast.media.opening import open_picture

_PNG_KEY = "Description"
_EXIF_DESCRIPTION = 0x010E


def note_options(format_name: str, note: str) -> dict[str, Any]:
    """What Pillow's `save` takes to write the note into a file of this format; empty for BMP, which holds none.

    Args:
        format_name: Pillow's, such as PNG.
        note: in ASCII, which is all that EXIF is sure to hold.
    """
    if format_name == "PNG":
        texts = PngInfo()
        texts.add_itxt(_PNG_KEY, note)
        return {"pnginfo": texts}
    if format_name in ("JPEG", "GIF"):
        return {"comment": note.encode()}
    if format_name in ("WEBP", "AVIF", "HEIF"):
        exif = Image.Exif()
        exif[_EXIF_DESCRIPTION] = note
        return {"exif": exif.tobytes()}
    return {"description": note} if format_name == "TIFF" else {}


def read_note(path: Path) -> str | None:
    """The note, or whatever stands in its place in a file from elsewhere; None: there is none.

    Raises:
        ImageError: no picture.
    """
    with open_picture(path) as opened:
        image = opened.image
        found = image.info.get(_PNG_KEY) or image.info.get("comment") or image.getexif().get(_EXIF_DESCRIPTION)
    return found.decode(errors="replace") if isinstance(found, bytes) else found
