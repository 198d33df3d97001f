import errno
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.batch import folder as folder_module
from nst_fast.batch.folder import stylize_files
from nst_fast.batch.plan import BatchItem, plan_batch
from nst_fast.errors import ImageError, OutputError, SettingError
from nst_fast.files.claims import claim
from nst_fast.media.pictures import IMAGE_SUFFIXES, read_picture
from nst_fast.networks.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.stylize.stylizer import Stylizer


@pytest.fixture(scope="module")
def stylizer():
    torch.manual_seed(0)
    network = build_network("realtime", width=4)
    return Stylizer(checkpoint_from_network(network, CheckpointInfo(style={"name": "x"})), device="cpu")


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Each test starts in an empty folder."""
    monkeypatch.chdir(tmp_path)


def make_pictures(*names: str, size: tuple[int, int] = (12, 9)) -> list[Path]:
    for seed, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(name, format="PNG" if Path(name).suffix not in IMAGE_SUFFIXES else None)
    return [Path(name) for name in names]


def plan(*inputs: str, output: str | None = None, **arguments):
    return plan_batch(
        [Path(name) for name in inputs], None if output is None else Path(output), style_name="x", **arguments
    )


def targets(*inputs: str, output: str | None = None, **arguments) -> list[str]:
    return [str(item.target) for item in plan(*inputs, output=output, **arguments).items]


def refusal(*inputs: str, output: str | None = None, **arguments) -> str:
    with pytest.raises((ImageError, SettingError)) as caught:
        plan(*inputs, output=output, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_structure_is_kept_below_the_output():
    """Pictures in folders keep their place below the folder given; single ones lie right in the output."""
    make_pictures("photos/a.jpg", "photos/deep/er/b.png", "c.webp")
    assert targets("photos", "c.webp", output="out") == ["out/a.jpg", "out/deep/er/b.png", "out/c.webp"]
    assert targets("photos") == ["stylized/x/a.jpg", "stylized/x/deep/er/b.png"]


def test_names_are_kept_but_for_what_cannot_be_written():
    """The name stays, in its upper or lower case; .gif and unknown suffixes become .png, in a folder or alone."""
    make_pictures("IMG (1).JPG", "a,b=c.tif", "été.bmp", "animated.gif", "picture", "from.phone")
    assert targets("IMG (1).JPG", "a,b=c.tif", "été.bmp", "animated.gif", "picture", "from.phone", output="o") == [
        "o/IMG (1).JPG",
        "o/a,b=c.tif",
        "o/été.bmp",
        "o/animated.png",
        "o/picture.png",
        "o/from.png",
    ]


def draw_animation(name: str, colors: tuple[str, ...] = ("red", "lime", "blue")) -> None:
    frames = [Image.new("RGB", (16, 12), color) for color in colors]
    frames[0].save(name, save_all=True, append_images=frames[1:], duration=70)


def test_films_and_animations_keep_their_names(monkeypatch):
    """Films keep the suffix of a container that can be written, or else become .mp4; animations stay animated."""
    make_pictures("photos/still.gif", "photos/still.webp", "photos/a.jpg")
    for name in ("a.MP4", "b.mkv", "c.avi", "deep/d.webm"):
        Path("photos", name).parent.mkdir(exist_ok=True)
        Path("photos", name).touch()
    draw_animation("photos/animated.gif")
    draw_animation("photos/animated.webp")
    made = plan("photos", output="o").items
    assert [str(item.target) for item in made if item.animated] == [
        "o/a.MP4",
        "o/animated.gif",
        "o/animated.webp",
        "o/b.mkv",
        "o/c.mp4",
        "o/deep/d.webm",
    ]
    assert [str(item.target) for item in made if not item.animated] == [
        "o/a.jpg",
        "o/still.png",
        "o/still.webp",
    ]


def test_a_format_concerns_those_that_can_have_it():
    """mp4 is for films and animations, png for all pictures, gif for pictures, animated or not."""
    make_pictures("a.jpg")
    Path("b.mov").touch()
    draw_animation("c.gif")

    def planned(image_format: str) -> list[tuple[str, bool]]:
        made = plan("a.jpg", "b.mov", "c.gif", output="o", image_format=image_format)
        return [(item.target.name, item.animated) for item in made.items]

    assert planned("mp4") == [("a.jpg", False), ("b.mp4", True), ("c.mp4", True)]
    assert planned("png") == [("a.png", False), ("b.mov", True), ("c.png", False)]
    assert planned("gif") == [("a.gif", False), ("b.mov", True), ("c.gif", True)]
    assert refusal("a.jpg", output="o", image_format="mp4") == (
        "format 'mp4' is for films, and there is none; leave it out"
    )


def test_a_single_film_becomes_what_its_output_says():
    """A film or an animation to one file: a film or an animation; not a still picture, and a photo is no film."""
    make_pictures("a.jpg")
    Path("b.mov").touch()
    draw_animation("c.gif")
    for source, target in (("b.mov", "x.webm"), ("b.mov", "x.gif"), ("c.gif", "x.mp4"), ("c.gif", "x.webp")):
        (item,) = plan(source, output=target).items
        assert (str(item.target), item.animated) == (target, True)
    (item,) = plan("c.gif", output="x.png").items
    assert not item.animated
    assert refusal("b.mov", output="x.png") == (
        "b.mov is a film and cannot become x.png; give an output in one of .gif .m4v .mkv .mov .mp4 .webm .webp, "
        "or numbered pictures such as %05d.png"
    )
    assert refusal("a.jpg", output="x.mp4") == (
        "a.jpg is a still picture and cannot become x.mp4; give an output such as .png"
    )


def test_shards_are_disjoint_and_complete():
    """The shares of several processes hold every picture exactly once, whatever is stylized already."""
    make_pictures(*(f"photos/{number:02}.png" for number in range(11)))
    shares = [targets("photos", output="o", shard=(number, 3)) for number in (1, 2, 3)]
    assert sorted([*shares[0], *shares[1], *shares[2]]) == targets("photos", output="o")
    assert [len(share) for share in shares] == [4, 4, 3]
    make_pictures(shares[0][0])
    assert targets("photos", output="o", shard=(2, 3)) == shares[1]
    assert refusal("photos", output="o", shard=(4, 3)) == "shard 4/3 does not exist; give 1/3 to 3/3"


def test_format_renames_all():
    """A format, with or without dot and in either case, sets the suffix of all items."""
    make_pictures("a.jpg", "b.gif")
    assert targets("a.jpg", "b.gif", output="o", image_format="png") == ["o/a.png", "o/b.png"]
    assert targets("a.jpg", output="o", image_format=".WebP") == ["o/a.webp"]


def test_output_with_a_suffix_is_a_file_for_one_picture():
    """`card.png` is a file, `card` and `v1.2` are folders, and so is an existing folder called `old.png`."""
    make_pictures("a.jpg")
    Path("old.png").mkdir()
    assert targets("a.jpg", output="card.png") == ["card.png"]
    assert targets("a.jpg", "a.jpg", output="card.png") == ["card.png"]
    assert targets("a.jpg", output="card") == ["card/a.jpg"]
    assert targets("a.jpg", output="v1.2") == ["v1.2/a.jpg"]
    assert targets("a.jpg", output="old.png") == ["old.png/a.jpg"]


def test_a_style_name_cannot_lead_out_of_the_folder():
    """The default output is one folder below `stylized`, whatever a checkpoint calls its style."""
    make_pictures("a.jpg")
    for name, folder in (("../../x", "______x"), ("The Wave", "The Wave"), ("..", "__"), ("", "style")):
        made = plan_batch([Path("a.jpg")], None, style_name=name)
        assert made.output == Path("stylized") / folder


def test_a_picture_given_twice_counts_once():
    """The same picture by two spellings, or alone and in its folder, is stylized once."""
    make_pictures("photos/a.jpg")
    assert targets("photos/a.jpg", "photos/../photos/a.jpg", "photos", output="o") == ["o/a.jpg"]


def test_output_inside_an_input_is_not_stylized_again():
    """Outputs below an input folder are not taken for photos, nor those of another style in the default place."""
    make_pictures("a.jpg", "out/old.jpg", "stylized/y/a.jpg", "stylized.jpg")
    assert targets(".") == ["stylized/x/a.jpg", "stylized/x/out/old.jpg", "stylized/x/stylized.jpg"]
    assert targets(".", output="out") == ["out/a.jpg", "out/stylized.jpg", "out/stylized/y/a.jpg"]
    # Below the output, but asked for.
    assert targets("out/old.jpg", output="out/new") == ["out/new/old.jpg"]
    assert targets("stylized/y", output="stylized") == ["stylized/a.jpg"]


def test_what_exists_is_skipped_unless_overwritten():
    """A target that exists is skipped, file or folder, even one older than the photo; overwrite replaces it."""
    make_pictures("a.jpg", "b.jpg", "o/a.jpg", "card.png")
    os.utime("o/a.jpg", (1, 1))
    made = plan("a.jpg", "b.jpg", output="o")
    assert made.skipped == [BatchItem(Path("a.jpg"), Path("o/a.jpg"))]
    assert made.items == [BatchItem(Path("b.jpg"), Path("o/b.jpg"))]
    assert plan("a.jpg", output="card.png").items == []
    made = plan("a.jpg", "b.jpg", output="o", overwrite=True)
    assert len(made.items) == 2 and made.skipped == []


def test_an_input_is_never_overwritten():
    """A target that is any of the inputs, by whatever name, is refused, also with overwrite."""
    make_pictures("photos/a.jpg", "b.jpg")
    Path("link.jpg").symlink_to("b.jpg")
    Path("alias").symlink_to("photos")
    for inputs, output, target in (
        (["photos"], "photos", "photos/a.jpg"),
        (["photos"], "alias", "alias/a.jpg"),
        (["b.jpg"], "link.jpg", "link.jpg"),
        (["b.jpg"], ".", "b.jpg"),
    ):
        assert refusal(*inputs, output=output, overwrite=True) == (
            f"{target} is an input and would be overwritten; give another output"
        )


def test_two_pictures_with_one_target_are_refused():
    """Two different pictures that would land on one name are refused before anything is stylized, both by name."""
    make_pictures("one/a.jpg", "two/a.jpg", "one/a.png")
    end = "stylize them one after the other, to different output folders"
    assert refusal("one", "two", output="o") == f"one/a.jpg and two/a.jpg would both be stylized to o/a.jpg; {end}"
    assert refusal("one", output="o", image_format="png") == (
        f"one/a.jpg and one/a.png would both be stylized to o/a.png; {end}"
    )


def test_a_file_as_output_for_several_pictures_is_refused():
    """One file's name cannot take several items, nor a folder's."""
    make_pictures("photos/a.jpg", "b.jpg")
    expected = "output 'o.png' is the name of one file, but there may be several; give the name of a folder"
    assert refusal("photos", output="o.png") == expected
    assert refusal("photos/a.jpg", "b.jpg", output="o.png") == expected


def test_formats_that_are_unknown_or_differ_are_refused():
    """An unknown format is refused with the known ones, and one that contradicts the output's suffix."""
    make_pictures("a.jpg")
    message = refusal("a.jpg", output="o", image_format="jpgg")
    assert message.startswith("format 'jpgg' is unknown; allowed: avif, bmp, gif, ")
    assert message.endswith("(nearest: jpg)")
    assert refusal("a.jpg", output="o.png", image_format="jpg") == (
        "output 'o.png' and format 'jpg' differ; leave out the format"
    )


def test_inputs_without_pictures_are_refused():
    """A missing input, and folders without a picture, are refused by name."""
    Path("empty").mkdir()
    assert refusal("missing.jpg") == "missing.jpg does not exist; check the path"
    message = refusal("empty")
    assert message.startswith(
        "there is no photo or film in empty; give files or folders with files that end in .3gp .asf"
    )


def test_files_hold_what_the_stylizer_returns(stylizer):
    """Each file holds what the stylizer returns for its photo, at the size asked for."""
    make_pictures("photos/a.png", "photos/deep/b.png")
    made = plan("photos", output="o", image_format="png")
    outcomes = list(stylize_files(stylizer, made.items, size=20))
    assert [(outcome.item, outcome.status, outcome.message) for outcome in outcomes] == [
        (item, "stylized", "") for item in made.items
    ]
    for item in made.items:
        expected = stylizer.stylize_picture(read_picture(item.source), size=20)
        assert np.array_equal(read_picture(item.target).rgb, expected.rgb)


def test_a_turned_photo_comes_out_upright(stylizer):
    """A photo that its EXIF turns by 90 degrees is stylized upright, so height and width change places."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save("a.jpg", exif=exif)
    list(stylize_files(stylizer, plan("a.jpg", output="o.png").items))
    assert read_picture("o.png").rgb.shape == (20, 10, 3)


def test_alpha_reaches_the_file(stylizer):
    """The output has the transparency of its picture."""
    alpha = np.arange(144, dtype=np.uint8).reshape(12, 12)
    image = Image.new("RGB", (12, 12), "teal")
    image.putalpha(Image.fromarray(alpha))
    image.save("a.png")
    list(stylize_files(stylizer, plan("a.png", output="o").items))
    assert np.array_equal(read_picture("o/a.png").alpha, alpha)


def test_of_an_animation_the_first_frame_is_stylized_and_that_is_said(stylizer):
    """Where a format of still pictures is asked for, an animated GIF becomes one PNG, in a line that says so."""
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    (outcome,) = stylize_files(stylizer, plan("a.gif", output="o", image_format="png").items)
    assert (outcome.status, outcome.message) == ("stylized", "a.gif has 3 frames; the first one was stylized")
    assert read_picture("o/a.png").frame_count == 1


def test_broken_pictures_do_not_stop_the_others(stylizer):
    """Broken files, links to nowhere and pictures that their format cannot hold fail by name; the rest is stylized."""
    make_pictures(*(f"photos/{number}.png" for number in range(6)))
    Path("photos/1.png").write_bytes(b"")
    Path("photos/3.png").write_bytes(Path("photos/3.png").read_bytes()[:90])
    Path("photos/4.png").unlink()
    Path("photos/4.png").symlink_to("nowhere.png")
    Image.new("RGB", (16_400, 1)).save("photos/5.png")
    made = plan("photos", output="o", image_format="webp")
    outcomes = list(stylize_files(stylizer, made.items))
    assert [outcome.status for outcome in outcomes] == ["stylized", "failed", "stylized", "failed", "failed", "failed"]
    messages = [outcome.message for outcome in outcomes]
    assert messages[1] == "photos/1.png is empty (0 bytes); copy or download it again"
    assert messages[3].startswith("photos/3.png is damaged or cut short")
    assert messages[4] == "photos/4.png does not exist; check the path"
    assert messages[5].startswith("cannot write o/5.webp: 16400 x 1 pixels, and WEBP holds at most 16383 on a side")
    assert sorted(path.name for path in Path("o").iterdir()) == ["0.webp", "2.webp"]


def test_a_picture_beyond_memory_fails_by_name(stylizer, monkeypatch):
    """Where the memory does not suffice for one picture, its name is in the line."""
    make_pictures("a.png")

    def run_out(picture, *, size=None):
        raise ImageError("12 x 9 pixels do not fit")

    monkeypatch.setattr(stylizer, "stylize_picture", run_out)
    (outcome,) = stylize_files(stylizer, plan("a.png").items)
    assert (outcome.status, outcome.message) == ("failed", "a.png: 12 x 9 pixels do not fit")


def test_an_unwritable_output_ends_the_job(stylizer):
    """An output below a regular file ends the job with the first item."""
    make_pictures("a.png", "b.png")
    Path("file").write_text("")
    with pytest.raises(OutputError, match=r"^cannot write file/o/a\.png: a part of this path is a file, not a folder"):
        list(stylize_files(stylizer, plan("a.png", "b.png", output="file/o").items))


def test_a_full_disk_ends_the_job(stylizer, monkeypatch):
    """When the disk is full the job ends in one line, what was stylized stays, and no half file is left."""
    make_pictures("a.png", "b.png", "c.png")
    write = Image.Image.save

    def save(self, path, **options):
        if Path(path).name.startswith(".b."):
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    outcomes = stylize_files(stylizer, plan("a.png", "b.png", "c.png", output="o").items)
    with pytest.raises(OutputError) as caught:
        list(outcomes)
    assert str(caught.value).startswith("cannot write o/b.png: the disk is full")
    assert "o/b.png" not in map(str, Path("o").iterdir())
    assert not list(Path("o").glob(".*"))


def test_wrong_settings_end_the_job(stylizer):
    """A size or a quality out of range is a mistake of the caller, not of each picture."""
    items = plan(*map(str, make_pictures("a.jpg", "b.jpg")), output="o").items
    with pytest.raises(SettingError, match="a side of 0 pixels was asked for"):
        list(stylize_files(stylizer, items, size=0))
    with pytest.raises(SettingError, match="jpeg_quality is 0; give 1 to 100"):
        list(stylize_files(stylizer, items, jpeg_quality=0))


def test_breaking_off_leaves_whole_files_and_no_threads(stylizer):
    """If you stop iterating after the first picture, there are whole files only, and no thread keeps running."""
    make_pictures(*(f"photos/{number}.png" for number in range(9)))
    outcomes = stylize_files(stylizer, plan("photos", output="o").items)
    assert next(outcomes).status == "stylized"
    outcomes.close()
    written = sorted(Path("o").iterdir())
    assert 1 <= len(written) < 9
    for path in written:
        assert read_picture(path).rgb.shape == (9, 12, 3)
    assert not [thread for thread in threading.enumerate() if "pictures" in thread.name]


def test_reading_and_writing_run_beside_the_network(stylizer, monkeypatch):
    """The next picture is read, and the last one written, on other threads; few pictures wait at a time."""
    make_pictures(*(f"photos/{number}.png" for number in range(8)))
    threads = {}
    waiting, most_waiting = 0, 0
    lock = threading.Lock()

    def read(path):
        nonlocal waiting, most_waiting
        with lock:
            waiting += 1
            most_waiting = max(most_waiting, waiting)
        threads.setdefault("read", threading.current_thread().name)
        return read_picture(path)

    def write(path, picture, *, jpeg_quality, note):
        nonlocal waiting
        with lock:
            waiting -= 1
        threads.setdefault("write", threading.current_thread().name)

    monkeypatch.setattr(folder_module, "read_picture", read)
    monkeypatch.setattr(folder_module, "write_picture", write)
    assert len(list(stylize_files(stylizer, plan("photos").items))) == 8
    assert threads["read"].startswith("read-pictures") and threads["write"].startswith("write-pictures")
    # Two read ahead, one stylized, and two or three to be written.
    assert most_waiting <= 6


def test_pictures_of_one_size_are_stylized_in_batches(stylizer, monkeypatch):
    """Where batches are asked for, neighbors of one size are stylized at once; each file is what it is alone."""
    make_pictures(*(f"photos/{number}.png" for number in range(5)))
    make_pictures("photos/6.png", size=(20, 9))
    batches = []
    stylize = stylizer.stylize_pixels
    monkeypatch.setattr(stylizer, "stylize_pixels", lambda rgb: batches.append(len(rgb)) or stylize(rgb))
    items = plan("photos", output="o").items
    for item in items:
        read_picture(item.source)  # in the disk's cache, so that they are ready in time
    assert [outcome.status for outcome in stylize_files(stylizer, items, batch_size=4)] == ["stylized"] * 6
    assert batches and all(2 <= count <= 4 for count in batches)
    for item in items:
        alone = stylizer.stylize_picture(read_picture(item.source))
        assert np.abs(read_picture(item.target).rgb.astype(int) - alone.rgb).max() <= 1


def test_what_others_are_at_is_left_to_them(stylizer):
    """An output that is claimed, or was written after the plan was made, is not stylized a second time."""
    make_pictures("photos/a.png", "photos/b.png", "photos/c.png")
    items = plan("photos", output="o").items
    held = claim(Path("o/a.png"))
    assert held is not None
    make_pictures("o/b.png")
    before = Path("o/b.png").read_bytes()
    outcomes = list(stylize_files(stylizer, items, keep_existing=True))
    assert [outcome.status for outcome in outcomes] == ["taken", "taken", "stylized"]
    held.release()
    assert Path("o/b.png").read_bytes() == before
    assert sorted(path.name for path in Path("o").iterdir()) == ["b.png", "c.png"]


SHARED = """
import sys
from pathlib import Path
from nst_fast.batch.folder import stylize_files
from nst_fast.batch.plan import plan_batch
from nst_fast.stylize.stylizer import Stylizer

plan = plan_batch([Path("photos")], Path("o"), style_name="x")
sys.stdin.readline()  # all begin at once
for outcome in stylize_files(Stylizer("x.safetensors", device="cpu"), plan.items, keep_existing=True):
    if outcome.status != "taken":
        print(outcome.status, outcome.item.source.name, flush=True)
"""


def test_three_processes_share_a_folder_and_one_is_killed(stylizer):
    """Three processes at one folder stylize every photo once; what a killed one left is stylized by the next."""
    save_checkpoint(Path("x.safetensors"), stylizer.checkpoint, dtype="fp32")
    names = [f"{number:02}.png" for number in range(40)]
    make_pictures(*(f"photos/{name}" for name in names), size=(64, 48))
    command = [sys.executable, "-c", SHARED]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert processes[0].stdout is not None
    first = processes[0].stdout.readline()
    processes[0].kill()
    said = [first, *processes[0].communicate()[0].splitlines()]
    for process in processes[1:]:
        said += process.communicate()[0].splitlines()
    said += subprocess.run(command, input="go\n", capture_output=True, text=True, check=True).stdout.splitlines()
    assert all(line.startswith("stylized ") for line in said if line.strip())
    stylized = [line.split()[1] for line in said if line.strip()]
    # Written, but killed before it could say so, is possible for what was in flight.
    assert len(stylized) == len(set(stylized)) >= 40 - 4
    assert sorted(path.name for path in Path("o").iterdir() if not path.name.startswith(".")) == names
    assert all(read_picture(Path("o", name)).rgb.shape == (48, 64, 3) for name in names)


def test_long_names_that_begin_alike_are_all_stylized(stylizer):
    """Six screenshots whose names differ only behind the first eighty characters are six outputs, none left out."""
    names = [f"photos/{'Screenshot of something ' * 4}({number}).png" for number in range(6)]
    make_pictures(*names)
    outcomes = list(stylize_files(stylizer, plan("photos", output="o").items, keep_existing=True))
    assert [outcome.status for outcome in outcomes] == ["stylized"] * 6
    assert len(os.listdir("o")) == 6


def test_hostile_files_cost_one_line_each(stylizer, monkeypatch):
    """A TIFF with text for a tile width, a pipe, and a decoder that raises anything: the other photos are stylized."""
    make_pictures(*(f"photos/{number}.png" for number in range(3)))
    entries = b"".join(struct.pack("<HHII", *entry) for entry in ((256, 4, 1, 1), (257, 4, 1, 1), (322, 2, 60, 200)))
    Path("photos/bomb.tif").write_bytes((b"II*\0" + struct.pack("<IH", 8, 3) + entries + bytes(4)).ljust(300, b" "))
    os.mkfifo("photos/pipe.jpg")
    Path("photos/loop.jpg").symlink_to("loop.jpg")
    outcomes = list(stylize_files(stylizer, plan("photos", output="o").items))
    assert [(outcome.item.source.name, outcome.status) for outcome in outcomes] == [
        ("0.png", "stylized"),
        ("1.png", "stylized"),
        ("2.png", "stylized"),
        ("bomb.tif", "failed"),
        ("loop.jpg", "failed"),
        ("pipe.jpg", "failed"),
    ]
    assert all(outcome.message.startswith(f"photos/{outcome.item.source.name}") for outcome in outcomes[3:])


def test_a_picture_that_cannot_be_encoded_is_one_line(stylizer, monkeypatch):
    """An encoder that runs out of memory, or finds the picture too large, costs one picture."""
    make_pictures("a.png", "b.png", "c.png")
    save = Image.Image.save

    def fail(self, path, **options):
        if Path(path).name.startswith((".a.", ".b.")):
            raise MemoryError if Path(path).name.startswith(".a.") else struct.error("'I' format requires 0 <= number")
        save(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", fail)
    outcomes = list(stylize_files(stylizer, plan("a.png", "b.png", "c.png", output="o").items))
    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "stylized"]
    assert outcomes[0].message.startswith("cannot write o/a.png: 12 x 9 pixels as PNG (not enough memory)")
    assert os.listdir("o") == ["c.png"]


def test_large_pictures_are_alone_in_memory(stylizer, monkeypatch):
    """A picture above the limit is read only when no other is in memory, and nothing is read beside it."""
    monkeypatch.setattr(folder_module, "_LARGE_PIXELS", 500)
    for number in range(8):
        make_pictures(f"photos/{number}.png", size=(40, 30) if number in (2, 5, 6) else (12, 9))
    in_memory: list[str] = []
    seen: dict[str, list[str]] = {}
    lock = threading.Lock()

    def read(path):
        with lock:
            in_memory.append(path.name)
            seen[path.name] = list(in_memory)
        return read_picture(path)

    def write(path, picture, *, jpeg_quality, note):
        with lock:
            in_memory.remove(path.name)

    monkeypatch.setattr(folder_module, "read_picture", read)
    monkeypatch.setattr(folder_module, "write_picture", write)
    outcomes = list(stylize_files(stylizer, plan("photos", output="o").items))
    assert [outcome.item.source.name for outcome in outcomes] == [f"{number}.png" for number in range(8)]
    for number in range(8):
        large = {"2.png", "5.png", "6.png"} & set(seen[f"{number}.png"])
        assert not large or seen[f"{number}.png"] == [f"{number}.png"]


@pytest.mark.parametrize("pair", [("A.png", "a.png"), ("é.png", "e\u0301.png")])
def test_names_that_the_disk_takes_for_one_are_refused(monkeypatch, pair):
    """Targets that differ in case or in how an accent is written are refused where the disk ignores that, else not."""
    make_pictures(f"one/{pair[0]}", f"two/{pair[1]}")
    assert len(targets("one", "two", output="o")) == 2
    exists = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: "NST-FAST" in str(path).upper() or exists(path))
    assert refusal("one", "two", output="o").startswith(f"one/{pair[0]} and two/{pair[1]} would both be stylized to o/")
    assert not [name for name in os.listdir() if name.startswith(".nst")]


def test_a_loop_of_links_among_the_inputs():
    """A loop of symbolic links in an input folder, with the output below it, does not stop the planning."""
    make_pictures("photos/a.png")
    Path("photos/loop").symlink_to("loop")
    Path("photos/b.png").symlink_to("b.png")
    assert targets("photos", output="photos/o") == ["photos/o/a.png", "photos/o/b.png"]
