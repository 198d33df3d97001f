"""From what Pillow opened to upright 8-bit sRGB: rotation, colour profile, depth, palette and alpha end here."""

import io

import numpy as np
from PIL import ExifTags, Image, ImageCms

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STRIP_ROWS = 256


def decode_pixels(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """The pixels (height, width, 3) and, if there is one, the alpha channel (height, width), both uint8 in [0, 255].

    `image` is a loaded frame of any mode but the 32-bit ones (I, F).
    """
    profile = image.info.get("icc_profile")
    image = _turn_upright(image)
    alpha = None
    if image.mode.startswith("I;16"):
        # Pillow's own conversion cuts off at 255, which whitens the whole picture.
        image = Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    elif image.has_transparency_data:
        is_grey = image.mode in ("1", "L", "LA", "La")
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.getchannel("R") if is_grey else image.convert("RGB")
    elif image.mode in ("1", "P"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return _to_array(_to_srgb(image, profile)), alpha


def _to_array(image: Image.Image) -> np.ndarray:
    """The pixels of an RGB image, strip by strip: at once, Pillow makes two more copies of a huge picture."""
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, image.height)
        rgb[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return rgb


def _turn_upright(image: Image.Image) -> Image.Image:
    # ImageOps.exif_transpose also writes the EXIF block anew, and fails on damaged ones; here only one tag matters.
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged block may raise almost anything, and is no reason to refuse the pixels
        return image
    return image if turn is None else image.transpose(turn)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the embedded profile; without one, or with a broken or unfitting one, take the pixels as sRGB."""
    if profile and image.mode in ("L", "RGB", "CMYK"):
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
    # Converting what is RGB already would copy it.
    return image if image.mode == "RGB" else image.convert("RGB")
