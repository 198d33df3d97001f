"""The command line of `nst-fast stylize`."""

import argparse
import os
import re
from fractions import Fraction
from pathlib import Path

from nst_fast.cli.file_reports import EXIT_STATUSES, JSON_HELP
from nst_fast.cli.look_options import add_look_options, choose_look
from nst_fast.cli.numbers import whole_number

_EXAMPLES = """\
examples:
  nst-fast stylize photo.jpg --style wave                       writes stylized/wave/photo.jpg
  nst-fast stylize photo.jpg --style wave --output card.png     writes card.png
  nst-fast stylize holiday/ --style my.safetensors --output art --size 1024
  nst-fast stylize photo.jpg --style wave --stroke-size 2 --keep-color luminance
  nst-fast stylize photo.jpg --style-image painting.jpg         in the style of any image
  nst-fast stylize film.mp4 --style wave --preview 0:12         one frame, to see what it will look like
  nst-fast stylize film.mp4 --style wave                        writes stylized/wave/film.mp4, with its sound
  nst-fast stylize frames/%05d.png --style wave                 numbered pictures as the frames of a film
  nst-fast stylize - --style wave < photo.jpg > card.png        from a pipe into a pipe

Run the same command again to resume: outputs that exist are skipped. Several processes may work on the same folder.
If you stop a film with Ctrl-C, film.partial.mp4 holds what is finished. `nst-fast styles` lists the styles.
"""

# Standard input as the input, standard output as the output.
PIPE = Path("-")


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Parse what follows `nst-fast stylize`; wrong usage ends the process with status 2.

    Returns:
        The options by their names; `look` is a `Look`.

    Raises:
        SettingError: a look that is not allowed.
    """
    has_another_style = any(text.partition("=")[0] in ("--look", "--style-image") for text in arguments)
    parser = build_parser(style_required=not has_another_style)
    options = parser.parse_intermixed_args(_protect_file_names(arguments))
    style, options.look = choose_look(options)
    if options.style_image is not None:
        if options.style is not None:
            parser.error("--style and --style-image name two styles; give one of them, or a blend as --style")
        if not options.style_image.is_file():
            parser.error(f"--style-image {options.style_image} is no file; give an image")
        options.style = str(options.style_image)
    options.style = options.style or style
    if options.style is None:
        parser.error("the following arguments are required: --style (or --style-image)")
    if PIPE in (*options.input, options.output):
        _check_pipe(parser, options)
    return options


def _check_pipe(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the process where a picture from or to a pipe cannot go with the other options."""
    if len(options.input) > 1:
        parser.error("a pipe holds one picture; give one input")
    if writes_to_pipe(options) and options.json:
        parser.error("--json and the picture cannot both go to standard output; give the picture a file with --output")
    for name, needs in (("shard", "a folder"), ("preview", "a film"), ("save_style", "a file as input and output")):
        if getattr(options, name) is not None:
            parser.error(f"--{name.replace('_', '-')} needs {needs}; leave it out, or - as the input and output")
    if options.on != "here":
        parser.error("a picture from or to a pipe is stylized here; leave out --on")


def writes_to_pipe(options: argparse.Namespace) -> bool:
    """Whether the picture goes to standard output."""
    return options.output == PIPE or (options.output is None and options.input == [PIPE])


def build_parser(*, style_required: bool = False) -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="nst-fast stylize",
        description="Stylize photos and films. Each output has the width and height of its photo or film.",
        epilog=f"{_EXAMPLES}\n{EXIT_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "input",
        type=_path,
        nargs="+",
        metavar="INPUT",
        help="photos, films, and folders, which are searched with everything below them; or - for a picture from "
        "standard input",
    )
    parser.add_argument(
        "--style",
        required=style_required,
        metavar="NAME|FILE",
        help="a shipped style, a checkpoint file, a style image, or a blend of these, such as wave:0.6,udnie:0.4",
    )
    parser.add_argument(
        "--style-image",
        type=_path,
        metavar="FILE",
        help="any image as the style, at once and without training; --style FILE does the same",
    )
    parser.add_argument(
        "--save-style",
        type=_path,
        metavar="FILE",
        help="keep the style of a style image or a blend as a checkpoint of a few kB, such as mine.safetensors",
    )
    parser.add_argument(
        "--output",
        "-o",
        type=_path,
        metavar="PATH",
        help="a folder; or, for a single photo or film, a file, whose suffix sets the format; or - for one picture to "
        "standard output (default: stylized/STYLE, for - as the input -)",
    )
    parser.add_argument(
        "--size",
        type=whole_number(1, 100_000),
        metavar="PX",
        help="long side in pixels at which everything is done; a smaller size gives larger strokes in less time and "
        "memory, and the result is scaled back, so it is blurred (default: the size of the photo or film)",
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        help="png, jpg, webp, avif, tif, ... for all photos; mp4, mkv, webm or mov for all films (default: the format "
        "of each input; a still gif becomes png, and so does what goes to standard output)",
    )
    parser.add_argument(
        "--quality",
        type=whole_number(1, 100),
        default=95,
        metavar="N",
        help="quality of JPEG files, 1 to 100 (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist (default: skip them)")
    parser.add_argument(
        "--no-metadata",
        action="store_true",
        help="leave out of photos how they were made (default: style and look, as --look takes them)",
    )
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    add_look_options(parser.add_argument_group("look"))
    _add_engine_options(parser.add_argument_group("how it runs"))
    _add_sharing_options(parser.add_argument_group("several computers"))
    _add_film_options(parser.add_argument_group("films"))
    return parser


def _add_engine_options(group) -> None:
    group.add_argument(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, directml, coreml or mps (default: a GPU if there is one, else cpu)",
    )
    group.add_argument(
        "--precision",
        default="auto",
        metavar="TYPE",
        help="fp32, bf16 or fp16; the last two may be faster and are slightly less exact (default: bf16 for films "
        "where the processor makes it twice as fast, else fp32)",
    )
    group.add_argument(
        "--engine",
        default="auto",
        metavar="ENGINE",
        help="onnxruntime, openvino, torch, compile, or auto for the fastest one installed (default: %(default)s)",
    )
    group.add_argument(
        "--threads",
        type=whole_number(1, 1024),
        metavar="N",
        help="threads of the network on the cpu (default: one for each core)",
    )
    group.add_argument(
        "--tiles",
        choices=("auto", "always", "never"),
        default="auto",
        help="work in tiles, which takes photos of any size in 2 GB of memory; auto does so if a photo would take more "
        "than half of the free memory (default: %(default)s)",
    )


def _add_sharing_options(group) -> None:
    group.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="stylize only the I-th of N equal shares of the files, such as 3/16",
    )
    group.add_argument(
        "--on",
        choices=["here", "ray"],
        default="here",
        help="ray: run on a Ray cluster, the one that RAY_ADDRESS names or one started here (default: %(default)s)",
    )
    group.add_argument(
        "--workers",
        type=whole_number(1, 10_000),
        metavar="N",
        help="on here: processes that stylize the parts of a long film at the same time, each on one core (default: "
        "one process without parts, on all cores); on ray: number of Ray workers (default: 2)",
    )


def _add_film_options(group) -> None:
    group.add_argument(
        "--start", type=_time, metavar="TIME", help="begin here: 12.5 (seconds), 1:30 or 1:02:03 (default: 0)"
    )
    group.add_argument("--end", type=_time, metavar="TIME", help="end here (default: the end of the film)")
    group.add_argument("--preview", type=_time, metavar="TIME", help="stylize only the frame at this time, as an image")
    group.add_argument(
        "--smoothing",
        type=_share,
        default=0.9,
        metavar="X",
        help="temporal smoothing against flicker: how strongly a frame keeps the brightness and contrast of the frames "
        "before it, from 0 (not at all) to below 1 (default: %(default)s)",
    )
    group.add_argument(
        "--coherence",
        type=_share,
        metavar="X",
        help="temporal coherence against strokes that shimmer: how strongly a frame keeps the strokes of the frame "
        "before it, moved along with the scene, from 0 (not at all, and faster) to below 1 (default: 0.6; 0 on a GPU, "
        "which would wait for it)",
    )
    group.add_argument(
        "--frame-rate",
        type=_frame_rate,
        metavar="R",
        help="frames a second of numbered pictures that become a film, such as 24 or 30000/1001 (default: 25)",
    )
    group.add_argument("--codec", metavar="NAME", help="h264, h265, vp9 or av1 (default: vp9 in webm, otherwise h264)")
    group.add_argument(
        "--crf",
        type=whole_number(0, 63),
        metavar="N",
        help="quality of films; lower means better and larger (default: h264 20, h265 23, vp9 28, av1 30)",
    )
    group.add_argument(
        "--effort",
        default="fast",
        metavar="WORD",
        help="fast, medium or slow; more effort gives smaller files of the same quality (default: %(default)s)",
    )


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty text is no path; give the name of a file or folder")
    return Path(text)


def _time(text: str) -> Fraction:
    """The seconds of 12.5, 1:30 or 1:02:03.5."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, such as 12.5, or 1:30 or 1:02:03")
    hours, minutes, seconds = match.groups(default="0")
    return 3600 * Fraction(hours) + 60 * Fraction(minutes) + Fraction(seconds)


def _frame_rate(text: str) -> Fraction:
    """The exact number of 25, 23.976 or 24000/1001."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(?:/(\d{1,6}))?", text, re.ASCII)
    rate = Fraction(0) if match is None or Fraction(match[2] or 1) == 0 else Fraction(match[1]) / int(match[2] or 1)
    if not 1 <= rate <= 1000:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no frame rate; give a number from 1 to 1000, such as 24 or 30000/1001"
        )
    return rate


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a number from 0 to below 1, such as 0.9")
    return number


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; give one of N, such as 1/4, 2/4, 3/4 or 4/4")
    return int(match[1]), int(match[2])


def _protect_file_names(arguments: list[str]) -> list[str]:
    """Put ./ before file names that begin with a dash, such as -x.jpg, which argparse takes for options."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before = ["./" + text if _is_dashed_file_name(text) else text for text in arguments[:end]]
    # argparse forgets the -- if inputs and options are intermixed.
    after = ["./" + text if text.startswith("-") and text != "-" else text for text in arguments[end + 1 :]]
    return before + after


def _is_dashed_file_name(text: str) -> bool:
    if text.startswith("--"):
        return "." in text and os.path.lexists(text)
    return text.startswith("-") and text not in ("-", "-h", "-o") and ("." in text or os.path.lexists(text))
