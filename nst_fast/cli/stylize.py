"""`nst-fast stylize`: paint pictures and folders of pictures."""

import argparse
import contextlib
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nst_fast.inference.folder import Plan
    from nst_fast.inference.stylizer import Stylizer

_EXAMPLES = """\
examples:
  nst-fast stylize photo.jpg --style wave                       to painted/wave/photo.jpg
  nst-fast stylize photo.jpg --style wave --output card.png     to card.png
  nst-fast stylize holiday/ --style my.safetensors --output art --size 1024

A finished picture is not painted again, so the same command goes on where it was cut off.
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
        from nst_fast.inference.folder import plan_paintings
        from nst_fast.inference.stylizer import Stylizer

        stylizer = Stylizer(
            options.style,
            device=options.device,
            precision=options.precision,
            engine=options.engine,
            threads=options.threads,
        )
        plan = plan_paintings(
            options.input,
            options.output,
            style_name=stylizer.style_name,
            image_format=options.format,
            overwrite=options.overwrite,
        )
        counts: Counter[str] = Counter()
        _paint(stylizer, plan, options.size, options.quality, counts)
    except KeyboardInterrupt:
        print("nst-fast: interrupted; give the same command again to go on", file=sys.stderr)
        return 130
    seconds = time.perf_counter() - started
    print(_summarize(plan, counts, seconds, stylizer.describe()))
    return 1 if counts["failed"] else 0


def _paint(stylizer: "Stylizer", plan: "Plan", size: int | None, quality: int, counts: Counter[str]) -> None:
    """Paint, show how far it is on standard error, and count the outcomes."""
    from tqdm import tqdm

    from nst_fast.inference.folder import stylize_files

    with contextlib.closing(stylize_files(stylizer, plan.paintings, size=size, jpeg_quality=quality)) as outcomes:
        # None: a bar on a terminal, none in a log file.
        disable = True if len(plan.paintings) < 2 else None
        for outcome in tqdm(
            outcomes, total=len(plan.paintings), unit=" pictures", dynamic_ncols=True, disable=disable
        ):
            counts[outcome.status] += 1
            if outcome.message:
                prefix = "failed: " if outcome.status == "failed" else ""
                tqdm.write(_printable(f"nst-fast: {prefix}{outcome.message}"), file=sys.stderr)


def _summarize(plan: "Plan", counts: Counter[str], seconds: float, how: str) -> str:
    hint = " (there already; --overwrite paints anew)" if plan.skipped else ""
    return _printable(
        f"painted {counts['painted']}, skipped {len(plan.skipped)}{hint}, failed {counts['failed']} "
        f"in {seconds:.1f} s by {how} -> {plan.output}"
    )


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nst-fast stylize",
        description="Paint pictures in a style. Each painting has the width and height of its picture.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "input",
        type=_path,
        nargs="+",
        metavar="INPUT",
        help="pictures, and folders that are searched with all below them; of an animation the first frame",
    )
    parser.add_argument("--style", required=True, metavar="NAME|FILE", help="a shipped style or a checkpoint file")
    parser.add_argument(
        "--output",
        type=_path,
        metavar="PATH",
        help="a folder; or, for a single picture, a file with a picture's suffix (default: painted/STYLE)",
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
        help="png, jpg, webp, avif, tif ... for all paintings (default: as each picture, gif to png)",
    )
    parser.add_argument(
        "--quality",
        type=_whole_number(1, 100),
        default=95,
        metavar="N",
        help="of JPEG files, 1 to 100 (default: %(default)s)",
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
        "--threads",
        type=_whole_number(1, 1024),
        metavar="N",
        help="of the network on the cpu (default: one for each core)",
    )
    return parser


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


def _printable(text: str) -> str:
    """The text with what is not UTF-8 in file names replaced, so that it can be printed anywhere."""
    return os.fsencode(text).decode("utf-8", errors="replace")
