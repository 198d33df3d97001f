"""A live page of two tiny untrained styles, in this process or on a real port."""

import contextlib
import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from live_browser import PHOTOS, build_style, launch
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nst_fast.live.gallery import Style
from nst_fast.live.running import address_of, open_listener, running_in_thread
from nst_fast.live.server import build_app
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network

PORT = 8765


@functools.cache
def build_checkpoint(seed: int) -> Checkpoint:
    """A network with this seed's random weights, whose output differs much from the photo and from other seeds'."""
    torch.manual_seed(seed)
    return checkpoint_from_network(build_network("realtime", width=4))


@pytest.fixture(scope="session")
def styles() -> dict[str, Style]:
    """Two styles: one with a description, and one with a name that needs care in addresses and pages."""
    return {
        "wave": Style("wave", {"title": "The Great Wave", "year": 1831}, lambda: build_checkpoint(0), device="cpu"),
        'a/b "ü" <i>': Style('a/b "ü" <i>', {}, lambda: build_checkpoint(1), device="cpu"),
    }


@pytest.fixture
def app(styles) -> Starlette:
    """The server, on a port that nobody listens on."""
    return build_app(styles, port=PORT)


@pytest.fixture
def client(app) -> Iterator[TestClient]:
    """A program on this computer that talks to the server."""
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}") as client:
        yield client


@pytest.fixture
def address(styles) -> Iterator[str]:
    """The address of a running server."""
    listener = open_listener("127.0.0.1", 0)
    with running_in_thread(build_app(styles, port=listener.getsockname()[1]), listener):
        yield address_of(listener)


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A smooth photo of shape (36, 64, 3), uint8, in which JPEG changes little."""
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8))
    return np.array(small.resize((64, 36), Image.Resampling.BICUBIC))


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Gives the bytes of a file that holds pixels."""

    def encode(pixels: np.ndarray, name: str = "JPEG", **options) -> bytes:
        buffer = io.BytesIO()
        options = {"quality": 95, "subsampling": 0} if name == "JPEG" else options
        Image.fromarray(pixels).save(buffer, name, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def decode() -> Callable[[bytes], np.ndarray]:
    """Gives the pixels in the bytes of a file, shape (height, width, 3), uint8."""
    return lambda data: np.array(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture(scope="module")
def playwright():
    """The driver of browsers."""
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A film for the camera: the view wanders over a photo."""
    photo = Image.open(PHOTOS / "astronaut.jpg").convert("RGB").resize((900, 900), Image.Resampling.LANCZOS)
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    with path.open("wb") as file:
        for angle in np.linspace(0, 2 * np.pi, 40, endpoint=False):
            left, top = 80 + 50 * np.cos(angle), 30 + 30 * np.sin(angle)
            photo.crop((round(left), round(top), round(left) + 640, round(top) + 360)).save(file, "JPEG", quality=92)
    return path


@pytest.fixture(scope="module")
def browser(playwright, clip):
    """A browser with a camera."""
    flags = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={clip}")
    with contextlib.closing(launch(playwright, *flags)) as browser:
        yield browser


@pytest.fixture(scope="module")
def tiny_styles() -> dict[str, Style]:
    """Three styles that differ; the last one has the strength knob."""
    styles = {name: build_style(name, seed) for seed, name in enumerate(("first", "second"))}
    return {**styles, "third": build_style("third", 2, adjustable=True)}


@pytest.fixture(scope="module")
def tiny_address(tiny_styles):
    """The address of a server with these styles."""
    listener = open_listener("127.0.0.1", 0)
    with running_in_thread(build_app(tiny_styles, port=listener.getsockname()[1]), listener):
        yield address_of(listener)
