"""The films of `nst-fast stylize`: how long they will take, progress in frames a second, Ctrl-C, a preview."""

import argparse
import sys
import time

from tqdm import tqdm

from nst_fast.batch.folder import ends_the_job
from nst_fast.batch.plan import BatchItem
from nst_fast.cli.file_reports import FileReports
from nst_fast.cli.terminal import print_note, printable
from nst_fast.errors import ImageError, NstFastError, OutputError, SettingError
from nst_fast.files.interruption import Interruption
from nst_fast.files.names import find_free_name
from nst_fast.films.estimate import LARGER_STROKES, estimate_film
from nst_fast.films.film import FilmResult, FilmSettings, stylize_film, stylize_one_frame
from nst_fast.films.pipeline import FilmProgress
from nst_fast.films.source import open_source, probe_source
from nst_fast.media.film_formats import WRITABLE_FILMS, choose_encoding, require_film_extra
from nst_fast.media.film_opening import format_seconds
from nst_fast.media.pictures import write_picture
from nst_fast.media.sequences import is_sequence
from nst_fast.stylize.stylizer import Stylizer

# A shorter film is nearly done by the time that it is known how long it takes.
_LEAST_FRAMES_TO_ESTIMATE = 100


def check_film_options(films: list[BatchItem], count: int, options: argparse.Namespace) -> None:
    """Refuse, before anything is stylized, options with which no film can be stylized.

    Args:
        count: of all items, films and photos.

    Raises:
        SettingError: an impossible codec, factor, effort or part; or the extra is missing and there are only films.
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
        raise SettingError(
            f"a preview shows one frame of one film, but the input is {count} files with {len(films)} films in it; "
            f"give one film"
        )


def film_settings(options: argparse.Namespace) -> FilmSettings:
    """What the options say about films."""
    return FilmSettings(
        size=options.size,
        smoothing=options.smoothing,
        coherence=options.coherence,
        start=options.start,
        end=options.end,
        codec=options.codec,
        crf=options.crf,
        effort=options.effort,
        frame_rate=options.frame_rate,
        workers=options.workers if options.on == "here" else None,
    )


def stylize_films(
    stylizer: Stylizer, films: list[BatchItem], options: argparse.Namespace, reports: FileReports
) -> int | None:
    """Stylize films one after the other, each with a progress bar, and report the outcomes.

    Returns:
        The signal that stopped it, or None.
    """
    for film in films:
        interruption = Interruption()
        try:
            with interruption:
                _print_estimate(stylizer, film, options)
                result = _stylize_film(stylizer, film, options, interruption)
        except (ImageError, SettingError) as error:
            _report_failure(film, error, reports)
        except OutputError as error:
            if ends_the_job(error):
                raise
            _report_failure(film, error, reports)
        else:
            for remark in result.remarks:
                print_note(remark)
            if result.status == "stopped":
                holds = f"{result.path} holds the first {result.frames} frames; " if result.frames else ""
                print_note(f"interrupted; {holds}run the same command again to resume")
                return interruption.signal_number
            reports.add(result.path, "taken" if result.status == "taken" else "written", source=film.source)
        if interruption.signal_number is not None:  # too late for this film, so it goes for the next one
            print_note("interrupted; run the same command again to resume")
            return interruption.signal_number
    return None


def _report_failure(film: BatchItem, error: NstFastError, reports: FileReports) -> None:
    message = str(error) if str(film.source) in str(error) else f"{film.source}: {error}"
    reports.add(film.target, "failed", source=film.source, error=message)
    print_note(f"failed: {message}")


def _stylize_film(
    stylizer: Stylizer, film: BatchItem, options: argparse.Namespace, interruption: Interruption
) -> FilmResult:
    # In a file each update of the bar is one more line.
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

        return stylize_film(
            stylizer,
            film.source,
            film.target,
            film_settings(options),
            keep_existing=not options.overwrite,
            watch=watch,
        )


def _print_estimate(stylizer: Stylizer, film: BatchItem, options: argparse.Namespace) -> None:
    """Say how long a film will take, and what larger strokes would save."""
    source = open_source(film.source, size=options.size, start=options.start, end=options.end)
    info = source.info
    if info.frame_count is None or info.frame_count < _LEAST_FRAMES_TO_ESTIMATE:
        return
    encoding = None
    if film.target.suffix.lower() in WRITABLE_FILMS:
        encoding = choose_encoding(film.target.suffix, codec=options.codec, crf=options.crf, effort=options.effort)
    estimate = estimate_film(stylizer, source, encoding, film_settings(options))
    if not estimate.as_asked:
        return
    text = f"{film.source}: {info.frame_count} frames of {info.width} x {info.height} take about "
    text += _format_length(info.frame_count, estimate.as_asked)
    if estimate.with_larger_strokes is not None and estimate.with_larger_strokes < estimate.as_asked:
        text += f"; with --stroke-size {LARGER_STROKES:g} about "
        text += _format_length(info.frame_count, estimate.with_larger_strokes)
    print_note(text)


def _format_length(frames: int, seconds_for_each: float) -> str:
    return f"{format_seconds(max(1, round(frames * seconds_for_each)))} ({1 / seconds_for_each:.1f} frames/s)"


def stylize_preview(stylizer: Stylizer, film: BatchItem, options: argparse.Namespace, reports: FileReports) -> None:
    """Stylize one frame to NAME.preview.png beside where the film would be; says how long the film would take."""
    picture = stylize_one_frame(stylizer, film.source, options.preview, size=options.size)
    # An older preview stays, for comparison, and so does a file of the user's with this name.
    stem = film.target.absolute().parent.name if is_sequence(film.target) else film.target.stem
    path = find_free_name(film.target.with_name(f"{stem}.preview.png"))
    write_picture(path, picture)
    reports.add(path, "written", source=film.source)
    began = time.perf_counter()
    stylize_one_frame(stylizer, film.source, options.preview, size=options.size)
    seconds = time.perf_counter() - began
    count = probe_source(film.source).frame_count
    estimate = "" if count is None else f"; {count} frames take about {format_seconds(max(1, round(count * seconds)))}"
    print(printable(f"stylized one frame in {seconds:.2f} s{estimate} -> {path}"))
