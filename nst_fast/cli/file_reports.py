"""`--json`: one object for each file on standard output, and nothing else there. Every verb that writes files uses it.

{"path": "stylized/wave/a.jpg", "status": "written", "seconds": 0.31, "width": 640, "height": 427, "source": "a.jpg"}
"""

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TextIO

from nst_fast.errors import ImageError, NstFastError, SettingError

# taken: another process works on the file, or has finished it in the meantime.
Status = Literal["written", "skipped", "failed", "taken"]

JSON_HELP = "print one JSON object for each file, for programs; what else there is to say goes to standard error"
EXIT_STATUSES = (
    "Exit status: 0 everything is done, 1 some files failed, 2 nothing could be done, 130 stopped by Ctrl-C, 143 by "
    "SIGTERM."
)


class FileReports:
    """Counts what became of each file, and prints it as a line of JSON if there is somewhere to print it.

    Args:
        stream: gets one line for each file. None: nothing is printed.

    Attributes:
        counts: how many photos and films there are of each status.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.counts: Counter[str] = Counter()
        self._stream = stream
        self._last = time.perf_counter()

    def add(
        self, path: Path | str, status: Status, *, source: Path | str | None = None, error: str | None = None
    ) -> None:
        """Report one file.

        Its seconds are those since the report before it, so that they add up to the whole time; a file that was
        skipped took none.

        Args:
            path: of the output.
            source: the photo or film that it was made of, which counts. None: it was made of something else.
            error: one line that says why it failed.
        """
        if source is not None:
            self.counts[status] += 1
        if self._stream is None:
            return
        now = time.perf_counter()
        report: dict[str, object] = {"path": str(path), "status": status, "seconds": 0.0}
        if status != "skipped":
            report["seconds"], self._last = round(now - self._last, 3), now
        size = _measure_size(Path(path)) if status in ("written", "skipped") else None
        if size is not None:
            report["width"], report["height"] = size
        if source is not None:
            report["source"] = str(source)
        if error is not None:
            report["error"] = error
        # In ASCII, so that names of arbitrary bytes survive: as lone surrogates, which os.fsencode takes back.
        print(json.dumps(report), file=self._stream, flush=True)

    @contextlib.contextmanager
    def watching(self, paths: Sequence[Path]) -> Iterator[None]:
        """Report these files after the block: written or, where one is as it was before, skipped; failed on an error.

        An error of the program is passed on once it is reported.
        """
        before = [_identify_version(path) for path in paths]
        try:
            yield
        except NstFastError as error:
            for path in paths:
                self.add(path, "failed", error=str(error))
            raise
        for path, version in zip(paths, before, strict=True):
            now = _identify_version(path)
            if now is not None:
                self.add(path, "skipped" if now == version else "written")


@contextlib.contextmanager
def reporting_files(*, as_json: bool) -> Iterator[FileReports]:
    """Report files within this block; with `as_json` whatever else prints there prints to standard error."""
    if not as_json:
        yield FileReports(None)
        return
    stream = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        yield FileReports(stream)


def take_json(arguments: list[str]) -> tuple[list[str], bool]:
    """The arguments without `--json`, and whether it was among them."""
    return [argument for argument in arguments if argument != "--json"], "--json" in arguments


def _identify_version(path: Path) -> tuple[int, int, int] | None:
    """Equal as long as nobody writes the file; None: it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _measure_size(path: Path) -> tuple[int, int] | None:
    """The width and height in pixels of a picture or film; None for other files."""
    from nst_fast.media.film_formats import is_film
    from nst_fast.media.opening import IMAGE_SUFFIXES, open_picture
    from nst_fast.media.sequences import is_sequence

    with contextlib.suppress(ImageError, SettingError):  # a file that was skipped may be anything
        if is_film(path.suffix) or (is_sequence(path) and not path.exists()):
            from nst_fast.films.source import probe_source

            info = probe_source(path)
            return info.width, info.height
        if path.suffix.lower() in IMAGE_SUFFIXES:
            with open_picture(path) as opened:
                return opened.image.size
    return None
