"""Numbered pictures in and out."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from nst_fast.errors import ImageError, SettingError
from nst_fast.films.film import DEFAULT_COHERENCE, FilmSettings, stylize_film, stylize_one_frame
from nst_fast.films.source import open_source
from nst_fast.media.pictures import Picture, read_picture, write_picture
from nst_fast.motion.camera_motion import CameraMotion
from nst_fast.networks.checkpoint import CheckpointInfo
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.stylize.stylizer import Stylizer

RANDOM = np.random.default_rng(0)
FRAMES = [RANDOM.integers(0, 256, (24, 32, 3), dtype=np.uint8) for _ in range(8)]
ALPHA = RANDOM.integers(1, 256, (24, 32), dtype=np.uint8)


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Each test starts in an empty folder."""
    monkeypatch.chdir(tmp_path)


def write_frames(frames: list[np.ndarray], *, first: int = 1, alpha: np.ndarray | None = None) -> Path:
    for number, rgb in enumerate(frames, first):
        write_picture(Path("frames", f"{number:04}.png"), Picture(rgb, alpha))
    return Path("frames/%04d.png")


def stylize(stylizer, source: str | Path, target: str, watch=None, *, keep_existing: bool = False, **settings):
    return stylize_film(
        stylizer, Path(source), Path(target), FilmSettings(**settings), keep_existing=keep_existing, watch=watch
    )


def read_all(folder: str) -> dict[str, np.ndarray]:
    return {path.name: read_picture(path).rgb for path in sorted(Path(folder).glob("[!.]*"))}


def stop_after(frames: int):
    return lambda progress: progress.frames < frames


@pytest.fixture
def stylizer() -> Stylizer:
    torch.manual_seed(0)
    network = build_network("realtime", width=4)
    return Stylizer(checkpoint_from_network(network, CheckpointInfo(style={"name": "x"})), engine="onnxruntime")


def test_pictures_keep_their_numbers_and_their_alpha(untouched):
    """Frames 100 to 107 become pictures of the same numbers, in order, with the same alpha, and nothing else."""
    source = write_frames(FRAMES, first=100, alpha=ALPHA)
    result = stylize(untouched, source, "art/a_%d.png")
    assert (result.path, result.frames, result.status) == (Path("art/a_%d.png"), 8, "stylized")
    assert sorted(os.listdir("art")) == [f"a_{number}.png" for number in range(100, 108)]
    for number, rgb in enumerate(FRAMES, 100):
        picture = read_picture(Path("art", f"a_{number}.png"))
        assert np.array_equal(picture.rgb, rgb)
        assert np.array_equal(picture.alpha, ALPHA)


def test_pictures_are_smoothed_as_a_film_is(stylizer):
    """Each picture is what the stylizer for frames makes of the sequence, smoothed and coherent."""
    source = write_frames([frame // 4 + 60 for frame in FRAMES])
    stylize(stylizer, source, "art/%04d.png", smoothing=0.5)
    frames, camera = stylizer.for_frames(0.5, DEFAULT_COHERENCE), CameraMotion()
    for number in range(1, 9):
        photo = read_picture(Path("frames", f"{number:04}.png")).rgb
        expected = frames.stylize_pixels(photo, camera.follow(photo, is_cut=False))
        assert np.array_equal(read_picture(Path("art", f"{number:04}.png")).rgb, expected)


def test_an_interrupted_sequence_resumes_as_if_it_had_run_through(stylizer):
    """Stopped after five pictures and run again: only the rest is stylized, and all are those of one run."""
    source = write_frames([frame // 4 + 60 for frame in FRAMES])
    stylize(stylizer, source, "whole/%04d.png")
    stopped = stylize(stylizer, source, "art/%04d.png", stop_after(5))
    assert (stopped.status, stopped.frames, len(read_all("art"))) == ("stopped", 5, 5)
    seen: list[int] = []
    resumed = stylize(stylizer, source, "art/%04d.png", lambda progress: not seen.append(progress.frames))
    assert (resumed.status, resumed.frames, seen) == ("stylized", 8, [6, 7, 8])
    whole, art = read_all("whole"), read_all("art")
    assert whole.keys() == art.keys()
    assert all(np.array_equal(art[name], whole[name]) for name in whole)
    assert len(os.listdir("art")) == 8, "no hidden folder is left"


@pytest.mark.parametrize("change", ["smoothing", "source"])
def test_a_changed_job_starts_from_the_beginning(untouched, change):
    """What another smoothing, or a changed picture, has left is not resumed after."""
    source = write_frames(FRAMES)
    stylize(untouched, source, "art/%04d.png", stop_after(5))
    untouched.shapes.clear()
    if change == "source":
        write_picture(Path("frames/0002.png"), Picture(np.full((24, 32, 3), 9, np.uint8)))
    stylize(untouched, source, "art/%04d.png", smoothing=0.5 if change == "smoothing" else 0.9)
    assert len(untouched.shapes) == 8
    assert (read_all("art")["0002.png"] == 9).all() == (change == "source")


@pytest.mark.parametrize("name", ["job.json", "5.npz"])
def test_a_damaged_note_starts_from_the_beginning(untouched, name):
    """A note that a disk has broken, or what the last frame left, costs time only."""
    source = write_frames(FRAMES)
    stylize(untouched, source, "art/%04d.png", stop_after(5))
    (note,) = Path("art").glob(f".*/{name}")
    note.write_bytes(note.read_bytes()[:-9])
    assert stylize(untouched, source, "art/%04d.png").frames == 8


def test_pictures_that_exist_are_kept_where_that_is_asked_for(untouched):
    """A picture of the user's stays with keep_existing, and is replaced without; the others are written."""
    source = write_frames(FRAMES)
    mine = np.full((24, 32, 3), 7, np.uint8)
    write_picture(Path("art/0003.png"), Picture(mine))
    stylize(untouched, source, "art/%04d.png", keep_existing=True)
    assert len(read_all("art")) == 8
    assert np.array_equal(read_all("art")["0003.png"], mine)
    stylize(untouched, source, "art/%04d.png")
    assert np.array_equal(read_all("art")["0003.png"], FRAMES[2])


def test_gaps_damage_and_other_sizes(untouched):
    """Missing numbers stay missing, a damaged picture is left out, another size is scaled; both are said."""
    source = write_frames(FRAMES)
    Path("frames/0003.png").unlink()
    Path("frames/0005.png").write_bytes(b"no picture")
    write_picture(Path("frames/0007.png"), Picture(np.full((48, 64, 3), 50, np.uint8), np.full((48, 64), 9, np.uint8)))
    result = stylize(untouched, source, "art/%04d.png")
    assert sorted(read_all("art")) == ["0001.png", "0002.png", "0004.png", "0006.png", "0007.png", "0008.png"]
    assert result.remarks == (
        "frames/%04d.png is damaged: 1 pieces could not be decoded and are left out",
        "frames/%04d.png changes its size: 1 frames were scaled to that of the first",
    )
    seventh = read_picture(Path("art/0007.png"))
    assert (seventh.rgb == 50).all() and (seventh.alpha == 9).all() and seventh.rgb.shape == (24, 32, 3)


def test_a_film_becomes_pictures_and_pictures_a_film(make_film, read_film, untouched):
    """A film's frames are numbered from 1; numbered pictures become a film of 25 frames a second, or as asked."""
    pytest.importorskip("av")
    result = stylize(untouched, make_film("a.mkv", 12, sound="aac"), "art/%03d.png")
    assert (result.frames, result.remarks) == (12, ("a.mkv has sound, which pictures cannot hold",))
    assert list(read_all("art")) == [f"{number:03}.png" for number in range(1, 13)]
    stylize(untouched, "art/%03d.png", "b.mp4", crf=4)
    film = read_film("b.mp4")
    assert (film["rate"], film["times"]) == (25, [Fraction(number, 25) for number in range(12)])
    assert np.abs(film["pixels"][5].astype(int) - read_all("art")["006.png"]).mean() < 4
    stylize(untouched, "art/%03d.png", "c.mp4", frame_rate=Fraction(24000, 1001))
    assert read_film("c.mp4")["rate"] == Fraction(24000, 1001)


def test_a_part_of_a_sequence(untouched):
    """Start and end count in seconds at the frame rate, and pictures keep their numbers."""
    source = write_frames(FRAMES, first=10)
    stylize(untouched, source, "art/%04d.png", start=Fraction(2, 25), end=Fraction(5, 25))
    assert list(read_all("art")) == ["0012.png", "0013.png", "0014.png"]
    with pytest.raises(ImageError, match=r"is 0:00\.3 long, so nothing of it is left from 0:09 on"):
        stylize(untouched, source, "art/%04d.png", start=Fraction(9))
    assert np.array_equal(stylize_one_frame(untouched, source, Fraction(3, 25)).rgb, FRAMES[3])


def test_the_network_works_at_the_size_that_is_asked_for(untouched):
    """With a size the network sees smaller frames, and the pictures have the size and alpha of the source."""
    stylize(untouched, write_frames(FRAMES, alpha=ALPHA), "art/%04d.png", size=16)
    assert untouched.shapes == [(12, 16, 3)] * 8
    picture = read_picture(Path("art/0001.png"))
    assert picture.rgb.shape == (24, 32, 3) and np.array_equal(picture.alpha, ALPHA)


def test_a_frame_rate_is_for_numbered_pictures_only():
    """What has frame times of its own keeps them, and a frame rate is refused in one line."""
    with pytest.raises(SettingError) as caught:
        open_source(Path("a.mp4"), frame_rate=Fraction(30))
    assert str(caught.value) == "a.mp4 has frame times of its own; leave out the frame rate"
