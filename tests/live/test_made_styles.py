"""Styles made from images while the server runs."""

import gc
import json
import weakref

import numpy as np
import pytest
from starlette.testclient import TestClient

from nst_fast.live import limits
from nst_fast.live.gallery import Style, read_sample
from nst_fast.live.made_styles import MadeStyles, clean_name
from nst_fast.live.server import build_app
from nst_fast.media.pictures import Picture
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, load_base, load_checkpoint
from nst_fast.stylize.look import Look
from nst_fast.stylize.style_image import predict_style
from nst_fast.stylize.stylizer import Stylizer


@pytest.fixture(scope="session")
def painting() -> np.ndarray:
    """A style image of shape (90, 120, 3), uint8."""
    return np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)


def named(name: str) -> Checkpoint:
    """The base network under a name."""
    base = load_base()
    return Checkpoint(base.description, base.weights, CheckpointInfo(style={"name": name}))


def add(made: MadeStyles, name: str, client: str) -> Style:
    """A style of this name, made by this client."""
    return made.add(named(name), np.zeros((4, 6, 3), np.uint8), client)


def test_an_image_becomes_a_style(client, painting, photo, encode, decode):
    """It is listed like the others, stylizes as `predict_style` says, at any strength, and has a thumbnail."""
    answer = client.post("/api/styles?name=my+painting", content=encode(painting, "PNG"))
    made = answer.json()
    assert answer.status_code == 201
    assert made == {
        "name": "my painting",
        "adjustable": True,
        "blends": True,
        "thumbnail": "api/styles/my%20painting/thumbnail.jpg",
        "network": "api/styles/my%20painting/network.onnx",
        "file": "api/styles/my%20painting.safetensors",
    }
    assert client.get("/api/styles").json()["styles"][-1] == made
    stylizer = Stylizer(predict_style(Picture(painting)), device="cpu", engine="onnxruntime")
    for look in ("", "strength=0.5"):
        answer = client.post(f"/api/stylize?style=my+painting&format=png&{look}", content=encode(photo, "PNG"))
        stylizer.look = Look.parse(look)
        assert np.abs(decode(answer.content).astype(int) - stylizer.stylize_pixels(photo)).max() <= 1
    stylizer.look = Look()
    sample = stylizer.stylize_pixels(read_sample())
    assert np.abs(decode(client.get("/" + made["thumbnail"]).content).astype(int) - sample).mean() < 6


def test_a_form_makes_a_style(client, painting, encode):
    """The image may be the field of a form, too; without a name it is called style."""
    answer = client.post("/api/styles", files={"image": ("any.png", encode(painting, "PNG"), "image/png")})
    assert (answer.status_code, answer.json()["name"]) == (201, "style")


def test_the_network_of_a_made_style_runs_elsewhere(client, painting, photo, encode):
    """Its ONNX file, which the browser runs, gives what the Stylizer gives, within a level."""
    import onnxruntime

    made = client.post("/api/styles", content=encode(painting, "PNG")).json()
    session = onnxruntime.InferenceSession(client.get("/" + made["network"]).content)
    stylized = np.asarray(session.run(None, {"images": photo[None], "strength": np.array(1, np.float32)})[0])
    expected = (
        Stylizer(predict_style(Picture(painting)), device="cpu", engine="onnxruntime").stylize_pixels(photo).astype(int)
    )
    assert np.abs(stylized[0].astype(int) - expected).max() <= 1


def test_a_made_style_is_saved(client, painting, photo, encode, tmp_path):
    """The file has a few kB, holds its name, and stylizes as the server did, within two levels of fp16."""
    made = client.post("/api/styles?name=mine", content=encode(painting, "PNG")).json()
    path = tmp_path / "mine.safetensors"
    path.write_bytes(client.get("/" + made["file"]).content)
    assert path.stat().st_size < 10_000
    saved = load_checkpoint(path)
    assert saved.info.style == {"name": "mine"}
    images = [
        Stylizer(checkpoint, device="cpu", engine="onnxruntime").stylize_pixels(photo).astype(int)
        for checkpoint in (saved, predict_style(Picture(painting)))
    ]
    assert np.abs(images[0] - images[1]).max() <= 2
    shipped = client.get("/api/styles/wave.safetensors")
    assert (shipped.status_code, shipped.text) == (
        404,
        "style 'wave' was not made from an image here, so there is no file of it\n",
    )
    assert client.get("/api/styles/none.safetensors").status_code == 404


def test_frames_use_a_made_style(client, painting, photo, encode, decode):
    """The WebSocket takes its name as it takes the others, on a connection that was open before."""
    with client.websocket_connect("ws://127.0.0.1:8765/api/frames") as frames:
        frames.send_bytes(bytes(4) + encode(photo))
        before = decode(frames.receive_bytes()[4:]).astype(int)
        name = client.post("/api/styles", content=encode(painting, "PNG")).json()["name"]
        frames.send_text(json.dumps({"style": name}))
        frames.send_bytes(bytes(4) + encode(photo))
        after = decode(frames.receive_bytes()[4:]).astype(int)
    expected = Stylizer(predict_style(Picture(painting)), device="cpu", engine="onnxruntime").stylize_pixels(photo)
    assert np.abs(after - expected).mean() < 6
    assert np.abs(after - before).mean() > 10


def test_names_are_clean_and_new(client, painting, encode):
    """A name that is taken gets a number; what is not a letter, a digit, a space, `_` or `-` is replaced."""
    data = encode(painting, "PNG")
    names = [client.post("/api/styles", params={"name": name}, content=data).json()["name"] for name in ["wave"] * 2]
    assert names == ["wave 2", "wave 3"]
    assert client.get("/api/styles").json()["styles"][0]["title"] == "The Great Wave"
    assert clean_name('../é <i>"a"\n') == "_é _i_a_"
    assert clean_name(" \t ") == clean_name("") == "style"
    assert clean_name("a" * 39 + " b") == "a" * 39


def test_what_is_no_style_image_is_explained(client, painting, encode):
    """Nothing, garbage, a bomb's size, a form without the field and unknown parameters: one line each, and no style."""
    data, count = encode(painting, "PNG"), len(client.get("/api/styles").json()["styles"])
    answers = [
        (client.post("/api/styles", content=b""), 422, "is empty (0 bytes)"),
        (client.post("/api/styles", content=b"garbage" * 99), 422, "not a picture that can be read"),
        (client.post("/api/styles", content=b"x" * (limits.MAX_BODY_BYTES + 1)), 413, "larger than 40 MB"),
        (client.post("/api/styles", files={"photo": ("a.png", data)}), 400, "no file in the field `image`"),
        (client.post("/api/styles?style=a", content=data), 400, "parameter 'style' is unknown; allowed: name"),
    ]
    for answer, status, words in answers:
        assert (answer.status_code, answer.text.count("\n")) == (status, 1)
        assert words in answer.text
    assert len(client.get("/api/styles").json()["styles"]) == count


def test_a_style_image_of_too_many_pixels_is_refused(client, painting, encode, monkeypatch):
    """The limit is that of every picture."""
    monkeypatch.setattr(limits, "MAX_PICTURE_PIXELS", 90 * 120 - 1)
    answer = client.post("/api/styles", content=encode(painting, "PNG"))
    assert (answer.status_code, "10,800 pixels" in answer.text) == (422, True)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_tiny_style_images_work(client, encode, size):
    """One pixel, or a line of them, is an image too."""
    answer = client.post("/api/styles", content=encode(np.full((*size, 3), 90, np.uint8), "PNG"))
    assert answer.status_code == 201


def test_others_make_no_styles(client, styles, painting, encode):
    """Another site, and whoever lacks the token, is refused as everywhere."""
    data = encode(painting, "PNG")
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert client.post("/api/styles", content=data, headers=headers).status_code == 403
    with TestClient(build_app(styles, port=8765, token="some-long-secret"), base_url="http://127.0.0.1:8765") as other:
        assert other.post("/api/styles", content=data).status_code == 401
        assert other.get("/api/styles/mine.safetensors").status_code == 401


def test_too_many_waiting_style_images_are_sent_away(client, painting, encode, monkeypatch):
    """They wait in the queue of pictures."""
    monkeypatch.setattr(limits, "MAX_PICTURES", 0)
    answer = client.post("/api/styles", content=encode(painting))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_the_longest_unused_makes_room(styles, monkeypatch):
    """Beyond the limit of a client one of its own goes, beyond that of all any; names are not used again."""
    monkeypatch.setattr(limits, "MAX_MADE_STYLES", 3)
    monkeypatch.setattr(limits, "MAX_MADE_STYLES_PER_CLIENT", 2)
    monkeypatch.setattr(limits, "MADE_STYLE_BUSY_SECONDS", 0)
    of_server = dict(styles)
    made = MadeStyles(of_server)
    for name in ("a", "b"):
        add(made, name, "one")
    of_server["a"].stylizer  # noqa: B018 - uses it
    assert add(made, "b", "one").name == "b 2"
    assert of_server.keys() - styles.keys() == {"a", "b 2"}
    add(made, "c", "two")
    add(made, "d", "two")
    assert of_server.keys() - styles.keys() == {"b 2", "c", "d"}
    assert "a" not in made and "d" in made and "wave" not in made


def test_styles_in_use_do_not_make_room(client, painting, encode, monkeypatch):
    """When all were used a moment ago, the next one is told to wait."""
    monkeypatch.setattr(limits, "MAX_MADE_STYLES", 1)
    client.post("/api/styles?name=first", content=encode(painting))
    answer = client.post("/api/styles", content=encode(painting))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.text == "too many styles made from images are in use; try again in a moment\n"
    assert client.get("/api/styles/first.safetensors").status_code == 200


def test_few_networks_are_in_memory(styles, photo, monkeypatch):
    """Beyond the limit the stylizers of the longest unused style are forgotten, and made again when it is used."""
    monkeypatch.setattr(limits, "MAX_OPEN_MADE_STYLES", 2)
    made = MadeStyles(dict(styles))
    first, second, third = (add(made, name, "one") for name in ("a", "b", "c"))
    kept = weakref.ref(first.stylizer), weakref.ref(second.stylizer)
    before = first.stylizer.stylize_pixels(photo)  # used later than the second
    thumbnail = third.thumbnail
    gc.collect()
    assert kept[0]() is not None and kept[1]() is None
    second.picture_stylizer(tiled=False)
    gc.collect()
    assert first.thumbnail and third.thumbnail is thumbnail
    assert np.array_equal(first.stylizer.stylize_pixels(photo), before)


def test_a_thumbnail_is_no_use(styles):
    """A page that is opened shows all thumbnails; that keeps no style from making room."""
    style = add(MadeStyles(dict(styles)), "a", "one")
    before = style.last_used
    assert style.thumbnail and style.last_used == before
    for use in (lambda: style.stylizer, lambda: style.onnx, lambda: style.picture_stylizer(tiled=False)):
        before = style.last_used
        use()
        assert style.last_used > before


def test_made_styles_have_the_options_of_the_others():
    """They run on the device that the server was started with."""
    of_server = {"wave": Style("wave", {}, lambda: named("wave"), device="cpu", engine="onnxruntime", threads=1)}
    stylizer = add(MadeStyles(of_server), "a", "one").stylizer
    assert (stylizer.engine, stylizer.device, stylizer.threads) == ("onnxruntime", "cpu", 1)
