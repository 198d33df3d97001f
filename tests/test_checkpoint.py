import contextlib
import io
import json
import math
import pickle
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from nst_fast import checkpoint as checkpoint_module
from nst_fast import shipped as shipped_module
from nst_fast.checkpoint import (
    FORMAT_VERSION,
    METADATA_KEY,
    Checkpoint,
    CheckpointInfo,
    find_checkpoint,
    list_shipped_checkpoints,
    load_checkpoint,
    program_version,
    read_checkpoint_header,
    round_weights,
    save_checkpoint,
)
from nst_fast.errors import CheckpointError, OutputError
from nst_fast.transform_nets import JohnsonNet, RealtimeNet, TransformNet

INFO = CheckpointInfo(
    style={"name": "wave", "title": "Die große Welle 大波", "artist": "Hokusai", "year": 1831},
    loss={"network": "vgg19", "content_taps": {"relu3_2": 1.0}, "normalisation": "relative", "style_strength": 20.0},
    training={"steps": 1900, "batch_size": 4, "crop_size": 160, "style_size": 384, "learning_rate": 5e-3},
    held_out={"style": 0.019, "content": 0.51, "photos": 16},
)


def build(kind: type = RealtimeNet, width: int = 4) -> TransformNet:
    """A network whose weights are all random, those of the normalisation included."""
    torch.manual_seed(0)
    network = kind(width=width)
    for weight in network.parameters():
        nn.init.normal_(weight)
    return network


@pytest.fixture
def path(tmp_path):
    """A whole checkpoint in float16."""
    path = tmp_path / "wave.safetensors"
    save_checkpoint(path, build(), INFO, dtype=torch.float16)
    return path


def with_header(path: Path, header: object, network: TransformNet | None = None) -> Path:
    """A safetensors file with this JSON as its header, as another version of the program might write it."""
    tensors = {name: tensor.clone() for name, tensor in (network or build()).state_dict().items()}
    safetensors.torch.save_file(tensors, path, {METADATA_KEY: json.dumps(header)})
    return path


def message_of(given: str | Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(given)
    message = str(caught.value)
    assert "\n" not in message
    return message


class Code:
    """A pickle of it, read carelessly, makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (self.canary,))


def assert_same(loaded: Checkpoint, network: TransformNet) -> None:
    expected = network.state_dict()
    assert loaded.network.state_dict().keys() == expected.keys()
    for name, tensor in loaded.network.state_dict().items():
        assert tensor.dtype == torch.float32 and tensor.device.type == "cpu"
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("kind", [RealtimeNet, JohnsonNet])
def test_float32_round_trip(tmp_path, kind):
    """In float32 every weight comes back bit for bit, in a network of the same kind and width, ready to paint."""
    network = build(kind, width=8)
    save_checkpoint(tmp_path / "a.safetensors", network, INFO, dtype=torch.float32)
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert type(loaded.network) is kind
    assert loaded.network.arguments == {"width": 8, "grain": 0.0}
    assert not loaded.network.training
    assert not any(weight.requires_grad for weight in loaded.network.parameters())
    assert_same(loaded, network)
    photo = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded.network(photo), network.eval()(photo))


def test_float16_rounds(path):
    """In float16 each weight comes back as its float16 value, and the file has half the bytes of weights."""
    network = build()
    loaded = load_checkpoint(path)
    for ours, original in zip(loaded.network.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, original.half().float())
    assert not torch.equal(next(iter(loaded.network.parameters())), next(iter(network.parameters())))
    assert {tensor.dtype for tensor in safetensors.torch.load_file(path).values()} == {torch.float16}


def test_rounded_weights_come_back_exactly(tmp_path):
    """A network rounded first paints the same bits before it is saved in float16 and after it is loaded."""
    network = build().eval()
    round_weights(network, torch.float16)
    save_checkpoint(tmp_path / "a.safetensors", network, INFO, dtype=torch.float16)
    assert_same(load_checkpoint(tmp_path / "a.safetensors"), network)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_network_in_use_can_be_saved(tmp_path):
    """Saving leaves the network as it is, also one in channels-last order, in training mode and with gradients."""
    network = build().to(memory_format=torch.channels_last)
    network(torch.rand(1, 3, 16, 16)).sum().backward()
    before = [weight.clone() for weight in network.parameters()]
    save_checkpoint(tmp_path / "a.safetensors", network, INFO, dtype=torch.float16)
    assert network.training
    for weight, old in zip(network.parameters(), before, strict=True):
        assert torch.equal(weight, old) and weight.dtype == torch.float32 and weight.requires_grad
    for ours, old in zip(load_checkpoint(tmp_path / "a.safetensors").network.parameters(), before, strict=True):
        assert torch.equal(ours, old.half().float())


def test_info_comes_back(path):
    """What a checkpoint says of itself comes back as it was given, with the program's version added."""
    info = load_checkpoint(path).info
    assert (info.style, info.loss, info.training, info.held_out) == (
        INFO.style,
        INFO.loss,
        INFO.training,
        INFO.held_out,
    )
    assert info.program_version == program_version() != "unknown"


def test_header_is_read_without_tensors(path, monkeypatch):
    """The header is one JSON string, and reading it touches no tensor: it works where the tensors are noise."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    stored = json.loads(data[8 : 8 + length])
    assert list(stored["__metadata__"]) == [METADATA_KEY]
    path.write_bytes(data[: 8 + length] + b"\xff" * (len(data) - 8 - length))
    monkeypatch.setattr(safetensors.torch, "load_file", None)
    header = read_checkpoint_header(path)
    assert header == json.loads(stored["__metadata__"][METADATA_KEY])
    assert header["format_version"] == FORMAT_VERSION == 1
    assert header["transform_net"] == {"name": "realtime", "width": 4, "grain": 0.0}
    assert header["style"]["title"] == "Die große Welle 大波"


def test_loading_draws_no_random_numbers(path):
    """Loading leaves torch's random state alone, so that a run does not depend on what was loaded before."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_checkpoint(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_length_of_header_is_read(tmp_path):
    """A checkpoint loads whatever its header's length, with which the file begins and which may look like a pickle."""
    path, network, lengths = tmp_path / "a.safetensors", build(), set()
    for letters in range(0, 256, 8):
        header = {"format_version": 1, "style": {"name": "x" * letters}}
        lengths.add(with_header(path, header, network).read_bytes()[0])
        assert read_checkpoint_header(path) == header
    assert 0x80 in lengths and len(lengths) == 32
    # A header whose length begins with the letters of a zip.
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    padded = data[8 : 8 + length].ljust(int.from_bytes(b"PK", "little"))
    path.write_bytes(struct.pack("<Q", len(padded)) + padded + data[8 + length :])
    assert path.read_bytes()[:2] == b"PK"
    assert read_checkpoint_header(path) == header


def test_truncated(path):
    """A file that was cut off anywhere is refused as truncated, by the header's reader too."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    for kept in (0, 1, 7, 8, 9, 100, length + 7, length + 8, length + 9, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:kept])
        message = message_of(path)
        assert message.startswith(f"checkpoint '{path}' is truncated or damaged ("), kept
        assert message.endswith("); copy or train it anew")
        with pytest.raises(CheckpointError, match="is truncated or damaged"):
            read_checkpoint_header(path)


def test_damaged(path):
    """Whatever byte of the header is wrong, loading gives a network or one line, never another exception."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    for place in [*range(16), *range(16, 8 + length, 53)]:
        for byte in (0x00, ord('"')):
            path.write_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
            # Most of these files are refused, some are still whole.
            with contextlib.suppress(CheckpointError):
                load_checkpoint(path)


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "model.safetensors", "model"])
@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_pickles_are_not_executed(tmp_path, name, kind):
    """A pickle, plain or from torch.save, is refused under every name, and its code does not run."""
    canary, path = tmp_path / "canary", tmp_path / name
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Code(canary)))
    else:
        torch.save({"code": Code(canary)}, path, _use_new_zipfile_serialization=kind == "zip")
    expected = (
        f"'{path}' is a pickle, which could run code when read, and was not opened; "
        f"give a .safetensors checkpoint that nst-fast train wrote"
    )
    assert message_of(path) == expected
    assert not canary.exists()
    data = io.BytesIO(path.read_bytes())
    pickle.load(data) if kind == "pickle" else torch.load(data, weights_only=False)
    assert canary.exists()


def test_newer_format(tmp_path):
    """A checkpoint of a newer format is refused with both formats."""
    path = with_header(tmp_path / "new.safetensors", {"format_version": 2, "something": "else"})
    assert message_of(path) == (f"checkpoint '{path}' has format 2, this program reads up to 1; update nst-fast")


def test_unknown_keys_of_this_format(tmp_path):
    """A header with keys that this version does not know, or without those it knows, still gives its network."""
    network = build()
    net = {"name": "realtime", "width": 4}
    header = {"format_version": 1, "transform_net": net, "style": {"name": "a", "museum": "b"}, "licence": "MIT"}
    loaded = load_checkpoint(with_header(tmp_path / "more.safetensors", header, network))
    assert loaded.info == CheckpointInfo(style={"name": "a", "museum": "b"})
    assert_same(loaded, network)
    fewer = with_header(tmp_path / "fewer.safetensors", {"format_version": 1, "transform_net": net}, network)
    assert load_checkpoint(fewer).info == CheckpointInfo(style={})


@pytest.mark.parametrize(
    "header",
    [{}, [], 1, None, "x", {"format_version": None}, {"format_version": "one"}, {"format_version": math.inf}],
)
def test_header_of_something_else(tmp_path, header):
    """A safetensors file whose header is not ours is refused as no checkpoint."""
    path = with_header(tmp_path / "other.safetensors", header)
    assert message_of(path) == (
        f"'{path}' is a safetensors file but no checkpoint of nst-fast; give one that nst-fast train wrote"
    )


def test_foreign_safetensors(tmp_path):
    """A safetensors file of another program, with or without metadata of its own, is refused as no checkpoint."""
    path = tmp_path / "vgg.safetensors"
    for metadata in (None, {"format": "pt"}, {METADATA_KEY: "no JSON"}):
        safetensors.torch.save_file({"features.0.bias": torch.zeros(64)}, path, metadata)
        assert "is a safetensors file but no checkpoint of nst-fast" in message_of(path)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        ({"name": "realtime", "width": 8}, "size mismatch"),
        ({"name": "johnson", "width": 4}, "Missing key"),
        # A layer of 162 TB: more than any system gives, so that a try to build it fails at once.
        ({"name": "johnson", "width": 1_500_000}, "Missing key"),
        ({"name": "gan", "width": 4}, "transform_net 'gan' is unknown"),
        ({"name": "realtime", "blocks": 9}, "takes no 'blocks'"),
        ({"name": "realtime", "width": 5}, "transform_net.width is 5"),
        ({"name": "realtime", "width": "4"}, "'str'"),
        ({"name": None}, "NoneType"),
        ({"name": ["realtime"]}, "unhashable"),
        ({}, r"'\(none\)' is unknown"),
        (None, "NoneType"),
        ("realtime", "mapping"),
    ],
)
def test_weights_do_not_fit(tmp_path, net, reason):
    """Weights of another network than the header says, and networks that cannot be, are refused, at no cost."""
    path = with_header(tmp_path / "a.safetensors", {"format_version": 1, "transform_net": net})
    message = message_of(path)
    assert message.startswith(f"checkpoint '{path}' does not fit this program (")
    assert message.endswith("); update nst-fast or train it anew")
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(path)


def test_missing_file(tmp_path):
    """The header's reader says of a file that is not there why it cannot be read."""
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint_header(tmp_path / "absent.safetensors")
    assert str(caught.value) == (
        f"checkpoint '{tmp_path / 'absent.safetensors'}' cannot be read (No such file or directory); give another file"
    )


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A program that ships two styles beside its package, and one inside it; the folder of the first two."""
    monkeypatch.setattr(shipped_module, "_PACKAGE", tmp_path / "program" / "nst_fast")
    folder = tmp_path / "program" / "checkpoints"
    inside = tmp_path / "program" / "nst_fast" / "checkpoints"
    for place, name in ((folder, "wave"), (folder, "starry_night"), (inside, "udnie")):
        save_checkpoint(place / f"{name}.safetensors", build(), CheckpointInfo(style={"name": name}), dtype=torch.half)
    (folder / "README.md").touch()
    monkeypatch.chdir(tmp_path)
    return folder


def test_shipped_styles(shipped):
    """Shipped styles are found, beside the package and inside it, and listed by name, and nothing but them."""
    assert list(list_shipped_checkpoints()) == ["starry_night", "udnie", "wave"]
    assert find_checkpoint("wave") == shipped / "wave.safetensors"
    assert load_checkpoint("udnie").info.style == {"name": "udnie"}


def test_file_goes_before_a_shipped_name(shipped, tmp_path, monkeypatch):
    """A path is taken as it is, also from the home folder; a file of a style's name goes before the style."""
    own = tmp_path / "own.safetensors"
    save_checkpoint(own, build(), INFO, dtype=torch.float16)
    assert find_checkpoint(own) == find_checkpoint(str(own)) == own
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_checkpoint("~/own.safetensors") == own
    (tmp_path / "wave").write_bytes(own.read_bytes())
    assert load_checkpoint("wave").info.style["name"] == INFO.style["name"]
    (tmp_path / "starry_night").mkdir()
    assert find_checkpoint("starry_night") == shipped / "starry_night.safetensors"


def test_unknown_style(shipped):
    """A name that is neither a file nor a shipped style is answered with those and the nearest."""
    assert message_of("stary_night") == (
        "style 'stary_night' is neither a file nor a shipped style; shipped: starry_night, udnie, wave "
        "(nearest: starry_night)"
    )
    for given in ("x" * 5000, "~nobody_of_this_name/wave", "a\0b"):
        assert "shipped: starry_night, udnie, wave" in message_of(given)


def test_folder(shipped, tmp_path):
    """A folder is answered with what to give instead."""
    assert message_of(tmp_path) == (
        f"style '{tmp_path}' is a folder; give a checkpoint file (.safetensors) or a name: starry_night, udnie, wave"
    )


def test_no_styles(tmp_path, monkeypatch):
    """Where no style is shipped, the message says so."""
    monkeypatch.setattr(shipped_module, "_PACKAGE", tmp_path / "nst_fast")
    assert message_of("wave") == "style 'wave' is neither a file nor a shipped style; shipped: none"


def test_writing_is_atomic(path, monkeypatch):
    """A write that fails halfway leaves the old checkpoint, whole, and nothing else in the folder."""
    before = path.read_bytes()

    def fail_halfway(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail_halfway)
    with pytest.raises(OutputError, match="the disk is full"):
        save_checkpoint(path, build(), CheckpointInfo(style={"name": "new"}), dtype=torch.float16)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_every_shipped_style_loads():
    """Each style that really is shipped loads, says its name, and paints a picture that is not one colour."""
    for name in list_shipped_checkpoints():
        loaded = load_checkpoint(name)
        assert loaded.info.style["name"]
        painted = loaded.network(torch.rand(1, 3, 64, 64))
        assert painted.isfinite().all() and painted.std() > 0.01


def test_version_of_a_program_that_is_not_installed(monkeypatch):
    """Without an installation the version is unknown."""

    def fail(name: str) -> str:
        raise checkpoint_module.PackageNotFoundError(name)

    monkeypatch.setattr(checkpoint_module, "version", fail)
    assert program_version() == "unknown"
