"""`nst-fast stylize`: paint pictures, films, and folders of both."""

import argparse
import contextlib
import os
import re
import sys
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from nst_fast.inference.folder import Outcome
    from nst_fast.inference.planning import Painting, Plan
    from nst_fast.inference.stylizer import Stylizer

_EXAMPLES = """\
examples:
  nst-fast stylize photo.jpg --style wave                       to painted/wave/photo.jpg
  nst-fast stylize photo.jpg --style wave --output card.png     to card.png
  nst-fast stylize holiday/ --style my.safetensors --output art --size 1024
  nst-fast stylize film.mp4 --style wave --preview 0:12         one frame, to see what it will be
  nst-fast stylize film.mp4 --style wave                        to painted/wave/film.mp4, with its sound

What is finished is not painted again, so the same command goes on where it was cut off; several processes may be
given the same folder. A film that is stopped by Ctrl-C leaves what it has as film.partial.mp4.
`nst-fast styles` lists the styles. Exit status: 0 done, 1 some pictures failed, 2 nothing could be done.
"""


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast stylize`; returns the exit status.

    Raises:
        NstFastError: a mistake or a circumstance that the user can mend.
    """
    started = time.perf_counter()
    options = _build_parser().parse_intermixed_args(_protect_file_names(arguments))
    try:
        # Only here, since they take seconds, which --help need not wait for.
        from nst_fast.cli.stylize_films import check_film_settings, paint_films, paint_preview
        from nst_fast.inference.planning import plan_paintings
        from nst_fast.inference.stylizer import Stylizer

        stylizer = Stylizer(
            options.style,
            device=options.device,
            precision=options.precision,
            engine=options.engine,
            threads=options.threads,
            tiles=options.tiles,
        )
        plan = plan_paintings(
            options.input,
            options.output,
            style_name=stylizer.style_name,
            image_format=options.format,
            overwrite=options.overwrite or options.preview is not None,
            shard=options.shard,
        )
        films = [painting for painting in plan.paintings if painting.moves]
        check_film_settings(films, len(plan.paintings), options)
        if options.preview is not None:
            return paint_preview(stylizer, plan, options)
        counts: Counter[str] = Counter()
        if options.on == "ray":
            _paint_on_ray(stylizer, plan.paintings, options, counts)
            print(_summarize(plan, counts, time.perf_counter() - started, f"{options.workers} workers of Ray"))
            return 1 if counts["failed"] else 0
        pictures = [painting for painting in plan.paintings if not painting.moves]
        _paint(stylizer, pictures, options, counts)
        stopped_by = paint_films(stylizer, films, options, counts)
        if stopped_by is not None:
            return 128 + stopped_by
    except KeyboardInterrupt:
        print("nst-fast: interrupted; give the same command again to go on", file=sys.stderr)
        return 130
    seconds = time.perf_counter() - started
    print(_summarize(plan, counts, seconds, stylizer.describe()))
    return 1 if counts["failed"] else 0


def _paint(
    stylizer: "Stylizer", paintings: list["Painting"], options: argparse.Namespace, counts: Counter[str]
) -> None:
    """Paint pictures, show how far it is on standard error, and count the outcomes."""
    from nst_fast.inference.folder import stylize_files

    outcomes = stylize_files(
        stylizer, paintings, size=options.size, jpeg_quality=options.quality, keep_existing=not options.overwrite
    )
    _count(outcomes, len(paintings), "pictures", counts)


def _paint_on_ray(
    stylizer: "Stylizer", paintings: list["Painting"], options: argparse.Namespace, counts: Counter[str]
) -> None:
    """Paint pictures and films by the workers of a Ray cluster."""
    from nst_fast.cli.stylize_films import film_settings
    from nst_fast.inference.on_ray import WorkerSettings, stylize_on_ray

    settings = WorkerSettings(
        os.path.abspath(options.style) if os.path.exists(options.style) else options.style,
        {
            "device": options.device,
            "precision": options.precision,
            "engine": options.engine,
            "tiles": options.tiles,
            "threads": options.threads or (1 if stylizer.device.type == "cpu" else None),
        },
        {"size": options.size, "jpeg_quality": options.quality, "keep_existing": not options.overwrite},
        film_settings(options),
    )
    on_gpu = stylizer.device.type == "cuda"
    outcomes = stylize_on_ray(paintings, settings, workers=options.workers, gpus_per_worker=int(on_gpu))
    _count(outcomes, len(paintings), "files", counts)


def _count(outcomes: "Generator[Outcome, None, None]", total: int, unit: str, counts: Counter[str]) -> None:
    """Go through the outcomes, show how far it is, and say what there is to say."""
    from tqdm import tqdm

    with contextlib.closing(outcomes):
        # None: a bar on a terminal, none in a log file.
        disable = True if total < 2 else None
        for outcome in tqdm(outcomes, total=total, unit=f" {unit}", dynamic_ncols=True, disable=disable):
            counts[outcome.status] += 1
            if outcome.message:
                prefix = "failed: " if outcome.status == "failed" else ""
                tqdm.write(printable(f"nst-fast: {prefix}{outcome.message}"), file=sys.stderr)


def _summarize(plan: "Plan", counts: Counter[str], seconds: float, how: str) -> str:
    hint = " (there already; --overwrite paints anew)" if plan.skipped else ""
    taken = f", left to other processes {counts['taken']}" if counts["taken"] else ""
    return printable(
        f"painted {counts['painted']}, skipped {len(plan.skipped)}{hint}{taken}, failed {counts['failed']} "
        f"in {seconds:.1f} s by {how} -> {plan.output}"
    )


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nst-fast stylize",
        description="Paint pictures and films in a style. Each painting has the width and height of its picture.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "input",
        type=_path,
        nargs="+",
        metavar="INPUT",
        help="pictures, films, and folders that are searched with all below them",
    )
    parser.add_argument("--style", required=True, metavar="NAME|FILE", help="a shipped style or a checkpoint file")
    parser.add_argument(
        "--output",
        type=_path,
        metavar="PATH",
        help="a folder; or, for a single picture or film, a file, whose suffix says what it becomes "
        "(default: painted/STYLE)",
    )
    parser.add_argument(
        "--size",
        type=_whole_number(1, 100_000),
        metavar="PX",
        help="long side in pixels at which the network works: smaller gives larger strokes, in less time and memory; "
        "the painting is scaled back to the picture's size (default: the picture's own)",
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        help="png, jpg, webp, avif, tif ... for all pictures, mp4, mkv, webm or mov for all films (default: as each; "
        "a gif that stands still becomes png)",
    )
    parser.add_argument(
        "--quality",
        type=_whole_number(1, 100),
        default=95,
        metavar="N",
        help="of JPEG files, 1 to 100 (default: %(default)s)",
    )
    parser.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="only the I-th of N equal shares of the files, such as 3/16, for jobs on several computers",
    )
    parser.add_argument(
        "--on",
        choices=["here", "ray"],
        default="here",
        help="ray: by the workers of a Ray cluster, that of RAY_ADDRESS or one started here (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=_whole_number(1, 10_000),
        default=2,
        metavar="N",
        help="of Ray, each with a network of its own (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="paint anew what is there (default: skip it)")
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1 or mps (default: cuda, mps, cpu)")
    parser.add_argument(
        "--precision",
        default="fp32",
        metavar="TYPE",
        help="fp32, bf16 or fp16; the last two may be faster and are a little less exact (default: %(default)s)",
    )
    parser.add_argument(
        "--engine",
        default="auto",
        metavar="ENGINE",
        help="what runs the network: torch, compile, onnxruntime, openvino, or auto for the fastest that is installed "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--tiles",
        choices=("auto", "always", "never"),
        default="auto",
        help="paint in tiles of one common brightness, for pictures of any size in 2 GB of memory (default: auto, "
        "where a picture would take more than half of what is left)",
    )
    parser.add_argument(
        "--threads",
        type=_whole_number(1, 1024),
        metavar="N",
        help="of the network on the cpu (default: one for each core)",
    )
    _add_film_options(parser.add_argument_group("films"))
    return parser


def _add_film_options(group) -> None:
    group.add_argument(
        "--start", type=_time, metavar="TIME", help="paint from here on: 12.5 (seconds), 1:30 or 1:02:03"
    )
    group.add_argument("--end", type=_time, metavar="TIME", help="paint up to here")
    group.add_argument(
        "--preview", type=_time, metavar="TIME", help="paint only the frame of this time, as a picture, and stop"
    )
    group.add_argument(
        "--smoothing",
        type=_smoothing,
        default=0.9,
        metavar="X",
        help="against flicker: how much the look of a frame holds on to those before, 0 (not at all) to below 1 "
        "(default: %(default)s)",
    )
    group.add_argument("--codec", metavar="NAME", help="h264, h265, vp9 or av1 (default: vp9 in webm, else h264)")
    group.add_argument(
        "--crf",
        type=_whole_number(0, 63),
        metavar="N",
        help="quality of films: lower is better and larger (default: h264 20, h265 23, vp9 28, av1 30)",
    )
    group.add_argument(
        "--effort",
        default="fast",
        metavar="WORD",
        help="fast, medium or slow: more effort gives smaller files of the same quality (default: %(default)s)",
    )


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty text is no path; give the name of a file or folder")
    return Path(text)


def _whole_number(lowest: int, highest: int):
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not lowest <= number <= highest:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not allowed; give a whole number from {lowest} to {highest}"
            )
        return number

    return parse


def _time(text: str) -> Fraction:
    """Seconds of 12.5, 1:30 or 1:02:03.5."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, such as 12.5, or 1:30 or 1:02:03")
    hours, minutes, seconds = match.groups(default="0")
    return 3600 * Fraction(hours) + 60 * Fraction(minutes) + Fraction(seconds)


def _smoothing(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a number from 0 to below 1, such as 0.9")
    return number


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; give one of N, such as 1/4, 2/4, 3/4 or 4/4")
    return int(match[1]), int(match[2])


def _protect_file_names(arguments: list[str]) -> list[str]:
    """Put ./ before file names that begin with a dash, such as -x.jpg, which argparse takes for options."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before = ["./" + text if _is_dashed_file_name(text) else text for text in arguments[:end]]
    # argparse forgets the -- when inputs and options are intermixed.
    return before + ["./" + text if text.startswith("-") else text for text in arguments[end + 1 :]]


def _is_dashed_file_name(text: str) -> bool:
    if text.startswith("--"):
        return "." in text and os.path.lexists(text)
    # There are no options of one dash but -h.
    return text.startswith("-") and text != "-h" and ("." in text or os.path.lexists(text))


def printable(text: str) -> str:
    """The text with what is not UTF-8 in file names replaced, so that it can be printed anywhere."""
    return os.fsencode(text).decode("utf-8", errors="replace")
