"""Small inputs for the jobs that are tortured: photos, a style image, films; each job takes a moment."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

# What makes an experiment small: the compact loss network, which ships with the program, and little of everything.
_SMALL = ("loss_network=compact", "device=cpu", "show_progress=false", "style_short_side=48")
TRAIN = (
    *("train", "style=style.png", "content=photos", *_SMALL, "network.width=4", "batch_size=1", "crop_size=64"),
    *("largest_crop=1", "held_out_photos=1", "save_every_steps=3", "strip_every_steps=6"),
)
OPTIMIZE = ("optimize", "content=photos/photo_00.png", "style=style.png", *_SMALL[:3], "short_side=32")
EVALUATE = (
    *("evaluate", "checkpoint=wave", "style=style.png", "content=photos", *_SMALL, "size=32", "photos=2"),
    "timing_sizes=[]",
)


def draw(seed: int, height: int, width: int) -> np.ndarray:
    """A picture of random blocks, (height, width, 3), uint8."""
    blocks = np.random.default_rng(seed).integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]


def make_photos(folder: Path, count: int, *, height: int = 72, width: int = 96) -> None:
    """Photos photo_00.png, photo_01.png, ..., no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(draw(number, height, width)).save(folder / f"photo_{number:02}.png")


def make_style(path: Path) -> None:
    """A style image."""
    Image.fromarray(draw(1000, 64, 80)).save(path)


def make_film(path: Path, frames: int, *, height: int = 48, width: int = 64, rate: int = 25) -> None:
    """A film of a square that wanders over blocks, with a cut in the middle."""
    import av

    backgrounds = [draw(seed, height, width) for seed in (2000, 2001)]
    with av.open(str(path.absolute()), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast", "crf": "20"}
        stream.codec_context.thread_count = 1
        for number in range(frames):
            rgb = backgrounds[2 * number // frames].copy()
            left = number * 3 % (width - 12)
            rgb[12:24, left : left + 12] = (255, 240, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode())


def heed_interrupts() -> None:
    """Undo what a shell does to programs in the background: they, and all that they start, would ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def start(folder: Path, *arguments: str, **options: object) -> "subprocess.Popen[str]":
    """The real command in a process of its own, in this folder."""
    heed_interrupts()
    command = [sys.executable, "-m", "nst_fast.cli.main", *arguments]
    return subprocess.Popen(command, cwd=folder, text=True, **options)  # type: ignore[call-overload]
