import dataclasses

import numpy as np
import pytest
import torch

from nst_fast.errors import CheckpointError, ImageError, SettingError
from nst_fast.media.pictures import Picture
from nst_fast.media.resizing import resize_pixels
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, save_checkpoint
from nst_fast.networks.torch_any_size import AnySizeNetwork, pad_to_stride
from nst_fast.networks.torch_network import StyleNetwork, build_network, checkpoint_from_network
from nst_fast.stylize import stylizer as stylizer_module
from nst_fast.stylize.engines.choice import list_engines
from nst_fast.stylize.stylizer import Stylizer

ENGINES = [name for name in list_engines("cpu") if name != "compile"]


def build_checkpoint(name: str = "realtime", seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    return checkpoint_from_network(build_network(name, width=4))


@pytest.fixture(scope="module")
def network() -> StyleNetwork:
    torch.manual_seed(0)
    return build_network("realtime", width=4).eval().requires_grad_(False)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def picture(height: int, width: int, alpha: np.ndarray | None = None) -> Picture:
    return Picture(photo(height, width), alpha)


def level_difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (33, 17), (1000, 13), (4, 4), (5, 8)])
@pytest.mark.parametrize("name", ["realtime", "johnson"])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_size_is_kept(name, engine, size):
    """A picture of any size, also below the network's least, comes back in exactly that size, as bytes."""
    stylized = Stylizer(build_checkpoint(name), device="cpu", engine=engine).stylize_pixels(photo(*size))
    assert stylized.shape == (*size, 3) and stylized.dtype == np.uint8


def test_no_padding_changes_nothing(torch_stylizer, network):
    """Where the sides are multiples of the stride, the bytes are those of the bare network's colors."""
    pixels = photo(32, 48)
    colors = network(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0)
    assert np.array_equal(torch_stylizer.stylize_pixels(pixels), (colors * 255).round().to(torch.uint8).numpy())


@pytest.mark.parametrize("size", [(21, 30), (3, 9), (32, 48)])
def test_pixels_are_those_of_the_network_for_any_size(stylizer, network, size):
    """Every engine gives the bytes of the network with its padding, within a level, also for a batch."""
    pixels = np.stack([photo(*size, seed) for seed in range(2)])
    expected = AnySizeNetwork(network, pixels=True)(torch.from_numpy(pixels)).numpy()
    stylized = stylizer.stylize_pixels(pixels)
    assert stylized.flags.writeable and level_difference(stylized, expected) <= 1
    for one, alone in zip(expected, pixels, strict=True):
        assert level_difference(stylizer.stylize_pixels(alone), one) <= 1


def test_padding_mirrors_then_repeats():
    """Missing rows and columns are mirrored as NumPy does it, or the last is repeated where too few are there."""
    images = torch.rand(1, 3, 9, 10)
    expected = np.pad(images.numpy(), ((0, 0), (0, 0), (0, 3), (0, 2)), mode="reflect")
    assert np.array_equal(pad_to_stride(images, 4, min_side=8).numpy(), expected)
    images = torch.rand(1, 3, 1, 16)
    expected = np.pad(images.numpy(), ((0, 0), (0, 0), (0, 7), (0, 0)), mode="edge")
    assert np.array_equal(pad_to_stride(images, 4, min_side=8).numpy(), expected)


def test_padded_margin_hardly_matters(stylizer):
    """A picture three pixels short of a multiple is stylized nearly as the whole one, so the margin is no content."""
    rows = np.linspace(0, 255, 64).round().astype(np.uint8)
    down, across = np.meshgrid(rows, rows, indexing="ij")
    image = np.stack([down, across, across[:, ::-1]], axis=-1)
    whole, cut = stylizer.stylize_pixels(image), stylizer.stylize_pixels(image[:61, :61])
    assert np.abs(whole[:48, :48].astype(float) - cut[:48, :48]).mean() < 0.04 * 255


def test_a_checkpoint_stays_as_it_is():
    """A Stylizer copies what it needs: its results and the checkpoint's weights do not change one another."""
    for engine in ENGINES:
        checkpoint = build_checkpoint()
        before = {name: weight.copy() for name, weight in checkpoint.weights.items()}
        stylizer = Stylizer(checkpoint, device="cpu", engine=engine)
        expected = stylizer.stylize_pixels(photo(16, 16))
        assert all(np.array_equal(weight, before[name]) for name, weight in checkpoint.weights.items())
        for weight in checkpoint.weights.values():
            weight[:] = 0
        assert np.array_equal(stylizer.stylize_pixels(photo(16, 16)), expected)


def test_a_file_and_its_contents_stylize_alike(tmp_path, stylizer):
    """A checkpoint's path, its text and the loaded checkpoint all give the same image."""
    path = tmp_path / "file.safetensors"
    checkpoint = dataclasses.replace(build_checkpoint(), info=CheckpointInfo(style={"name": "wave"}))
    save_checkpoint(path, checkpoint, dtype="fp32")
    expected = stylizer.stylize_pixels(photo(9, 9))
    for given in (path, str(path), checkpoint):
        loaded = Stylizer(given, device="cpu", engine=stylizer.engine)
        assert loaded.style_name == loaded.checkpoint.info.style["name"] == "wave"
        assert loaded.checkpoint.digest == checkpoint.digest
        assert np.array_equal(loaded.stylize_pixels(photo(9, 9)), expected)


def test_a_style_without_name_is_called_by_its_file(tmp_path, torch_stylizer):
    """Where a checkpoint does not name its style, the file does."""
    save_checkpoint(tmp_path / "mine.safetensors", build_checkpoint(), dtype="fp32")
    assert Stylizer(tmp_path / "mine.safetensors", device="cpu").style_name == "mine"
    assert torch_stylizer.style_name == "style"


def test_what_it_runs_on_is_said():
    """The engine in use, the device, the precision and the threads are attributes and one short line."""
    stylizer = Stylizer(build_checkpoint(), device="cpu", engine="auto", threads=2)
    assert (stylizer.engine, stylizer.device, stylizer.precision, stylizer.threads) == (ENGINES[0], "cpu", "fp32", 2)
    assert stylizer.describe() == f"{ENGINES[0]} on cpu in fp32, 2 threads"
    assert Stylizer(build_checkpoint(), device="cpu", precision="bf16").describe().endswith(" on cpu in bf16")


def test_a_picture_keeps_size_and_alpha(stylizer):
    """A picture file's width, height and alpha come back as they were."""
    alpha = np.arange(15 * 22, dtype=np.uint16).reshape(15, 22).astype(np.uint8)
    stylized = stylizer.stylize_picture(picture(15, 22, alpha))
    assert stylized.rgb.shape == (15, 22, 3) and stylized.rgb.dtype == np.uint8
    assert np.array_equal(stylized.alpha, alpha)
    assert stylizer.stylize_picture(picture(15, 22)).alpha is None


def test_hidden_colors_are_not_stylized(stylizer):
    """What a file holds below full transparency has no influence on the rest."""
    alpha = np.full((16, 16), 255, dtype=np.uint8)
    alpha[:8] = 0
    one = picture(16, 16, alpha)
    other = Picture(one.rgb.copy(), alpha)
    other.rgb[:8] = 77
    assert np.array_equal(stylizer.stylize_picture(one).rgb, stylizer.stylize_picture(other).rgb)


@pytest.mark.parametrize(("size", "work_size"), [(16, (10, 16)), (80, (50, 80))])
def test_size_sets_the_resolution_of_the_work_only(stylizer, size, work_size):
    """With a size, the picture is scaled to this long side, stylized, and scaled back, both down and up."""
    given = picture(25, 40)
    expected = resize_pixels(stylizer.stylize_pixels(resize_pixels(given.rgb, *work_size)), 25, 40)
    stylized = stylizer.stylize_picture(given, size=size)
    assert stylized.rgb.shape == (25, 40, 3)
    assert np.array_equal(stylized.rgb, expected)


def test_wrong_size_is_refused(stylizer):
    """A working size of 0 pixels is refused."""
    with pytest.raises(SettingError, match=r"a side of 0 pixels was asked for; give at least 1"):
        stylizer.stylize_picture(picture(8, 8), size=0)


def test_wrong_precision_is_refused():
    """An unknown precision is refused with the allowed ones; fp16 on the CPU, since it would take minutes."""
    with pytest.raises(SettingError) as caught:
        Stylizer(build_checkpoint(), device="cpu", precision="bf61")
    assert str(caught.value) == "precision 'bf61' is unknown; allowed: auto, fp32, bf16, fp16 (nearest: bf16)"
    with pytest.raises(SettingError) as caught:
        Stylizer(build_checkpoint(), device="cpu", precision="fp16")
    assert "slower than fp32 on the cpu; give fp32 or bf16" in str(caught.value)


def test_unknown_style_lists_the_shipped_ones(monkeypatch):
    """A style that is neither shipped nor a file is refused with the shipped names."""
    shipped = {"starry": None, "wave": None}
    monkeypatch.setattr("nst_fast.networks.checkpoint_header.list_shipped_checkpoints", lambda: shipped)
    with pytest.raises(CheckpointError) as caught:
        Stylizer("wafe")
    assert str(caught.value) == (
        "style 'wafe' is neither a file nor a shipped style; shipped: starry, wave (nearest: wave)"
    )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:132] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("tiles", ["never", "always"])
def test_no_memory_left_is_said_with_the_size(monkeypatch, error, tiles):
    """When memory runs out, one line names the size and suggests a smaller one."""
    stylizer = Stylizer(build_checkpoint(), device="cpu", engine="torch", tiles=tiles)

    def run_out(*_given):
        raise error

    monkeypatch.setattr(stylizer._engine._network, "forward", run_out)
    with pytest.raises(ImageError) as caught:
        stylizer.stylize_picture(picture(30, 40))
    assert str(caught.value) == ("40 x 30 pixels do not fit the memory of cpu; work at a smaller size, such as 20")


def test_memory_that_cannot_be_had_really_raises_it(torch_stylizer):
    """The words that are looked for are those that this version of torch says."""
    with pytest.raises(ImageError), stylizer_module._explained_memory(10, 10, torch_stylizer.device):
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_are_not_hidden(monkeypatch):
    """A bug in the network stays a bug."""
    stylizer = Stylizer(build_checkpoint(), device="cpu", engine="torch")

    def break_down(*_given):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(stylizer._engine._network, "forward", break_down)
    with pytest.raises(RuntimeError, match="shapes differ"):
        stylizer.stylize_pixels(photo(8, 8))


def test_any_array_of_pixels(stylizer):
    """Read-only and mirrored arrays, as decoders and slices give them, are stylized as their copies."""
    rgb = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    expected = stylizer.stylize_pixels(rgb[:, ::-1].copy())
    view = rgb[:, ::-1]
    view.flags.writeable = False
    assert np.array_equal(stylizer.stylize_pixels(view), expected)


@pytest.mark.parametrize(
    ("pixels", "given"),
    [
        (np.zeros((8, 8, 3), np.float32), "shape (8, 8, 3) and dtype float32"),
        (np.zeros((8, 8, 4), np.uint8), "shape (8, 8, 4) and dtype uint8"),
        (np.zeros((3, 8, 8), np.uint8), "shape (3, 8, 8) and dtype uint8"),
        (np.zeros((8, 8), np.uint8), "shape (8, 8) and dtype uint8"),
        (np.zeros((0, 8, 3), np.uint8), "shape (0, 8, 3) and dtype uint8"),
        (np.zeros((0, 8, 8, 3), np.uint8), "shape (0, 8, 8, 3) and dtype uint8"),
        (np.zeros((1, 1, 8, 8, 3), np.uint8), "shape (1, 1, 8, 8, 3) and dtype uint8"),
    ],
)
def test_wrong_pixels_are_refused(torch_stylizer, pixels, given):
    """Anything but uint8 pixels is refused in words that say what to give."""
    with pytest.raises(SettingError) as caught:
        torch_stylizer.stylize_pixels(pixels)
    assert str(caught.value) == (f"pixels have {given}; give (height, width, 3) or (batch, height, width, 3) of uint8")
