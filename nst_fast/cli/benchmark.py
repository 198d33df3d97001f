"""`nst-fast benchmark`: how fast the networks are on this computer."""

import argparse
import dataclasses
import json
from pathlib import Path

from nst_fast.cli.numbers import size_in_pixels

_EXAMPLES = """\
examples:
  nst-fast benchmark                                       both networks, every engine installed
  nst-fast benchmark --style wave --size 1280x720 --engine openvino
  nst-fast benchmark --json speed.json

The engines take turns, image by image, so that whatever else the computer does slows them all alike. Times run from
an image's bytes to the stylized image's bytes; only --film includes reading and writing files.
"""


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast benchmark`; returns the exit status.

    Raises:
        NstFastError: a mistake that the user can fix.
    """
    options = build_parser().parse_args(arguments)
    # Imported here, since it takes time that --help need not wait for.
    from nst_fast.benchmark import candidate_for, describe_computer, measure_candidates, measure_film

    subjects = _list_subjects(options)
    candidates = [candidate_for(name, network, **settings) for name, network, settings in subjects]
    computer = describe_computer()
    print(", ".join(f"{name} {value}" for name, value in computer.items()))
    measurements = []
    for width, height in options.size:
        measurements += measure_candidates(candidates, height, width, seconds=options.seconds)
    print(format_table(measurements))
    films = []
    if options.film:
        films = [measure_film(name, network, options.film, **settings) for name, network, settings in subjects]
        print("\n" + format_films(films))
    if options.json:
        from nst_fast.files.atomic import replace_atomically

        result = {
            "computer": computer,
            "measurements": [dataclasses.asdict(one) for one in measurements],
            "films": [dataclasses.asdict(one) for one in films],
        }
        with replace_atomically(options.json) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def _list_subjects(options: argparse.Namespace) -> list[tuple]:
    """What to measure: each network with each engine, as (its name, a checkpoint, settings of `Stylizer`)."""
    from nst_fast.benchmark import build_random_checkpoint
    from nst_fast.networks.checkpoint import load_checkpoint
    from nst_fast.stylize.engines.choice import choose_engine, list_engines

    networks = [(name, load_checkpoint(name)) for name in options.style]
    for name in options.network or ([] if options.style else ["realtime", "johnson"]):
        networks.append((name, build_random_checkpoint(name)))
    engines = options.engine
    if not engines:
        _, device = choose_engine("auto", options.device, options.precision)
        # `compile` takes minutes to start, so it is measured only where it is asked for.
        engines = [name for name in list_engines(device, options.precision) if name != "compile"]
    settings = {"device": options.device, "precision": options.precision, "threads": options.threads}
    return [(name, network, {**settings, "engine": engine}) for name, network in networks for engine in engines]


def format_table(measurements: list) -> str:
    """The measurements as lines of text, a line each."""
    lines = [
        f"{'network':<14} {'engine':<34} {'size':>10} {'ms: 50 %':>9} {'90 %':>8} {'99 %':>8} {'frames/s':>9} "
        f"{'start s':>8} {'memory MB':>10} {'op/pixel':>9}"
    ]
    for one in measurements:
        memory = "-" if one.peak_memory_bytes is None else f"{one.peak_memory_bytes / 1e6:.0f}"
        lines.append(
            f"{one.network:<14} {one.engine:<34} {f'{one.width}x{one.height}':>10} {one.milliseconds_50:>9.1f} "
            f"{one.milliseconds_90:>8.1f} {one.milliseconds_99:>8.1f} {one.frames_per_second:>9.1f} "
            f"{one.start_seconds:>8.1f} {memory:>10} {one.operations_per_pixel:>9.0f}"
        )
    return "\n".join(lines)


def format_films(films: list) -> str:
    """The measurements of films as lines of text."""
    lines = [f"{'network':<14} {'engine':<34} {'film':>10} {'frames':>7} {'frames/s':>9} {'network alone':>14}"]
    for one in films:
        lines.append(
            f"{one.network:<14} {one.engine:<34} {f'{one.width}x{one.height}':>10} {one.frames:>7} "
            f"{one.frames_per_second:>9.1f} {one.alone_frames_per_second:>14.1f}"
        )
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="nst-fast benchmark",
        description="Measure how fast the networks are on this computer, with each engine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--style", nargs="+", default=[], metavar="NAME|FILE", help="shipped styles or checkpoint files to measure"
    )
    parser.add_argument(
        "--network",
        nargs="+",
        metavar="NAME",
        help="networks to measure with random weights, which are as fast as trained ones (default without --style: "
        "realtime johnson)",
    )
    parser.add_argument(
        "--engine",
        nargs="+",
        metavar="ENGINE",
        help="engines to measure (default: all that can be used, except compile)",
    )
    parser.add_argument(
        "--size",
        nargs="+",
        type=size_in_pixels,
        default=[(640, 360)],
        metavar="WxH",
        help="widths and heights of the images in pixels (default: 640x360)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=5.0,
        metavar="S",
        help="time for each line of the table (default: %(default)s)",
    )
    parser.add_argument(
        "--film", type=Path, metavar="FILE", help="also stylize this film, from file to file (default: none)"
    )
    parser.add_argument(
        "--device", metavar="DEVICE", help="cpu, cuda, cuda:1, directml, coreml or mps (default: a GPU, else cpu)"
    )
    parser.add_argument("--precision", default="fp32", metavar="TYPE", help="fp32, bf16 or fp16 (default: %(default)s)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of the network on the cpu (default: one for each core)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a number of seconds above 0")
    return seconds
