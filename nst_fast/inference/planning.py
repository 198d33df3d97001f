"""Many files: which becomes which.

Only names are looked at, and whether a GIF or WebP moves; what could do harm is refused.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_fast.animations import is_animated
from nst_fast.errors import ImageError, SettingError, nearest_name
from nst_fast.images import IMAGE_SUFFIXES, find_images
from nst_fast.inference.film_formats import ANIMATION_SUFFIXES, FILM_SUFFIXES, WRITABLE_FILMS, is_film

DEFAULT_OUTPUT = Path("painted")

# Meant as a picture also where the extra that writes it is missing, which the error then says.
_PICTURE_SUFFIXES = IMAGE_SUFFIXES | {".heic", ".heif"}
# GIF holds 256 colours, too few for a painting.
_KEPT_SUFFIXES = IMAGE_SUFFIXES - {".gif"}


@dataclass(frozen=True)
class Painting:
    """A picture or a film, and the file that its painting goes to; `moves` where all its frames are painted."""

    source: Path
    target: Path
    moves: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be painted.

    Attributes:
        paintings: in the order of the inputs.
        skipped: those whose target exists already.
        output: the folder, or the one file, that the paintings go to.
    """

    paintings: list[Painting]
    skipped: list[Painting]
    output: Path


def plan_paintings(
    inputs: Sequence[Path],
    output: Path | None,
    *,
    style_name: str,
    image_format: str | None = None,
    overwrite: bool = False,
    shard: tuple[int, int] | None = None,
) -> Plan:
    """Find the pictures and films and name their paintings.

    A painting keeps its picture's name; one from a folder also its place below that folder. It keeps the suffix
    too, but for a .gif that stands still and files without a known suffix, which become .png, and for films in
    containers that are not written, which become .mp4. A GIF or WebP that moves goes on moving, unless the format
    asked for is one of still pictures.

    Args:
        inputs: pictures, films, and folders that are searched with all below them. A picture given twice counts once;
            what lies in the output folder is not searched, nor what lies in `painted` if `output` is None.
        output: a folder; or, for a single picture or film, a file if it ends in the suffix of a format of either.
            None: painted/STYLE_NAME in the current folder.
        style_name: names the default output folder.
        image_format: such as png or jpg for all pictures, mp4 or webm for all that moves, gif or webp for pictures,
            moving or not. None: as each.
        overwrite: False leaves out, as `skipped`, whatever has a target that exists, also an older one: it may be
            a photo of the same name. True paints it anew.
        shard: (number, of), from (1, 1): only every so manieth file, for processes that see the same files.

    Raises:
        ImageError: an input does not exist, or there is no picture in any.
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
                f"output {str(folder)!r} is one picture's name, but there may be several; give the name of a folder"
            )
        if suffix is not None and folder.suffix.lower() != suffix:
            raise SettingError(f"output {str(folder)!r} and format {image_format!r} differ; leave out the format")
        paintings = [_plan_single(found[0][0], folder)]
    else:
        paintings = [_plan_one(source, folder, relative, suffix) for source, relative in found]
        if suffix in WRITABLE_FILMS and not any(painting.moves for painting in paintings):
            raise SettingError(f"format {image_format!r} is one of films, and there is none; leave it out")
    paintings = _check_targets(paintings)
    if shard is not None:
        number, count = shard
        if not 1 <= number <= count:
            raise SettingError(f"shard {number}/{count} does not exist; give 1/{count} to {count}/{count}")
        paintings = paintings[number - 1 :: count]
    skipped = [] if overwrite else [painting for painting in paintings if os.path.lexists(painting.target)]
    done = {painting.target for painting in skipped}
    return Plan([painting for painting in paintings if painting.target not in done], skipped, folder)


def _plan_single(source: Path, target: Path) -> Painting:
    film, suffix = is_film(source.suffix), target.suffix.lower()
    can_move = suffix in WRITABLE_FILMS | ANIMATION_SUFFIXES
    if film and not can_move:
        allowed = " ".join(sorted(WRITABLE_FILMS | ANIMATION_SUFFIXES))
        raise SettingError(f"{source} is a film and cannot become {target.name}; give an output in one of {allowed}")
    moves = film or (can_move and _is_animation(source))
    if suffix in FILM_SUFFIXES and not moves:
        raise SettingError(f"{source} is a still picture and cannot become {target.name}; give an output such as .png")
    return Painting(source, target, moves)


def _plan_one(source: Path, folder: Path, relative: Path, suffix: str | None) -> Painting:
    """The painting of one of several files; a format that does not concern it leaves its own suffix."""
    own = source.suffix.lower()
    if is_film(own):
        kept = relative.suffix if own in WRITABLE_FILMS else ".mp4"
        name = relative.stem + (suffix if suffix in WRITABLE_FILMS else kept)
        return Painting(source, folder / relative.with_name(name), moves=True)
    if (suffix is None or suffix in WRITABLE_FILMS | ANIMATION_SUFFIXES) and _is_animation(source):
        return Painting(source, folder / relative.with_name(relative.stem + (suffix or relative.suffix)), moves=True)
    return Painting(source, folder / _renamed(relative, None if suffix in WRITABLE_FILMS else suffix))


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
    """Each picture and film once, with its path below the input folder that it was found in."""
    found: dict[str, tuple[Path, Path]] = {}
    for given in inputs:
        if given.is_dir():
            below = [folder for folder in map(Path.resolve, outputs) if given.resolve() in folder.parents]
            paths = find_images(given, also=FILM_SUFFIXES)
            pairs = [(path, path.relative_to(given)) for path in paths if not _lies_in(path, below)]
        elif os.path.lexists(given):
            pairs = [(given, Path(given.name))]
        else:
            raise ImageError(f"{given} does not exist; check the path")
        for source, relative in pairs:
            found.setdefault(os.path.abspath(source), (source, relative))
    if not found:
        raise ImageError(
            f"there is no picture or film in {', '.join(map(str, inputs)) or 'an empty list'}; "
            f"give files or folders with files that end in {' '.join(sorted(IMAGE_SUFFIXES | FILM_SUFFIXES))}"
        )
    return list(found.values())


def _lies_in(path: Path, folders: list[Path]) -> bool:
    return any(folder in path.resolve().parents for folder in folders)


def _renamed(relative: Path, suffix: str | None) -> Path:
    if suffix is None:
        suffix = relative.suffix if relative.suffix.lower() in _KEPT_SUFFIXES else ".png"
    return relative.with_name(relative.stem + suffix)


def _check_targets(paintings: list[Painting]) -> list[Painting]:
    inputs = {_identity(painting.source) for painting in paintings}
    by_target: dict[str, Painting] = {}
    for painting in paintings:
        if os.path.exists(painting.target) and _identity(painting.target) in inputs:
            raise SettingError(f"{painting.target} is an input and would be painted over; give another output")
        first = by_target.setdefault(os.path.normcase(os.path.abspath(painting.target)), painting)
        if _identity(first.source) != _identity(painting.source):
            raise SettingError(
                f"{first.source} and {painting.source} would both be painted to {painting.target}; "
                f"paint them one after the other to different output folders"
            )
    return list(by_target.values())


def _identity(path: Path) -> tuple[int, int] | str:
    """The same for two names of one file: by links, or by upper and lower case where the disk ignores that."""
    try:
        status = os.stat(path)
    except OSError:  # a link to nowhere
        return os.path.abspath(path)
    return status.st_dev, status.st_ino
