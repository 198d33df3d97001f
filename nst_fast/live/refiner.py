"""Which style of a server is being refined, and what becomes of it in the end."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from nst_fast.errors import TRAIN_PACKAGES, SettingError
from nst_fast.live.gallery import Style
from nst_fast.live.made_styles import MadeStyles
from nst_fast.live.refinement import Refinement
from nst_fast.media.listing import find_images
from nst_fast.media.pictures import Picture, write_picture
from nst_fast.networks.checkpoint import load_base, save_checkpoint


class Refiner:
    """Refines one style of a server at a time. For one call at a time.

    Args:
        made: the styles made from images; no others can be refined.
        photos: a folder of photos to train on. None: there is none.
    """

    def __init__(self, made: MadeStyles, photos: Path | None) -> None:
        self._made = made
        self._photos = photos
        self._current: Refinement | None = None

    def why_not(self) -> str | None:
        """Why styles cannot be refined here, in one line; None: they can."""
        if any(importlib.util.find_spec(name) is None for name in TRAIN_PACKAGES):
            return "Refine needs the extra train: install nst-fast[train], then start nst-fast live again"
        if self._photos is None:
            return "Refine needs photos to train on: start nst-fast live with --photos FOLDER, some hundred photos"
        return None

    def describe(self) -> dict[str, Any]:
        """`why_not`, and `refinement`: see `Refinement.describe`; None: nothing is being refined."""
        current = None if self._current is None else self._current.describe()
        return {"why_not": self.why_not(), "refinement": current}

    def start(self, style: Style) -> None:
        """Begin to refine a style.

        Raises:
            SettingError: it cannot be, or another one is being refined.
        """
        if reason := self.why_not():
            raise SettingError(reason)
        if style.name not in self._made:
            raise SettingError(f"style {style.name[:80]!r} was not made from an image here, so it cannot be refined")
        if self._current is not None:
            raise SettingError(f"{self._current.style.name!r} is being refined; keep or discard it first")
        folder = Path(tempfile.mkdtemp(prefix="nst-fast-refine-"))
        style_file = folder / "style.png"
        write_picture(style_file, Picture(self._made.image_of(style.name)))
        init = None
        if style.checkpoint.shared_digest != load_base().shared_digest:  # it was refined before
            init = str(folder / "init.safetensors")
            save_checkpoint(Path(init), style.checkpoint, dtype="fp32")
        request = {
            "folder": str(folder),
            "style": str(style_file),
            "photos": str(self._photos),
            "name": style.name,
            "init": init,
        }
        self._current = Refinement(style, request)
        self._made.pinned = style.name
        style.about.pop("blends", None)  # its network is another one every few seconds

    def pause(self) -> None:
        """See `Refinement`; raises: SettingError, if nothing is being refined."""
        self._find().pause()

    def resume(self) -> None:
        """See `Refinement`; raises: SettingError, if nothing is being refined."""
        self._find().resume()

    def keep(self) -> None:
        """End the training; the style stays as it is now.

        Raises:
            SettingError: nothing is being refined.
        """
        self._end(restore=False)

    def discard(self) -> None:
        """End the training; the style is again what it was before.

        Raises:
            SettingError: nothing is being refined.
        """
        self._end(restore=True)

    def close(self) -> None:
        """The server ends."""
        if self._current is not None:
            self._current.close()

    def _find(self) -> Refinement:
        if self._current is None:
            raise SettingError("nothing is being refined")
        return self._current

    def _end(self, *, restore: bool) -> None:
        current = self._find()
        current.close()
        current.join()
        if restore:
            current.style.exchange(current.original)
        # Last of all: a page takes it as the sign that the style is now as it will be.
        self._current, self._made.pinned = None, None
        if current.style.checkpoint.shared_digest == load_base().shared_digest:
            current.style.about["blends"] = True


def check_photos(folder: Path) -> None:
    """Raises: ImageError, if there is no such folder; SettingError, if it holds no photos."""
    if not find_images(folder):
        raise SettingError(f"photos {str(folder)!r} holds no images; give a folder of photos, some hundred")
