"""The knobs on the command line: flags, a string, or a file that holds one."""

import argparse
import os
from pathlib import Path

from nst_fast.errors import SettingError
from nst_fast.stylize.look import KEPT_COLORS, NOTE_START, Look, join_pairs, split_pairs, split_style

_MOST_CHARACTERS = 10_000  # of a look file: something longer is another kind of file


def add_look_options(group) -> None:
    """Add the flags, whose names are those of `Look`."""
    group.add_argument(
        "--strength",
        metavar="X",
        help="how much the network stylizes, from 0 (nearly the photo) to 2 (default: 1, as trained)",
    )
    group.add_argument(
        "--stroke-size",
        metavar="X",
        help="how large the strokes are, from 0.5 to 4, with edges as sharp as the photo's; larger ones take less time "
        "(default: 1, as trained)",
    )
    group.add_argument(
        "--keep-color",
        metavar="HOW",
        help=f"keep the photo's colors: {' or '.join(KEPT_COLORS)} (the style's light and dark only, or the mean and "
        f"the variation of the photo's colors)",
    )
    group.add_argument(
        "--region",
        metavar="WHERE",
        help="stylize only a part: person, background, or a mask file, white where the style goes",
    )
    group.add_argument(
        "--look",
        metavar="STRING|FILE",
        help="all of these in one, such as 'style=wave&strength=0.7&keep_color=match', or a file that holds it: a "
        "text, or a photo that this command has made; flags beside it count more",
    )


def choose_look(options: argparse.Namespace) -> tuple[str | None, Look]:
    """The style that --look names, or None; and the look of all flags together.

    Raises:
        ImageError, SettingError: a value that is not allowed, or a file that holds no look.
    """
    values = {} if options.look is None else _read_values(options.look)
    for name in ("strength", "stroke_size", "keep_color", "region"):
        if getattr(options, name) is not None:
            values[name] = getattr(options, name)
    return split_style(join_pairs(values))


def _read_values(text: str) -> dict[str, str]:
    if not os.path.isfile(text):
        if "=" not in text and text:
            raise SettingError(f"look {text[:80]!r} is no file, nor a string such as strength=0.7&stroke_size=2")
        return split_pairs(text)
    from nst_fast.media.opening import IMAGE_SUFFIXES

    path = Path(text)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        from nst_fast.media.picture_notes import read_note

        note = read_note(path)
        if note is None or not note.startswith(NOTE_START):
            raise SettingError(
                f"{text} does not say how it was made; give a photo that this program has made, or a text"
            )
        return split_pairs(note.removeprefix(NOTE_START))
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"look {text} cannot be read; give a text file") from error
    if len(content) > _MOST_CHARACTERS:
        raise SettingError(f"look {text} is too long for a look; give a file such as strength=0.7&stroke_size=2")
    return split_pairs("&".join(content.split()))
