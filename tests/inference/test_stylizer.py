import numpy as np
import pytest
import torch

from nst_fast import device
from nst_fast.checkpoint import Checkpoint, CheckpointInfo, save_checkpoint
from nst_fast.errors import CheckpointError, ImageError, SettingError
from nst_fast.images import Picture, resize, to_tensor, to_uint8
from nst_fast.inference import stylizer as stylizer_module
from nst_fast.inference.stylizer import Stylizer
from nst_fast.transform_nets import JohnsonNet, RealtimeNet
from nst_fast.transform_nets.painter import pad_to_stride


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return RealtimeNet(width=4).eval()


@pytest.fixture(scope="module")
def stylizer(network):
    return Stylizer(network, device="cpu")


def photo(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def picture(height: int, width: int, alpha: np.ndarray | None = None) -> Picture:
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture(rgb, alpha)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (33, 17), (1000, 13), (4, 4), (5, 8)])
@pytest.mark.parametrize("kind", [RealtimeNet, JohnsonNet])
def test_every_size_is_kept(kind, size):
    """A picture of any size, also below the network's least, comes back in exactly that size, float32 in [0, 1]."""
    painted = Stylizer(kind(width=4), device="cpu").stylize(photo(*size))
    assert painted.shape == (3, *size)
    assert painted.dtype == torch.float32
    assert painted.isfinite().all()
    assert painted.min() >= 0 and painted.max() <= 1


def test_no_padding_changes_nothing(stylizer, network):
    """Where the sides are multiples of the stride, the painting is what the bare network gives, bit for bit."""
    image = photo(32, 48)
    with torch.no_grad():
        assert torch.equal(stylizer.stylize(image), network(image.unsqueeze(0)).squeeze(0))


def test_padding_mirrors_then_repeats():
    """Missing rows and columns are mirrored as numpy does it, or the last is repeated where too few are there."""
    images = photo(9, 10).unsqueeze(0)
    expected = np.pad(images.numpy(), ((0, 0), (0, 0), (0, 3), (0, 2)), mode="reflect")
    assert np.array_equal(pad_to_stride(images, 4, min_side=8).numpy(), expected)
    images = photo(1, 16).unsqueeze(0)
    expected = np.pad(images.numpy(), ((0, 0), (0, 0), (0, 7), (0, 0)), mode="edge")
    assert np.array_equal(pad_to_stride(images, 4, min_side=8).numpy(), expected)


def test_padded_margin_hardly_matters(stylizer):
    """A picture three pixels short of a multiple is painted nearly as the whole one, so the margin is no content."""
    rows = torch.linspace(0, 1, 64)
    image = torch.stack([rows.view(-1, 1).expand(64, 64), rows.expand(64, 64), rows.flip(0).expand(64, 64)])
    whole, cut = stylizer.stylize(image), stylizer.stylize(image[:, :61, :61])
    assert (whole[:, :48, :48] - cut[:, :48, :48]).abs().mean() < 0.04


def test_a_batch_equals_its_images(stylizer):
    """Painting a batch gives what painting each image alone gives."""
    images = torch.stack([photo(21, 30, seed) for seed in range(3)])
    singles = torch.stack([stylizer.stylize(image) for image in images])
    assert torch.allclose(stylizer.stylize(images), singles, atol=1e-5)


def test_the_result_is_an_ordinary_tensor(stylizer):
    """A painting can be optimised further: it is no inference tensor."""
    stylizer.stylize(photo(8, 8)).requires_grad_().sum().backward()


def test_a_network_in_training_stays_as_it_is(network):
    """Handing in a network copies it: its mode, its gradients and later changes of it are its own."""
    own = RealtimeNet(width=4).train()
    copied = Stylizer(own, device="cpu")
    before = copied.stylize(photo(8, 8))
    assert own.training
    assert all(parameter.requires_grad for parameter in own.parameters())
    own.load_state_dict(network.state_dict())
    assert torch.equal(copied.stylize(photo(8, 8)), before)


def test_bf16_is_close(stylizer, network):
    """bf16 paints nearly what fp32 paints, and gives float32."""
    painted = Stylizer(network, device="cpu", precision="bf16").stylize(photo(32, 32))
    assert painted.dtype == torch.float32
    assert (painted - stylizer.stylize(photo(32, 32))).abs().mean() < 0.02


def test_a_file_and_its_contents_paint_alike(tmp_path, stylizer, network):
    """A checkpoint's path, its text, the loaded checkpoint and the network all give the same painting."""
    path = tmp_path / "file.safetensors"
    info = CheckpointInfo(style={"name": "wave"})
    save_checkpoint(path, network, info, dtype=torch.float32)
    expected = stylizer.stylize(photo(9, 9))
    for given in (path, str(path), Checkpoint(network, info)):
        loaded = Stylizer(given, device="cpu")
        assert loaded.style_name == loaded.info.style["name"] == "wave"
        assert torch.equal(loaded.stylize(photo(9, 9)), expected)


def test_a_style_without_name_is_called_by_its_file(tmp_path, network, stylizer):
    """Where a checkpoint does not name its style, the file does."""
    save_checkpoint(tmp_path / "mine.safetensors", network, CheckpointInfo(style={}), dtype=torch.float32)
    assert Stylizer(tmp_path / "mine.safetensors", device="cpu").style_name == "mine"
    assert stylizer.style_name == "style"


def test_a_picture_keeps_size_and_alpha(stylizer):
    """A picture file's width, height and alpha come back as they were."""
    alpha = np.arange(15 * 22, dtype=np.uint16).reshape(15, 22).astype(np.uint8)
    painted = stylizer.stylize_picture(picture(15, 22, alpha))
    assert painted.rgb.shape == (15, 22, 3) and painted.rgb.dtype == np.uint8
    assert np.array_equal(painted.alpha, alpha)
    assert stylizer.stylize_picture(picture(15, 22)).alpha is None


def test_hidden_colours_are_not_painted(stylizer):
    """What a file holds below full transparency has no influence on the rest."""
    alpha = np.full((16, 16), 255, dtype=np.uint8)
    alpha[:8] = 0
    one = picture(16, 16, alpha)
    other = Picture(one.rgb.copy(), alpha)
    other.rgb[:8] = 77
    assert np.array_equal(stylizer.stylize_picture(one).rgb, stylizer.stylize_picture(other).rgb)


@pytest.mark.parametrize(("size", "work_size"), [(16, (10, 16)), (80, (50, 80))])
def test_size_sets_the_resolution_of_the_work_only(stylizer, size, work_size):
    """With a size, the picture is scaled to this long side, painted, and scaled back, both down and up."""
    given = picture(25, 40)
    expected = resize(stylizer.stylize(resize(to_tensor(given.rgb), *work_size)), 25, 40)
    painted = stylizer.stylize_picture(given, size=size)
    assert painted.rgb.shape == (25, 40, 3)
    assert np.abs(painted.rgb.astype(float) - expected.permute(1, 2, 0).numpy() * 255).max() <= 0.51


@pytest.mark.parametrize(
    ("image", "given"),
    [
        (torch.zeros(4, 8, 8), "shape (4, 8, 8) and dtype torch.float32"),
        (torch.zeros(3, 0, 8), "shape (3, 0, 8)"),
        (torch.zeros(8, 8), "shape (8, 8)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "dtype torch.uint8"),
    ],
)
def test_wrong_tensors_are_refused(stylizer, image, given):
    """A tensor of another shape or dtype is refused in words that say what to give."""
    with pytest.raises(SettingError) as caught:
        stylizer.stylize(image)
    assert given in str(caught.value)
    assert str(caught.value).endswith("give (3, height, width) or (batch, 3, height, width) of float in [0, 1]")


def test_wrong_size_is_refused(stylizer):
    """A working size of 0 pixels is refused."""
    with pytest.raises(SettingError, match=r"a side of 0 pixels was asked for; give at least 1"):
        stylizer.stylize_picture(picture(8, 8), size=0)


def test_wrong_precision_is_refused(network):
    """An unknown precision is refused with the allowed ones; fp16 on the CPU, since it would take minutes."""
    with pytest.raises(SettingError) as caught:
        Stylizer(network, device="cpu", precision="bf61")
    assert str(caught.value) == "precision 'bf61' is unknown; allowed: fp32, bf16, fp16 (nearest: bf16)"
    with pytest.raises(SettingError) as caught:
        Stylizer(network, device="cpu", precision="fp16")
    assert "slower than fp32 on the cpu; give fp32 or bf16" in str(caught.value)


def test_wrong_device_is_refused(network, monkeypatch):
    """A device that is unknown or not there is refused with the list of what is."""
    monkeypatch.setattr(device, "list_devices", lambda: ["cuda", "cuda:0", "cpu"])
    for name in ("gpu", "cuda:1", "mps"):
        with pytest.raises(SettingError) as caught:
            Stylizer(network, device=name)
        assert str(caught.value) == (
            f"device {name!r} is not available; this computer has: cuda, cuda:0, cpu; "
            f"leave it out to choose the first of these"
        )


def test_the_fastest_device_is_chosen(monkeypatch):
    """Without a name the order is cuda, mps, cpu; a numbered card counts as there."""
    for cards, mps, expected in ((2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cards=cards: cards > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda cards=cards: cards)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert device.choose_device(None) == torch.device(expected)
        assert device.choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.choose_device("cuda:1") == torch.device("cuda", 1)


def test_unknown_style_lists_the_shipped_ones(monkeypatch):
    """A style that is neither shipped nor a file is refused with the shipped names."""
    shipped = {"starry": None, "wave": None}
    monkeypatch.setattr("nst_fast.checkpoint.list_shipped_checkpoints", lambda: shipped)
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
def test_no_memory_left_is_said_with_the_size(network, monkeypatch, error):
    """When memory runs out, one line names the size and suggests a smaller one."""
    stylizer = Stylizer(network, device="cpu")

    def run_out(_images):
        raise error

    monkeypatch.setattr(stylizer.network, "forward", run_out)
    with pytest.raises(ImageError) as caught:
        stylizer.stylize_picture(picture(30, 40))
    assert str(caught.value) == (
        "painting at 40 x 30 pixels does not fit the memory of cpu; work at a smaller size, such as --size 20"
    )
    assert "\n" not in str(caught.value)


def test_memory_that_cannot_be_had_really_raises_it(stylizer):
    """The words that are looked for are those that this version of torch says."""
    with pytest.raises(ImageError), stylizer_module._explained_memory(10, 10, stylizer.device):
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_are_not_hidden(network, monkeypatch):
    """A bug in the network stays a bug."""
    stylizer = Stylizer(network, device="cpu")

    def break_down(_images):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(stylizer.network, "forward", break_down)
    with pytest.raises(RuntimeError, match="shapes differ"):
        stylizer.stylize(photo(8, 8))


def test_pixels_are_painted_as_images(stylizer):
    """Pixels give the levels of the painted image, singly and as a batch, at any size, in an array of one's own."""
    rgb = np.random.default_rng(0).integers(0, 256, (2, 21, 30, 3), dtype=np.uint8)
    painted = stylizer.stylize_pixels(rgb)
    assert painted.shape == rgb.shape and painted.dtype == np.uint8 and painted.flags.writeable
    for one, alone in zip(painted, rgb, strict=True):
        expected = to_uint8(stylizer.stylize(to_tensor(alone)))
        assert np.abs(one.astype(int) - expected).max() <= 1
        assert np.abs(stylizer.stylize_pixels(alone).astype(int) - expected).max() <= 1


def test_any_array_of_pixels(stylizer):
    """Read-only and mirrored arrays, as decoders and slices give them, are painted as their copies."""
    rgb = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    expected = stylizer.stylize_pixels(rgb[:, ::-1].copy())
    view = rgb[:, ::-1]
    view.flags.writeable = False
    assert np.array_equal(stylizer.stylize_pixels(view), expected)


def test_wrong_pixels_are_refused(stylizer):
    """Anything but uint8 pixels is refused in words that say what to give."""
    with pytest.raises(SettingError) as caught:
        stylizer.stylize_pixels(np.zeros((8, 8, 3), np.float32))
    assert str(caught.value) == (
        "pixels have shape (8, 8, 3) and dtype float32; give (height, width, 3) or (batch, height, width, 3) of uint8"
    )
