"""Blends of the styles on offer, on the page and for other programs."""

import json

import numpy as np
import pytest
from starlette.testclient import TestClient

from nst_fast.live.gallery import list_styles
from nst_fast.live.server import build_app
from nst_fast.media.pictures import Picture
from nst_fast.networks.checkpoint import blend_checkpoints
from nst_fast.stylize.style_image import predict_style
from nst_fast.stylize.styles import open_style
from nst_fast.stylize.stylizer import Stylizer

BLEND = "udnie:0.6,chrysanthemums:0.4"


@pytest.fixture(scope="module")
def shipped():
    """The shipped styles."""
    return list_styles([], device="cpu", engine="onnxruntime")


@pytest.fixture
def blending(shipped):
    """A program that talks to a server with the shipped styles."""
    with TestClient(build_app(dict(shipped), port=8765), base_url="http://127.0.0.1:8765") as client:
        yield client


def expected(style: str, photo: np.ndarray) -> np.ndarray:
    """What the command gives."""
    return Stylizer(style, device="cpu", engine="onnxruntime").stylize_pixels(photo).astype(int)


def test_a_blend_is_that_of_the_command(blending, photo, encode, decode):
    """Pictures in a blend, one after another: within a level of what `open_style` gives for the same text."""
    images = []
    for style in (BLEND, "udnie:1,chrysanthemums:3", "udnie:1", BLEND):
        answer = blending.post("/api/stylize", params={"style": style, "format": "png"}, content=encode(photo, "PNG"))
        assert answer.status_code == 200, answer.text
        images.append(decode(answer.content).astype(int))
        assert np.abs(images[-1] - expected(style, photo)).max() <= 1
    assert np.abs(images[0] - images[1]).mean() > 1 and np.array_equal(images[0], images[3])


def test_frames_are_blended(blending, photo, encode, decode):
    """On one connection the shares may change from frame to frame, and the knobs work as for any style."""
    with blending.websocket_connect("ws://127.0.0.1:8765/api/frames") as frames:
        for style, look in ((BLEND, ""), ("udnie:1,chrysanthemums:3", ""), (BLEND, "strength=0.5")):
            frames.send_text(json.dumps({"style": style, "look": look}))
            frames.send_bytes(bytes(4) + encode(photo))
            found = decode(frames.receive_bytes()[4:]).astype(int)
            stylizer = Stylizer(style, device="cpu", engine="onnxruntime")
            stylizer.look = type(stylizer.look).parse(look)
            assert np.abs(found - stylizer.stylize_pixels(photo)).mean() < 6


def test_the_network_of_a_blend_runs_elsewhere(blending, photo):
    """Its ONNX file, which the browser runs, gives the same; and there is a thumbnail."""
    import onnxruntime

    address = "/api/styles/udnie%3A0.6%2Cchrysanthemums%3A0.4"
    session = onnxruntime.InferenceSession(blending.get(f"{address}/network.onnx").content)
    stylized = np.asarray(session.run(None, {"images": photo[None], "strength": np.array(1, np.float32)})[0])[0]
    assert np.abs(stylized.astype(int) - expected(BLEND, photo)).max() <= 1
    assert blending.get(f"{address}/thumbnail.jpg").headers["content-type"] == "image/jpeg"
    assert blending.get(f"{address}.safetensors").status_code == 404


def test_a_made_style_is_blended(blending, photo, encode, decode):
    """A style made from an image is part of a blend like the shipped ones."""
    painting = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    blending.post("/api/styles?name=mine", content=encode(painting, "PNG"))
    params = {"style": "mine:1,udnie:1", "format": "png"}
    found = decode(blending.post("/api/stylize", params=params, content=encode(photo, "PNG")).content).astype(int)
    blend = blend_checkpoints([(predict_style(Picture(painting)), 1), (open_style("udnie:1"), 1)])
    assert np.abs(found - Stylizer(blend, device="cpu", engine="onnxruntime").stylize_pixels(photo)).max() <= 1


def test_styles_say_whether_they_can_be_blended(blending):
    """Those of the base network, and the shipped ones with a code."""
    styles = {style["name"]: style.get("blends", False) for style in blending.get("/api/styles").json()["styles"]}
    assert styles["wave"] and styles["chrysanthemums"] and not styles["wave_johnson"]


@pytest.mark.parametrize(
    ("style", "status", "words"),
    [
        ("udnie:0.6,absent:0.4", 404, "style 'absent' is unknown; for blends there are: "),
        ("udnie:0.6,/etc/passwd:0.4", 404, "style '/etc/passwd' is unknown"),
        ("udnie:0.6,wave_johnson:0.4", 404, "style 'wave_johnson' cannot be blended"),
        ("udnie:much", 404, "'udnie:much' is no part of a blend"),
        ("udnie:0", 404, "'udnie:0' is no part of a blend"),
        (",".join(["udnie:1"] * 9), 404, "a blend of 9 styles is too much; give 8 at most"),
        ("udnie,wave", 404, "style 'udnie,wave' is unknown"),
    ],
)
def test_what_is_no_blend_is_explained(blending, photo, encode, style, status, words):
    """One line; names of files are just unknown names."""
    answer = blending.post("/api/stylize", params={"style": style}, content=encode(photo))
    assert (answer.status_code, answer.text.count("\n")) == (status, 1)
    assert words in answer.text
