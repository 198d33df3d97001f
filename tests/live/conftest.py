"""A live page of two tiny untrained styles, in this process or on a real port."""

import functools
import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
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
