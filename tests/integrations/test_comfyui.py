"""The nodes for ComfyUI, against a stand-in for it (see comfyui_stub.py)."""

import asyncio
import dataclasses
import importlib.util
import inspect
import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.errors import SettingError
from nst_fast.losses.settings import LossSettings
from nst_fast.media.pictures import Picture
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.settings.networks import LossNetworkSettings, NetworkSettings
from nst_fast.stylize.look import Look
from nst_fast.stylize.style_image import predict_style
from nst_fast.stylize.stylizer import Stylizer
from nst_fast.training.settings import TrainSettings

PACKAGE = Path(__file__).resolve().parents[2] / "integrations" / "comfyui"


def load_module(name: str, path: Path) -> ModuleType:
    """A module, or a package, by its file, as ComfyUI loads those that it finds."""
    is_package = path.name == "__init__.py"
    locations = [str(path.parent)] if is_package else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=locations)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


stub = load_module("comfyui_stub", Path(__file__).with_name("comfyui_stub.py"))


@pytest.fixture
def host(tmp_path, monkeypatch):
    """The stand-in for ComfyUI, with an empty folder of models."""
    host = stub.Host(tmp_path / "models")
    host.install(monkeypatch)
    return host


@pytest.fixture
def nodes(host):
    """The nodes by their ids, as ComfyUI gets them from the package."""
    module = load_module("nst_fast_nodes", PACKAGE / "__init__.py")
    extension = asyncio.run(module.comfy_entrypoint())
    yield {node.define_schema().node_id: node for node in asyncio.run(extension.get_node_list())}
    for name in [name for name in sys.modules if name.partition(".")[0] == "nst_fast_nodes"]:
        del sys.modules[name]


@pytest.fixture
def images() -> torch.Tensor:
    """Two images of noise, (2, 24, 32, 3), of whole levels."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 24, 32, 3), generator=generator).float() / 255


KNOBS = {"strength": 1.0, "stroke_size": 1.0, "keep_color": "no", "smoothing": 0.0, "coherence": 0.0}


def as_bytes(images: torch.Tensor) -> np.ndarray:
    return (images.numpy() * 255).round().astype(np.uint8)


def test_schemas_are_sound(nodes):
    """Ids are unique, every input has a parameter of `execute`, and optional ones have a default."""
    assert list(nodes) == ["NstFastStylize", "NstFastStyleFromImage", "NstFastTrain"]
    for node in nodes.values():
        schema = node.define_schema()
        ids = [one.id for one in schema.inputs]
        assert len(set(ids)) == len(ids)
        parameters = inspect.signature(node.execute).parameters
        assert set(parameters) == set(ids)
        for one in schema.inputs:
            assert one.optional == (parameters[one.id].default is not parameters[one.id].empty)


def test_a_batch_is_stylized(nodes, host, images):
    """Every image is what Stylizer gives, as floats; the bar advances with each."""
    stylized = nodes["NstFastStylize"].execute(images, "wave", **KNOBS).args[0]
    assert stylized.shape == images.shape and stylized.dtype == torch.float32
    expected = Stylizer("wave").stylize_pixels(as_bytes(images))
    assert np.abs(as_bytes(stylized).astype(int) - expected).max() <= 1
    assert [(value, total) for value, total, _ in host.progress] == [(1, 2), (2, 2)]


def test_the_knobs(nodes, images):
    """They are those of Look, and transparency of the images is ignored."""
    with_alpha = torch.cat([images, torch.zeros(2, 24, 32, 1)], dim=3)
    given = {**KNOBS, "strength": 0.5, "stroke_size": 2.0, "keep_color": "luminance"}
    stylized = nodes["NstFastStylize"].execute(with_alpha, "chrysanthemums", **given).args[0]
    stylizer = Stylizer("chrysanthemums", look=Look(strength=0.5, stroke_size=2.0, keep_color="luminance"))
    for image, one in zip(as_bytes(images), as_bytes(stylized), strict=True):
        assert np.abs(one.astype(int) - stylizer.stylize_picture(Picture(image)).rgb).max() <= 1


def test_smoothing_carries_statistics_over(nodes, images):
    """With smoothing, the second image is a frame that follows the first."""
    stylized = nodes["NstFastStylize"].execute(images, "wave", **{**KNOBS, "smoothing": 0.9}).args[0]
    frames = Stylizer("wave").for_frames(0.9)
    expected = [frames.stylize_pixels(image) for image in as_bytes(images)]
    assert np.abs(as_bytes(stylized).astype(int) - np.stack(expected)).max() <= 1


def test_coherence_carries_outputs_over(nodes, images):
    """With coherence, an image that is shown again keeps part of the output that it had, and follows the camera."""
    given = images[[0, 1, 1]]
    stylized = nodes["NstFastStylize"].execute(given, "wave", **{**KNOBS, "coherence": 0.6}).args[0]
    frames = Stylizer("wave").for_frames(0, 0.6, follow_camera=True)
    expected = [frames.stylize_pixels(image) for image in as_bytes(given)]
    assert np.abs(as_bytes(stylized).astype(int) - np.stack(expected)).max() <= 1


def test_masks(nodes, images):
    """Only where a mask is white there is style; an empty one leaves its image; one mask serves all images."""
    mask = torch.zeros(2, 24, 32)
    mask[0, :, 16:] = 1
    stylized = nodes["NstFastStylize"].execute(images, "wave", **KNOBS, mask=mask).args[0]
    whole = Stylizer("wave").stylize_pixels(as_bytes(images))
    assert np.array_equal(as_bytes(stylized)[0, :, :14], as_bytes(images)[0, :, :14])
    assert np.abs(as_bytes(stylized)[0, :, 18:].astype(int) - whole[0, :, 18:]).max() <= 1
    assert np.array_equal(as_bytes(stylized)[1], as_bytes(images)[1])
    for single in (mask[0], mask[:1]):
        both = nodes["NstFastStylize"].execute(images, "wave", **KNOBS, mask=single).args[0]
        assert torch.equal(both[0], stylized[0]) and not torch.equal(both[1], stylized[1])
    with pytest.raises(SettingError, match="there are 3 masks for 2 images; give one mask, or one for each image"):
        nodes["NstFastStylize"].execute(images, "wave", **KNOBS, mask=torch.ones(3, 24, 32))


def test_an_interruption_ends_a_batch(nodes, host, images):
    """After the image during which the user interrupts, nothing more is done."""
    host.interrupt_at = 0
    with pytest.raises(stub.InterruptProcessingException):
        nodes["NstFastStylize"].execute(images, "wave", **KNOBS)
    assert len(host.progress) == 1


def test_an_image_as_the_style(nodes, images):
    """It gives the network that the program gives for that image, which Stylize prefers to the list."""
    style = nodes["NstFastStyleFromImage"].execute(images).args[0]
    assert style.digest == predict_style(Picture(as_bytes(images)[0])).digest
    stylized = nodes["NstFastStylize"].execute(images, "wave", **KNOBS, other_style=style).args[0]
    expected = Stylizer(style).stylize_pixels(as_bytes(images))
    assert np.abs(as_bytes(stylized).astype(int) - expected).max() <= 1


@pytest.fixture
def small_trainings(nodes, monkeypatch):
    """Trainings are tiny and measure nothing: they take a second."""
    build = TrainSettings.build

    def build_small(**given):
        return dataclasses.replace(
            build(**given),
            network=NetworkSettings(width=4),
            loss_network=LossNetworkSettings(name="compact", weights="random"),
            loss=LossSettings(content_taps={"relu2_1": 1.0}, style_taps={"relu1_1": 1.0}),
            init="random",
            held_out_photos=0,
            compact_share=0.0,
            batch_size=1,
            crop_size=16,
            style_short_side=16,
            save_every_steps=2,
            strip_every_steps=2,
            device="cpu",
        )

    monkeypatch.setattr(TrainSettings, "build", build_small)
    module = sys.modules["nst_fast_nodes.train_node"]
    monkeypatch.setattr(module, "_TRIAL_STEPS", 2)
    monkeypatch.setattr(module, "_LEAST_STEPS", 5)
    return module


@pytest.mark.usefixtures("small_trainings")
def test_training(nodes, host, images, photo_folder):
    """A style comes out, which Stylize takes and lists; the bar shows steps and previews; inference mode is left."""
    with torch.inference_mode():  # as ComfyUI runs nodes
        arguments = (images.clone(), "My sunset!", 0.0, f" {photo_folder} ")
        style, file = nodes["NstFastTrain"].execute(*arguments).args
    assert style.info.style["name"] == "My_sunset"
    assert [value for value, _, _ in host.progress] == [0, 1, 2, 3, 4, 5]
    assert {total for _, total, _ in host.progress} == {5}
    previews = [preview for _, _, preview in host.progress if preview]
    assert previews and all(kind == "JPEG" and isinstance(image, Image.Image) for kind, image, _ in previews)
    listed = next(one for one in nodes["NstFastStylize"].define_schema().inputs if one.id == "style").options
    assert listed == [*list_shipped_checkpoints(), str(Path(file).relative_to(host.styles))]
    assert nodes["NstFastStylize"].execute(images, listed[-1], **KNOBS).args[0].shape == images.shape
    host.progress.clear()
    again, _ = nodes["NstFastTrain"].execute(*arguments).args  # finished already
    assert again.digest == style.digest and host.progress == []


@pytest.mark.usefixtures("small_trainings")
def test_an_interrupted_training_is_resumed(nodes, host, images):
    """The same inputs, here a batch of photos, go on from the last save, and with the same number of steps."""
    photos = torch.rand(6, 32, 32, 3)
    arguments = {"style_image": images, "name": "a", "minutes": 0.0, "photo_folder": "", "photos": photos}
    host.interrupt_at = 3
    with pytest.raises(stub.InterruptProcessingException):
        nodes["NstFastTrain"].execute(**arguments)
    assert [value for value, _, _ in host.progress] == [0, 1, 2, 3]
    host.progress.clear()
    nodes["NstFastTrain"].execute(**arguments)
    assert [value for value, _, _ in host.progress] == [2, 3, 4, 5]


def test_photos_come_from_one_place(nodes, images):
    """None and two of them are refused in one line."""
    message = "photos come from a folder or from a batch; give one of photo_folder and photos"
    for given in ({"photo_folder": " "}, {"photo_folder": "photos", "photos": images}):
        with pytest.raises(SettingError, match=message):
            nodes["NstFastTrain"].execute(images, "a", 1.0, **given)


def test_the_steps_fit_the_minutes(small_trainings, monkeypatch, tmp_path):
    """What the trial and a second preparation take is left out, and two loss networks count by their shares."""
    module = small_trainings
    seconds = iter([100.0, 130.0])  # the trial takes 30 s
    monkeypatch.setattr(module, "_time_steps", lambda settings: (0.5, 10.0))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(seconds))
    settings = TrainSettings.build(style="a", content="b", output=str(tmp_path))
    assert module._plan_steps(settings, 2.0) == (120 - 30 - 20) / 0.5
    monkeypatch.setattr(module, "_time_steps", None)
    assert module._plan_steps(settings, 2.0) == 140, "as planned before"


def test_the_time_of_a_step(small_trainings, monkeypatch):
    """The steps of the two loss networks count by their shares, without the first of each, which is slower."""
    module = small_trainings
    monkeypatch.setattr(module, "_TRIAL_STEPS", 8)
    times = iter(np.cumsum([0, 9, 1, 1, 1, 9, 3, 3, 3]))

    def train(settings, on_moment):
        assert settings.steps == 8
        for _ in range(9):
            on_moment(None)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(times)))
    settings = dataclasses.replace(TrainSettings.build(style="a", content="b"), compact_share=0.5)
    assert module._time_steps(settings) == (2.0, 30.0)


def test_the_example_workflow_fits_the_nodes(nodes):
    """Its nodes exist, their widgets have values of the right number and kind, and its links join equal types."""
    workflows = sorted((PACKAGE / "example_workflows").glob("*.json"))
    assert workflows
    for file in workflows:
        workflow = json.loads(file.read_text(encoding="utf-8"))
        by_id = {node["id"]: node for node in workflow["nodes"]}
        assert {node["type"] for node in by_id.values()} - nodes.keys() <= {"LoadImage", "SaveImage"}
        for _, source, slot, target, place, kind in workflow["links"]:
            assert by_id[source]["outputs"][slot]["type"] == by_id[target]["inputs"][place]["type"] == kind
        for node in (node for node in by_id.values() if node["type"] in nodes):
            schema = nodes[node["type"]].define_schema()
            widgets = [one for one in schema.inputs if isinstance(one, stub.WidgetInput)]
            for value, widget in zip(node["widgets_values"], widgets, strict=True):
                assert value in widget.options if isinstance(widget, stub.ComboInput) else True
                assert isinstance(value, str) != isinstance(widget, stub.NumberInput)
            types = {one.id: one.io_type for one in schema.inputs}
            assert all(types[one["name"]] == one["type"] for one in node["inputs"])


def test_the_package_has_what_the_registry_wants():
    """Name, version, description, license, icon and publisher; PyTorch, which ComfyUI brings, is no dependency."""
    table = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))
    project, comfy = table["project"], table["tool"]["comfy"]
    assert "comfyui" not in project["name"] and len(project["version"].split(".")) == 3
    assert (PACKAGE / project["license"]["file"]).read_text() == (PACKAGE.parents[1] / "LICENSE").read_text()
    assert {"PublisherId", "DisplayName", "Icon", "requires-comfyui"} <= comfy.keys()
    assert not any("torch" in dependency or "[" in dependency for dependency in project["dependencies"])
    with Image.open(PACKAGE / "icon.png") as icon:
        assert icon.size == (400, 400)
