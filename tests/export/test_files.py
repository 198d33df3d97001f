import gc
import json
import warnings

import numpy as np
import pytest
import torch

from nst_fast.checkpoint import Checkpoint, CheckpointInfo
from nst_fast.cli.export import main
from nst_fast.errors import OutputError, SettingError
from nst_fast.export import onnx_file
from nst_fast.export.comparison import measure_difference
from nst_fast.export.coreml_package import export_coreml
from nst_fast.export.onnx_file import export_onnx, export_onnx_in_int8, load_onnx
from nst_fast.export.pt2_file import export_pt2
from nst_fast.transform_nets import TRANSFORM_NETS
from nst_fast.transform_nets.painter import Painter


def build_checkpoint(name: str = "realtime") -> Checkpoint:
    torch.manual_seed(0)
    network = TRANSFORM_NETS[name](width=8, grain=0.1).eval().requires_grad_(False)
    return Checkpoint(network, CheckpointInfo(style={"name": "wave", "title": "Die große Welle"}))


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("name", TRANSFORM_NETS)
def test_onnx(tmp_path, name, pixels):
    """The file paints as PyTorch does, the difference is told, and the metadata say what it is."""
    onnx, path = pytest.importorskip("onnx"), tmp_path / "new" / "wave.onnx"
    pytest.importorskip("onnxruntime")
    difference = export_onnx(build_checkpoint(name), path, pixels=pixels)
    assert difference <= (1 if pixels else 0.1)
    header = json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["nst_fast"])
    assert header["style"] == {"name": "wave", "title": "Die große Welle"}
    assert header["transform_net"] == {"name": name, "width": 8, "grain": 0.1}
    assert [file.name for file in path.parent.iterdir()] == ["wave.onnx"]


def test_differences_are_found():
    """A network that paints one level too bright somewhere is told from one that does not."""
    network = build_checkpoint().network

    def paint(pictures: np.ndarray, shift: int) -> np.ndarray:
        painted = Painter(network, pixels=True)(torch.from_numpy(pictures)).numpy().copy()
        painted[0, -1, -1, 2] += np.uint8(shift)
        return painted

    assert measure_difference(lambda given: paint(given, 0), network, pixels=True) == 0
    assert measure_difference(lambda given: paint(given, 5), network, pixels=True) in (5, 251)


def test_int8(tmp_path, caplog):
    """The convolutions of the int8 file are 8 bits wide, it paints nearly the same, and nothing is left beside it."""
    onnx, path = pytest.importorskip("onnx"), tmp_path / "wave.onnx"
    pytest.importorskip("onnxruntime")
    checkpoint, photos = build_checkpoint("johnson"), torch.rand(4, 3, 32, 40)
    difference = export_onnx_in_int8(checkpoint, path, photos, pixels=False)
    assert 0 < difference < 8
    with torch.no_grad():
        expected = checkpoint.network(photos).numpy()
    assert np.abs(load_onnx(path)(photos.numpy()) - expected).mean() * 255 == pytest.approx(difference, rel=0.1)
    weights = [tensor for tensor in onnx.load(path).graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert len([tensor for tensor in weights if len(tensor.dims) == 4]) == 16
    assert [file.name for file in tmp_path.iterdir()] == ["wave.onnx"]
    assert caplog.records == []


@pytest.mark.slow
@pytest.mark.parametrize("pixels", [False, True])
def test_pt2(tmp_path, pixels):
    """The program of torch.export paints as PyTorch does, in any size, and carries the metadata."""
    path = tmp_path / "wave.pt2"
    assert export_pt2(build_checkpoint(), path, pixels=pixels) <= (1 if pixels else 0.01)
    extra = {"nst_fast": ""}
    program = torch.export.load(path, extra_files=extra)
    assert json.loads(extra["nst_fast"])["style"]["name"] == "wave"
    pictures = torch.zeros(1, 40, 48, 3, dtype=torch.uint8) if pixels else torch.zeros(1, 3, 40, 48)
    assert program.module()(pictures).shape == pictures.shape


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    """Without ONNX the extra is named, and no file is left."""
    monkeypatch.setattr(onnx_file.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError) as caught:
        export_onnx(build_checkpoint(), tmp_path / "a.onnx", pixels=True)
    assert str(caught.value) == "the format onnx needs an extra: install nst-fast[onnx]"
    assert list(tmp_path.iterdir()) == []


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
        for feature, name in ((description.input, "photo"), (description.output, "painting")):
            assert [one.name for one in feature] == [name]
            assert (feature[0].type.imageType.height, feature[0].type.imageType.width) == (height, width)
        header = json.loads(description.metadata.userDefined["nst_fast"])
        assert header["style"]["title"] == "Die große Welle"
    assert [file.name for file in path.parent.iterdir()] == ["wave.mlpackage"]


@pytest.mark.usefixtures("coremltools")
def test_coreml_leaves_what_is_no_package_alone(tmp_path):
    """A folder of another kind is not replaced, nor is a package of pictures that are too small written."""
    (tmp_path / "photos").mkdir()
    with pytest.raises(OutputError, match="what is there is no Core ML package; give another path"):
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
