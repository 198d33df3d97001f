"""The part of `nst-fast stylize` that is about films: progress with frames a second, Ctrl-C, a look at one frame."""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from nst_fast.cli.stylize import printable
from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.inference.claims import claim
from nst_fast.inference.film import (
    FilmProgress,
    FilmResult,
    FilmSettings,
    probe_source,
    stylize_film,
    stylize_one_frame,
)
from nst_fast.inference.film_formats import WRITABLE_FILMS, choose_encoding, require_film_extra
from nst_fast.inference.film_reader import format_seconds
from nst_fast.inference.folder import ends_the_job
from nst_fast.inference.planning import Painting, Plan
from nst_fast.inference.stylizer import Stylizer
from nst_fast.interruption import Interruption
from nst_fast.pictures import write_picture


def check_film_settings(films: list[Painting], count: int, options: argparse.Namespace) -> None:
    """Refuse, before anything is painted, what no film could be painted with.

    Args:
        count: of all that is to be painted, films and pictures.

    Raises:
        SettingError: a codec, factor, effort or part that cannot be; the extra is missing and there are only films.
    """
    if options.start is not None and options.end is not None and options.start >= options.end:
        raise SettingError(
            f"start {format_seconds(float(options.start))} is not before end {format_seconds(float(options.end))}; "
            f"give an earlier start or a later end"
        )
    suffixes = {film.target.suffix.lower() for film in films} & WRITABLE_FILMS
    for suffix in sorted(suffixes):
        choose_encoding(suffix, codec=options.codec, crf=options.crf, effort=options.effort)
    if suffixes and len(films) == count:
        require_film_extra()
    if options.preview is not None and (len(films) != 1 or count != 1):
        raise SettingError(f"a preview shows one frame of one film, and {count} files were given; give one film")


def film_settings(options: argparse.Namespace) -> FilmSettings:
    """What the options say of films."""
    return FilmSettings(
        size=options.size,
        smoothing=options.smoothing,
        start=options.start,
        end=options.end,
        codec=options.codec,
        crf=options.crf,
        effort=options.effort,
    )


def paint_films(
    stylizer: Stylizer, films: list[Painting], options: argparse.Namespace, counts: Counter[str]
) -> int | None:
    """Paint films one after the other, each with a bar, and count the outcomes.

    Returns:
        The signal that stopped it, or None.
    """
    for film in films:
        held = claim(film.target)
        if held is None:
            counts["taken"] += 1
            continue
        try:
            with Interruption() as interruption:
                result = _paint_film(stylizer, film, options, interruption)
        except (ImageError, SettingError) as error:
            counts["failed"] += 1
            _say(f"failed: {error}" if str(film.source) in str(error) else f"failed: {film.source}: {error}")
        except OutputError as error:
            if ends_the_job(error):
                raise
            counts["failed"] += 1
            _say(f"failed: {film.source}: {error}")
        else:
            for remark in result.remarks:
                _say(remark)
            if not result.finished:
                _say(f"interrupted; {result.path} has the first {result.frames} frames; the same command goes on")
                return interruption.signal_number
            counts["painted"] += 1
        finally:
            held.release()
    return None


def _paint_film(
    stylizer: Stylizer, film: Painting, options: argparse.Namespace, interruption: Interruption
) -> FilmResult:
    # In a file each look at the bar is one more line.
    every, delay = (0.1, 0.0) if sys.stderr.isatty() else (10.0, 10.0)
    with tqdm(
        desc=printable(film.source.name), unit=" frames", dynamic_ncols=True, mininterval=every, delay=delay
    ) as bar:

        def watch(progress: FilmProgress) -> bool:
            if progress.frames_now == 1:
                bar.total = progress.frame_count
                bar.initial = bar.n = progress.frames - 1
            bar.update(1)
            return interruption.signal_number is None

        return stylize_film(stylizer, film.source, film.target, film_settings(options), watch=watch)


def paint_preview(stylizer: Stylizer, plan: Plan, options: argparse.Namespace) -> int:
    """Paint one frame to NAME.preview.png beside where the film would be; says how long the film would take."""
    (film,) = plan.paintings
    picture = stylize_one_frame(stylizer, film.source, options.preview, size=options.size)
    path: Path = film.target.with_name(f"{film.target.stem}.preview.png")
    write_picture(path, picture)
    began = time.perf_counter()
    stylize_one_frame(stylizer, film.source, options.preview, size=options.size)
    seconds = time.perf_counter() - began
    count = probe_source(film.source).frame_count
    estimate = "" if count is None else f"; {count} frames take about {format_seconds(max(1, round(count * seconds)))}"
    print(printable(f"painted one frame in {seconds:.2f} s{estimate} -> {path}"))
    return 0


def _say(text: str) -> None:
    tqdm.write(printable(f"nst-fast: {text}"), file=sys.stderr)
