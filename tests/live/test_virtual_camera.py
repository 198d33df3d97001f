"""The virtual camera: what is sent, how often, and what is said where there is none."""

import contextlib
import sys
import time
import types

import numpy as np
import pytest
from starlette.testclient import TestClient

from nst_fast.errors import SettingError
from nst_fast.live.server import build_app
from nst_fast.live.stream import Stream
from nst_fast.live.streaming import StreamOptions
from nst_fast.live.virtual_camera import VirtualCamera, check_format, fit_pixels, open_output


class FakeOutput:
    """Keeps what it is sent."""

    device = "/dev/video7"

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.frames: list[np.ndarray] = []
        self.closed = False
        self.breaks_after = breaks_after

    def send(self, frame: np.ndarray) -> None:
        if len(self.frames) >= self.breaks_after:
            raise RuntimeError("no such device")
        self.frames.append(frame.copy())

    def close(self) -> None:
        self.closed = True

    def wait_for(self, wanted) -> np.ndarray:
        """The first frame from now on for which `wanted` is true."""
        start = len(self.frames)
        for _ in range(2000):
            for frame in self.frames[start:]:
                if wanted(frame):
                    return frame
            time.sleep(0.01)
        raise AssertionError("no such frame was sent")


def test_the_newest_frame_is_sent_at_one_size_and_rate(photo, encode):
    """Black without a stream, then the frame, again and again; the next one takes its place; black after the end."""
    output, stream = FakeOutput(), Stream()
    camera = VirtualCamera(output, 128, 72, 50)
    camera.start(stream)
    try:
        assert not output.wait_for(lambda frame: True).any()
        stream.begin("page", print)
        stream.publish(jpeg=encode(photo))
        shown = output.wait_for(np.any)
        assert np.abs(shown.astype(int) - fit_pixels(photo, 128, 72)).mean() < 4
        stream.publish(pixels=255 - photo)
        output.wait_for(lambda frame: np.array_equal(frame, fit_pixels(255 - photo, 128, 72)))
        stream.publish(jpeg=b"\xff\xd8\xff damaged")
        output.wait_for(lambda frame: not frame.any())
        stream.publish(pixels=photo)
        output.wait_for(np.any)
        stream.end(print)
        output.wait_for(lambda frame: not frame.any())
        before = len(output.frames)
        time.sleep(1)
        assert 15 < len(output.frames) - before < 60
        assert {frame.shape for frame in output.frames} == {(72, 128, 3)}
    finally:
        camera.close()
    assert output.closed


def test_a_camera_that_is_taken_away_is_told(caplog):
    """One line in the log, and the page goes on."""
    output = FakeOutput(breaks_after=2)
    camera = VirtualCamera(output, 64, 48, 60)
    camera.start(Stream())
    for _ in range(500):
        if caplog.records:
            break
        time.sleep(0.01)
    camera.close()
    assert "virtual camera /dev/video7 takes no more frames (no such device)" in caplog.text


def test_frames_are_fitted_on_black():
    """Nothing is cut off or distorted; a frame of the same shape fills everything."""
    white = np.full((30, 40, 3), 255, np.uint8)
    fitted = fit_pixels(white, 160, 90)
    assert fitted.shape == (90, 160, 3) and fitted.flags["C_CONTIGUOUS"]
    assert fitted[:, 20:140].all() and not fitted[:, :20].any() and not fitted[:, 140:].any()
    tall = fit_pixels(np.full((40, 30, 3), 255, np.uint8), 160, 90)
    assert (tall[:, :, 0] > 0).sum() == 90 * 68
    assert fit_pixels(white, 120, 90).all()


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((15, 720, 30), "virtual camera of 15x720; give two even sides from 16 to 3840"),
        ((1281, 720, 30), "1281x720"),
        ((1280, 4000, 30), "1280x4000"),
        ((1280, 720, 0.5), "0.5 frames per second; give 1 to 60"),
        ((1280, 720, 61), "61 frames per second"),
    ],
)
def test_formats_are_checked(size, words):
    """One line says what is allowed."""
    with pytest.raises(SettingError, match=words):
        check_format(*size)


def test_without_a_virtual_camera_it_is_said_what_to_install(monkeypatch):
    """The package, or the camera itself; where both are there, the first free one is opened in RGB."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"install the extra: pip install 'nst-fast\[camera\]'"):
        open_output(1280, 720, 30)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)

    def refuse(*_):
        raise RuntimeError("'obs' backend: not installed\n")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", types.SimpleNamespace(Camera=refuse))
    with pytest.raises(SettingError, match=r"no virtual camera that is free \('obs' backend: not installed\); install"):
        open_output(1280, 720, 30)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", types.SimpleNamespace(Camera=lambda *asked: asked))
    assert open_output(1280, 720, 30) == (1280, 720, 30)


def test_the_real_package_explains_itself_the_same_way():
    """pyvirtualcam raises what is expected of it where no virtual camera is installed."""
    pyvirtualcam = pytest.importorskip("pyvirtualcam")
    with contextlib.suppress(RuntimeError):
        pyvirtualcam.Camera(640, 480, 30).close()
        pytest.skip("this computer has a virtual camera")
    with pytest.raises(SettingError, match="install one"):
        open_output(640, 480, 30)


def test_a_page_on_air_reaches_the_virtual_camera(styles, photo, encode):
    """It counts as a viewer, and gets what the page sends; it is closed with the server."""
    output = FakeOutput()
    options = StreamOptions(virtual_camera=VirtualCamera(output, 128, 72, 50))
    with TestClient(build_app(styles, port=8765, stream=options), base_url="http://127.0.0.1:8765") as client:
        with client.websocket_connect("ws://127.0.0.1:8765/api/stream/source") as page:
            assert page.receive_json() == {"viewers": 1}
            page.send_bytes(encode(photo))
            shown = output.wait_for(np.any)
            assert np.abs(shown.astype(int) - fit_pixels(photo, 128, 72)).mean() < 4
        assert not output.closed
    assert output.closed
