"""The stream in a real browser: a page on air, the view for OBS, the camera of the server, and what is remembered."""

import contextlib
import io

import numpy as np
import pytest
from live_browser import (
    BROWSER_MARKS,
    PHOTOS,
    drop_file,
    move,
    needs_runtime,
    open_page,
    pixels_of,
    wait_for_images,
    wait_until,
)
from PIL import Image

from nst_fast.live.camera import Camera, Device
from nst_fast.live.running import address_of, open_listener, running_in_thread
from nst_fast.live.server import build_app
from nst_fast.live.streaming import StreamOptions

pytestmark = BROWSER_MARKS

SHOWN = "Number(document.querySelector('#after').dataset.count) > 0"
GENERATED = Device("testsrc=size=128x96:rate=10,realtime", "lavfi")


@pytest.fixture
def address(tiny_styles):
    """The address of a server of its own for each test, since there is one stream for each server."""
    listener = open_listener("127.0.0.1", 0)
    with running_in_thread(build_app(tiny_styles, port=listener.getsockname()[1]), listener):
        yield address_of(listener)


@pytest.fixture
def camera_address(tiny_styles):
    """As `address`, with a camera of the server."""
    pytest.importorskip("av")
    listener = open_listener("127.0.0.1", 0)
    options = StreamOptions(Camera(GENERATED))
    with running_in_thread(build_app(tiny_styles, port=listener.getsockname()[1], stream=options), listener):
        yield address_of(listener)


@contextlib.contextmanager
def open_view(browser, address: str):
    """The view for OBS in a browser of its own; fails if it reports an error."""
    context = browser.new_context(viewport={"width": 320, "height": 180})
    view, troubles = context.new_page(), []
    view.on("pageerror", lambda error: troubles.append(str(error)))
    view.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    try:
        view.goto(address)
        yield view
        assert troubles == []
    finally:
        context.close()


def wait_for_frames(view, more: int = 1) -> None:
    """Until the view has shown so many more."""
    count = "Number(document.querySelector('canvas').dataset.count || 0)"
    wait_until(view, f"{count} >= {view.evaluate(count) + more}")


def shows_the_same(view, page) -> bool:
    """Whether the view shows what the page does, but for the loss of a JPEG."""
    # In brightness: a JPEG of a browser holds color at half of the resolution, and these networks' colors are noise.
    seen, shown = (
        np.array(Image.fromarray(pixels).convert("L")).astype(int)
        for pixels in (pixels_of(view, "canvas"), pixels_of(page, "#after"))
    )
    return seen.shape == shown.shape and np.abs(seen - shown).mean() < 3


def wait_for_the_same(view, page) -> None:
    """Until it does."""
    for _ in range(600):
        if shows_the_same(view, page):
            return
        view.wait_for_timeout(100)
    raise AssertionError("the view shows something else than the page")


def show_photo(page, folder) -> None:
    """A photo on the page, small enough for a quick answer."""
    Image.open(PHOTOS / "china.jpg").convert("RGB").resize((192, 128)).save(folder / "photo.png")
    drop_file(page, folder / "photo.png", "image/png")
    wait_until(page, "document.querySelector('#after').dataset.source === 'photo'")


def read_alpha(view) -> Image.Image:
    """How opaque the view is, as OBS would see it."""
    return Image.open(io.BytesIO(view.screenshot(omit_background=True))).convert("RGBA").getchannel("A")


@pytest.mark.parametrize("backend", ["server", pytest.param("browser", marks=needs_runtime)])
def test_the_view_follows_the_page_on_air(browser, address, tmp_path, backend):
    """It shows what the page shows, also after another style and other knobs, without being loaded again; it is
    transparent before the page is on air, and after it."""
    with (
        open_view(browser, address + "obs") as view,
        open_page(browser, address + "?provider=wasm", camera=False, backend=backend) as page,
    ):
        wait_until(page, SHOWN)
        show_photo(page, tmp_path)
        view.evaluate("window.stayed = true")
        assert read_alpha(view).getextrema() == (0, 0)
        page.get_by_role("button", name="Stream").click()
        wait_for_the_same(view, page)
        before = pixels_of(page, "#after").astype(int)
        wait_until(page, "document.querySelector('#air-viewers').innerText === '1 viewer'")
        page.get_by_role("radio", name="Third").check(force=True)
        wait_until(page, "document.querySelector('#after').dataset.style === 'third'")
        wait_for_the_same(view, page)
        move(page, "strength", "0.3")
        wait_for_the_same(view, page)
        assert np.abs(pixels_of(view, "canvas") - before).mean() > 5
        assert read_alpha(view).getextrema() == (255, 255)
        page.locator("#air-stop").click()
        wait_until(view, "document.querySelector('canvas').dataset.source === ''")
        assert read_alpha(view).getextrema() == (0, 0)
        assert view.evaluate("window.stayed") and page.locator("#air").is_hidden()


def test_the_address_of_the_view_chooses_the_style(browser, address, tmp_path):
    """What it says is told to the page once; what the page changes afterwards counts."""
    with open_page(browser, address, camera=False) as page:
        wait_until(page, SHOWN)
        show_photo(page, tmp_path)
        page.get_by_role("button", name="Stream").click()
        with open_view(browser, address + "obs?style=third&strength=0.5&keep_color=match&fit=contain") as view:
            wait_until(page, "document.querySelector('#after').dataset.style === 'third'")
            assert page.evaluate("document.querySelector('#strength').value") == "0.5"
            assert page.evaluate("document.querySelector('#keep_color').value") == "match"
            assert page.evaluate("document.querySelector('#style-list input:checked').value") == "third"
            wait_for_the_same(view, page)
            # The photo is 3:2 and the view 16:9: beside it the view is transparent.
            alpha = np.array(read_alpha(view))
            assert not alpha[:, :20].any() and alpha[:, 160].all()
            page.get_by_role("radio", name="First").check(force=True)
            wait_until(page, "document.querySelector('#after').dataset.style === 'first'")
            wait_for_the_same(view, page)


def test_a_hidden_page_stays_on_air(browser, address):
    """Browsers stop the video's own signs in a hidden tab; the stream goes on."""
    hide = """() => {
        window.hides = true;
        Object.defineProperty(document, "hidden", { get: () => true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    stub = """
        const watch = HTMLVideoElement.prototype.requestVideoFrameCallback;
        HTMLVideoElement.prototype.requestVideoFrameCallback = function (callback) {
            return watch.call(this, (...news) => window.hides || callback(...news));
        };
    """
    with open_page(browser, address) as page, open_view(browser, address + "obs") as view:
        page.context.add_init_script(stub)
        page.reload()
        wait_for_images(page)
        page.evaluate(hide)
        page.wait_for_timeout(2000)
        page.get_by_role("button", name="Stream").click()
        wait_for_frames(view, 10)


def test_a_second_page_takes_the_air(browser, address, tmp_path):
    """The first one says so, and its button is as before."""
    with open_page(browser, address, camera=False) as first, open_page(browser, address, camera=False) as second:
        for page in (first, second):
            wait_until(page, SHOWN)
            page.get_by_role("button", name="Stream").click()
            wait_until(page, "document.querySelector('#air-viewers').innerText === '0 viewers'")
        wait_until(first, "document.querySelector('#air').hidden")
        assert "another page is on air now" in first.locator("#state").inner_text()
        assert first.locator("#stream").get_attribute("aria-pressed") == "false"


def test_the_camera_of_the_server_is_shown_and_steered(browser, camera_address):
    """The page opens with it; two pages and the view follow each other's changes."""
    with (
        open_view(browser, camera_address + "obs") as view,
        open_page(browser, camera_address, camera=False, size="auto") as page,
        open_page(browser, camera_address, camera=False, size="auto") as other,
    ):
        for each in (page, other):
            wait_for_images(each, 3)
            assert each.evaluate("document.querySelector('#after').dataset.source") == "stream"
            assert each.get_by_role("button", name="Compare").is_disabled()
            assert each.locator("#cameras").evaluate("(menu) => menu.selectedOptions[0].text").startswith("nst-fast: ")
        wait_for_frames(view, 3)
        page.get_by_role("radio", name="Third").check(force=True)
        page.locator("#strength").fill("0.4")
        wait_until(other, "document.querySelector('#style-list input:checked').value === 'third'")
        wait_until(other, "document.querySelector('#strength').value === '0.4'")
        other.wait_for_timeout(1500)
        other.get_by_role("radio", name="Second").check(force=True)
        wait_until(page, "document.querySelector('#style-list input:checked').value === 'second'")
        wait_for_frames(view, 3)
        assert pixels_of(view, "canvas").std() > 5


def test_the_page_opens_as_it_was_left(browser, address):
    """Style, knobs, smoothing, coherence and size are remembered; what the address says counts more, and then alone."""
    with open_page(browser, address, camera=False) as page:
        wait_until(page, SHOWN)
        page.get_by_role("radio", name="Third").check(force=True)
        for name, value in (("strength", "0.4"), ("stroke_size", "2"), ("keep_color", "match"), ("region", "person")):
            move(page, name, value)
        for name, value in (("smoothing", "0.8"), ("coherence", "0.4")):
            page.locator(f"#{name}").fill(value)
            page.locator(f"#{name}").dispatch_event("change")
        read = """() => ["strength", "stroke_size", "keep_color", "smoothing", "coherence"]
            .map((name) => document.querySelector("#" + name).value)
            .concat(["#region", "#style-list"].map((list) => document.querySelector(list + " input:checked").value))"""
        page.goto(address)
        wait_until(page, SHOWN)
        assert page.evaluate(read) == ["0.4", "2", "match", "0.8", "0.4", "person", "third"]
        page.goto(address + "?stroke_size=3")
        wait_until(page, SHOWN)
        assert page.evaluate(read) == ["1", "3", "", "0.8", "0.4", "", "first"]
