"""The picture API, the files of the page, and what is refused."""

import io
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from urllib.parse import quote

import numpy as np
import pytest
import websockets.sync.client
from PIL import Image
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from nst_fast.live import limits
from nst_fast.live.server import build_app
from nst_fast.media.pictures import Picture
from nst_fast.stylize.look import Look
from nst_fast.stylize.region import PERSON_NETWORK
from nst_fast.stylize.stylizer import Stylizer

ODD_NAME = 'a/b "ü" <i>'


def test_styles_are_listed(client, decode):
    """Each style is named with what is known of it, and its thumbnail is the stylized sample photo."""
    wave, odd = client.get("/api/styles").json()["styles"]
    assert wave == {
        "name": "wave",
        "title": "The Great Wave",
        "year": 1831,
        "thumbnail": "api/styles/wave/thumbnail.jpg",
        "network": "api/styles/wave/network.onnx",
    }
    assert odd["name"] == ODD_NAME
    thumbnails = [decode(client.get("/" + style["thumbnail"]).content) for style in (wave, odd)]
    assert thumbnails[0].shape == thumbnails[1].shape
    assert np.abs(thumbnails[0].astype(int) - thumbnails[1]).mean() > 5


@pytest.mark.parametrize("way", ["body", "multipart"])
def test_a_picture_is_stylized(client, styles, photo, encode, decode, way):
    """What comes back is what the network makes of the picture, within a level, as the body and as a form's field."""
    data = encode(photo, "PNG")
    sent = {"content": data} if way == "body" else {"files": {"image": ("photo.png", data, "image/png")}}
    answer = client.post(f"/api/stylize?style={quote(ODD_NAME)}&format=png", **sent)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    expected = styles[ODD_NAME].stylizer.stylize_pixels(photo).astype(int)
    assert np.abs(decode(answer.content) - expected).max() <= 1  # another order of adding may round to the next level


def test_the_first_style_and_the_format_are_the_defaults(client, styles, photo, encode, decode):
    """Without a style the first one is used, at the picture's own size; the JPEG is near to what the network gives."""
    answer = client.post("/api/stylize", content=encode(photo, "PNG"))
    assert answer.headers["content-type"] == "image/jpeg"
    expected = styles["wave"].stylizer.stylize_pixels(photo)
    assert np.abs(decode(answer.content).astype(int) - expected).mean() < 3
    smaller = client.post("/api/stylize?size=32&format=png", content=encode(photo, "PNG"))
    assert decode(smaller.content).shape == photo.shape
    assert np.abs(decode(smaller.content).astype(int) - expected).mean() > 3


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("style=waev", 404, "style 'waev' is unknown; allowed: wave"),
        ("size=0", 400, "size '0' is not allowed; give the long side in pixels, 16 to 8192"),
        ("size=9e9", 400, "size '9e9' is not allowed"),
        ("format=gif", 400, "format 'gif' is unknown; allowed: jpg, png, webp"),
        (
            "stile=wave",
            400,
            "parameter 'stile' is unknown; allowed: style, size, format, strength, stroke_size, keep_color, region",
        ),
        ("strength=3", 400, "strength is 3.0; give a number from 0 to 2"),
        ("region=mask.png", 400, "region is 'mask.png'; allowed here: person, background"),
    ],
)
def test_wrong_parameters_are_explained(client, photo, encode, query, status, words):
    """One line says what was given and what is allowed."""
    answer = client.post(f"/api/stylize?{query}", content=encode(photo))
    assert (answer.status_code, answer.text.count("\n")) == (status, 1)
    assert words in answer.text


def test_what_is_no_picture_is_explained(client, encode, photo):
    """Nothing, garbage, half a file, and a form without the field are told apart."""
    assert "is empty (0 bytes)" in client.post("/api/stylize", content=b"").text
    garbage = client.post("/api/stylize", content=b"garbage" * 99)
    assert (garbage.status_code, "not a picture that can be read" in garbage.text) == (422, True)
    assert "damaged or cut short" in client.post("/api/stylize", content=encode(photo)[:-200]).text
    other = client.post("/api/stylize", files={"picture": ("photo.jpg", encode(photo))})
    assert (other.status_code, "no file in the field `image`" in other.text) == (400, True)
    name_only = client.post("/api/stylize", files={"image": (None, "photo.jpg")})
    assert (name_only.status_code, "no file in the field `image`" in name_only.text) == (400, True)
    broken = client.post("/api/stylize", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert broken.status_code == 400


def test_a_bomb_is_refused(client):
    """A PNG of a hundred bytes that claims 30000 x 30000 pixels is refused before it is decoded."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"0" * 9999)) + chunk(b"IEND", b"")
    answer = client.post("/api/stylize", content=bomb)
    assert (answer.status_code, "900,000,000 pixels" in answer.text) == (422, True)


@pytest.mark.parametrize("announced", [True, False])
def test_an_oversized_body_is_refused(client, announced):
    """A body over the limit is refused by its length, and one that does not tell its length while it is read."""
    body = b"x" * (limits.MAX_BODY_BYTES + 1) if announced else (b"x" * 1_000_000 for _ in range(41))
    answer = client.post("/api/stylize", content=body)
    assert (answer.status_code, answer.text) == (413, "the body is larger than 40 MB\n")


def test_too_many_waiting_pictures_are_sent_away(client, app, encode, photo, monkeypatch):
    """When the queue is full, one is told to come back."""
    monkeypatch.setattr(limits, "MAX_PICTURES", 0)
    answer = client.post("/api/stylize", content=encode(photo))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765"])
def test_our_own_names_are_let_in(client, host):
    """The server answers to the names of this computer, with the page's own origin too."""
    headers = {"host": host, "origin": f"http://{host.lower()}", "sec-fetch-site": "same-origin"}
    assert client.get("/api/styles", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example:8765"}, 421),
        ({"host": "evil.example:8765", "origin": "http://evil.example:8765"}, 421),  # a rebound name
        ({"host": "127.0.0.1.evil.example:8765"}, 421),
        ({"host": "192.168.1.5:8765"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": "127.0.0.1:80"}, 421),
        ({"host": "127.0.0.1:8765@evil.example"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),  # another program's page on this computer
        ({"origin": "http://127.0.0.1:8765.evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),  # 127.0.0.1 with another port
    ],
)
@pytest.mark.parametrize("way", ["get", "post", "websocket"])
def test_others_are_kept_out(client, headers, status, way, encode, photo):
    """Neither another site nor a rebound name reaches a file, the API or the WebSocket."""
    if way == "websocket":
        with (
            pytest.raises(WebSocketDisconnect) as raised,
            client.websocket_connect("ws://127.0.0.1:8765/api/frames", headers=headers),
        ):
            pass
        assert raised.value.code == 1008
        return
    if way == "get":
        answer = client.get("/", headers=headers)
    else:
        answer = client.post("/api/stylize", content=encode(photo), headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_from_another_site_opens_the_page(client, site, encode, photo):
    """Following a link is harmless; embedding, fetching or posting from there is not, nor a link to the API."""
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    for path in ("/", "/?provider=wasm", "/index.html"):
        assert client.get(path, headers=link).status_code == 200
    for other in ({"sec-fetch-dest": "iframe"}, {"sec-fetch-mode": "no-cors"}, {"origin": "http://evil.example"}):
        assert client.get("/", headers=link | other).status_code == 403
    assert client.get("/api/training/strip.jpg", headers=link).status_code == 403
    assert client.post("/api/stylize", headers=link, content=encode(photo)).status_code == 403


def test_the_work_is_limited_not_only_the_file(client, encode):
    """A file of a hundred bytes may not ask for more pixels of work than the largest picture."""
    tiny = encode(np.zeros((8, 8, 3), np.uint8), "PNG")
    answer = client.post("/api/stylize?size=8192", content=tiny)
    assert (answer.status_code, "67,108,864 pixels of work" in answer.text) == (400, True)
    answer = client.post("/api/stylize?size=4096&stroke_size=0.5", content=tiny)
    assert (answer.status_code, "67,108,864 pixels of work" in answer.text) == (400, True)


def test_large_pictures_are_stylized_in_tiles(client, styles, encode, decode, photo, monkeypatch):
    """From a few megapixels on memory is bounded by tiles; the result has the picture's size."""
    monkeypatch.setattr(limits, "TILED_PIXELS", 64 * 36 - 1)
    answer = client.post("/api/stylize?format=png", content=encode(photo, "PNG"))
    assert np.array_equal(
        decode(answer.content), styles["wave"].picture_stylizer(tiled=True).stylize_picture(Picture(photo)).rgb
    )


def make_scan_bomb(scans: int) -> bytes:
    """A small progressive JPEG of 16 megapixels that repeats its last scan."""
    buffer = io.BytesIO()
    Image.new("RGB", (4000, 4000), (90, 120, 150)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


@pytest.mark.parametrize("scans", [80, 3000])
def test_two_bombs_keep_nobody_waiting(address, photo, encode, scans, monkeypatch):
    """While two pictures that are slow to decode are in work, the page and frames are answered within 2 seconds."""
    monkeypatch.setattr(limits, "DECODE_SECONDS", 6.0)
    bomb, statuses = make_scan_bomb(scans), []

    def upload() -> None:
        request = urllib.request.Request(address + "api/stylize?size=64", bomb, {"content-type": "image/jpeg"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                statuses.append(answer.status)
        except urllib.error.HTTPError as error:
            statuses.append(error.code)

    frames = websockets.sync.client.connect(address.replace("http", "ws") + "api/frames", compression=None)
    with frames as connection:
        connection.send(bytes(4) + encode(photo))
        connection.recv(timeout=60)  # the network is loaded
        threads = [threading.Thread(target=upload) for _ in range(2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            urllib.request.urlopen(address, timeout=10).close()
            connection.send(bytes(4) + encode(photo))
            assert connection.recv(timeout=10)[:4] == bytes(4)
            assert time.monotonic() - began < 2
    assert set(statuses) <= {200, 422} and len(statuses) == 2


def test_any_address_lets_in_addresses_but_no_names(styles):
    """A server for the network answers to addresses and its own name; a rebound name is still none of it."""
    app = build_app(styles, port=8765, names=("localhost", "studio"), any_address=True)
    with TestClient(app) as client:
        statuses = [
            client.get("/api/styles", headers={"host": host}).status_code
            for host in ("192.168.1.5:8765", "[fe80::1]:8765", "studio:8765", "evil.example:8765", "192.168.1.5:80")
        ]
    assert statuses == [200, 200, 200, 421, 421]


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/..%2fserver.py",
        "/%2e%2e/guard.py",
        "//etc/passwd",
        "/page/index.html",
        "/.git/config",
        "/api/styles/../../../../etc/passwd/thumbnail.jpg",
        "/api/styles/%2Fetc%2Fpasswd/thumbnail.jpg",
    ],
)
def test_no_path_leads_to_the_disk(client, path):
    """Only the names of the page's own files and of the styles are known."""
    assert client.get(path).status_code == 404
    assert client.post("/api/stylize?style=/etc/passwd").status_code == 404


def test_every_answer_has_the_headers_of_security(client):
    """The page, the API and refusals forbid scripts, addresses and frames from elsewhere."""
    for path in ("/", "/api/styles", "/nothing"):
        headers = client.get(path).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_needs_nothing_from_elsewhere(client):
    """Every file of the page is served with its type, none names an outside address, and none is sent twice."""
    from nst_fast.live.static_files import read_page

    files = read_page()
    assert {"index.html", "sample.jpg"} <= files.keys()
    for name, file in files.items():
        answer = client.get(f"/{name}")
        assert (answer.status_code, answer.content) == (200, file.content)
        assert client.get(f"/{name}", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
        if not file.media_type.startswith("image/jpeg"):
            outside = file.content.replace(b"http://www.w3.org/", b"")
            assert b"http://" not in outside and b"https://" not in outside, f"{name} names an outside address"
    assert client.get("/").content == files["index.html"].content


def test_pictures_have_looks(client, styles, photo, encode, decode):
    """The parameters are those of a look; the picture is what a Stylizer with it gives, and says how it was made."""
    style = next(iter(styles.values()))
    look = Look(stroke_size=2, keep_color="match")
    answer = client.post(f"/api/stylize?style=wave&format=png&{look}", content=encode(photo, "PNG"))
    stylizer = Stylizer(style.stylizer.checkpoint, device="cpu", tiles="never", look=look)
    assert np.abs(decode(answer.content).astype(int) - stylizer.stylize_pixels(photo)).max() <= 1
    assert b"nst-fast style=wave&stroke_size=2&keep_color=match" in answer.content
    plain = client.post("/api/stylize?style=wave&format=png", content=encode(photo, "PNG"))
    assert not np.array_equal(decode(plain.content), decode(answer.content))


def test_the_network_that_finds_people_is_served(client):
    """The browser gets it from the same place on a server and on an exported site."""
    assert client.get("/person.onnx").content == PERSON_NETWORK.read_bytes()
