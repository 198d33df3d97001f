import contextlib
import dataclasses
import hashlib
import importlib.metadata
import io
import json
import math
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import torch
from torch import nn

from nst_fast.errors import CheckpointError, OutputError
from nst_fast.files import shipped as shipped_module
from nst_fast.networks import checkpoint as checkpoint_module
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint, save_checkpoint
from nst_fast.networks.checkpoint_header import (
    DIGEST_KEY,
    FORMAT_VERSION,
    METADATA_KEY,
    find_checkpoint,
    list_shipped_checkpoints,
    program_version,
    read_checkpoint_header,
)
from nst_fast.networks.torch_network import (
    StyleNetwork,
    build_network,
    checkpoint_from_network,
    load_network,
    network_from_checkpoint,
    round_weights,
)

INFO = CheckpointInfo(
    style={"name": "wave", "title": "Die große Welle 大波", "artist": "Hokusai", "year": 1831},
    loss={"network": "vgg19", "content_taps": {"relu3_2": 1.0}, "scaling": "relative", "style_strength": 20.0},
    training={"steps": 1900, "batch_size": 4, "crop_size": 160, "style_size": 384, "learning_rate": 5e-3},
    held_out={"style": 0.019, "content": 0.51, "photos": 16},
)


def build(name: str = "realtime", width: int = 4) -> StyleNetwork:
    """A network whose weights are all random, those of the normalization included."""
    torch.manual_seed(0)
    network = build_network(name, width=width)
    for weight in network.parameters():
        nn.init.normal_(weight)
    return network


def checkpoint_of(network: StyleNetwork, info: CheckpointInfo = INFO) -> Checkpoint:
    return checkpoint_from_network(network, info)


@pytest.fixture
def path(tmp_path):
    """A whole checkpoint in float16."""
    path = tmp_path / "wave.safetensors"
    save_checkpoint(path, checkpoint_of(build()), dtype="fp16")
    return path


def with_header(path: Path, header: object, network: StyleNetwork | None = None) -> Path:
    """A safetensors file with this JSON as its header, as another version of the program might write it."""
    return with_text(path, json.dumps(header), network)


def with_text(path: Path, header: str, network: StyleNetwork | None = None) -> Path:
    weights = checkpoint_from_network(network or build()).weights
    digest = hashlib.sha256(header.encode())  # as the format has it
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} {weight.dtype} {weight.shape}\n".encode() + weight.tobytes())
    safetensors.numpy.save_file(dict(weights), path, {METADATA_KEY: header, DIGEST_KEY: digest.hexdigest()})
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


def assert_same(loaded: Checkpoint, network: StyleNetwork) -> None:
    expected = network.state_dict()
    assert list(loaded.weights) == list(expected)
    for name, weight in loaded.weights.items():
        assert weight.dtype == np.float32
        assert np.array_equal(weight, expected[name].numpy()), name


@pytest.mark.parametrize("name", ["realtime", "johnson"])
def test_float32_round_trip(tmp_path, name):
    """In float32 every weight comes back bit for bit, with the description of a network ready to stylize."""
    network = build(name, width=8)
    save_checkpoint(tmp_path / "a.safetensors", checkpoint_of(network), dtype="fp32")
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.description == network.description
    assert_same(checkpoint, network)
    loaded = load_network(tmp_path / "a.safetensors")
    assert loaded.description.arguments == {"width": 8, "input_noise": 0.0}
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())
    photo = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded(photo), network.eval()(photo))


def test_float16_rounds(path):
    """In float16 each weight comes back as its float16 value, and the file has half the bytes of weights."""
    network = build()
    loaded = load_checkpoint(path)
    for ours, original in zip(loaded.weights.values(), network.parameters(), strict=True):
        assert np.array_equal(ours, original.detach().half().float().numpy())
    assert not np.array_equal(loaded.weights["encoder.1.0.weight"], network.state_dict()["encoder.1.0.weight"].numpy())
    assert {tensor.dtype for tensor in safetensors.numpy.load_file(path).values()} == {np.dtype(np.float16)}


def test_rounded_weights_come_back_exactly(tmp_path):
    """A network rounded first stylizes the same bits before it is saved in float16 and after it is loaded."""
    network = build().eval()
    round_weights(network, torch.float16)
    save_checkpoint(tmp_path / "a.safetensors", checkpoint_of(network), dtype="fp16")
    assert_same(load_checkpoint(tmp_path / "a.safetensors"), network)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_network_in_use_can_be_saved(tmp_path):
    """Saving leaves the network as it is, also one in channels-last order, in training mode and with gradients."""
    network = build().to(memory_format=torch.channels_last)
    network(torch.rand(1, 3, 16, 16)).sum().backward()
    before = [weight.clone() for weight in network.parameters()]
    save_checkpoint(tmp_path / "a.safetensors", checkpoint_of(network), dtype="fp16")
    assert network.training
    for weight, old in zip(network.parameters(), before, strict=True):
        assert torch.equal(weight, old) and weight.dtype == torch.float32 and weight.requires_grad
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    for ours, old in zip(loaded.weights.values(), before, strict=True):
        assert np.array_equal(ours, old.detach().half().float().numpy())


def test_the_same_checkpoint_is_the_same_bytes_in_every_process(path, tmp_path):
    """The file has the order that it has in other processes, in which safetensors hashes names with other seeds."""
    program = (
        "import sys; from pathlib import Path\n"
        "from nst_fast.networks.checkpoint import load_checkpoint, save_checkpoint\n"
        "save_checkpoint(Path(sys.argv[2]), load_checkpoint(sys.argv[1]), dtype='fp16')"
    )
    copies = [tmp_path / f"copy_{number}.safetensors" for number in range(5)]
    for copy in copies:
        subprocess.run([sys.executable, "-c", program, str(path), str(copy)], check=True)
    assert len({copy.read_bytes() for copy in copies}) == 1
    with safetensors.safe_open(copies[0], framework="np") as file:  # still a file as the library reads it
        assert set(file.metadata()) == {METADATA_KEY, DIGEST_KEY} and len(list(file.keys())) > 1


def test_info_comes_back(path):
    """What a checkpoint says about itself comes back as it was given, with the program's version added."""
    info = load_checkpoint(path).info
    assert dataclasses.replace(info, program_version="") == INFO
    assert info.program_version == program_version() != "unknown"


def test_the_digest_is_that_of_the_network(tmp_path, path):
    """Equal networks have equal digests, whatever is said about them; another weight, width or noise gives another."""
    network = build()
    digest = checkpoint_of(network).digest
    assert checkpoint_of(build(), CheckpointInfo(style={"name": "another"})).digest == digest
    save_checkpoint(tmp_path / "a.safetensors", checkpoint_of(network), dtype="fp32")
    assert load_checkpoint(tmp_path / "a.safetensors").digest == digest
    assert load_checkpoint(path).digest != digest, "its weights are rounded"
    noisy = build_network("realtime", width=4, input_noise=0.1)
    noisy.load_state_dict(network.state_dict())
    assert checkpoint_of(noisy).digest != digest
    with torch.no_grad():
        network.get_parameter("decoder.1.0.bias")[0] += 1e-6
    assert checkpoint_of(network).digest != digest


def test_header_is_read_without_tensors(path):
    """The header is one JSON string, and reading it touches no tensor: it works where the tensors are noise."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    stored = json.loads(data[8 : 8 + length])
    assert sorted(stored["__metadata__"]) == [METADATA_KEY, DIGEST_KEY]
    path.write_bytes(data[: 8 + length] + b"\xff" * (len(data) - 8 - length))
    header = read_checkpoint_header(path)
    assert header == json.loads(stored["__metadata__"][METADATA_KEY])
    assert header["format_version"] == FORMAT_VERSION == 2
    assert header["network"] == {"name": "realtime", "width": 4, "input_noise": 0.0}
    assert header["style"]["title"] == "Die große Welle 大波"


def test_loading_draws_no_random_numbers(path):
    """Loading leaves torch's random state alone, so that a run does not depend on what was loaded before."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_network(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_needs_no_torch(path):
    """Reading a checkpoint's header and its weights imports no PyTorch, which would take seconds."""
    script = (
        "import sys; from nst_fast.networks.checkpoint import load_checkpoint, save_checkpoint\n"
        "checkpoint = load_checkpoint(sys.argv[1]); checkpoint.digest\n"
        "from pathlib import Path; save_checkpoint(Path(sys.argv[1]), checkpoint, dtype='fp16')\n"
        "print(len(checkpoint.weights), sorted({'torch', 'onnx', 'onnxruntime', 'PIL'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert process.stdout == f"{len(build().state_dict())} []\n", process.stderr


def test_every_length_of_header_is_read(tmp_path):
    """A checkpoint loads whatever its header's length, with which the file begins and which may look like a pickle."""
    path, network, lengths = tmp_path / "a.safetensors", build(), set()
    empty = {"network": {}, "loss": {}, "training": {}, "held_out": {}}
    for letters in range(0, 256, 8):
        header = {"format_version": 2, "style": {"name": "x" * letters}}
        lengths.add(with_header(path, header, network).read_bytes()[0])
        assert read_checkpoint_header(path) == {**header, **empty}
    assert 0x80 in lengths and len(lengths) == 32
    # A header whose length begins with the letters of a zip.
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    padded = data[8 : 8 + length].ljust(int.from_bytes(b"PK", "little"))
    path.write_bytes(struct.pack("<Q", len(padded)) + padded + data[8 + length :])
    assert path.read_bytes()[:2] == b"PK"
    assert read_checkpoint_header(path) == {**header, **empty}


def test_truncated(path):
    """A file that was cut off anywhere is refused as truncated, by the header's reader too."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    for kept in (0, 1, 7, 8, 9, 100, length + 7, length + 8, length + 9, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:kept])
        message = message_of(path)
        assert message.startswith(f"checkpoint '{path}' is truncated or damaged ("), kept
        assert message.endswith("); copy or train it again")
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


def damage(path: Path, place: int, bit: int) -> Path:
    """A copy of the file with one bit of one byte flipped."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    copy = path.with_name("damaged.safetensors")
    copy.write_bytes(data)
    return copy


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_a_flipped_bit_of_a_weight_is_refused(tmp_path, dtype):
    """Whichever tensor has one bit flipped, the digest beside it tells, and nothing is loaded."""
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint_of(build()), dtype=dtype)
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {name: one for name, one in json.loads(data[8 : 8 + length]).items() if name != "__metadata__"}
    assert len(tensors) == len(build().state_dict())
    for number, one in enumerate(tensors.values()):
        start, end = one["data_offsets"]
        for place in {start, (start + end) // 2, end - 1}:
            damaged = damage(path, 8 + length + place, number % 8)
            assert message_of(damaged) == (
                f"checkpoint '{damaged}' is truncated or damaged (its content is not what was saved); "
                f"copy or train it again"
            )


def test_a_flipped_bit_of_what_it_says_is_refused(path):
    """One other letter in the header, whatever it means, is found by the digest or earlier."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    for number, place in enumerate(range(0, 8 + length, 7)):
        with pytest.raises(CheckpointError):
            load_checkpoint(damage(path, place, number % 8))


def test_swapped_tensors_are_refused(tmp_path):
    """Two tensors of one shape in each other's place are found by the digest too."""
    checkpoint = checkpoint_of(build())
    save_checkpoint(tmp_path / "a.safetensors", checkpoint, dtype="fp32")
    weights = dict(checkpoint.weights)
    one, other = "strokes.0.first.0.weight", "strokes.0.second.0.weight"
    weights[one], weights[other] = weights[other], weights[one]
    with safetensors.safe_open(tmp_path / "a.safetensors", framework="np") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file(weights, tmp_path / "b.safetensors", metadata)
    assert "its content is not what was saved" in message_of(tmp_path / "b.safetensors")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path, value, dtype):
    """A weight that is infinite or NaN is refused by the name of its tensor, also in a file whose digest is right."""
    network = build()
    with torch.no_grad():
        network.get_parameter("strokes.1.second.1.bias")[2] = value
    with pytest.raises(CheckpointError, match=rf"strokes.1.second.1.bias holds weights that {dtype} cannot hold"):
        save_checkpoint(tmp_path / "a.safetensors", checkpoint_of(network), dtype=dtype)
    assert list(tmp_path.iterdir()) == []
    header = {"format_version": 2, "network": {"name": "realtime", "width": 4}}
    path = with_header(tmp_path / "b.safetensors", header, network)
    assert "(strokes.1.second.1.bias holds values that are not numbers)" in message_of(path)


def test_weights_beyond_float16_are_not_saved_in_it(tmp_path):
    """A weight of 70,000, which float16 takes for infinite, is saved in float32 only."""
    network = build()
    with torch.no_grad():
        network.get_parameter("strokes.1.second.1.bias")[2] = 70_000
    with pytest.raises(CheckpointError, match="give fp32"):
        save_checkpoint(tmp_path / "a.safetensors", checkpoint_of(network), dtype="fp16")
    save_checkpoint(tmp_path / "a.safetensors", checkpoint_of(network), dtype="fp32")
    assert load_checkpoint(tmp_path / "a.safetensors").weights["strokes.1.second.1.bias"][2] == 70_000


@pytest.mark.parametrize("number_type", [np.float64, np.int16])
def test_other_number_types_are_refused(tmp_path, number_type):
    """Weights of a number type that checkpoints do not have are refused."""
    weights = {name: weight.astype(number_type) for name, weight in checkpoint_of(build()).weights.items()}
    header = {"format_version": 2, "network": {"name": "realtime", "width": 4}}
    safetensors.numpy.save_file(weights, tmp_path / "a.safetensors", {METADATA_KEY: json.dumps(header)})
    assert "not F16 or F32 of" in message_of(tmp_path / "a.safetensors")


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
        f"'{path}' is a pickle, which could run code when it is read, and was not opened; "
        f"give a .safetensors checkpoint that nst-fast train wrote"
    )
    assert message_of(path) == expected
    assert not canary.exists()
    data = io.BytesIO(path.read_bytes())
    pickle.load(data) if kind == "pickle" else torch.load(data, weights_only=False)
    assert canary.exists()


def test_newer_format(tmp_path):
    """A checkpoint of a newer format is refused with both formats."""
    path = with_header(tmp_path / "new.safetensors", {"format_version": 3, "something": "else"})
    assert message_of(path) == f"checkpoint '{path}' has format 3, this program reads up to 2; update nst-fast"


def test_the_first_format(tmp_path):
    """A checkpoint of format 1, which calls the network and its noise by other names and has no digest, loads."""
    network = build_network("realtime", width=4, input_noise=0.25)
    header = {
        "format_version": 1,
        "transform_net": {"name": "realtime", "width": 4, "grain": 0.25},
        **{key: getattr(INFO, key) for key in ("style", "loss", "training", "held_out")},
        "program_version": "0.0.9",
    }
    path = with_header(tmp_path / "old.safetensors", header, network)
    loaded = load_checkpoint(path)
    assert loaded.description == network.description
    assert loaded.info == dataclasses.replace(INFO, program_version="0.0.9")
    assert_same(loaded, network)
    # Saved again, it is one of the present format.
    save_checkpoint(path, loaded, dtype="fp32")
    assert read_checkpoint_header(path)["network"] == {"name": "realtime", "width": 4, "input_noise": 0.25}
    assert load_checkpoint(path).digest == loaded.digest


def test_unknown_keys_of_this_format(tmp_path):
    """A header with keys that this version does not know, or without those it knows, still gives its network."""
    network = build()
    net = {"name": "realtime", "width": 4}
    header = {"format_version": 2, "network": net, "style": {"name": "a", "museum": "b"}, "license": "MIT"}
    loaded = load_checkpoint(with_header(tmp_path / "more.safetensors", header, network))
    assert loaded.info == CheckpointInfo(style={"name": "a", "museum": "b"})
    assert_same(loaded, network)
    fewer = with_header(tmp_path / "fewer.safetensors", {"format_version": 2, "network": net}, network)
    assert load_checkpoint(fewer).info == CheckpointInfo(style={})


@pytest.mark.parametrize(
    "header",
    [
        *[{}, [], 1, None, "x", {"format_version": None}, {"format_version": "one"}, {"format_version": math.inf}],
        *[{"format_version": 2, key: "x"} for key in ("network", "style", "loss", "training", "held_out")],
        {"format_version": 2, "style": ["wave"]},
        {"format_version": 2, "network": None},
        {"format_version": 1, "transform_net": "realtime"},
    ],
)
def test_header_of_something_else(tmp_path, header):
    """A safetensors file whose header is not ours is refused as no checkpoint."""
    path = with_header(tmp_path / "other.safetensors", header)
    assert message_of(path) == (
        f"'{path}' is a safetensors file but not an nst-fast checkpoint; give one that nst-fast train wrote"
    )


@pytest.mark.parametrize("header", ["[" * 100_000, '{"a":' * 100_000, "1" * 10_000], ids=lambda text: text[:5])
def test_headers_that_would_cost_too_much(tmp_path, header):
    """JSON that is nested too deep and endless numbers are refused in one line."""
    path = with_text(tmp_path / "a.safetensors", header)
    assert "is a safetensors file but not an nst-fast checkpoint" in message_of(path)
    with pytest.raises(CheckpointError, match="not an nst-fast checkpoint"):
        read_checkpoint_header(path)


def test_a_header_is_at_most_a_megabyte(tmp_path):
    """A header a little below a megabyte is read; one above it is refused unread, though it is whole."""
    header = {"format_version": 2, "style": {"name": "x" * 1_000_000}}
    path = with_header(tmp_path / "a.safetensors", header)
    assert read_checkpoint_header(path)["style"] == header["style"]
    header["style"]["name"] += "x" * 50_000
    with_header(path, header)
    assert f"'{path}' is truncated or damaged (a header of 105" in message_of(path)


@pytest.mark.parametrize(
    "tensors",
    [
        "[" * 100_000,
        "[]",
        "7",
        '{"a": []}',
        '{"a": {}}',
        '{"a": {"data_offsets": []}}',
        '{"a": {"data_offsets": [0, "x"]}}',
        '{"a": {"data_offsets": [0, 1e400]}}',
        '{"a": {"data_offsets": [0, -8]}}',
        '{"a": {"data_offsets": null}}',
    ],
    ids=lambda text: text[:30],
)
def test_file_headers_of_nonsense(tmp_path, tensors):
    """Whatever JSON a file begins with, it is refused in one line."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(tensors)) + tensors.encode() + bytes(64))
    for read in (read_checkpoint_header, load_checkpoint):
        with pytest.raises(CheckpointError, match="is truncated or damaged"):
            read(path)


def test_foreign_safetensors(tmp_path):
    """A safetensors file of another program, with or without metadata of its own, is refused as no checkpoint."""
    path = tmp_path / "vgg.safetensors"
    for metadata in (None, {"format": "pt"}, {METADATA_KEY: "no JSON"}):
        safetensors.numpy.save_file({"features.0.bias": np.zeros(64)}, path, metadata)
        assert "is a safetensors file but not an nst-fast checkpoint" in message_of(path)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ({"name": "realtime", "width": 8}, "encoder.1.0.weight is F32 of shape"),
        ({"name": "johnson", "width": 4}, "are missing or too many"),
        # A layer of 162 TB: more than any system gives, so that a try to build it fails at once.
        ({"name": "realtime", "width": 4_500_000}, "encoder.1.0.weight is F32 of shape"),
        ({"name": "realtime", "width": 4 * 10**400}, "encoder.1.0.weight is F32 of shape"),
        ({"name": "gan", "width": 4}, "network 'gan' is unknown"),
        ({"name": "realtime", "blocks": 9}, "takes no 'blocks'"),
        ({"name": "realtime", "width": 5}, "network.width is 5"),
        ({"name": "realtime", "width": "4"}, "network.width is '4'; give a whole number"),
        ({"name": "realtime", "width": True}, "network.width is True; give a whole number"),
        ({"name": "realtime", "width": 4, "input_noise": "much"}, "network.input_noise is 'much'"),
        ({"name": "realtime", "width": 4, "input_noise": math.inf}, "network.input_noise is inf"),
        ({"name": "realtime", "width": 4, "input_noise": 10**400}, "network.input_noise is 1000"),
        ({"name": None}, "None"),
        ({"name": 7}, "int"),
        ({"name": ["realtime"]}, "unhashable"),
        ({}, r"'\(none\)' is unknown"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_weights_do_not_fit(tmp_path, network, reason):
    """Weights of another network than the header says, and networks that cannot be, are refused, at no cost."""
    path = with_header(tmp_path / "a.safetensors", {"format_version": 2, "network": network})
    message = message_of(path)
    assert message.startswith(f"checkpoint '{path}' does not fit this program (")
    assert message.endswith("); update nst-fast or train it again")
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
        named = checkpoint_of(build(), CheckpointInfo(style={"name": name}))
        save_checkpoint(place / f"{name}.safetensors", named, dtype="fp16")
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
    save_checkpoint(own, checkpoint_of(build()), dtype="fp16")
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
        save_checkpoint(path, checkpoint_of(build(), CheckpointInfo(style={"name": "new"})), dtype="fp16")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_every_shipped_style_loads():
    """Each style that really is shipped loads, says its name, and gives an image that is not one color."""
    for name in list_shipped_checkpoints():
        loaded = load_checkpoint(name)
        assert loaded.info.style["name"]
        stylized = network_from_checkpoint(loaded)(torch.rand(1, 3, 64, 64))
        assert stylized.isfinite().all() and stylized.std() > 0.01


def test_version_of_a_program_that_is_not_installed(monkeypatch):
    """Without an installation the version is unknown."""

    def fail(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", fail)
    assert program_version() == "unknown"


def test_a_file_that_is_replaced_while_it_is_read(tmp_path, monkeypatch):
    """A training replaces its checkpoint; who reads it at that moment gets the new one whole, not half of each."""
    paths = [tmp_path / name for name in ("a.safetensors", "b.safetensors")]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        save_checkpoint(path, checkpoint_from_network(build_network("realtime", width=4)), dtype="fp32")
    expected = load_checkpoint(paths[1]).weights
    read_header = checkpoint_module.read_metadata

    def read_and_replace(path):
        metadata = read_header(path)
        if paths[1].exists():
            paths[1].replace(path)
        return metadata

    monkeypatch.setattr(checkpoint_module, "read_metadata", read_and_replace)
    found = load_checkpoint(paths[0]).weights
    assert all(np.array_equal(found[name], weight) for name, weight in expected.items())
