"""Jobs that are killed at random moments: the same command then ends as if nothing had happened.

    python tests/torture/kill_storm.py [--seed 0] [--count 300]

Trainings, optimizations, evaluations, folders of pictures, films and animations take turns. A trial kills one of them
one to three times, by SIGKILL, SIGTERM or SIGINT, and runs the same command until it is through. After each kill, no
file under a visible name may be damaged. In the end the result must be that of a run that was never killed, byte for
byte, and nothing hidden may be left.

Nine of ten jobs, and all films, are forked from a process that has PyTorch loaded already, so that the kills do not
all hit imports. The moment of a kill depends on the computer, so a violation may take several repetitions to come back.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from forked_jobs import JOBS, MOST_SECONDS, Forks, Job, compare, log_of
from small_jobs import start
from verdict import Violation, torture
from whole_files import check_visible

_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_IMPORT_SECONDS = 3.0


class Storm:
    """All jobs, each run without a kill to compare with.

    Args:
        folder: to work in.

    Attributes:
        kills: so far.
    """

    def __init__(self, folder: Path) -> None:
        self.kills = 0
        self._forks = Forks(folder)
        self._expected: dict[str, Path] = {}
        self._seconds: dict[str, float] = {}

    def trial(self, numbers: random.Random, number: int) -> None:
        """Kill one job up to three times, and let it finish."""
        name = list(JOBS)[number % len(JOBS)]
        job = JOBS[name]
        if name not in self._expected:
            self._run_undisturbed(name, job)
        folder = self._forks.make_folder(f"{name}-{number}")
        done = []
        try:
            for _ in range(numbers.choice((1, 2, 3))):
                forked, killer = name == "film" or numbers.random() < 0.9, numbers.choice(_SIGNALS)
                moment = numbers.uniform(0, self._seconds[name] + (0 if forked else _IMPORT_SECONDS))
                done.append(f"{killer.name} after {moment:.3f} s" + " as a command" * (not forked))
                self._kill(job, folder, forked, killer, moment)
                check_visible(folder)
            self._forks.finish(folder, job.arguments)
            check_visible(folder)
            compare(job, folder, self._expected[name])
        except Violation as violation:
            raise Violation(f"{name}, {', '.join(done)}: {violation}") from violation
        shutil.rmtree(folder)

    def _run_undisturbed(self, name: str, job: Job) -> None:
        """Twice: the second run is as fast as those that follow, and must give the same."""
        folders = [self._forks.make_folder(f"undisturbed-{name}-{number}") for number in range(2)]
        for folder in folders:
            began = time.monotonic()
            self._forks.finish(folder, job.arguments)
            self._seconds[name] = time.monotonic() - began
        self._expected[name] = folders[0]
        compare(job, folders[1], folders[0])

    def _kill(self, job: Job, folder: Path, forked: bool, killer: signal.Signals, moment: float) -> None:
        if not forked:
            self._kill_command(job, folder, killer, moment)
            return
        process = self._forks.start(folder, job.arguments)
        process.join(moment)
        if process.exitcode is None and process.pid is not None:
            os.kill(process.pid, killer)
            self.kills += 1
        process.join(MOST_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise Violation(f"still running {MOST_SECONDS:.0f} s later")
        if log_of(folder).exists() and "Traceback" in (said := log_of(folder).read_text()):
            raise Violation(f"a traceback: {said[-2000:]}")

    def _kill_command(self, job: Job, folder: Path, killer: signal.Signals, moment: float) -> None:
        # Its words do not matter: Python itself complains of a Ctrl-C while it imports.
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with start(folder, *job.arguments, **quiet) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
                return
            process.send_signal(killer)
            self.kills += 1
            try:
                process.wait(MOST_SECONDS)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise Violation(f"the command still runs {MOST_SECONDS:.0f} s later") from error


def main() -> None:
    """Kill and compare."""
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(Path(folder))
        torture(str(__doc__), storm.trial, count=300, note=lambda: f"{storm.kills} kills")


if __name__ == "__main__":
    main()
