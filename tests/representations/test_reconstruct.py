"""A sheet of reconstructions from files to a file: cut and continued, and what is said when it cannot be."""

import itertools
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.errors import ImageError, OutputError, SettingError, TrainingError, WeightsError
from nst_fast.gatys import memory_estimate
from nst_fast.gatys.pixel_optimiser import PixelOptimiser
from nst_fast.images import load_image
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.content import content_loss
from nst_fast.losses.style import gram_matrix, style_loss
from nst_fast.representations.plan import ReconstructionPlan
from nst_fast.representations.reconstruct import reconstruct
from nst_fast.representations.run import Run

QUICK = {
    "weights": "random",
    "loss_network": "vgg16",
    "content_taps": ("relu1_1", "relu2_1"),
    "style_taps": ("relu1_1", "relu1_2"),
    "iterations": 4,
    "short_side": 24,
}
NAMES = ["style-relu1_1", "style-relu1_1+relu1_2", "content-relu1_1", "content-relu2_1"]


@pytest.fixture
def photo_file(photo_folder):
    return photo_folder / "photo_00.jpg"


def make_sheet(photo_file, painting, output, plan=None, **settings):
    settings = {"device": "cpu", "show_progress": False, "say": lambda line: None, **settings}
    return reconstruct(photo_file, painting, output, ReconstructionPlan(**{**QUICK, **(plan or {})}), **settings)


def test_the_sheet_and_its_pictures(tmp_path, photo_file, painting):
    """A row of the painting with growing sets of taps, one of the photo with each tap; each picture in a file, too."""
    result = make_sheet(photo_file, painting, tmp_path / "out" / "sheet.png")
    assert list(result.pictures) == list(result.losses) == NAMES
    assert {file.name for file in (tmp_path / "out" / "sheet.run").glob("*.png")} == {f"{name}.png" for name in NAMES}
    for file in result.pictures.values():
        assert load_image(file).shape == (3, 24, 32)
    pixels = np.asarray(Image.open(result.sheet)).astype(int)
    assert pixels.shape[0] > 2 * 24 and pixels.shape[1] > 3 * 32
    for file in result.pictures.values():
        picture = np.asarray(Image.open(file)).astype(int)
        corners = np.argwhere(
            (pixels[:-23, :-31] == picture[0, 0]).all(2) & (pixels[23:, 31:] == picture[-1, -1]).all(2)
        )
        assert any((pixels[row : row + 24, column : column + 32] == picture).all() for row, column in corners)


def test_the_losses_are_those_of_training(tmp_path, photo_file, painting):
    """What each picture still differs by is the content loss of its tap, or the mean style loss of its taps."""
    result = make_sheet(photo_file, painting, tmp_path / "sheet.png", {"normalisation": "johnson"})
    loss_network = build_loss_network("vgg16", taps=["relu2_1"], weights="random")
    state = torch.load(tmp_path / "sheet.run" / "state.pt", weights_only=True)
    photo, canvas = (load_image(file, short_side=24)[None] for file in (photo_file, painting))
    features = loss_network(state["pictures"]["content-relu2_1"][None], ["relu2_1"])["relu2_1"]
    expected = content_loss(features, loss_network(photo, ["relu2_1"])["relu2_1"], "johnson")
    assert result.losses["content-relu2_1"] == pytest.approx(float(expected), rel=1e-4)
    taps = ["relu1_1", "relu1_2"]
    features, targets = (
        loss_network(image, taps) for image in (state["pictures"]["style-relu1_1+relu1_2"][None], canvas)
    )
    expected = sum(float(style_loss(features[tap], gram_matrix(targets[tap])[0], "johnson")) for tap in taps)
    assert result.losses["style-relu1_1+relu1_2"] == pytest.approx(expected, rel=1e-4)


def test_more_iterations_come_nearer(tmp_path, photo_file):
    """The reconstruction of the first layer nears the photo itself."""
    photo = load_image(photo_file, short_side=24)
    distances = []
    for iterations in (1, 30):
        plan = {"iterations": iterations, "content_taps": ("relu1_1",)}
        result = make_sheet(photo_file, None, tmp_path / f"{iterations}.png", plan)
        assert list(result.pictures) == ["content-relu1_1"]
        distances.append(float((load_image(result.pictures["content-relu1_1"]) - photo).square().mean()))
    assert distances[1] < 0.1 * distances[0]


def test_cut_and_continued_equals_straight(tmp_path, photo_file, painting, monkeypatch):
    """Ctrl-C in the second picture writes the sheet so far; the same call then ends as a straight run does."""
    straight = make_sheet(photo_file, painting, tmp_path / "straight.png")
    count = itertools.count(1)
    take_iteration = PixelOptimiser.take_iteration

    def interrupt(self):
        take_iteration(self)
        if next(count) == 6:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(PixelOptimiser, "take_iteration", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_sheet(photo_file, painting, tmp_path / "cut.png")
    with Image.open(tmp_path / "cut.png") as sheet, Image.open(tmp_path / "straight.png") as whole:
        assert sheet.size == whole.size  # the row of the painting is as long; that of the photo has the photo alone
    assert {file.stem for file in (tmp_path / "cut.run").glob("*.png")} == set(NAMES[:2])
    lines = []
    resumed = make_sheet(photo_file, painting, tmp_path / "cut.png", say=lines.append)
    assert "2 of 4 pictures are begun" in lines[-1]
    assert resumed.losses == straight.losses
    assert torch.equal(load_image(tmp_path / "straight.png"), load_image(tmp_path / "cut.png"))
    assert make_sheet(photo_file, painting, tmp_path / "cut.png", say=lines.append).losses == straight.losses
    assert lines[-1].endswith("is finished, by these very settings: nothing to do (overwrite=true begins anew)")


def test_killed_between_two_pictures(tmp_path, photo_file, painting, monkeypatch):
    """What was saved before a kill is not made again, and the sheet is that of a straight run."""
    straight = make_sheet(photo_file, painting, tmp_path / "straight.png")
    made = []
    original = Run._make_picture

    def die(self, job, *arguments):
        made.append(job.name)
        if len(made) == 3:
            raise MemoryError("killed")
        original(self, job, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_make_picture", die)
        with pytest.raises(ImageError, match="does not fit the memory of cpu; 21 x 16 would: give short_side=16"):
            make_sheet(photo_file, painting, tmp_path / "cut.png")
    made.clear()
    monkeypatch.setattr(
        Run, "_make_picture", lambda self, job, *rest: made.append(job.name) or original(self, job, *rest)
    )
    assert make_sheet(photo_file, painting, tmp_path / "cut.png").losses == straight.losses
    assert made == NAMES[2:]


def test_another_plan_is_refused(tmp_path, photo_file, painting):
    """A sheet of other settings is not continued, and a strange file is not overwritten."""
    make_sheet(photo_file, None, tmp_path / "sheet.png")
    with pytest.raises(TrainingError, match=r"holds a run begun with other settings \(seed 0 there, 5 now\)"):
        make_sheet(photo_file, None, tmp_path / "sheet.png", {"seed": 5})
    (tmp_path / "mine.png").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists and is no result of this command"):
        make_sheet(photo_file, None, tmp_path / "mine.png")


@pytest.mark.parametrize(
    ("plan", "kind", "message"),
    [
        (
            {"content_taps": ("relu9_1",)},
            SettingError,
            "tap 'relu9_1' does not exist in vgg16; allowed: relu1_1, relu1_2",
        ),
        ({"style_taps": ()}, SettingError, "no tap of vgg16 was given; allowed: relu1_1, "),
        ({"style_taps": ("relu1_1", "relu1_1")}, SettingError, "style_taps names a tap twice: relu1_1, relu1_1; give"),
        (
            {"short_side": 7, "content_taps": ("relu4_1",)},
            ImageError,
            "9 x 7 pixels are too few for relu4_1, whose activations lie 8 pixels apart; give short_side=8 or more",
        ),
        ({"weights": "absent.pth"}, WeightsError, "loss network weights 'absent.pth' are not a file; give a"),
        ({"iterations": 0}, SettingError, "iterations is 0; it must be at least 1"),
        ({"seed": 2**63}, SettingError, f"seed is {2**63}; it must be less than {2**63}"),
        ({"normalisation": "none"}, SettingError, "normalisation 'none' is unknown; allowed: relative, gatys"),
        ({"total_variation_weight": float("nan")}, SettingError, "total_variation_weight is nan; it must be at least"),
    ],
)
def test_mistakes(tmp_path, photo_file, painting, plan, kind, message):
    """Each is one line that says what is allowed, before anything is written."""
    with pytest.raises(kind) as caught:
        make_sheet(photo_file, painting, tmp_path / "sheet.png", plan)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("sheet*")) == []


def test_more_mistakes(tmp_path, photo_file):
    """Nothing given, an output that is no picture, states that would never be saved."""
    with pytest.raises(SettingError, match="neither photo nor painting was given; give content=FILE, style=FILE, or"):
        make_sheet(None, None, tmp_path / "sheet.png")
    with pytest.raises(OutputError, match=r"sheet.pdf: the suffix '.pdf' is not one of "):
        make_sheet(photo_file, None, tmp_path / "sheet.pdf")
    with pytest.raises(SettingError, match="save_every_iterations is 0; it must be at least 1"):
        make_sheet(photo_file, None, tmp_path / "sheet.png", save_every_iterations=0)


def test_too_large_for_the_memory(tmp_path, photo_file, monkeypatch):
    """It is said before anything starts, with the size that would fit."""
    monkeypatch.setattr(memory_estimate, "available_bytes", lambda device: 400_000)
    with pytest.raises(ImageError, match="optimising 64 x 48 pixels does not fit the memory of cpu; "):
        make_sheet(photo_file, None, tmp_path / "sheet.png", {"short_side": 48})


def test_one_colour(tmp_path):
    """A photo of one colour, which has nothing to keep, gives a sheet all the same."""
    Image.new("RGB", (40, 30), (90, 120, 200)).save(tmp_path / "flat.png")
    result = make_sheet(tmp_path / "flat.png", tmp_path / "flat.png", tmp_path / "sheet.png")
    assert all(np.isfinite(loss) for loss in result.losses.values())
