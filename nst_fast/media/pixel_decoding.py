"""Decoded pictures become upright 8-bit sRGB: rotation, color profile, depth, palette and alpha are resolved here."""

import io

import numpy as np
from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STRIP_PIXELS = 4_000_000


def decode_pixels(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the pixels (height, width, 3) and the alpha channel (height, width) or None, both uint8 in [0, 255].

    Args:
        image: a loaded frame of any mode but the 32-bit ones (I, F).
    """
    profile = image.info.get("icc_profile")
    image = _turn_upright(image)
    alpha = None
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255, which makes the whole picture white.
        image = Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    elif image.has_transparency_data:
        is_gray = image.mode in ("1", "L", "LA", "La")
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.getchannel("R") if is_gray else image.convert("RGB")
    elif image.mode in ("1", "P"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return _to_array(_to_srgb(image, profile)), alpha


def _to_array(image: Image.Image) -> np.ndarray:
    """The pixels of an RGB image, strip by strip: of a huge picture as a whole Pillow would make two more copies."""
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        rgb[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return rgb


def _turn_upright(image: Image.Image) -> Image.Image:
    # ImageOps.exif_transpose also rewrites the EXIF block, and fails on damaged ones; here only one tag matters.
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged block may raise almost anything, but the pixels are fine
        return image
    return image if turn is None else image.transpose(turn)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the embedded profile; without one, or with one that is broken or does not fit, assume sRGB."""
    if profile and image.mode in ("L", "RGB", "CMYK"):
        from PIL import ImageCms  # many pictures need no conversion

        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            assert converted is not None
            return converted
        except (OSError, TypeError, ValueError, ImageCms.PyCMSError):
            pass
    # Converting an RGB image would copy it.
    return image if image.mode == "RGB" else image.convert("RGB")
