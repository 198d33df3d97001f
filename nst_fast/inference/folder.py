"""Many pictures: which file becomes which, and painting them one after the other.

`plan_paintings` looks at names only and refuses what could do harm; `stylize_files` then paints.
"""

import errno
import os
import re
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nst_fast.errors import ImageError, OutputError, SettingError, nearest_name
from nst_fast.images import IMAGE_SUFFIXES, Picture, find_images, read_picture, size_for_long_side, write_picture
from nst_fast.inference.stylizer import Stylizer

DEFAULT_OUTPUT = Path("painted")

# Meant as a picture also where the extra that writes it is missing, which the error then says.
_PICTURE_SUFFIXES = IMAGE_SUFFIXES | {".heic", ".heif"}
# GIF holds 256 colours, too few for a painting.
_KEPT_SUFFIXES = IMAGE_SUFFIXES - {".gif"}
# Pictures that wait in memory on either side of the network; one would do but for files of unequal size.
_WAITING = 2


@dataclass(frozen=True)
class Painting:
    """A picture file and the file that its painting goes to."""

    source: Path
    target: Path


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


@dataclass(frozen=True)
class Outcome:
    """What became of one picture: `message` is one line with its name, empty where there is nothing to say."""

    painting: Painting
    status: Literal["painted", "failed"]
    message: str = ""


def plan_paintings(
    inputs: Sequence[Path],
    output: Path | None,
    *,
    style_name: str,
    image_format: str | None = None,
    overwrite: bool = False,
) -> Plan:
    """Find the pictures and name their paintings.

    A painting keeps its picture's name; one from a folder also its place below that folder. It keeps the suffix
    too, but for .gif and files without a known suffix, which become .png.

    Args:
        inputs: picture files, and folders that are searched with all below them. A picture given twice counts once;
            what lies in the output folder is not searched, nor what lies in `painted` if `output` is None.
        output: a folder; or, for a single picture, a file if it ends in the suffix of a picture format.
            None: painted/STYLE_NAME in the current folder.
        style_name: names the default output folder.
        image_format: such as png or jpg, for all. None: as each picture.
        overwrite: False leaves out, as `skipped`, whatever has a target that exists, also an older one: it may be
            a photo of the same name. True paints it anew.

    Raises:
        ImageError: an input does not exist, or there is no picture in any.
        SettingError: an unknown format; two pictures with one target; a target that is itself an input; a file as
            output for several pictures.
    """
    suffix = None if image_format is None else _suffix_of_format(image_format)
    single_file = output is not None and output.suffix.lower() in _PICTURE_SUFFIXES and not output.is_dir()
    folder = output or DEFAULT_OUTPUT / (re.sub(r"[^\w -]", "_", style_name).strip() or "style")
    found = _find_pictures(inputs, [folder] if output else [folder, DEFAULT_OUTPUT])
    if single_file:
        if len(found) > 1 or any(path.is_dir() for path in inputs):
            raise SettingError(
                f"output {str(folder)!r} is one picture's name, but there may be several; give the name of a folder"
            )
        if suffix is not None and folder.suffix.lower() != suffix:
            raise SettingError(f"output {str(folder)!r} and format {image_format!r} differ; leave out the format")
        paintings = [Painting(found[0][0], folder)]
    else:
        paintings = [Painting(source, folder / _renamed(relative, suffix)) for source, relative in found]
    paintings = _check_targets(paintings)
    skipped = [] if overwrite else [painting for painting in paintings if os.path.lexists(painting.target)]
    done = {painting.target for painting in skipped}
    return Plan([painting for painting in paintings if painting.target not in done], skipped, folder)


def _suffix_of_format(image_format: str) -> str:
    suffix = "." + image_format.lower().removeprefix(".")
    if suffix not in IMAGE_SUFFIXES:
        allowed = sorted(known.removeprefix(".") for known in IMAGE_SUFFIXES)
        hint = nearest_name(image_format.lower(), allowed)
        raise SettingError(f"format {image_format!r} is unknown; allowed: {', '.join(allowed)}{hint}")
    return suffix


def _find_pictures(inputs: Sequence[Path], outputs: list[Path]) -> list[tuple[Path, Path]]:
    """Each picture once, with its path below the input folder that it was found in."""
    found: dict[str, tuple[Path, Path]] = {}
    for given in inputs:
        if given.is_dir():
            below = [folder for folder in map(Path.resolve, outputs) if given.resolve() in folder.parents]
            pairs = [(path, path.relative_to(given)) for path in find_images(given) if not _lies_in(path, below)]
        elif os.path.lexists(given):
            pairs = [(given, Path(given.name))]
        else:
            raise ImageError(f"{given} does not exist; check the path")
        for source, relative in pairs:
            found.setdefault(os.path.abspath(source), (source, relative))
    if not found:
        raise ImageError(
            f"there is no picture in {', '.join(map(str, inputs)) or 'an empty list'}; "
            f"give files or folders with files that end in {' '.join(sorted(IMAGE_SUFFIXES))}"
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


def stylize_files(
    stylizer: Stylizer, paintings: Iterable[Painting], *, size: int | None = None, jpeg_quality: int = 95
) -> Generator[Outcome, None, None]:
    """Paint picture files, over whatever is there; yields an outcome for each, in order, once its file is written.

    The next pictures are read and the last ones written while one is painted. A picture that cannot be read, does
    not fit into memory or cannot be held by its format is an outcome, and the others are painted all the same. Of
    an animation the first frame is painted. Files are whole or not there, also when the iteration is broken off.

    Args:
        size: long side in pixels at which the network works, see `Stylizer.stylize_picture`. None: each picture's own.
        jpeg_quality: 1 to 100.

    Raises:
        OutputError: the disk is full or cannot be written, so there is no point in going on.
        SettingError: `size` or `jpeg_quality` is out of range.
    """
    waiting = iter(paintings)
    reading: deque[tuple[Painting, Future[Picture]]] = deque()
    writing: deque[tuple[Painting, Future[str]]] = deque()
    reader, writer = ThreadPoolExecutor(1, "read-pictures"), ThreadPoolExecutor(1, "write-pictures")

    def read_ahead() -> None:
        while len(reading) < _WAITING and (painting := next(waiting, None)):
            reading.append((painting, reader.submit(read_picture, painting.source)))

    try:
        read_ahead()
        while reading:
            painting, future = reading.popleft()
            read_ahead()
            writing.append((painting, _paint(stylizer, painting, future, writer, size, jpeg_quality)))
            while writing and (len(writing) > _WAITING or writing[0][1].done()):
                yield _outcome_of(*writing.popleft())
        while writing:
            yield _outcome_of(*writing.popleft())
    finally:
        # What is being written just now is finished, the rest is dropped.
        reader.shutdown(cancel_futures=True)
        writer.shutdown(cancel_futures=True)


def _paint(
    stylizer: Stylizer,
    painting: Painting,
    read: Future[Picture],
    writer: ThreadPoolExecutor,
    size: int | None,
    jpeg_quality: int,
) -> Future[str]:
    """The writing of one painting, or the failure before it; its result is what there is to say."""
    failure: Future[str] = Future()
    try:
        picture = read.result()
    except ImageError as error:
        failure.set_exception(error)
        return failure
    notes = []
    if picture.frame_count > 1:
        notes.append(f"{painting.source} has {picture.frame_count} frames; the first one was painted")
    height, width = picture.rgb.shape[:2]
    if stylizer.paints_in_tiles(*((height, width) if size is None else size_for_long_side(height, width, size))):
        notes.append(f"{painting.source} is painted in tiles, by the statistics of a thumbnail, to fit the memory")
    try:
        painted = stylizer.stylize_picture(picture, size=size)
    except ImageError as error:
        failure.set_exception(ImageError(f"{painting.source}: {error}"))
        return failure

    def write() -> str:
        write_picture(painting.target, painted, jpeg_quality=jpeg_quality)
        return "; ".join(notes)

    return writer.submit(write)


def _outcome_of(painting: Painting, written: Future[str]) -> Outcome:
    try:
        return Outcome(painting, "painted", written.result())
    except ImageError as error:
        return Outcome(painting, "failed", str(error))
    except OutputError as error:
        # An errno comes from the disk, and would come again with the next file; its absence means that this format
        # cannot hold this picture. A name that is too long concerns one picture too.
        number = getattr(error.__cause__, "errno", None)
        if number not in (None, errno.ENAMETOOLONG):
            raise
        return Outcome(painting, "failed", str(error))
