"""A sheet of reconstructions from files to a file: interrupted and resumed, and what is refused."""

import itertools
import logging
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.data.images import load_image
from nst_fast.errors import ImageError, OutputError, SettingError, TrainingError, WeightsError
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.content import content_loss
from nst_fast.losses.style import gram_matrix, style_loss
from nst_fast.optimization import memory_estimate
from nst_fast.optimization.pixel_optimizer import PixelOptimizer
from nst_fast.reconstruction.reconstruct import reconstruct
from nst_fast.reconstruction.run import ReconstructionRun
from nst_fast.reconstruction.settings import ReconstructSettings
from nst_fast.runs.saved_run import SavedRun
from nst_fast.settings.networks import LossNetworkSettings

QUICK = {
    "loss_network": LossNetworkSettings(name="vgg16", weights="random"),
    "content_taps": ("relu1_1", "relu2_1"),
    "style_taps": ("relu1_1", "relu1_2"),
    "iterations": 4,
    "short_side": 24,
    "device": "cpu",
    "show_progress": False,
}
NAMES = ["style-relu1_1", "style-relu1_1+relu1_2", "content-relu1_1", "content-relu2_1"]


@pytest.fixture
def photo_file(photo_folder):
    return photo_folder / "photo_00.jpg"


def make_sheet(photo_file, style_file, output, **settings):
    return reconstruct(
        ReconstructSettings(content=photo_file, style=style_file, output=output, **{**QUICK, **settings})
    )


def test_the_sheet_and_its_images(tmp_path, photo_file, painting):
    """A row of the style image with growing sets of taps, one of the photo with each tap; each image in a file, too."""
    result = make_sheet(photo_file, painting, tmp_path / "out" / "sheet.png")
    assert list(result.images) == list(result.losses) == NAMES
    assert {file.name for file in (tmp_path / "out" / "sheet.run").glob("*.png")} == {f"{name}.png" for name in NAMES}
    for file in result.images.values():
        assert load_image(file).shape == (3, 24, 32)
    pixels = np.asarray(Image.open(result.output)).astype(int)
    assert pixels.shape[0] > 2 * 24 and pixels.shape[1] > 3 * 32
    for file in result.images.values():
        image = np.asarray(Image.open(file)).astype(int)
        corners = np.argwhere((pixels[:-23, :-31] == image[0, 0]).all(2) & (pixels[23:, 31:] == image[-1, -1]).all(2))
        assert any((pixels[row : row + 24, column : column + 32] == image).all() for row, column in corners)


def test_the_losses_are_those_of_training(tmp_path, photo_file, painting):
    """The loss left of each image is the content loss of its tap, or the sum of the style losses of its taps."""
    result = make_sheet(photo_file, painting, tmp_path / "sheet.png", scaling="johnson")
    loss_network = build_loss_network("vgg16", taps=["relu2_1"], weights="random")
    state = torch.load(tmp_path / "sheet.run" / "state.pt", weights_only=True)
    photo, canvas = (load_image(file, short_side=24)[None] for file in (photo_file, painting))
    features = loss_network(state["images"]["content-relu2_1"][None], ["relu2_1"])["relu2_1"]
    expected = content_loss(features, loss_network(photo, ["relu2_1"])["relu2_1"], "johnson")
    assert result.losses["content-relu2_1"] == pytest.approx(float(expected), rel=1e-4)
    taps = ["relu1_1", "relu1_2"]
    features, targets = (
        loss_network(image, taps) for image in (state["images"]["style-relu1_1+relu1_2"][None], canvas)
    )
    expected = sum(float(style_loss(features[tap], gram_matrix(targets[tap])[0], "johnson")) for tap in taps)
    assert result.losses["style-relu1_1+relu1_2"] == pytest.approx(expected, rel=1e-4)


def test_more_iterations_come_nearer(tmp_path, photo_file):
    """The reconstruction from the first layer approaches the photo."""
    photo = load_image(photo_file, short_side=24)
    distances = []
    for iterations in (1, 30):
        output = tmp_path / f"{iterations}.png"
        result = make_sheet(photo_file, None, output, iterations=iterations, content_taps=("relu1_1",))
        assert list(result.images) == ["content-relu1_1"]
        distances.append(float((load_image(result.images["content-relu1_1"]) - photo).square().mean()))
    assert distances[1] < 0.1 * distances[0]


def test_interrupted_and_resumed_equals_straight(tmp_path, photo_file, painting, monkeypatch, caplog):
    """Ctrl-C in the second image writes the sheet so far; the same call then ends as a straight run does."""
    caplog.set_level(logging.INFO, "nst_fast")
    straight = make_sheet(photo_file, painting, tmp_path / "straight.png")
    count = itertools.count(1)
    take_iteration = PixelOptimizer.take_iteration

    def interrupt(self):
        take_iteration(self)
        if next(count) == 6:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(PixelOptimizer, "take_iteration", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_sheet(photo_file, painting, tmp_path / "interrupted.png")
    with Image.open(tmp_path / "interrupted.png") as sheet, Image.open(tmp_path / "straight.png") as whole:
        assert sheet.size == whole.size  # the row of the style image is as long; that of the photo has only the photo
    assert {file.stem for file in (tmp_path / "interrupted.run").glob("*.png")} == set(NAMES[:2])
    assert "stopped at style-relu1_1+relu1_2" in caplog.messages[-1]
    resumed = make_sheet(photo_file, painting, tmp_path / "interrupted.png")
    assert "2 of 4 images are finished or in progress" in caplog.messages[-1]
    assert resumed.losses == straight.losses
    assert torch.equal(load_image(tmp_path / "straight.png"), load_image(tmp_path / "interrupted.png"))
    assert make_sheet(photo_file, painting, tmp_path / "interrupted.png").losses == straight.losses
    assert caplog.messages[-1].endswith("is finished already; set overwrite to start over")


def test_killed_between_two_images(tmp_path, photo_file, painting, monkeypatch):
    """Images saved before the process was killed are not made again, and the sheet is that of a straight run."""
    straight = make_sheet(photo_file, painting, tmp_path / "straight.png")
    made = []
    original = ReconstructionRun._make_image

    def die(self, reconstruction, *arguments):
        made.append(reconstruction.name)
        if len(made) == 3:
            raise MemoryError("killed")
        original(self, reconstruction, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ReconstructionRun, "_make_image", die)
        with pytest.raises(
            ImageError, match="does not fit into the memory of cpu, 21 x 16 pixels would; set short_side to 16"
        ):
            make_sheet(photo_file, painting, tmp_path / "interrupted.png")
    made.clear()
    monkeypatch.setattr(
        ReconstructionRun,
        "_make_image",
        lambda self, each, *rest: made.append(each.name) or original(self, each, *rest),
    )
    assert make_sheet(photo_file, painting, tmp_path / "interrupted.png").losses == straight.losses
    assert made == NAMES[2:]


def test_other_settings_are_refused(tmp_path, photo_file, painting):
    """A sheet with other settings is not resumed, and a file of somebody else is not overwritten."""
    make_sheet(photo_file, None, tmp_path / "sheet.png")
    with pytest.raises(TrainingError, match=r"holds a run with other settings \(seed was 0, is 5 now\)"):
        make_sheet(photo_file, None, tmp_path / "sheet.png", seed=5)
    (tmp_path / "mine.png").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists and is not the output of this run"):
        make_sheet(photo_file, None, tmp_path / "mine.png")


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (
            {"content_taps": ("relu9_1",)},
            SettingError,
            "tap 'relu9_1' does not exist in vgg16; allowed: relu1_1, relu1_2",
        ),
        ({"style_taps": ()}, SettingError, "no tap of vgg16 was given; allowed: relu1_1, "),
        ({"style_taps": ("relu1_1", "relu1_1")}, SettingError, "style_taps has a tap twice: relu1_1, relu1_1; give"),
        (
            {"short_side": 7, "content_taps": ("relu4_1",)},
            ImageError,
            "9 x 7 pixels are too few for relu4_1, whose stride is 8 pixels; set short_side to at least 8",
        ),
        (
            {"loss_network": LossNetworkSettings(name="vgg16", weights="absent.pth")},
            WeightsError,
            "loss network weights 'absent.pth' are not a file",
        ),
        ({"iterations": 0}, SettingError, "iterations is 0; it must be at least 1"),
        ({"seed": 2**63}, SettingError, f"seed is {2**63}; it must be less than {2**63}"),
        ({"scaling": "none"}, SettingError, "scaling 'none' is unknown; allowed: relative, gatys"),
        ({"total_variation_weight": float("nan")}, SettingError, "total_variation_weight is nan; it must be at least"),
    ],
)
def test_mistakes(tmp_path, photo_file, painting, settings, kind, message):
    """Each is one line that says what is allowed, and comes before anything is written."""
    with pytest.raises(kind) as caught:
        make_sheet(photo_file, painting, tmp_path / "sheet.png", **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("sheet*")) == []


def test_more_mistakes(tmp_path, photo_file):
    """Neither photo nor style image, an output that is not an image, and states that would never be saved."""
    with pytest.raises(SettingError, match="neither content nor style is set; give a photo, a style image, or both"):
        make_sheet(None, None, tmp_path / "sheet.png")
    with pytest.raises(OutputError, match=r"sheet.pdf: the suffix '.pdf' is not one of "):
        make_sheet(photo_file, None, tmp_path / "sheet.pdf")
    with pytest.raises(SettingError, match="save_every_iterations is 0; it must be at least 1"):
        make_sheet(photo_file, None, tmp_path / "sheet.png", save_every_iterations=0)


def test_an_input_is_not_overwritten(tmp_path, photo_file, painting):
    """Neither the photo nor the style image can be the sheet, not even with overwrite."""
    for output in (photo_file, painting):
        before = output.read_bytes()
        with pytest.raises(SettingError, match="would overwrite the input"):
            make_sheet(photo_file, painting, output, overwrite=True)
        assert output.read_bytes() == before


def test_a_run_in_progress_is_left_alone(tmp_path, photo_file):
    """A second call with the same output is refused while the first one works."""
    with SavedRun(tmp_path / "p.run", {}), pytest.raises(TrainingError, match="another process is working on the run"):
        make_sheet(photo_file, None, tmp_path / "p.png")


def test_too_large_for_the_memory(tmp_path, photo_file, monkeypatch):
    """It is refused before anything starts, with a size that would fit."""
    monkeypatch.setattr(memory_estimate, "available_bytes", lambda device: 400_000)
    with pytest.raises(ImageError, match="optimizing 64 x 48 pixels does not fit into the memory of cpu, "):
        make_sheet(photo_file, None, tmp_path / "sheet.png", short_side=48)


def test_one_color(tmp_path):
    """An image of one color, with nothing to reconstruct, gives a sheet, too."""
    Image.new("RGB", (40, 30), (90, 120, 200)).save(tmp_path / "flat.png")
    result = make_sheet(tmp_path / "flat.png", tmp_path / "flat.png", tmp_path / "sheet.png")
    assert all(np.isfinite(loss) for loss in result.losses.values())
