"""A picture from standard input, or one to standard output: `nst-fast stylize - --style wave < in.jpg > out.png`."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nst_fast.cli.file_reports import FileReports
from nst_fast.cli.stylize_options import PIPE, writes_to_pipe
from nst_fast.cli.terminal import print_note
from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.media.film_formats import is_film
from nst_fast.media.opening import IMAGE_SUFFIXES
from nst_fast.media.pictures import Picture, decode_picture, encode_picture, read_picture, write_picture
from nst_fast.memory import available_bytes
from nst_fast.stylize.look import write_note

if TYPE_CHECKING:
    from nst_fast.stylize.stylizer import Stylizer

_STDIN = "standard input"
# As much as an uncompressed picture of the most pixels has with 16 bits in each of 4 channels.
_MOST_BYTES = 1_500_000_000
_PIECE_BYTES = 1 << 20


def stylize_pipe(stylizer: "Stylizer", options: argparse.Namespace, reports: FileReports) -> None:
    """Stylize one picture, where - is the input, the output, or both. Standard output gets the picture or nothing.

    Raises:
        OutputError: the output file or standard output cannot be written.
        SettingError: the input or the format is not that of a still picture, or standard output is a terminal.
    """
    (source,) = options.input
    target = None if writes_to_pipe(options) else options.output
    suffix = _choose_suffix(target, options.format)
    if target is None and sys.stdout.isatty():
        raise SettingError("the picture would go to the terminal; redirect it, as in > card.png, or give output a file")
    if target is not None and os.path.lexists(target) and not options.overwrite:
        reports.add(target, "skipped", source=source)
        return
    try:
        picture = _read(source)
        if picture.frame_count > 1:
            print_note(f"{_name(source)} has {picture.frame_count} frames; the first one was stylized")
        stylized = stylizer.stylize_picture(picture, size=options.size)
    except ImageError as error:
        message = str(error) if str(error).startswith(_name(source)) else f"{_name(source)}: {error}"
        reports.add(target or "-", "failed", source=source, error=message)
        print_note(f"failed: {message}")
        return
    note = None if options.no_metadata else write_note(stylizer.style_name, stylizer.look)
    if target is None:
        data = encode_picture(stylized, suffix, jpeg_quality=options.quality, note=note)
        _write_all(data)
    else:
        write_picture(target, stylized, jpeg_quality=options.quality, note=note)
    reports.add(target or "-", "written", source=source)


def _name(source: Path) -> str:
    return _STDIN if source == PIPE else str(source)


def _write_all(data: bytes) -> None:
    """Write to standard output, past Python's buffer: what that cannot get rid of, it would try again at exit."""
    left = memoryview(data)
    with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as stream:
        try:
            while left:
                left = left[stream.write(left) :]
        except BrokenPipeError:  # the reader has gone, which is its own affair
            raise
        except OSError as error:
            raise OutputError(
                f"cannot write standard output ({error.strerror}); check where it goes, or give output a file"
            ) from error


def _choose_suffix(target: Path | None, image_format: str | None) -> str:
    if target is not None and target.is_dir():
        raise SettingError(f"output {str(target)!r} is a folder; give the name of a file for what comes from a pipe")
    suffix = None if image_format is None else "." + image_format.lower().removeprefix(".")
    if target is not None and suffix not in (None, target.suffix.lower()):
        raise SettingError(f"output {str(target)!r} and format {image_format!r} differ; leave out the format")
    suffix = suffix or (".png" if target is None else target.suffix.lower())
    if suffix not in IMAGE_SUFFIXES:
        allowed = ", ".join(sorted(known.removeprefix(".") for known in IMAGE_SUFFIXES))
        raise SettingError(f"a picture from or to a pipe cannot be written as {suffix!r}; give one of {allowed}")
    return suffix


def _read(source: Path) -> Picture:
    if source == PIPE:
        if sys.stdin.isatty():
            raise SettingError("standard input is the terminal; redirect a picture into it, as in < photo.jpg")
        return decode_picture(read_all(sys.stdin.buffer), name=_STDIN)
    if source.is_dir() or is_film(source.suffix):
        kind = "a folder" if source.is_dir() else "a film"
        raise SettingError(f"{source} is {kind}, and only one picture can go to standard output; give another output")
    return read_picture(source)


def read_all(stream: BinaryIO, most_bytes: int = _MOST_BYTES) -> bytes:
    """All that comes from a stream.

    Args:
        most_bytes: a stream that holds more is refused, and so is one that would fill half of the free memory.

    Raises:
        ImageError: too many bytes, or the stream cannot be read.
    """
    free = available_bytes()
    most = most_bytes if free is None else min(most_bytes, free // 2)
    data = bytearray()
    try:
        while piece := stream.read(_PIECE_BYTES):
            data += piece
            if len(data) > most:
                raise ImageError(f"{_STDIN} holds more than {most / 1e6:,.0f} MB; give the picture as a file")
    except OSError as error:
        raise ImageError(f"{_STDIN} cannot be read ({error.strerror}); check where it comes from") from error
    return bytes(data)
