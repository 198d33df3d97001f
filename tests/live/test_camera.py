"""The camera of the server. FFmpeg's generated test picture is the device: it is opened as a camera is."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from nst_fast.errors import SettingError
from nst_fast.live.camera import Camera, Device, explain_camera, find_device, open_device, read_pixels
from nst_fast.live.camera_size import SIDES, CameraSize
from nst_fast.live.frames import NUMBER_BYTES
from nst_fast.live.server import build_app
from nst_fast.live.stream_api import CLOSED_CAMERA
from nst_fast.live.streaming import StreamOptions, obs_address_of

pytest.importorskip("av")

SIZE = (96, 128)  # height, width
GENERATED = Device("testsrc=size=128x96:rate=25,realtime", "lavfi")


def take_frames(camera: Camera, count: int) -> list:
    """Frames of a camera, or None for a problem."""

    async def run() -> list:
        camera.start()
        try:
            return [await asyncio.wait_for(camera.next_frame(), 60) for _ in range(count)]
        finally:
            camera.close()

    return asyncio.run(run())


def test_a_camera_is_read():
    """Frames come one after the other, at the size that is asked for or the camera's own, with even sides."""
    frames = take_frames(Camera(GENERATED), 3)
    assert frames[0].pts < frames[1].pts < frames[2].pts
    whole = read_pixels(frames[0], 1280)
    assert (whole.shape, whole.dtype) == ((*SIZE, 3), np.uint8) and whole.std() > 30
    assert read_pixels(frames[0], 67).shape == (50, 66, 3)


def test_a_camera_that_is_away_is_looked_for_again(monkeypatch):
    """It says what is wrong; when the device is back there are frames."""
    monkeypatch.setattr("nst_fast.live.camera.RETRY_SECONDS", 0.05)
    opened = []

    def open_later(device):
        opened.append(device)
        if len(opened) < 3:
            raise FileNotFoundError(2, "No such file or directory")
        return open_device(device)

    monkeypatch.setattr("nst_fast.live.camera.open_device", open_later)
    camera = Camera(GENERATED)

    async def run():
        camera.start()
        try:
            assert await camera.next_frame() is None
            assert camera.problem == f"camera {GENERATED.name} does not exist; plug it in, or give another one"
            while (frame := await asyncio.wait_for(camera.next_frame(), 60)) is None:
                pass
            assert frame.width == SIZE[1] and camera.problem is None
        finally:
            camera.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No such file"), "does not exist; plug it in"),
        (PermissionError(13, "Permission denied"), "may not be used; allow it"),
        (OSError(16, "Device or resource busy"), "is in use; close the other program"),
        (ValueError("no container\nformat"), r"cannot be read \(no container format\)"),
    ],
)
def test_what_is_wrong_with_a_camera_is_explained(error, words):
    """One line, with the name that the user knows."""
    with pytest.raises(AssertionError, match=f"^camera Webcam {words}"):
        raise AssertionError(explain_camera(Device("video=Webcam", "dshow"), error))


def test_a_camera_of_another_size_is_taken_as_it_is(monkeypatch):
    """Where the camera refuses every wish it is opened without one; the last refusal is told if that fails as well."""
    asked = []

    def refuse(name, *, format, options):
        asked.append(options)
        if options:
            raise OSError(5, "Input/output error")
        return "opened"

    monkeypatch.setattr("av.open", refuse)
    assert open_device(Device("0:none", "avfoundation")) == "opened"
    assert [options.get("video_size") for options in asked] == ["1280x720", "640x480", None]
    monkeypatch.setattr("av.open", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        open_device(Device("/dev/video0", "v4l2"))


@pytest.mark.parametrize(
    ("given", "platform", "device"),
    [
        ("/dev/video3", "linux", Device("/dev/video3", "v4l2")),
        ("2", "linux", Device("/dev/video2", "v4l2")),
        (None, "darwin", Device("0:none", "avfoundation")),
        ("FaceTime", "darwin", Device("FaceTime:none", "avfoundation")),
        ("Integrated Webcam", "win32", Device("video=Integrated Webcam", "dshow")),
    ],
)
def test_the_device_is_named_as_ffmpeg_does(given, platform, device):
    """On each system by its own kind of name."""
    assert find_device(given, platform) == device


def test_the_first_camera_is_found(monkeypatch):
    """On Linux the device file with the lowest number, on Windows the first that is listed with a picture."""
    monkeypatch.setattr(Path, "glob", lambda self, _: [self / name for name in ("video10", "video2", "video4")])
    assert find_device(None, "linux").name == "/dev/video2"

    class Listed:
        def __init__(self, description, media_types):
            self.name, self.description, self.media_types = "@device", description, media_types

    devices = [Listed("Microphone", ["audio"]), Listed("Webcam", ["video"])]
    monkeypatch.setattr("av.device.enumerate_input_devices", lambda _: devices)
    assert find_device(None, "win32") == Device("video=Webcam", "dshow")
    devices.clear()
    with pytest.raises(SettingError, match="there is no camera; plug one in"):
        find_device(None, "win32")
    monkeypatch.setattr(Path, "glob", lambda *_: [])
    with pytest.raises(SettingError, match="no /dev/video"):
        find_device(None, "linux")


def test_a_camera_that_cannot_be_is_refused(monkeypatch):
    """On other systems, and without PyAV."""
    with pytest.raises(SettingError, match="cameras of sunos5 cannot be read"):
        find_device(None, "sunos5")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install 'nst-fast\[camera\]'"):
        find_device("0")


def settle(seconds_at_640: float) -> list[int]:
    """The sizes in the first 2000 frames of a camera on a computer of this speed."""
    size = CameraSize()
    sides = [size.long_side]
    for _ in range(2000):
        size.count(seconds_at_640 * (size.long_side / 640) ** 2)
        if size.long_side != sides[-1]:
            sides.append(size.long_side)
    return sides


def test_the_size_follows_the_time_per_frame():
    """It settles on a size that is fast enough and is not left again for long; a size of the user's stays."""
    assert settle(0.004) == [640, 800, 960, 1280]
    assert settle(0.03) == [640]
    slow = settle(0.2)
    assert slow[:2] == [640, 320] and set(slow[2:]) <= {320, 384}
    assert settle(9.0) == [640, SIDES[0]]
    fixed = CameraSize()
    fixed.fixed = 500
    for _ in range(50):
        fixed.count(9.0)
    assert fixed.long_side == 500


@pytest.fixture
def memory(tmp_path) -> Path:
    """Where the settings are kept."""
    return tmp_path / "cache" / "camera.json"


def read_state(viewer, **expected):
    """States, until one has these values; frames are skipped."""
    while True:
        message = viewer.receive()
        state = json.loads(message["text"]) if message.get("text") else {}
        if expected.items() <= state.items():
            return state


def read_frame(viewer, after: int) -> tuple[int, bytes]:
    """The newest frame's number and JPEG."""
    viewer.send_json({"next": after})
    while (message := viewer.receive()).get("bytes") is None:
        pass
    return int.from_bytes(message["bytes"][:NUMBER_BYTES]), message["bytes"][NUMBER_BYTES:]


def test_the_camera_of_the_server_is_stylized(styles, memory, decode):
    """A viewer sees the camera in the first style, and in another one as soon as it is wished for; the settings are
    kept, and the page is told of the camera."""
    options = StreamOptions(Camera(GENERATED), memory)
    other = 'a/b "ü" <i>'
    with TestClient(build_app(styles, port=8765, stream=options), base_url="http://127.0.0.1:8765") as client:
        assert client.get("/api/styles").json()["camera"] == GENERATED.name
        with client.websocket_connect("ws://127.0.0.1:8765/api/stream") as viewer:
            state = read_state(viewer, source="camera")
            assert state["settings"] == {"style": "wave", "smoothing": 0.5, "coherence": 0, "look": "", "size": None}
            number, jpeg = read_frame(viewer, 0)
            first = decode(jpeg)
            assert first.shape == (*SIZE, 3)
            viewer.send_json({"style": other, "smoothing": 0, "size": 64})
            read_state(viewer, settings={"style": other, "smoothing": 0, "coherence": 0, "look": "", "size": 64})
            while decode(jpeg).shape != (48, 64, 3):
                number, jpeg = read_frame(viewer, number)
            viewer.send_json({"style": "missing"})
            while "error" not in (answer := read_state(viewer)):
                pass
            assert "style 'missing' is unknown" in answer["error"]
            with (
                pytest.raises(WebSocketDisconnect) as closed,
                client.websocket_connect("ws://127.0.0.1:8765/api/stream/source") as page,
            ):
                page.receive_json()
            assert closed.value.code == CLOSED_CAMERA
    assert json.loads(memory.read_text()) == {"style": other, "smoothing": 0, "coherence": 0, "look": "", "size": 64}


@pytest.mark.parametrize(
    ("kept", "recalls_style", "style", "smoothing"),
    [
        ('{"style": "a/b \\"\\u00fc\\" <i>", "smoothing": 0.1}', True, 'a/b "ü" <i>', 0.1),
        ('{"style": "a/b \\"\\u00fc\\" <i>", "smoothing": 0.1}', False, "wave", 0.1),
        ('{"style": "gone", "smoothing": 0.1}', True, "wave", 0.1),
        ('{"style": "wave", "smoothing": 99}', True, "wave", 0.5),
        ("{", True, "wave", 0.5),
    ],
)
def test_the_settings_of_the_last_time_are_used(styles, memory, kept, recalls_style, style, smoothing):
    """As far as they are still possible; a style that is named at the start counts more."""
    memory.parent.mkdir()
    memory.write_text(kept)
    options = StreamOptions(Camera(GENERATED), memory, recalls_style)
    app = build_app(styles, port=8765, stream=options)
    with (
        TestClient(app, base_url="http://127.0.0.1:8765") as client,
        client.websocket_connect("ws://127.0.0.1:8765/api/stream") as viewer,
    ):
        settings = read_state(viewer, source="camera")["settings"]
    assert (settings["style"], settings["smoothing"]) == (style, smoothing)


def test_a_look_that_is_too_much_work_is_told(styles, monkeypatch):
    """Strokes too small for the size of the camera are a problem that viewers see, until they are changed."""
    monkeypatch.setattr("nst_fast.live.limits.MAX_FRAME_PIXELS", 20_000)
    app = build_app(styles, port=8765, stream=StreamOptions(Camera(GENERATED)))
    with (
        TestClient(app, base_url="http://127.0.0.1:8765") as client,
        client.websocket_connect("ws://127.0.0.1:8765/api/stream") as viewer,
    ):
        viewer.send_json({"look": "stroke_size=0.5"})
        while not (state := read_state(viewer)).get("problem"):
            pass
        assert "stroke_size 0.5 is too small for frames of 128 x 96" in state["problem"]
        viewer.send_json({"look": ""})
        settings = {"style": "wave", "smoothing": 0.5, "coherence": 0, "look": "", "size": None}
        read_state(viewer, problem=None, settings=settings)


@pytest.mark.parametrize(
    ("page", "view"),
    [
        ("http://127.0.0.1:8765/", "http://127.0.0.1:8765/obs"),
        ("https://[::1]:9000/?token=abc", "https://[::1]:9000/obs?token=abc"),
    ],
)
def test_the_address_for_obs(page, view):
    """That of the page, with its token."""
    assert obs_address_of(page) == view
