import gc
import importlib.util
import json
import warnings

import numpy as np
import pytest
import torch

from nst_fast.cli.export import main
from nst_fast.errors import OutputError, SettingError
from nst_fast.export.comparison import measure_difference
from nst_fast.export.coreml_package import export_coreml
from nst_fast.export.fixed_strength import fix_strength
from nst_fast.export.int8 import as_input, export_onnx_in_int8
from nst_fast.export.onnx_file import export_onnx, load_onnx
from nst_fast.export.pt2_file import export_pt2
from nst_fast.export.zero_padding import pad_with_zeros
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, save_checkpoint
from nst_fast.networks.onnx_graph import build_onnx_graph
from nst_fast.networks.registry import NETWORKS
from nst_fast.networks.torch_any_size import AnySizeNetwork
from nst_fast.networks.torch_network import build_network, checkpoint_from_network, network_from_checkpoint


def build_checkpoint(name: str = "realtime") -> Checkpoint:
    torch.manual_seed(0)
    network = build_network(name, width=8, input_noise=0.1)
    return checkpoint_from_network(network, CheckpointInfo(style={"name": "wave", "title": "Die große Welle"}))


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(tmp_path, name, pixels):
    """The file stylizes as PyTorch does, the difference is returned, and the metadata say what it is."""
    onnx, path = pytest.importorskip("onnx"), tmp_path / "new" / "wave.onnx"
    checkpoint = build_checkpoint(name)
    difference = export_onnx(checkpoint, path, pixels=pixels)
    assert difference <= (1 if pixels else 0.6)  # bytes are rounded by half a level
    network = AnySizeNetwork(network_from_checkpoint(checkpoint), pixels=pixels)
    in_torch = measure_difference(
        load_onnx(path), lambda images: network(torch.from_numpy(images)).numpy(), pixels=pixels
    )
    assert in_torch <= (1 if pixels else 0.01)
    header = json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["nst_fast"])
    assert header["style"] == {"name": "wave", "title": "Die große Welle"}
    assert header["network"] == {"name": name, "width": 8, "input_noise": 0.1}
    assert header["min_side"] == 8
    assert [file.name for file in path.parent.iterdir()] == ["wave.onnx"]


def test_coreml_with_zero_padding(coremltools, tmp_path):
    """A package without reflections: Core ML's own padding of convolutions is all there is."""
    path = tmp_path / "wave.mlpackage"
    export_coreml(pad_with_zeros(build_checkpoint()), path, height=40, width=56)
    spec = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
    blocks = spec.mlProgram.functions["main"].block_specializations.values()
    operations = [operation.type for block in blocks for operation in block.operations]
    assert "conv" in operations and "pad" not in operations


def test_differences_are_found():
    """A network that is some levels too bright in one pixel is told from one that is not."""
    network = AnySizeNetwork(network_from_checkpoint(build_checkpoint()), pixels=True)

    def stylize(images: np.ndarray, shift: int = 0) -> np.ndarray:
        stylized = network(torch.from_numpy(images)).numpy().copy()
        stylized[0, -1, -1, 2] += np.uint8(shift)
        return stylized

    assert measure_difference(stylize, stylize, pixels=True) == 0
    assert measure_difference(lambda images: stylize(images, 5), stylize, pixels=True) in (5, 251)


@pytest.mark.parametrize("pixels", [False, True])
def test_int8(tmp_path, caplog, pixels):
    """The convolutions of the int8 file are 8 bits wide, it gives nearly the same, and nothing is left beside it."""
    onnx, path = pytest.importorskip("onnx"), tmp_path / "wave.onnx"
    checkpoint = build_checkpoint("johnson")
    photos = np.random.default_rng(0).integers(0, 256, (4, 32, 40, 3), dtype=np.uint8)
    difference = export_onnx_in_int8(checkpoint, path, photos, pixels=pixels)
    assert 0 < difference < 12
    network, run = AnySizeNetwork(network_from_checkpoint(checkpoint), pixels=pixels), load_onnx(path)
    differences = []
    for photo in photos:
        images = as_input(photo, pixels=pixels)
        expected = network(torch.from_numpy(images)).numpy().astype(float)
        differences.append(np.abs(run(images) - expected).mean() * (1 if pixels else 255))
    assert np.mean(differences) == pytest.approx(difference, rel=0.1)
    weights = [tensor for tensor in onnx.load(path).graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert len([tensor for tensor in weights if len(tensor.dims) == 4]) == 16
    assert [file.name for file in tmp_path.iterdir()] == ["wave.onnx"]
    assert caplog.records == []


@pytest.mark.slow
@pytest.mark.parametrize("pixels", [False, True])
def test_pt2(tmp_path, pixels):
    """The program of torch.export stylizes as PyTorch does, in any size, and carries the metadata."""
    path = tmp_path / "wave.pt2"
    assert export_pt2(build_checkpoint(), path, pixels=pixels) <= (1 if pixels else 0.01)
    extra = {"nst_fast": ""}
    program = torch.export.load(path, extra_files=extra)
    assert json.loads(extra["nst_fast"])["style"]["name"] == "wave"
    images = torch.zeros(1, 40, 48, 3, dtype=torch.uint8) if pixels else torch.zeros(1, 3, 40, 48)
    assert program.module()(images).shape == images.shape


@pytest.mark.usefixtures("folder_with_style")
def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    """Where a format's packages are missing, the extra is named, and no file is left."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    photos = np.zeros((1, 8, 8, 3), np.uint8)
    for export, message in (
        (lambda: export_onnx_in_int8(build_checkpoint(), tmp_path / "a.onnx", photos, pixels=True), "int8"),
        (lambda: export_coreml(build_checkpoint(), tmp_path / "a.mlpackage", height=8, width=8), "the format coreml"),
        (lambda: main(["x.safetensors", "--format", "pt2"]), "this format"),
    ):
        extra = {"int8": "quantize", "the format coreml": "coreml", "this format": "train"}[message]
        with pytest.raises(SettingError) as caught:
            export()
        assert str(caught.value) == f"{message} needs an extra: install nst-fast[{extra}]"
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.fixture
def coremltools():
    """The library, which leaves folders to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("coremltools")
        gc.collect()


def test_coreml(coremltools, tmp_path):
    """A package takes and gives an image of the size asked for, carries the metadata, and leaves nothing beside it."""
    path = tmp_path / "new" / "wave.mlpackage"
    for height, width in ((40, 56), (37, 50)):
        difference = export_coreml(build_checkpoint(), path, height=height, width=width)
        assert difference is None or difference <= 2  # Core ML computes in float16
        description = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec().description
        for feature, name in ((description.input, "image"), (description.output, "stylized")):
            assert [one.name for one in feature] == [name]
            assert (feature[0].type.imageType.height, feature[0].type.imageType.width) == (height, width)
        header = json.loads(description.metadata.userDefined["nst_fast"])
        assert header["style"]["title"] == "Die große Welle"
    assert [file.name for file in path.parent.iterdir()] == ["wave.mlpackage"]


@pytest.mark.usefixtures("coremltools")
def test_coreml_leaves_what_is_no_package_alone(tmp_path):
    """A folder of another kind is not replaced, nor is a package for images that are too small written."""
    (tmp_path / "photos").mkdir()
    with pytest.raises(OutputError, match="it exists and is not a Core ML package; give another path"):
        export_coreml(build_checkpoint(), tmp_path / "photos", height=40, width=40)
    with pytest.raises(SettingError, match="size is 40x4; each side must be at least 8 pixels"):
        export_coreml(build_checkpoint(), tmp_path / "a.mlpackage", height=4, width=40)
    assert [file.name for file in tmp_path.iterdir()] == ["photos"]


@pytest.mark.usefixtures("coremltools", "folder_with_style")
def test_the_command_writes_a_package_by_default_name(capsys):
    """It is named after the style, and no line of coremltools' own is seen."""
    assert main(["x.safetensors", "--format", "coreml", "--size", "48x32"]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[0] == "x.mlpackage: an RGB image of 48x32 in and out; experimental"
    assert len(output.out.splitlines()) == 2 and output.err == ""


def build_adjustable() -> Checkpoint:
    """A network whose steering differs from strength to strength."""
    torch.manual_seed(0)
    network = build_network("realtime", width=4, adjustable=True)
    with torch.no_grad():
        network.steering += 0.3 * torch.randn_like(network.steering)
    return checkpoint_from_network(network, CheckpointInfo(style={"name": "wave"}))


@pytest.mark.parametrize("pixels", [False, True])
def test_the_strength_is_an_input_with_a_default(tmp_path, pixels):
    """An ONNX file takes the strength or goes without it, and gives what the network gives with that steering."""
    onnxruntime = pytest.importorskip("onnxruntime")
    checkpoint, path = build_adjustable(), tmp_path / "wave.onnx"
    assert export_onnx(checkpoint, path, pixels=pixels) <= (1 if pixels else 0.6)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    network = AnySizeNetwork(network_from_checkpoint(checkpoint), pixels=pixels)
    images = as_input(np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8), pixels=pixels)
    for strength in (None, 0.0, 0.3, 0.5, 1.7, 2.0):
        inputs = {"images": images} | ({} if strength is None else {"strength": np.array(strength, np.float32)})
        steering = torch.from_numpy(checkpoint.steer(1.0 if strength is None else strength))
        expected = network(torch.from_numpy(images), steering=steering).numpy().astype(float)
        assert np.abs(session.run(None, inputs)[0] - expected).max() <= (1 if pixels else 0.001)


def test_the_strength_may_have_no_default():
    """As the live page's runtime wants it, the input must then be given, and does the same."""
    onnxruntime = pytest.importorskip("onnxruntime")
    checkpoint = build_adjustable()
    images = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    results = []
    for default in (None, 1.0):
        graph = build_onnx_graph(checkpoint, pixels=True, strength=default, strength_input=True)
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        results.append(session.run(None, {"images": images, "strength": np.array(0.3, np.float32)})[0])
        if default is None:
            with pytest.raises(ValueError, match="strength"):
                session.run(None, {"images": images})
    assert np.array_equal(*results)


@pytest.mark.parametrize("format_options", [["onnx", "--pixels"], ["onnx"]])
def test_the_strength_can_be_fixed(tmp_path, monkeypatch, capsys, format_options):
    """--strength fixes it in the file, which then has no input for it, and the metadata say so."""
    monkeypatch.chdir(tmp_path)
    checkpoint = build_adjustable()
    save_checkpoint(tmp_path / "wave.safetensors", checkpoint, dtype="fp32")
    arguments = ["wave.safetensors", "--strength", "0.4", "--output", "file", "--format", *format_options]
    assert main(arguments) == 0
    assert "strength" not in capsys.readouterr().out
    fixed = fix_strength(checkpoint, 0.4)
    assert np.allclose(fixed.steer(1.7), checkpoint.steer(0.4))
    images = as_input(np.zeros((16, 16, 3), np.uint8), pixels="--pixels" in format_options)
    assert load_onnx(tmp_path / "file")(images).shape == images.shape
    assert b'"strength": 0.4' in (tmp_path / "file").read_bytes()


def test_an_adjustable_network_as_pt2(tmp_path):
    """A torch.export program takes any number of images of any size, as for other networks."""
    assert export_pt2(fix_strength(build_adjustable(), 0.4), tmp_path / "wave.pt2", pixels=True) <= 1


def test_a_network_without_the_knob_has_no_strength(tmp_path, monkeypatch):
    """One line says so, and so does one for a strength out of range."""
    monkeypatch.chdir(tmp_path)
    save_checkpoint(tmp_path / "old.safetensors", build_checkpoint(), dtype="fp32")
    save_checkpoint(tmp_path / "new.safetensors", build_adjustable(), dtype="fp32")
    with pytest.raises(SettingError, match="trained without the strength knob"):
        main(["old.safetensors", "--format", "onnx", "--strength", "0.4"])
    with pytest.raises(SettingError, match="strength is 3; give 0 to 2"):
        main(["new.safetensors", "--format", "onnx", "--strength", "3"])
