"""A film in parts by several processes."""

import multiprocessing
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from nst_fast.errors import ImageError, SettingError
from nst_fast.films import parts as film_parts
from nst_fast.films.film import FilmSettings, stylize_film
from nst_fast.films.parts import Part, plan_parts
from nst_fast.films.source import open_source
from nst_fast.media.film_info import probe_film
from nst_fast.media.film_reader import list_frame_times
from nst_fast.networks.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.stylize.stylizer import Stylizer

av = pytest.importorskip("av")


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Each test starts in an empty folder, and parts have 20 frames."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(film_parts, "FRAMES_PER_PART", 20)
    monkeypatch.setattr(film_parts, "_SETTLING_FRAMES", 5)


@pytest.fixture
def stylizer() -> Stylizer:
    torch.manual_seed(0)
    network = build_network("realtime", width=4)
    info = CheckpointInfo(style={"name": "x"})
    return Stylizer(checkpoint_from_network(network, info), engine="onnxruntime", threads=1)


def stylize(stylizer, source, target: str, watch=None, **settings):
    return stylize_film(stylizer, Path(source), Path(target), FilmSettings(**settings), watch=watch)


def test_parts_hold_each_frame_once():
    """45 frames in parts of 20: where each is read from, begins and ends; without smoothing nothing settles."""
    times = [10 * number + 3 for number in range(45)]
    assert plan_parts(times, settle=True) == [
        Part(0, None, None, 193),
        Part(1, 143, 193, 393),
        Part(2, 343, 393, None),
    ]
    assert plan_parts(times, settle=False)[1] == Part(1, 193, 193, 393)
    assert plan_parts(times[:20], settle=True) == [Part(0, None, None, None)]


def test_frame_times_are_told_without_decoding(make_film, read_film):
    """The container's times are those of the decoded frames, also of a part; a damaged list is None."""
    times = [0, 400, 1200, 1300, 2900, 3000, 7000, 7100, 9000, 9001, 12000, 12400]
    film = make_film("a.mp4", 12, times=times, time_base=Fraction(1, 12800))
    assert list_frame_times(probe_film(film)) == times
    assert open_source(film, start=Fraction(1200, 12800), end=Fraction(7100, 12800)).list_times() == times[2:7]
    assert list_frame_times(probe_film(make_film("a.mkv", 5, rate=Fraction(25)))) == [0, 40, 80, 120, 160]
    elementary = make_film("a.h264", 5)
    os.rename(elementary, "a.avi")
    assert list_frame_times(probe_film(Path("a.avi"))) is None, "such a stream has no times at all"


def test_any_number_of_workers_gives_the_same_bytes(make_film, read_film, stylizer):
    """One process and three make one file, which has every frame of the usual run, nearly alike, and its sound."""
    source = make_film("a.mp4", 50, sound="aac", sound_seconds=1.6)
    seen: list[int] = []
    one = stylize(stylizer, source, "one.mp4", lambda progress: not seen.append(progress.frames), workers=1)
    three = stylize(stylizer, source, "three.mp4", workers=3)
    assert (one.frames, three.frames, seen) == (50, 50, list(range(1, 51)))
    assert Path("one.mp4").read_bytes() == Path("three.mp4").read_bytes()
    stylize(stylizer, source, "usual.mp4")
    ours, usual = read_film("three.mp4"), read_film("usual.mp4")
    assert ours["times"] == usual["times"]
    assert ours["sound"] == usual["sound"] != []
    changes = [np.abs(a.astype(int) - b).mean() for a, b in zip(ours["pixels"], usual["pixels"], strict=True)]
    assert max(changes) < 4
    assert sorted(os.listdir()) == ["a.mp4", "one.mp4", "three.mp4", "usual.mp4"]


def test_a_part_of_a_film_in_parts(make_film, read_film, stylizer):
    """Start and end are those of the usual run, and without smoothing so is every frame."""
    source = make_film("a.mp4", 50, rate=Fraction(25))
    settings = {"start": Fraction(3, 25), "end": Fraction(47, 25), "smoothing": 0.0, "crf": 0}
    stylize(stylizer, source, "parts.mp4", workers=2, **settings)
    stylize(stylizer, source, "usual.mp4", **settings)
    ours, usual = read_film("parts.mp4"), read_film("usual.mp4")
    assert ours["times"] == usual["times"] == [Fraction(number, 25) for number in range(44)]
    assert all(np.array_equal(a, b) for a, b in zip(ours["pixels"], usual["pixels"], strict=True))


def test_stopping_leaves_a_playable_beginning_and_the_job_resumes(make_film, read_film, stylizer):
    """Stopped and run again by another number of workers: the film is that of a run that was never stopped."""
    source = make_film("a.mp4", 150)
    stylize(stylizer, source, "whole.mp4", workers=1)
    result = stylize(stylizer, source, "b.mp4", lambda progress: progress.frames < 30, workers=1)
    assert result.status == "stopped" and not Path("b.mp4").exists()
    assert (result.path, result.frames) == (Path("b.partial.mp4"), len(read_film("b.partial.mp4")["times"]))
    assert 30 <= result.frames < 150
    seen: list[int] = []
    resumed = stylize(stylizer, source, "b.mp4", lambda progress: not seen.append(progress.frames_now), workers=2)
    assert (resumed.status, resumed.frames) == ("stylized", 150)
    assert len(seen) <= 130, "what was finished is not stylized again"
    assert Path("b.mp4").read_bytes() == Path("whole.mp4").read_bytes()


def test_workers_end_with_the_first_process(make_film, stylizer):
    """After kill -9 of the process that started them no worker is left, and the film can be made."""
    source = make_film("a.mp4", 300, size=(240, 320))
    save_checkpoint(Path("x.safetensors"), stylizer.checkpoint, dtype="fp32")
    program = """
from pathlib import Path
from nst_fast.films.film import FilmSettings, stylize_film
from nst_fast.stylize.stylizer import Stylizer
stylizer = Stylizer("x.safetensors", engine="onnxruntime", threads=1)
settings = FilmSettings(workers=2)
stylize_film(stylizer, Path("a.mp4"), Path("b.mp4"), settings, watch=lambda progress: print("frame") or True)
"""
    with subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"frame\n"
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    _, alive = psutil.wait_procs(started, timeout=30)
    assert len(started) >= 2 and not alive
    result = stylize(Stylizer("x.safetensors", engine="onnxruntime", threads=1), source, "b.mp4", workers=1)
    assert (result.frames, result.status) == (300, "stylized")


def test_what_goes_wrong_in_a_worker_is_told(make_film, stylizer, monkeypatch):
    """An error in a worker is the error of the film, a worker that is killed is one line, none at all is refused."""
    source = make_film("a.mp4", 60, size=(240, 320))
    monkeypatch.setattr("nst_fast.films.part_workers._SECONDS_BETWEEN_LOOKS", 0.01)
    with pytest.raises(SettingError) as caught:
        stylize(stylizer, source, "b.mp4", workers=0)
    assert str(caught.value) == "workers is 0; it must be at least 1"

    def kill(progress: object) -> bool:
        for worker in multiprocessing.active_children():
            worker.kill()
        return True

    with pytest.raises(SettingError) as caught:
        stylize(stylizer, source, "b.mp4", kill, workers=1)
    assert str(caught.value) == (
        "a worker process ended before its work was done, perhaps for lack of memory; give fewer workers"
    )
    plan = film_parts.plan_parts

    def plan_and_remove(times: list[int], *, settle: bool) -> list[Part]:
        os.remove("a.mp4")
        return plan(times, settle=settle)

    monkeypatch.setattr("nst_fast.films.film.plan_parts", plan_and_remove)
    with pytest.raises(ImageError, match=r"^a\.mp4 does not exist; check the path$"):
        stylize(stylizer, "a.mp4", "c.mp4", workers=1)
