"""Blends of the styles on offer, by names such as `wave:0.6,udnie:0.4`, as the command calls them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nst_fast.errors import SettingError, nearest_name
from nst_fast.live.gallery import THUMBNAIL_QUALITY, Style, encode_jpeg, read_sample
from nst_fast.networks.checkpoint import Checkpoint, blend_checkpoints, load_base
from nst_fast.networks.onnx_graph import build_onnx_graph
from nst_fast.stylize.styles import parse_blend
from nst_fast.stylize.stylizer import Stylizer

MAX_PARTS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Blend:
    """One blend. It is used as a `Style` is, and by the same threads.

    Attributes:
        name: as it was asked for.
        checkpoint: the base network between the styles.
        base: stylizes for all blends, so that another blend needs no preparation.
    """

    name: str
    checkpoint: Checkpoint
    base: Style

    @property
    def about(self) -> dict[str, Any]:
        """As of a `Style`."""
        return {"adjustable": True}

    @property
    def stylizer(self) -> Stylizer:
        """Stylizes frames, until another blend is asked for its own."""
        return self._restyle(self.base.stylizer)

    def picture_stylizer(self, *, tiled: bool) -> Stylizer:
        """Stylizes whole pictures, until another blend is asked for its own."""
        return self._restyle(self.base.picture_stylizer(tiled=tiled))

    @property
    def thumbnail(self) -> bytes:
        """The sample photo in this blend, a JPEG."""
        return encode_jpeg(self.stylizer.stylize_pixels(read_sample()), quality=THUMBNAIL_QUALITY)

    @property
    def onnx(self) -> bytes:
        """See `Style.onnx`."""
        return build_onnx_graph(self.checkpoint, pixels=True, strength=None, strength_input=True)

    def _restyle(self, stylizer: Stylizer) -> Stylizer:
        stylizer.restyle(self.checkpoint)
        return stylizer


class Blends:
    """Makes blends of the styles of a server.

    Args:
        styles: name -> style, of the server. The first one's options are those of all blends.
    """

    def __init__(self, styles: Mapping[str, Style]) -> None:
        self._styles = styles
        self._base: Style | None = None

    def find(self, text: str) -> Blend:
        """The blend of this name. Only names of styles count, never files.

        Raises:
            SettingError: it is no blend, has more than MAX_PARTS parts, or a part is unknown or cannot be blended.
        """
        parts = parse_blend(text)
        if len(parts) > MAX_PARTS:
            raise SettingError(f"a blend of {len(parts)} styles is too much; give {MAX_PARTS} at most")
        checkpoint = blend_checkpoints([(self._find_part(name).code, share) for name, share in parts])
        if self._base is None:
            self._base = next(iter(self._styles.values())).make_sibling("blend", {}, load_base())
        return Blend(text, checkpoint, self._base)

    def _find_part(self, name: str) -> Style:
        if name not in self._styles:
            allowed = [name for name, style in self._styles.items() if style.about.get("blends")]
            raise SettingError(
                f"style {name[:80]!r} is unknown; for blends there are: {', '.join(allowed)}"
                f"{nearest_name(name, allowed)}"
            )
        return self._styles[name]
