"""Styles that are made from images while the server runs: their names, and which one makes room for another."""

import dataclasses
import re
import threading
import time
from collections.abc import Iterable

import numpy as np

from nst_fast.live import limits
from nst_fast.live.gallery import Style, find_free_name
from nst_fast.live.stylize_pool import BusyError
from nst_fast.networks.checkpoint import Checkpoint

MAX_NAME_CHARACTERS = 40


class MadeStyles:
    """The styles made from images, among all the styles of a server. For one thread; its styles are for several.

    Args:
        styles: name -> style, of the server; the first one's options are those of all that are made.

    Attributes:
        pinned: the name of a style that makes room for no other. None: there is none.
    """

    def __init__(self, styles: dict[str, Style]) -> None:
        self._styles = styles
        self._first = next(iter(styles.values()))
        self._makers: dict[str, str] = {}  # name -> client
        self._taken = set(styles)
        self._images: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()
        self._open: set[Style] = set()
        self.pinned: str | None = None

    def __contains__(self, name: object) -> bool:
        """Whether this is the name of a style that was made from an image, and is still there."""
        return name in self._makers

    def image_of(self, name: str) -> np.ndarray:
        """The style image of a style in here, see `add`."""
        return self._images[name]

    def add(self, checkpoint: Checkpoint, style_image: np.ndarray, client: str) -> Style:
        """A new style among those of the server; beyond the limits another one makes room.

        Its name is that of the checkpoint, with a number if it is taken. A name is not used twice, even after its style
        is gone: a page that still shows the old one must not get the new one.

        Args:
            checkpoint: the base network in this style.
            style_image: (H, W, 3), uint8, as `prepare_style_image` gives it; kept in memory, to refine the style.
            client: who makes it.

        Raises:
            BusyError: all that could make room are in use.
        """
        self._make_room(client)
        name = find_free_name(clean_name(str(checkpoint.info.style.get("name", ""))), self._taken)
        info = dataclasses.replace(checkpoint.info, style={"name": name})
        checkpoint = dataclasses.replace(checkpoint, info=info)
        style = self._first.make_sibling(name, {"adjustable": True, "blends": True}, checkpoint, self._note_open)
        self._styles[name] = style
        self._images[name] = style_image
        self._makers[name] = client
        self._taken.add(name)
        return style

    def _make_room(self, client: str) -> None:
        own = [name for name, maker in self._makers.items() if maker == client]
        if len(own) >= limits.MAX_MADE_STYLES_PER_CLIENT:
            victim = self._longest_unused(own)
        elif len(self._makers) >= limits.MAX_MADE_STYLES:
            victim = self._longest_unused(self._makers)
        else:
            return
        del self._makers[victim], self._images[victim]
        style = self._styles.pop(victim)
        with self._lock:
            self._open.discard(style)

    def _note_open(self, style: Style) -> None:
        """A network was opened; the one that has not been used for longest is closed for it."""
        with self._lock:
            others = self._open - {style}
            self._open.add(style)
            if len(others) < limits.MAX_OPEN_MADE_STYLES:
                return
            victim = min(others, key=lambda other: other.last_used)
            self._open.remove(victim)
        victim.close()

    def _longest_unused(self, names: Iterable[str]) -> str:
        names = [name for name in names if name != self.pinned]
        oldest = min(names, key=lambda name: self._styles[name].last_used, default=None)
        if oldest is None or time.monotonic() - self._styles[oldest].last_used < limits.MADE_STYLE_BUSY_SECONDS:
            raise BusyError("too many styles made from images are in use; try again in a moment")
        return oldest


def clean_name(text: str) -> str:
    """A name for a style out of any text: at most MAX_NAME_CHARACTERS letters, digits, spaces, `_` and `-`."""
    return re.sub(r"[^\w -]+", "_", " ".join(text.split()))[:MAX_NAME_CHARACTERS].strip() or "style"
