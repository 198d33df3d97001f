"""What interrupted, competing and finished film jobs leave, and what the next run makes of it."""

import contextlib
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nst_fast.errors import ImageError, OutputError
from nst_fast.files.claims import Claim, claim
from nst_fast.films import film as film_module
from nst_fast.films import segments as film_segments
from nst_fast.films.carried import Carried
from nst_fast.films.film import FilmSettings, stylize_film
from nst_fast.films.work_folder import WorkFolder, remove_finished
from nst_fast.media.animation_writing import write_animation
from nst_fast.media.animations import probe_animation
from nst_fast.media.pictures import Picture
from nst_fast.stylize.coherence import ShownFrame
from nst_fast.stylize.engines.choice import list_engines
from nst_fast.stylize.smoothing import Past
from nst_fast.stylize.stylizer import Stylizer

av = pytest.importorskip("av")


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Each test starts in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def short_segments(monkeypatch):
    """Segments of ten frames."""
    monkeypatch.setattr(film_segments, "_FRAMES_PER_SEGMENT", 10)


def stop_after(frames: int):
    return lambda progress: progress.frames < frames


def hidden() -> list[Path]:
    return [path for path in Path().iterdir() if path.name.startswith(".")]


def test_a_claimed_film_is_left_to_its_owner(make_film, untouched):
    """Whoever calls the library gets `taken`, and no work, while another job holds the film."""
    source = make_film("a.mp4", 12)
    held = claim(Path("b.mp4"))
    assert held is not None
    result = stylize_film(untouched, source, Path("b.mp4"))
    assert (result.status, result.frames, untouched.shapes) == ("taken", 0, [])
    held.release()
    assert stylize_film(untouched, source, Path("b.mp4")).status == "stylized"
    assert hidden() == []


def test_a_finished_film_is_kept_where_that_is_asked_for(make_film, untouched):
    """With keep_existing, a film that came to be meanwhile is `taken` and stays; without, it is replaced."""
    source = make_film("a.mp4", 12)
    Path("b.mp4").write_bytes(b"finished by another process")
    assert stylize_film(untouched, source, Path("b.mp4"), keep_existing=True).status == "taken"
    assert Path("b.mp4").read_bytes() == b"finished by another process"
    assert stylize_film(untouched, source, Path("b.mp4")).status == "stylized"
    assert Path("b.mp4").stat().st_size > 100


def test_films_whose_names_begin_alike_keep_their_segments(make_film, untouched, short_segments):
    """Two unfinished films with a hundred equal characters in front have two folders, and both are resumed."""
    source = make_film("a.mp4", 30)
    names = [f"{'Holiday in ' * 9}{place}.mp4" for place in ("Rome", "Oslo")]
    for name in names:
        stylize_film(untouched, source, Path(name), watch=stop_after(25))
    assert len([path for path in hidden() if path.is_dir()]) == 2
    for name in names:
        first = []
        stylize_film(untouched, source, Path(name), watch=lambda progress, first=first: not first.append(progress))
        assert first[0].frames == 21


@pytest.mark.usefixtures("folder_with_style")
@pytest.mark.parametrize("engine", [name for name in list_engines("cpu") if name != "compile"])
@pytest.mark.parametrize("way", ["stopped", "broken"])
def test_a_resumed_film_is_the_one_that_ran_through(make_film, short_segments, engine, way):
    """A smoothed film with a cut that ends at frame 35, in order or not, and is resumed has the bytes of the whole."""
    stylizer = Stylizer("x.safetensors", device="cpu", engine=engine, threads=2)
    generator = np.random.default_rng(0)
    scenes = [generator.integers(0, 256, (16, 24, 3), dtype=np.uint8) for _ in range(2)]
    frames = [np.roll(scenes[number // 40], number, axis=1) for number in range(70)]
    source = make_film("a.mp4", frames)
    stylize_film(stylizer, source, Path("whole.mp4"))

    def end(progress):
        if progress.frames == 35 and way == "broken":
            raise KeyboardInterrupt
        return progress.frames < 35

    with contextlib.suppress(KeyboardInterrupt):
        stopped = stylize_film(stylizer, source, Path("b.mp4"), watch=end)
        assert (stopped.path, stopped.frames) == (Path("b.partial.mp4"), 35)
    first = []
    stylize_film(stylizer, source, Path("b.mp4"), watch=lambda progress: not first.append(progress))
    assert first[0].frames == 31
    assert Path("b.mp4").read_bytes() == Path("whole.mp4").read_bytes()


def test_what_a_frame_leaves_is_kept_bit_for_bit():
    """What is written with a segment comes back as it was, with statistics or without."""
    numbers = np.random.default_rng(0)
    used, cells = numbers.normal(size=(1, 2, 5)).astype(np.float32), numbers.random((4, 6, 3), np.float32)
    anchor = numbers.integers(0, 256, (9, 16), dtype=np.uint8)
    camera = {"position": (1 / 3, -7.25), "anchor_position": (0.1, 1e4), "anchor": anchor}
    shown = ShownFrame(anchor, numbers.integers(0, 256, (18, 32, 3), dtype=np.uint8))
    all_ = Carried(Past(used, shown), cells, 1 / 3, **camera)
    for carried in (all_, Carried(Past(shown=shown), cells), Carried(Past(used)), Carried()):
        again = Carried.from_bytes(carried.to_bytes())
        for name in ("usual", "position", "anchor_position"):
            assert getattr(again, name) == getattr(carried, name)
        assert (again.past.shown is None) == (carried.past.shown is None)
        pairs = [(again.past.used, carried.past.used), (again.cells, carried.cells), (again.anchor, carried.anchor)]
        for one, other in [*pairs, *zip(again.past.shown or (), carried.past.shown or (), strict=True)]:
            assert (one is None) == (other is None)
            assert one is None or (np.array_equal(one, other) and one.dtype == other.dtype)


@pytest.mark.parametrize("harm", ["truncated", "one bit", "missing", "foreign", "statistics"])
def test_a_broken_segment_is_made_again(make_film, read_film, untouched, short_segments, harm):
    """A segment that is cut, changed by a bit, gone, or another's is stylized again, and so are those behind it."""
    source = make_film("a.mp4", 60)
    stylize_film(untouched, source, Path("whole.mp4"))
    stylize_film(untouched, source, Path("b.mp4"), watch=stop_after(40))
    (folder,) = (path for path in hidden() if path.is_dir())
    segments = sorted(folder.glob("*.mp4"))
    data = bytearray(segments[1].read_bytes())
    if harm == "missing":
        segments[1].unlink()
    elif harm == "foreign":
        shutil.copy(segments[2], segments[1])
    elif harm == "statistics":
        segments[1].with_suffix(".npz").unlink()
    else:
        data[len(data) // 2] ^= 1
        segments[1].write_bytes(data[: len(data) // 2] if harm == "truncated" else data)
    first = []
    result = stylize_film(untouched, source, Path("b.mp4"), watch=lambda progress: not first.append(progress))
    assert (first[0].frames, result.frames) == (11, 60)
    assert read_film("b.mp4")["times"] == read_film(source)["times"]
    assert Path("b.mp4").read_bytes() == Path("whole.mp4").read_bytes()


@pytest.mark.parametrize("note", ["", "{", "[]", '{"job": 1}', '{"job": {}, "segments": [{"name": "../a"}]}'])
def test_a_broken_note_begins_the_film_again(make_film, untouched, short_segments, note):
    """A work folder whose note cannot be understood is emptied, and the film is made from its beginning."""
    source = make_film("a.mp4", 30)
    stylize_film(untouched, source, Path("b.mp4"), watch=stop_after(25))
    (folder,) = (path for path in hidden() if path.is_dir())
    (folder / "job.json").write_text(note)
    first = []
    result = stylize_film(untouched, source, Path("b.mp4"), watch=lambda progress: not first.append(progress))
    assert (first[0].frames, result.frames, result.status) == (1, 30, "stylized")
    assert [path for path in hidden() if path.is_dir()] == []


def test_two_writers_without_locks_harm_nobody(make_film, read_film, untouched, short_segments, monkeypatch):
    """On a disk without locks two jobs may work on one film at the same time: the film is whole, and so is a rerun."""
    monkeypatch.setattr(film_module, "claim", lambda target: Claim())
    source = make_film("a.mp4", 60)
    outcomes = []

    def interfere(progress):
        if progress.frames == 25 and not outcomes:
            outcomes.append("running")
            outcomes.append(stylize_film(untouched, source, Path("b.mp4"), watch=stop_after(37)).status)
        return True

    assert stylize_film(untouched, source, Path("b.mp4"), watch=interfere).status == "stylized"
    assert outcomes == ["running", "stopped"]
    assert read_film("b.mp4")["times"] == read_film(source)["times"]
    assert stylize_film(untouched, source, Path("b.mp4")).frames == 60


def test_a_writer_whose_segments_are_removed_ends_in_one_line(make_film, untouched, short_segments):
    """A job that finds its segments gone when it joins them says so, and the next run makes the film."""
    source = make_film("a.mp4", 30)

    def remove(progress):
        if progress.frames == 30:
            (folder,) = (path for path in hidden() if path.is_dir())
            for segment in folder.glob("000000-*.mp4"):
                segment.unlink()
        return True

    with pytest.raises(OutputError, match=r"^cannot write b\.mp4: another process is stylizing it and has removed"):
        stylize_film(untouched, source, Path("b.mp4"), watch=remove)
    assert stylize_film(untouched, source, Path("b.mp4")).frames == 30


RACE = """
import sys
from pathlib import Path
from nst_fast.films import segments
from nst_fast.films.film import stylize_film
from nst_fast.stylize.stylizer import Stylizer

segments._FRAMES_PER_SEGMENT = 10
stylizer = Stylizer("x.safetensors", device="cpu")
print("ready", flush=True)
sys.stdin.readline()  # all begin at once
print(stylize_film(stylizer, Path("a.mp4"), Path("b.mp4"), keep_existing=True).status)
"""


@pytest.mark.usefixtures("folder_with_style")
def test_two_processes_at_one_film(make_film, read_film):
    """Of two processes that call the library with one film at the same time, one stylizes it and one is told so."""
    make_film("a.mp4", 60, size=(16, 24))
    command = [sys.executable, "-c", RACE]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate()[0].strip() for process in processes)
    assert said == ["stylized", "taken"]
    assert len(read_film("b.mp4")["times"]) == 60
    assert hidden() == []


def test_a_partial_film_never_replaces_a_file_of_the_users(make_film, untouched, short_segments):
    """A file called b.partial.mp4 that was there stays; our own part of an earlier stop is replaced."""
    source = make_film("a.mp4", 60)
    Path("b.partial.mp4").write_bytes(b"mine")
    for frames in (15, 35):
        result = stylize_film(untouched, source, Path("b.mp4"), watch=stop_after(frames))
        assert (result.path, result.frames) == (Path("b.partial-2.mp4"), frames)
    assert Path("b.partial.mp4").read_bytes() == b"mine"
    Path("b.partial-2.mp4").write_bytes(b"changed by the user")
    assert stylize_film(untouched, source, Path("b.mp4"), watch=stop_after(45)).path == Path("b.partial-3.mp4")
    assert Path("b.partial-2.mp4").read_bytes() == b"changed by the user"


def test_a_work_folder_of_a_finished_film_goes_and_that_of_an_unfinished_one_stays(make_film, untouched):
    """What a job leaves that is killed right after its film is finished is removed; an unfinished job is not."""
    source = make_film("a.mp4", 12)
    stylize_film(untouched, source, Path("b.mp4"))
    folder = WorkFolder(Path("b.mp4"), {})
    folder.resume()  # as an unfinished job with `overwrite` would
    remove_finished(Path("b.mp4"))
    assert folder.path.is_dir()
    os.utime(folder.path / "job.json", (1, 1))
    remove_finished(Path("b.mp4"))
    assert hidden() == []


def test_an_animation_that_fails_leaves_nothing(untouched):
    """An animation that breaks in the middle leaves no file, no folder and no claim."""
    pictures = [Picture(np.full((16, 16, 3), 40 * number, np.uint8)) for number in range(4)]
    write_animation(Path("a.gif"), [(picture, 50) for picture in pictures])
    Path("a.gif").write_bytes(Path("a.gif").read_bytes()[:-30])
    with pytest.raises(ImageError, match=r"^a\.gif is damaged at frame \d"):
        stylize_film(untouched, Path("a.gif"), Path("b.gif"))
    assert os.listdir() == ["a.gif"]


def test_a_long_film_becomes_a_gif_in_bounded_memory(make_film, untouched, frames_in_memory):
    """Eight times as many frames hold no more of them at a time, also where they become one GIF."""
    held = []
    for frames in (20, 160):
        frames_in_memory.reset()
        target = Path(f"{frames}.gif")
        stylize_film(untouched, make_film("a.mp4", frames, size=(16, 16)), target)
        assert probe_animation(target).frame_count == frames
        held.append(frames_in_memory.most)
    assert held[1] <= max(16, held[0] + 4)


def test_output_folders_with_colons(make_film, read_film, untouched):
    """A film below a relative folder such as `art: wave` is written like any other."""
    target = Path("art: wave", "http:", "b.mp4")
    assert stylize_film(untouched, make_film("a.mp4", 3, sound="aac"), target).status == "stylized"
    with av.open(str(target.absolute())) as container:
        assert len(list(container.decode(video=0))) == 3


def test_the_part_has_to_be_the_same(make_film, untouched, short_segments):
    """Segments of another part of the film are not resumed."""
    source = make_film("a.mp4", 60, rate=Fraction(30))
    stylize_film(untouched, source, Path("b.mp4"), FilmSettings(start=Fraction(1, 2)), watch=stop_after(20))
    result = stylize_film(untouched, source, Path("b.mp4"), FilmSettings(start=Fraction(1)))
    assert result.frames == 30
