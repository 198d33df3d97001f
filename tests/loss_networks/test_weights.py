import dataclasses
import hashlib
import io
import math
import pickle
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn

from nst_fast.errors import SettingError, WeightsError
from nst_fast.loss_networks.weights import WEIGHT_VARIABLES, build_loss_network, choose_loss_network, find_weights
from nst_fast.settings.networks import LossNetworkSettings

FILE_NAME = "vgg16-397923af.pth"  # torchvision's file of VGG-16
TAPS = ["relu2_2", "relu1_1"]
WAYS_OUT = (
    "connect to the internet once, set loss_network.weights to a file (torchvision-format .pth or .safetensors), or "
    "choose loss_network compact, which ships with nst-fast"
)


def draw_state(architecture: str = "vgg16", layers: int = 9) -> dict[str, Tensor]:
    """torchvision's state_dict with random numbers, down to a place in `features`, without the big classifier."""
    with torch.device("meta"):
        shapes = getattr(torchvision.models, architecture)(weights=None).state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, tensor in shapes.items():
        if key.startswith("features.") and int(key.split(".")[1]) < layers:
            scale = math.sqrt(2 / tensor[0].numel()) if tensor.ndim == 4 else 0.1
            state[key] = torch.randn(tensor.shape, generator=generator) * scale
    return state


def run_state(state: dict[str, Tensor], image: Tensor, layers: int) -> Tensor:
    """What torchvision's VGG-16 gives at a place in `features` with the weights in `state`."""
    with torch.device("meta"):
        features = torchvision.models.vgg16(weights=None).features[:layers]
    features.load_state_dict(
        {key.removeprefix("features."): tensor.float() for key, tensor in state.items()}, assign=True
    )
    return features(torchvision.transforms.functional.normalize(image, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def message_of(**arguments) -> str:
    with pytest.raises(WeightsError) as caught:
        build_loss_network("vgg16", **{"taps": TAPS, **arguments})
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def state():
    return draw_state()


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))


class Code:
    """A pickle of it, read carelessly, makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (self.canary,))


@pytest.mark.parametrize("legacy", [True, False])
def test_pth_gives_torchvisions_activations(tmp_path, state, image, legacy):
    """A .pth, in torch's old format (torchvision's downloads) or the new one, gives torchvision's activations."""
    path = tmp_path / FILE_NAME
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    network = build_loss_network("vgg16", taps=TAPS, weights=path)
    activations = network(image, ["relu2_2"])["relu2_2"]
    torch.testing.assert_close(activations, run_state(state, image, 9).detach(), rtol=1e-5, atol=1e-5)
    assert network.weights_name == FILE_NAME
    assert network.input_normalization == "imagenet"
    assert not any(weight.requires_grad for weight in network.parameters())


def test_float16_safetensors(tmp_path, state, image):
    """A float16 .safetensors is read into float32 weights of exactly its values; so is a path given as text."""
    half = {key: tensor.half() for key, tensor in state.items()}
    path = tmp_path / "half.safetensors"
    safetensors.torch.save_file(half, path)
    network = build_loss_network("vgg16", taps=TAPS, weights=str(path))
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert torch.equal(network.layers[1].weight, half["features.2.weight"].float())
    expected = run_state(half, image, 9).detach()
    torch.testing.assert_close(network(image, ["relu2_2"])["relu2_2"], expected, rtol=1e-5, atol=1e-5)


def test_home_is_found(tmp_path, monkeypatch, state):
    """A path may begin with the sign of the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    safetensors.torch.save_file(state, tmp_path / "vgg.safetensors")
    assert build_loss_network("vgg16", taps=TAPS, weights="~/vgg.safetensors").weights_name == "vgg.safetensors"


def test_file_may_end_at_the_deepest_tap(tmp_path, state):
    """A file that ends where the deepest tap lies is whole; one that ends before is told its first missing layer."""
    path = tmp_path / "cut.safetensors"
    cut = {key: tensor for key, tensor in state.items() if int(key.split(".")[1]) <= 5}
    assert sorted({int(key.split(".")[1]) for key in cut}) == [0, 2, 5]
    safetensors.torch.save_file(cut, path)
    assert build_loss_network("vgg16", taps=["relu2_1"], weights=path).taps[-1] == "relu2_1"
    assert message_of(weights=path) == (
        f"'{path}' lacks features.7.weight, which vgg16 needs for relu2_2; "
        f"give a file that reaches relu2_2, or ask for shallower taps"
    )
    del cut["features.2.bias"]
    safetensors.torch.save_file(cut, path)
    assert message_of(weights=path).startswith(f"'{path}' lacks features.2.bias, which vgg16 needs for relu1_2")


def test_weights_of_another_architecture(tmp_path):
    """VGG-16's file for VGG-19 is refused: where one has its eighth convolution, the other has a pooling."""
    path = tmp_path / FILE_NAME
    torch.save({key: tensor.half() for key, tensor in draw_state(layers=18).items()}, path)
    assert build_loss_network("vgg16", taps=["relu4_1"], weights=path)
    with pytest.raises(WeightsError) as caught:
        build_loss_network("vgg19", taps=["relu4_1"], weights=path)
    assert str(caught.value).startswith(f"'{path}' lacks features.16.weight, which vgg19 needs for relu3_4")


def test_wrong_shapes(tmp_path, state):
    """A tensor of another shape is refused with both shapes; so is something that is no tensor."""
    path = tmp_path / FILE_NAME
    torch.save({**state, "features.5.weight": torch.zeros(128, 128, 3, 3)}, path)
    assert message_of(weights=path) == (
        f"'{path}' has features.5.weight of shape (128, 128, 3, 3), vgg16 needs (128, 64, 3, 3); "
        f"give the weights of vgg16"
    )
    torch.save({**state, "features.5.weight": 3.0}, path)
    assert message_of(weights=path) == f"'{path}' has a float as features.5.weight, not a tensor; get the file again"


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_file(tmp_path, kind):
    """A file that was cut off anywhere is refused in one line, whatever the reader raises."""
    small = {"features.0.weight": torch.zeros(64, 3, 3, 3)}
    buffer = io.BytesIO()
    torch.save(small, buffer, _use_new_zipfile_serialization=kind == "zip")
    whole = safetensors.torch.save(small) if kind == "safetensors" else buffer.getvalue()
    path = tmp_path / ("cut.safetensors" if kind == "safetensors" else "cut.pth")
    for length in [0, 1, 2, 8, 9, *range(20, len(whole), 397), len(whole) - 1]:
        path.write_bytes(whole[:length])
        message = message_of(weights=path)
        assert message.startswith(f"loss network weights '{path}' "), (length, message)
        assert "cannot be read (" in message or "hold more than tensors, or are damaged" in message, (length, message)


def test_damaged_pickle(tmp_path):
    """Wrong bytes in a .pth, which make the reader raise a dozen kinds of errors, give one line or other numbers."""
    buffer = io.BytesIO()
    torch.save({"features.0.bias": torch.zeros(4)}, buffer, _use_new_zipfile_serialization=False)
    path = tmp_path / "damaged.pth"
    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        data = bytearray(buffer.getvalue())
        for place in torch.randint(len(data), (2,), generator=generator).tolist():
            data[place] = int(torch.randint(256, (), generator=generator))
        path.write_bytes(data)
        assert str(path) in message_of(weights=path)


@pytest.mark.parametrize("legacy", [True, False])
def test_pickle_with_code_is_not_executed(tmp_path, state, legacy):
    """A .pth with code in it is refused, and the code does not run; the same file read carelessly would run it."""
    canary, path = tmp_path / "canary", tmp_path / FILE_NAME
    torch.save({**state, "code": Code(canary)}, path, _use_new_zipfile_serialization=not legacy)
    assert message_of(weights=path) == (
        f"loss network weights '{path}' hold more than tensors, or are damaged, and were not executed; "
        f"give a whole torchvision-format .pth (a bare state_dict) or .safetensors file"
    )
    assert not canary.exists()
    torch.load(path, weights_only=False)
    assert canary.exists()


def test_bare_pickle_is_not_executed(tmp_path):
    """A plain pickle under either suffix is refused, and its code does not run."""
    canary = tmp_path / "canary"
    for name in ("code.pth", "code.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Code(canary)))
        assert name in message_of(weights=tmp_path / name)
    assert not canary.exists()


def test_whole_module_is_refused(tmp_path):
    """A saved module instead of a state_dict is refused, and so is a bare tensor."""
    torch.save(nn.Conv2d(3, 64, 3), tmp_path / "module.pth")
    assert "(a bare state_dict)" in message_of(weights=tmp_path / "module.pth")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    assert message_of(weights=tmp_path / "tensor.pth") == (
        f"loss network weights '{tmp_path / 'tensor.pth'}' hold no state_dict but a Tensor"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
def test_not_finite(tmp_path, state, value):
    """A value that is not finite, or is too big for float32, is refused with the tensor's name."""
    bias = state["features.2.bias"].double()
    bias[5] = value
    path = tmp_path / "bad.safetensors"
    safetensors.torch.save_file({**state, "features.2.bias": bias}, path)
    assert message_of(weights=path) == (
        f"'{path}' has values in features.2.bias that are not finite; get the file again"
    )


def test_missing_file(tmp_path):
    """A path that is no file, a folder, or a misspelt word, is answered with the words; so is too long a name."""
    for given in (tmp_path / "absent.pth", tmp_path, "imagenett", "~nobody_of_this_name/vgg.pth", "x" * 5000):
        assert message_of(weights=given) == (
            f"loss network weights {str(given)!r} are not a file; give a torchvision-format .pth or .safetensors "
            f"file, or one of the words imagenet, imagenet_features, shipped, random"
        )


def test_random_is_repeatable():
    """The same seed draws the same weights whatever torch's own seed, and another seed others."""
    torch.manual_seed(1)
    first = build_loss_network("vgg19", taps=["relu2_1"], weights="random", seed=7)
    torch.manual_seed(2)
    second = build_loss_network("vgg19", taps=["relu2_1"], weights="random", seed=7)
    other = build_loss_network("vgg19", taps=["relu2_1"], weights="random", seed=8)
    for ours, same, different in zip(first.layers, second.layers, other.layers, strict=True):
        assert torch.equal(ours.weight, same.weight) and torch.equal(ours.bias, same.bias)
        assert not torch.equal(ours.weight, different.weight)
    assert first.weights_name == "random, seed 7"


def test_random_does_not_depend_on_depth(image):
    """A tap's activations are the same bits whether or not deeper taps were asked for."""
    shallow = build_loss_network("vgg16", taps=["relu2_1"], weights="random")
    deep = build_loss_network("vgg16", taps=["relu3_3", "relu1_1"], weights="random")
    assert torch.equal(shallow(image, ["relu2_1"])["relu2_1"], deep(image, ["relu2_1"])["relu2_1"])


def test_random_keeps_the_scale():
    """He et al.'s draw: the mean square of the activations stays within a factor of 6 down to the deepest tap."""
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    network = build_loss_network("vgg16", taps=["relu5_3"], weights="random")
    squares = [activations.square().mean() for activations in network(image, network.taps).values()]
    assert max(squares) / min(squares) < 6


class Response(io.BytesIO):
    """What urlopen gives: bytes, and headers."""

    def info(self) -> Message:
        return Message()


class Server:
    """Stands in for the internet: answers every download with the same bytes, or with an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, home: Path, answer: bytes | Exception) -> None:
        self.asked: list[str] = []
        self.answer = answer
        monkeypatch.setenv("TORCH_HOME", str(home))
        for variable in WEIGHT_VARIABLES.values():
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr("torch.hub.urlopen", self.open)

    def open(self, request: urllib.request.Request) -> "Response":
        self.asked.append(request.full_url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return Response(self.answer)


def name_after_content(monkeypatch: pytest.MonkeyPatch, release, data: bytes) -> str:
    """Make torchvision expect `data`: the end of a file's name is the start of its SHA-256."""
    name = f"vgg16-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    monkeypatch.setattr(release, "_value_", _replace_url(release.value, f"https://download.pytorch.org/models/{name}"))
    return name


def _replace_url(weights, url: str):
    return type(weights)(url=url, transforms=weights.transforms, meta=weights.meta)


def as_download(state: dict[str, Tensor]) -> bytes:
    """The bytes of a file as torchvision offers them: torch's old format, with a classifier behind the features."""
    buffer = io.BytesIO()
    torch.save({**state, "classifier.0.bias": torch.full((9,), math.nan)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "error",
    [urllib.error.URLError("Name or service not known"), ConnectionResetError("reset"), TimeoutError("timed out")],
)
def test_no_internet(tmp_path, monkeypatch, error):
    """Without the internet `imagenet` is an error that says what to do, and nothing is left behind."""
    server = Server(monkeypatch, tmp_path, error)
    assert message_of(weights="imagenet") == (f"the weights of vgg16 could not be downloaded ({error}); {WAYS_OUT}")
    assert server.asked == [f"https://download.pytorch.org/models/{FILE_NAME}"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_auto_without_the_internet(tmp_path, monkeypatch, caplog):
    """`auto` is VGG-19 if a file is given, and the compact network if no weights can be had; one line says so."""
    Server(monkeypatch, tmp_path, urllib.error.URLError("no network"))
    given = LossNetworkSettings(name="auto", weights="a.pth", pooling="average")
    assert choose_loss_network(given) == dataclasses.replace(given, name="vgg19")
    assert choose_loss_network(LossNetworkSettings(name="vgg16")) == LossNetworkSettings(name="vgg16")
    assert caplog.messages == []
    chosen = choose_loss_network(LossNetworkSettings(name="auto"))
    assert chosen == LossNetworkSettings(name="compact", weights="shipped")
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith("no VGG-19 weights available: ")


def test_a_variable_names_the_file(tmp_path, monkeypatch, state, image):
    """The file in NST_FAST_VGG16_WEIGHTS replaces a download of VGG-16, and nothing else."""
    torch.save(state, tmp_path / "16.pth")
    monkeypatch.setenv("NST_FAST_VGG16_WEIGHTS", str(tmp_path / "16.pth"))
    network = build_loss_network("vgg16", taps=TAPS, weights="imagenet")
    assert network.weights_name == "16.pth"
    expected = run_state(state, image, 9).detach()
    torch.testing.assert_close(network(image, ["relu2_2"])["relu2_2"], expected, rtol=1e-5, atol=1e-5)
    for word in ("imagenet", "imagenet_features"):
        assert find_weights("vgg16", word) == str(tmp_path / "16.pth")
    assert (find_weights("vgg16", "random"), find_weights("vgg19", "imagenet")) == ("random", "imagenet")
    chosen = choose_loss_network(LossNetworkSettings(name="vgg16"))
    assert chosen == LossNetworkSettings(name="vgg16", weights=str(tmp_path / "16.pth"))
    monkeypatch.setenv("NST_FAST_VGG19_WEIGHTS", "19.pth")
    chosen = choose_loss_network(LossNetworkSettings(name="auto"))
    assert chosen == LossNetworkSettings(name="vgg19", weights="19.pth")


def test_download(tmp_path, monkeypatch, state, image, capsys):
    """A download in torchvision's format is loaded, and kept for the next time."""
    data = as_download(state)
    server = Server(monkeypatch, tmp_path, data)
    name = name_after_content(monkeypatch, torchvision.models.VGG16_Weights.IMAGENET1K_V1, data)
    for _ in range(2):
        network = build_loss_network("vgg16", taps=TAPS, weights="imagenet")
    assert server.asked == [f"https://download.pytorch.org/models/{name}"]
    assert (tmp_path / "hub" / "checkpoints" / name).read_bytes() == data
    assert network.weights_name == "torchvision IMAGENET1K_V1"
    assert network.input_normalization == "imagenet"
    expected = run_state(state, image, 9).detach()
    torch.testing.assert_close(network(image, ["relu2_2"])["relu2_2"], expected, rtol=1e-5, atol=1e-5)


def test_download_of_other_bytes(tmp_path, monkeypatch, state):
    """A download whose checksum is not that of torchvision's file is refused, and not kept."""
    Server(monkeypatch, tmp_path, as_download(state))
    message = message_of(weights="imagenet")
    assert "could not be downloaded (invalid hash value" in message and message.endswith(WAYS_OUT)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_download_with_code(tmp_path, monkeypatch):
    """A kept download that was exchanged for a pickle with code is refused, and the code does not run."""
    Server(monkeypatch, tmp_path, urllib.error.URLError("no network"))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"code": Code(tmp_path / "canary")}, folder / FILE_NAME, _use_new_zipfile_serialization=False)
    assert message_of(weights="imagenet").endswith(WAYS_OUT)
    assert not (tmp_path / "canary").exists()


def test_imagenet_features(tmp_path, monkeypatch, state):
    """`imagenet_features` downloads torchvision's other release of VGG-16 and picks the input it was trained with."""
    data = as_download(state)
    server = Server(monkeypatch, tmp_path, data)
    name = name_after_content(monkeypatch, torchvision.models.VGG16_Weights.IMAGENET1K_FEATURES, data)
    network = build_loss_network("vgg16", taps=TAPS, weights="imagenet_features")
    assert server.asked == [f"https://download.pytorch.org/models/{name}"]
    assert network.weights_name == "torchvision IMAGENET1K_FEATURES"
    assert network.input_normalization == "caffe"
    chosen = build_loss_network("vgg16", taps=TAPS, weights="imagenet_features", input_normalization="imagenet")
    assert chosen.input_normalization == "imagenet"


def test_imagenet_features_is_for_vgg16_alone():
    """`imagenet_features` for VGG-19, which torchvision does not have, is an error that says for what it exists."""
    with pytest.raises(SettingError) as caught:
        build_loss_network("vgg19", taps=["relu1_1"], weights="imagenet_features")
    assert str(caught.value) == "weights 'imagenet_features' of loss network vgg19 do not exist; they do for vgg16"


def test_real_weights_tell_paintings_apart(shared_folder):
    """With VGG-19's trained weights (down to relu5_1) textures of one kind have nearer Gram matrices than others."""
    path = shared_folder / "data" / "weights" / "vgg19_conv5_1.safetensors"
    network = build_loss_network("vgg19", taps=["relu5_1", "relu3_1"], weights=path)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    stripes = [0.5 + 0.5 * torch.sin(0.8 * axis + phase) for axis in (rows, columns) for phase in (0, 1.5)]
    activations = network(torch.stack(stripes).unsqueeze(1).expand(-1, 3, -1, -1), ["relu3_1", "relu5_1"])
    assert activations["relu5_1"].shape == (4, 512, 4, 4)
    assert all(features.isfinite().all() and features.std() > 0 for features in activations.values())
    flat = activations["relu3_1"].flatten(2)
    grams = flat @ flat.transpose(1, 2)
    same = (grams[0] - grams[1]).norm() + (grams[2] - grams[3]).norm()
    different = (grams[0] - grams[2]).norm() + (grams[1] - grams[3]).norm()
    assert same < 0.5 * different
    with pytest.raises(WeightsError, match=r"lacks features\.30\.weight, which vgg19 needs for relu5_2"):
        build_loss_network("vgg19", taps=["relu5_2"], weights=path)
