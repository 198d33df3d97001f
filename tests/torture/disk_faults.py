"""Disks that are full or broken: always the old file or the new one, an error of one line, and a rerun that finishes.

    python tests/torture/disk_faults.py [--seed 0] [--count 300]

Trainings, optimizations, evaluations, folders of pictures, films and animations take turns, into an empty folder or
over older results. `faults.c`, compiled by `cc` and preloaded, counts the calls that write (open, write, fsync, rename,
mkdir, ...) below the folder of a job, and lets one of them fail: the disk is full from then on, broken once or from
then on, or writes only a part, after which it is full or not. Linux only; without `cc` it says so and ends.
"""

import filecmp
import mmap
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from forked_jobs import JOBS, MOST_SECONDS, Forks, Job, compare, list_results, log_of
from verdict import Violation, torture
from whole_files import check_visible

# The numbers are those of faults.c.
_KINDS = {
    1: "a full disk",
    2: "one input/output error",
    3: "input/output errors",
    4: "a short write, then a full disk",
    5: "one short write",
}
_NEVER = 1 << 62
_CONTROL = struct.Struct("=qqq4096s")  # calls so far, the one that fails, the kind of fault, folder


class FaultyDisk:
    """What tells `faults.c` which call fails.

    Args:
        folder: for the library and the file that controls it.
    """

    def __init__(self, folder: Path) -> None:
        library, control = folder / "faults.so", folder / "control"
        source = Path(__file__).with_name("faults.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
        control.write_bytes(bytes(_CONTROL.size))
        with open(control, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _CONTROL.size)
        # For the process that forks the jobs; this one has been loaded already.
        os.environ["LD_PRELOAD"], os.environ["FAULT_CONTROL"] = str(library), str(control)

    def set(self, folder: Path, at: int = _NEVER, kind: int = 0) -> None:
        """From now on, the call number `at` below the folder fails."""
        self._shared[:] = _CONTROL.pack(0, at, kind, os.fsencode(f"{folder}/"))

    def heal(self) -> int:
        """No call fails any more; returns how many there were."""
        calls = _CONTROL.unpack(self._shared[:])[0]
        self._shared[:] = bytes(_CONTROL.size)
        return calls


class Faults:
    """All jobs on faulty disks.

    Args:
        folder: to work in.
        disk: that of the jobs.

    Attributes:
        met: faults that a job met.
        survived: how many of them did not keep it from finishing.
    """

    def __init__(self, folder: Path, disk: FaultyDisk) -> None:
        self.met = self.survived = 0
        self._forks, self._disk = Forks(folder), disk
        self._empty: dict[str, Path] = {}
        self._older: dict[str, Path] = {}
        self._expected: dict[str, Path] = {}
        self._calls: dict[str, int] = {}

    def trial(self, numbers: random.Random, number: int) -> None:
        """One fault in one job, then the same command on a disk that works."""
        name = list(JOBS)[number % len(JOBS)]
        job = JOBS[name]
        if name not in self._calls:
            self._prepare(name, job)
        over_older = numbers.random() < 0.5
        before = self._older[name] if over_older else self._empty[name]
        arguments = (*job.arguments, job.overwrite) if over_older else job.arguments
        at, kind = numbers.randrange(1, self._calls[name] + 1), numbers.choice(list(_KINDS))
        folder = self._forks.make_folder(f"{name}-{number}", like=before)
        try:
            self._run_with_fault(job, folder, arguments, at, kind)
            self._check_results(job, folder, before, self._expected[name])
            self._forks.finish(folder, arguments)
            check_visible(folder)
            compare(job, folder, self._expected[name])
        except Violation as violation:
            where = "over older results" if over_older else "in an empty folder"
            raise Violation(f"{name} {where}, {_KINDS[kind]} at write {at}: {violation}") from violation
        shutil.rmtree(folder)

    def _prepare(self, name: str, job: Job) -> None:
        """Run the job as it is and with other arguments, and count its writes."""
        self._empty[name] = self._forks.make_folder(f"{name}-empty")
        self._expected[name] = self._forks.make_folder(f"{name}-expected")
        self._disk.set(self._expected[name])
        self._forks.finish(self._expected[name], job.arguments)
        self._calls[name] = self._disk.heal()
        if not self._calls[name]:
            raise Violation(f"{name} writes nothing that faults.c sees")
        self._older[name] = self._forks.make_folder(f"{name}-older")
        self._forks.finish(self._older[name], (*job.arguments, *job.other))

    def _run_with_fault(self, job: Job, folder: Path, arguments: tuple[str, ...], at: int, kind: int) -> None:
        self._disk.set(folder, at, kind)
        process = self._forks.start(folder, arguments)
        process.join(MOST_SECONDS)
        met = self._disk.heal() >= at
        self.met += met
        said = log_of(folder).read_text()
        if process.exitcode is None:
            process.kill()
            raise Violation(f"still running after {MOST_SECONDS:.0f} s")
        if process.exitcode not in (0, 1, 2) or "Traceback" in said:
            raise Violation(f"ended with status {process.exitcode}: {said[-2000:]}")
        if process.exitcode == 0:
            self.survived += met
            for path in list_results(job, self._expected_of(job)):
                if not filecmp.cmp(folder / path, self._expected_of(job) / path, shallow=False):
                    raise Violation(f"said that all is well, but {path} is not what it should be")
        elif sum("error: " in line or "failed: " in line for line in said.splitlines()) < 1:
            raise Violation(f"ended with status {process.exitcode} and no error: {said[-500:]}")

    def _expected_of(self, job: Job) -> Path:
        return next(self._expected[name] for name, other in JOBS.items() if other is job)

    def _check_results(self, job: Job, folder: Path, before: Path, expected: Path) -> None:
        """Each result is whole, and is the old one, the new one, or one on the way from an empty folder."""
        check_visible(folder)
        for path in list_results(job, folder):
            known = [folder_of / path for folder_of in (before, expected) if (folder_of / path).is_file()]
            if not any(filecmp.cmp(folder / path, one, shallow=False) for one in known):
                raise Violation(f"{path} is neither the old file nor the new one")


def main() -> None:
    """Break the disk, and see what is left."""
    if shutil.which("cc") is None or sys.platform != "linux":
        print(f"{sys.argv[0]}: needs Linux and a C compiler `cc`; not run")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.path.realpath(name))
        faults = Faults(folder, FaultyDisk(folder))
        torture(
            str(__doc__),
            faults.trial,
            count=300,
            note=lambda: f"{faults.met} faults met, {faults.survived} of them harmless",
        )


if __name__ == "__main__":
    main()
