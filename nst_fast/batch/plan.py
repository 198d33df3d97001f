"""Many files: which becomes which.

Only names are looked at, and whether a GIF or WebP is animated. What could do harm is refused.
"""

import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_fast.batch.numbered import is_finished, names_sequence, writes_over_itself
from nst_fast.errors import ImageError, SettingError, nearest_name
from nst_fast.media.animations import is_animated
from nst_fast.media.film_formats import ANIMATION_SUFFIXES, FILM_SUFFIXES, WRITABLE_FILMS, is_film
from nst_fast.media.listing import find_images
from nst_fast.media.opening import IMAGE_SUFFIXES
from nst_fast.media.sequences import find_numbers

DEFAULT_OUTPUT = Path("stylized")

# Meant as pictures even where the extra that writes them is missing; the error then names the extra.
_PICTURE_SUFFIXES = IMAGE_SUFFIXES | {".heic", ".heif"}
# GIF holds 256 colors, too few for a stylized image.
_KEPT_SUFFIXES = IMAGE_SUFFIXES - {".gif"}


@dataclass(frozen=True)
class BatchItem:
    """A photo or a film, and the file that its output goes to.

    Attributes:
        source, target: files, or numbered pictures such as frames/%05d.png.
        animated: whether all frames are stylized: those of a film, of an animated GIF or WebP, or of numbered pictures.
    """

    source: Path
    target: Path
    animated: bool = False


@dataclass(frozen=True)
class BatchPlan:
    """What is to be stylized.

    Attributes:
        items: in the order of the inputs.
        skipped: those whose target exists already.
        output: the folder, or the one file, that the outputs go to.
    """

    items: list[BatchItem]
    skipped: list[BatchItem]
    output: Path


def plan_batch(
    inputs: Sequence[Path],
    output: Path | None,
    *,
    style_name: str,
    image_format: str | None = None,
    overwrite: bool = False,
    shard: tuple[int, int] | None = None,
) -> BatchPlan:
    """Find the photos and films, and name their outputs.

    An output has the name of its photo or film, and below an input folder the same place. It has the same suffix too,
    with these exceptions: a still .gif and files without a known suffix become .png, and films in containers that
    cannot be written become .mp4. An animated GIF or WebP stays animated, unless `image_format` is one of still images.

    Args:
        inputs: photos, films, numbered pictures (frames/%05d.png, which become FOLDER/frames/%05d.png), and folders,
            which are searched with everything below them. A file given twice counts once. The output folder is not
            searched, nor `stylized` if `output` is None.
        output: a folder; or, for a single photo or film, a file if it has the suffix of an image or film format, or
            numbered pictures for a film. None: stylized/STYLE_NAME in the current folder.
        style_name: names the default output folder.
        image_format: png, jpg, ... for all photos; mp4, webm, ... for all films and animations; gif or webp for photos
            and animations. None: as each.
        overwrite: False leaves out, as `skipped`, every item whose target exists, even an older one: it may be a photo
            of the same name. True replaces it.
        shard: (number, count), from (1, 1): only every count-th file, for processes that see the same files.

    Raises:
        ImageError: an input does not exist, or no input holds a photo or film.
        SettingError: an unknown format, or one that the file cannot become; two files with one target; a target that
            is itself an input; a file as output for several files.
    """
    suffix = None if image_format is None else _suffix_of_format(image_format)
    single_file = output is not None and output.suffix.lower() in _PICTURE_SUFFIXES | FILM_SUFFIXES
    single_file = single_file and output is not None and not output.is_dir()
    folder = output or DEFAULT_OUTPUT / (re.sub(r"[^\w -]", "_", style_name).strip() or "style")
    found = _find_files(inputs, [folder] if output else [folder, DEFAULT_OUTPUT])
    if single_file:
        if len(found) > 1 or any(path.is_dir() for path in inputs):
            raise SettingError(
                f"output {str(folder)!r} is the name of one file, but there may be several; give the name of a folder"
            )
        if suffix is not None and folder.suffix.lower() != suffix:
            raise SettingError(f"output {str(folder)!r} and format {image_format!r} differ; leave out the format")
        items = [_plan_single(found[0][0], folder)]
    else:
        items = [_plan_one(source, folder, relative, suffix) for source, relative in found]
        if suffix in WRITABLE_FILMS and not any(item.animated for item in items):
            raise SettingError(f"format {image_format!r} is for films, and there is none; leave it out")
    items = _check_targets(items)
    if shard is not None:
        number, count = shard
        if not 1 <= number <= count:
            raise SettingError(f"shard {number}/{count} does not exist; give 1/{count} to {count}/{count}")
        items = items[number - 1 :: count]
    skipped = [] if overwrite else [item for item in items if is_finished(item.source, item.target)]
    done = {item.target for item in skipped}
    return BatchPlan([item for item in items if item.target not in done], skipped, folder)


def _plan_single(source: Path, target: Path) -> BatchItem:
    film, suffix = is_film(source.suffix) or names_sequence(source), target.suffix.lower()
    holds_frames = suffix in WRITABLE_FILMS | ANIMATION_SUFFIXES or names_sequence(target)
    if film and not holds_frames:
        allowed = " ".join(sorted(WRITABLE_FILMS | ANIMATION_SUFFIXES))
        raise SettingError(
            f"{source} is a film and cannot become {target.name}; give an output in one of {allowed}, "
            f"or numbered pictures such as %05d.png"
        )
    animated = film or (holds_frames and _is_animation(source))
    if (suffix in FILM_SUFFIXES or names_sequence(target)) and not animated:
        raise SettingError(f"{source} is a still picture and cannot become {target.name}; give an output such as .png")
    return BatchItem(source, target, animated)


def _plan_one(source: Path, folder: Path, relative: Path, suffix: str | None) -> BatchItem:
    """One of several files; a format that does not concern it leaves its own suffix."""
    own = source.suffix.lower()
    if names_sequence(source):
        if suffix in WRITABLE_FILMS | ANIMATION_SUFFIXES:
            return BatchItem(source, folder / f"{relative.parent.name or 'frames'}{suffix}", animated=True)
        return BatchItem(source, folder / _renamed(relative, suffix), animated=True)
    if is_film(own):
        kept = relative.suffix if own in WRITABLE_FILMS else ".mp4"
        name = relative.stem + (suffix if suffix in WRITABLE_FILMS else kept)
        return BatchItem(source, folder / relative.with_name(name), animated=True)
    if (suffix is None or suffix in WRITABLE_FILMS | ANIMATION_SUFFIXES) and _is_animation(source):
        return BatchItem(
            source, folder / relative.with_name(relative.stem + (suffix or relative.suffix)), animated=True
        )
    return BatchItem(source, folder / _renamed(relative, None if suffix in WRITABLE_FILMS else suffix))


def _is_animation(source: Path) -> bool:
    return source.suffix.lower() in ANIMATION_SUFFIXES and is_animated(source)


def _suffix_of_format(image_format: str) -> str:
    suffix = "." + image_format.lower().removeprefix(".")
    if suffix not in IMAGE_SUFFIXES | WRITABLE_FILMS:
        allowed = sorted(known.removeprefix(".") for known in IMAGE_SUFFIXES | WRITABLE_FILMS)
        hint = nearest_name(image_format.lower(), allowed)
        raise SettingError(f"format {image_format!r} is unknown; allowed: {', '.join(allowed)}{hint}")
    return suffix


def _find_files(inputs: Sequence[Path], outputs: list[Path]) -> list[tuple[Path, Path]]:
    """Each photo and film once, with its path below the input folder that it was found in."""
    found: dict[str, tuple[Path, Path]] = {}
    for given in inputs:
        if given.is_dir():
            # Not Path.resolve, which raises RuntimeError on a loop of symbolic links.
            below = [folder for folder in map(_resolve, outputs) if _resolve(given) in folder.parents]
            paths = find_images(given, also=FILM_SUFFIXES)
            pairs = [(path, path.relative_to(given)) for path in paths if not _lies_in(path, below)]
        elif os.path.lexists(given):
            pairs = [(given, Path(given.name))]
        elif names_sequence(given):
            find_numbers(given)  # says what is wrong where there are none
            pairs = [(given, Path(given.absolute().parent.name, given.name))]
        else:
            raise ImageError(f"{given} does not exist; check the path")
        for source, relative in pairs:
            found.setdefault(os.path.abspath(source), (source, relative))
    if not found:
        raise ImageError(
            f"there is no photo or film in {', '.join(map(str, inputs)) or 'an empty list'}; "
            f"give files or folders with files that end in {' '.join(sorted(IMAGE_SUFFIXES | FILM_SUFFIXES))}"
        )
    return list(found.values())


def _lies_in(path: Path, folders: list[Path]) -> bool:
    return any(folder in _resolve(path).parents for folder in folders)


def _resolve(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _renamed(relative: Path, suffix: str | None) -> Path:
    if suffix is None:
        suffix = relative.suffix if relative.suffix.lower() in _KEPT_SUFFIXES else ".png"
    return relative.with_name(relative.stem + suffix)


def _check_targets(items: list[BatchItem]) -> list[BatchItem]:
    inputs = {_identity(item.source) for item in items}
    same_file = _choose_name_comparison(items)
    by_target: dict[str, BatchItem] = {}
    for item in items:
        if writes_over_itself(item.source, item.target) or (
            os.path.exists(item.target) and _identity(item.target) in inputs
        ):
            raise SettingError(f"{item.target} is an input and would be overwritten; give another output")
        first = by_target.setdefault(same_file(os.path.abspath(item.target)), item)
        if _identity(first.source) != _identity(item.source):
            raise SettingError(
                f"{first.source} and {item.source} would both be stylized to {item.target}; "
                f"stylize them one after the other, to different output folders"
            )
    return list(by_target.values())


def _choose_name_comparison(items: list[BatchItem]) -> Callable[[str], str]:
    """A function that is equal for two paths that the disk takes for one file.

    Some disks ignore upper and lower case (Windows, macOS) or the two ways to write an accent in Unicode (macOS). The
    disk is tried only if there are targets that differ in nothing else.
    """
    targets = {os.path.normcase(os.path.abspath(item.target)): item.target for item in items}
    if len({_fold(target) for target in targets}) == len(targets):
        return os.path.normcase
    folder = next(iter(targets.values())).absolute().parent
    while not folder.is_dir():
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(prefix=".nst-fast-\N{LATIN SMALL LETTER E WITH ACUTE}", dir=folder) as probe:
            variants = (probe.name.upper(), unicodedata.normalize("NFD", probe.name))
            names = [str(folder / Path(variant).name) for variant in variants]
            # One answer for both: disks that ignore the one but not the other are rare, and refusing is safe.
            return _fold if any(map(os.path.lexists, names)) else os.path.normcase
    except OSError:  # nothing can be written there, which whoever writes will explain
        return os.path.normcase


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _identity(path: Path) -> tuple[int, int] | str:
    """Equal for two names of one existing file: by links, or by case where the disk ignores it."""
    try:
        status = os.stat(path)
    except OSError:  # a link to nowhere
        return os.path.abspath(path)
    return status.st_dev, status.st_ino
