"""Six processes stylize one folder at the same time, and some are killed: every file is finished exactly once.

    python tests/torture/many_writers.py [--seed 0] [--count 50]

The folder holds pictures and small films with long names, and names that are equal but for case or for the Unicode
form of an accent. In a trial, one to four of six processes are killed at random moments. Then a last one does what is
left. Each output must be that of a single process, byte for byte, none may have been finished twice, and nothing hidden
may be left.
"""

import contextlib
import os
import random
import shutil
import signal
import tempfile
import time
import unicodedata
from collections import Counter
from pathlib import Path

from forked_jobs import MOST_SECONDS, Forks, Job, compare, log_of
from small_jobs import make_film, make_photos
from verdict import Violation, torture
from whole_files import check_visible

_WRITERS = 6
_LONG = "Holiday in " * 20  # with its suffix 224 bytes, of at most 255
_ACCENT = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
_PICTURES = (
    *("photo.png", "Photo.png", "PHOTO.png", f"{_LONG}1.png", f"{_LONG}2.png", " a b.png", "-x.png"),
    *(unicodedata.normalize("NFC", f"{_ACCENT}.png"), unicodedata.normalize("NFD", f"{_ACCENT}.png")),
)
_FILMS = ("film.mp4", "FILM.mp4", f"{_LONG}3.mp4")
_JOB = Job(
    ("stylize", "mixed", "--style", "wave", "--output", "out", "--threads", "1", "--engine", "onnxruntime"),
    ("out/*.png", "out/*.mp4"),
    (),
)


def make_mixed(folder: Path) -> None:
    """The folder that all stylize."""
    make_photos(folder, len(_PICTURES))
    for number, name in enumerate(_PICTURES):
        (folder / f"photo_{number:02}.png").rename(folder / f"moving_{number:02}")
        (folder / f"moving_{number:02}").rename(folder / name)
    for number, name in enumerate(_FILMS):
        make_film(folder / name, 60 + 10 * number)
    if len(list(folder.iterdir())) < len(_PICTURES) + len(_FILMS):
        print("this disk takes some of the names for the same")


class Writers:
    """Runs the trials.

    Attributes:
        kills: so far.
    """

    def __init__(self, folder: Path) -> None:
        self.kills = 0
        self._forks = Forks(folder)
        make_mixed(folder / "inputs" / "mixed")
        self._expected = self._forks.make_folder("expected")
        for one in (self._expected, self._forks.make_folder("again")):  # the second is as fast as those that follow
            began = time.monotonic()
            self._forks.finish(one, _JOB.arguments)
            self._seconds = time.monotonic() - began

    def trial(self, numbers: random.Random, number: int) -> None:
        """Six at once, then one more."""
        folder = self._forks.make_folder(f"writers-{number}")
        journal = folder.with_suffix(".journal")
        writers = [self._forks.start(folder, _JOB.arguments, journal) for _ in range(_WRITERS)]
        moments = sorted((numbers.uniform(0, self._seconds), victim) for victim in range(numbers.randrange(1, 5)))
        began = time.monotonic()
        for moment, victim in moments:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            if writers[victim].exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(writers[victim].pid or 0, numbers.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
                    self.kills += 1
        for place, writer in enumerate(writers):
            writer.join(MOST_SECONDS)
            if writer.exitcode is None:
                raise Violation(f"a writer still runs after {MOST_SECONDS:.0f} s")
            if writer.exitcode != 0 and place not in [victim for _, victim in moments]:
                raise Violation(f"a writer ended with status {writer.exitcode}: {log_of(folder).read_text()[-500:]}")
        check_visible(folder)
        self._forks.start(folder, _JOB.arguments, journal).join(MOST_SECONDS)
        check_visible(folder)
        for path in folder.rglob("*.partial*"):  # of a film that Ctrl-C stopped
            path.unlink()
        compare(_JOB, folder, self._expected)
        finished = Counter(line for line in journal.read_text().splitlines() if ".partial" not in line)
        for name, count in finished.items():
            if count > 1:
                raise Violation(f"{name} was finished {count} times")
        if "Traceback" in (said := log_of(folder).read_text()):
            raise Violation(f"a traceback: {said[-2000:]}")
        shutil.rmtree(folder)


def main() -> None:
    """Write together."""
    with tempfile.TemporaryDirectory() as folder:
        writers = Writers(Path(folder))
        torture(str(__doc__), writers.trial, count=50, note=lambda: f"{writers.kills} kills")


if __name__ == "__main__":
    main()
