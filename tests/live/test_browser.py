"""The live page in a real browser: Chromium with a generated camera, driven by Playwright.

Set NST_FAST_WRITE_PICTURES=1 to have the README's picture of the page written again.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from live_browser import (
    BROWSER_MARKS,
    PHOTOS,
    PROJECT,
    check_image,
    count_of,
    drop_file,
    launch,
    move,
    needs_runtime,
    open_page,
    pixels_of,
    state_of,
    wait_for_first_image,
    wait_for_images,
    wait_for_still,
    wait_until,
)
from PIL import Image

from nst_fast.live import limits, refinement
from nst_fast.live.gallery import list_styles
from nst_fast.live.running import address_of, open_listener, running_in_thread
from nst_fast.live.server import build_app
from nst_fast.live.site import export_site
from nst_fast.live.stylize_pool import StylizePool
from nst_fast.media.pictures import Picture
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, load_base, load_checkpoint, save_checkpoint
from nst_fast.stylize.style_image import predict_style
from nst_fast.stylize.styles import open_style

pytestmark = BROWSER_MARKS


def test_the_camera_is_stylized(browser, tiny_address, tiny_styles):
    """The images follow the camera, are those of the network, change with the style, and stand still when frozen."""
    with open_page(browser, tiny_address) as page:
        wait_for_images(page)
        first = pixels_of(page, "#after")
        wait_for_images(page, 4)
        assert first.shape[1] == 256
        assert np.abs(first.astype(int) - pixels_of(page, "#after")).mean() > 1
        page.keyboard.press(" ")
        wait_for_still(page)
        check_image(page, tiny_styles["first"], tolerance=6)
        still = pixels_of(page, "#before")
        page.get_by_role("radio", name="Second").check(force=True)
        wait_until(page, "document.querySelector('#after').dataset.style === 'second'")
        page.wait_for_timeout(1000)
        check_image(page, tiny_styles["second"], tolerance=6)
        assert np.array_equal(pixels_of(page, "#before"), still)
        page.keyboard.press("1")
        wait_until(page, "document.querySelector('#after').dataset.style === 'first'")
        page.keyboard.press(" ")
        wait_for_images(page, 3)
        assert "frames/s" in wait_until(page, "document.querySelector('#figures:not([hidden])')?.textContent")


def test_images_and_clips_are_saved(browser, tiny_address, tmp_path, tiny_styles):
    """An image is what is shown; a clip plays when it is dropped onto the page; a film is stylized whole and saved."""
    with open_page(browser, tiny_address) as page:
        wait_for_images(page)
        page.keyboard.press(" ")
        wait_for_still(page)
        with page.expect_download() as download:
            page.keyboard.press("s")
        # In brightness: the JPEG holds color at half of the resolution, and this network's colors are noise.
        picture = np.array(Image.open(download.value.path()).convert("L")).astype(int)
        assert np.abs(picture - np.array(Image.fromarray(pixels_of(page, "#after")).convert("L"))).mean() < 3
        assert download.value.suggested_filename.startswith("first 20")
        page.keyboard.press(" ")
        wait_for_images(page)
        page.get_by_role("button", name="Record").click()
        wait_for_images(page, 4)
        page.wait_for_timeout(1500)
        with page.expect_download() as download:
            page.get_by_role("button", name="Record").click()
        film = tmp_path / ("film" + Path(download.value.suggested_filename).suffix)
        download.value.save_as(film)
        drop_file(page, film, "video/mp4" if film.suffix == ".mp4" else "video/webm")
        wait_until(page, "!document.querySelector('#film').hidden")
        wait_for_images(page, 3)
        with page.expect_download(timeout=300_000) as download:
            page.get_by_role("button", name="Save film").click()
            wait_until(page, "!document.querySelector('#progress').hidden")
        stylized = tmp_path / ("stylized" + Path(download.value.suggested_filename).suffix)
        download.value.save_as(stylized)
        drop_file(page, stylized, "video/mp4" if stylized.suffix == ".mp4" else "video/webm")
        wait_for_images(page, 3)
        assert pixels_of(page, "#after").shape[1] == 256


def test_a_dropped_photo_is_stylized_and_saved_at_its_own_size(browser, tiny_address, tiny_styles, tmp_path):
    """The page shows it stylized; what is saved has the file's size, and the strokes that are shown."""
    photo = np.array(Image.open(PHOTOS / "china.jpg").convert("RGB"))
    Image.fromarray(photo).save(tmp_path / "photo.png")
    with open_page(browser, tiny_address, camera=False) as page:
        wait_for_first_image(page)
        drop_file(page, tmp_path / "photo.png", "image/png")
        wait_until(page, "document.querySelector('#after').dataset.source === 'photo'")
        check_image(page, tiny_styles["first"], tolerance=6)
        with page.expect_download(timeout=120_000) as download:
            page.get_by_role("button", name="Save", exact=True).click()
        saved = np.array(Image.open(download.value.path()).convert("RGB")).astype(int)
        expected = tiny_styles["first"].stylizer.stylize_picture(Picture(photo), size=256).rgb
        assert np.abs(saved - expected).mean() < 2
        (tmp_path / "notes.txt").write_text("no picture")
        drop_file(page, tmp_path / "notes.txt", "text/plain")
        assert "notes.txt is neither a photo nor a film" in page.get_by_role("alert").inner_text(timeout=30_000)


def test_before_and_after_by_the_keyboard(browser, tiny_address):
    """The divider is a slider that arrow keys move; single keys can be switched off."""
    with open_page(browser, tiny_address, camera=False) as page:
        wait_for_first_image(page)
        page.keyboard.press("c")
        slider = page.get_by_role("slider", name="Before and after")
        slider.press("ArrowRight")
        assert page.evaluate("getComputedStyle(document.querySelector('#frame')).getPropertyValue('--split')") == "51%"
        page.keyboard.press("Tab")
        page.keyboard.press("?")
        page.get_by_role("checkbox", name="Use these keys").uncheck()
        page.keyboard.press("Escape")
        page.locator("body").press("c")
        assert page.get_by_role("button", name="Compare").get_attribute("aria-pressed") == "true"


def test_the_size_follows_the_pace(browser, tiny_address):
    """The page settles on the largest size that a computer stylizes within 130 ms, and stays there."""
    simulate = """async (millisecondsAt640) => {
        const { Pace } = await import("/pace.js");
        const pace = new Pace();
        const sides = [pace.longSide];
        for (let now = 0; now < 300000; ) {
            const delay = millisecondsAt640 * (pace.longSide / 640) ** 2;
            now += Math.max(33, delay / 2);
            pace.count(now, delay);
            if (pace.longSide !== sides.at(-1)) {
                sides.push(pace.longSide);
            }
        }
        return sides;
    }"""
    with open_page(browser, tiny_address, camera=False) as page:
        assert page.evaluate(simulate, 10) == [640, 800, 960]
        assert page.evaluate(simulate, 100) == [640]
        assert page.evaluate(simulate, 400) == [640, 320]
        assert page.evaluate(simulate, 5000) == [640, 192]


def test_a_refused_camera_is_explained(browser, tiny_address):
    """Without permission the page says so, offers to try again, and still stylizes the sample."""
    with open_page(browser, tiny_address, camera=False) as page:
        wait_for_first_image(page)
        page.get_by_role("button", name="Start the camera").click()
        alert = page.get_by_role("alert")
        assert "The camera is blocked" in alert.inner_text(timeout=30_000)
        assert page.get_by_role("button", name="Try again").is_visible()


def test_no_camera_is_explained(playwright, tiny_address):
    """On a computer without a camera the page says so."""
    with contextlib.closing(launch(playwright)) as browser, open_page(browser, tiny_address) as page:
        alert = page.get_by_role("alert")
        assert "There is no camera" in alert.inner_text(timeout=60_000)


def test_a_camera_in_use_is_explained(browser, tiny_address):
    """When another program holds the camera the page says so, and a second try works."""
    with open_page(browser, tiny_address, camera=False) as page:
        wait_for_first_image(page)
        page.context.grant_permissions(["camera"])
        page.evaluate(
            """() => {
                const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
                navigator.mediaDevices.getUserMedia = () => {
                    navigator.mediaDevices.getUserMedia = open;
                    return Promise.reject(new DOMException("busy", "NotReadableError"));
                };
            }"""
        )
        page.get_by_role("button", name="Start the camera").click()
        assert "The camera is in use" in page.get_by_role("alert").inner_text(timeout=30_000)
        page.get_by_role("button", name="Try again").click()
        wait_for_images(page, 3)


def test_the_page_survives_the_server(browser, tiny_styles):
    """When the server ends the page says so; when it is back the page reconnects by itself."""
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        first.enter_context(running_in_thread(build_app(tiny_styles, port=port), listener))
        page = stack.enter_context(open_page(browser, address_of(listener), quiet=False))
        wait_for_images(page)
        first.close()
        assert "The server does not answer" in page.get_by_role("alert").inner_text(timeout=60_000)
        again = open_listener("127.0.0.1", port)
        stack.enter_context(running_in_thread(build_app(tiny_styles, port=port), again))
        wait_for_images(page)
        assert page.get_by_role("alert").is_hidden()


def test_an_idle_page_sleeps_and_wakes(browser, tiny_address, monkeypatch):
    """The server closes an idle connection; the page says nothing of it, and the next change connects again."""
    with open_page(browser, tiny_address, camera=False) as page:
        wait_for_first_image(page)
        monkeypatch.setattr(limits, "SESSION_IDLE_SECONDS", 0.5)
        page.wait_for_timeout(3000)
        assert page.get_by_role("alert").is_hidden()
        monkeypatch.undo()
        page.get_by_role("radio", name="Second").check(force=True)
        wait_until(page, "document.querySelector('#after').dataset.style === 'second'")


def test_damaged_replies_do_not_stop_the_page(browser, tiny_address, monkeypatch):
    """However many frames come back undecodable, the page says so and goes on with the next ones."""
    stylize_frame, damaged = StylizePool.stylize_frame, []

    async def damage(self, *args):
        reply = await stylize_frame(self, *args)
        if len(damaged) < 5:
            damaged.append(reply)
            return b"damaged"
        return reply

    with open_page(browser, tiny_address) as page:
        wait_for_images(page)
        monkeypatch.setattr(StylizePool, "stylize_frame", damage)
        wait_until(page, "document.querySelector('#state').innerText.includes('came back damaged')")
        wait_for_images(page, 3)
        assert len(damaged) == 5


@pytest.mark.parametrize("storage", ["refused", "absent"])
def test_the_page_works_without_storage(browser, tiny_address, storage):
    """Browsers may refuse to keep anything; then the page forgets its settings and works."""
    value = "throw new DOMException('denied', 'SecurityError')" if storage == "refused" else "return null"
    script = f"Object.defineProperty(window, 'localStorage', {{ get() {{ {value}; }} }});"
    context = browser.new_context(permissions=["camera"])
    context.add_init_script(script)
    page = context.new_page()
    page.goto(tiny_address)
    wait_for_images(page)
    page.get_by_role("radio", name="Second").check(force=True)
    page.get_by_role("combobox", name="Size").select_option("256")
    wait_until(page, "document.querySelector('#after').dataset.style === 'second'")
    context.close()


def test_a_film_that_cannot_be_read_is_given_up(browser, tiny_address):
    """Seeking that fails, or that is canceled, ends with an error instead of waiting for ever."""
    seek = """async (how) => {
        const { seek } = await import("/saving.js");
        const film = Object.assign(new EventTarget(), { duration: 10, currentTime: 0 });
        const abort = new AbortController();
        setTimeout(() => (how === "abort" ? abort.abort() : film.dispatchEvent(new Event(how))), 100);
        return seek(film, 3, abort.signal).then(() => "done", (error) => `${error.name}: ${error.message}`);
    }"""
    with open_page(browser, tiny_address, camera=False) as page:
        assert page.evaluate(seek, "seeked") == "done"
        assert page.evaluate(seek, "error") == "Error: the film cannot be read at 3.0 s; it may be damaged"
        assert page.evaluate(seek, "abort").startswith("AbortError")


def test_the_page_opens_with_its_token(browser, tiny_styles):
    """The printed address opens the page, its WebSocket and its workers; the token leaves the address bar; when the
    server is started again with another token, the page says where to look."""
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        app = build_app(tiny_styles, port=port, token="first-random-token")
        first.enter_context(running_in_thread(app, listener))
        address = address_of(listener, token="first-random-token")
        page = stack.enter_context(open_page(browser, address, quiet=False))
        wait_for_images(page, 3)
        assert page.url == address_of(listener)
        first.close()
        again = open_listener("127.0.0.1", port)
        app = build_app(tiny_styles, port=port, token="second-random-token")
        stack.enter_context(running_in_thread(app, again))
        notice = "document.querySelector('#notice-title').innerText === 'The server was restarted'"
        wait_until(page, notice, 30)


@needs_runtime
def test_stylizing_in_the_browser_with_wasm(browser, tiny_address, tiny_styles):
    """WebAssembly stylizes the camera as the Stylizer does, to the level."""
    with open_page(browser, tiny_address + "?provider=wasm", backend="browser") as page:
        wait_for_images(page, 3)
        page.keyboard.press(" ")
        wait_for_still(page)
        check_image(page, tiny_styles["first"], tolerance=0.6)
        assert "WebAssembly" in page.locator("#state").inner_text()


@needs_runtime
def test_stylizing_in_the_browser_with_webgpu(playwright, tiny_address, tiny_styles, tmp_path):
    """WebGPU, here computed in software, stylizes a tiny photo as the Stylizer does."""
    Image.open(PHOTOS / "china.jpg").convert("RGB").resize((48, 32)).save(tmp_path / "photo.png")
    flags = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
    with (
        contextlib.closing(launch(playwright, *flags)) as browser,
        open_page(browser, tiny_address, backend="server", camera=False, quiet=False) as page,
    ):
        wait_for_first_image(page)
        drop_file(page, tmp_path / "photo.png", "image/png")
        wait_until(page, "document.querySelector('#after').width === 48")
        before = count_of(page)
        page.get_by_role("radio", name="In the browser").check(force=True)
        wait_until(page, f"Number(document.querySelector('#after').dataset.count) > {before}", 400)
        assert "with WebGPU" in page.locator("#state").inner_text()
        check_image(page, tiny_styles["first"], tolerance=0.6)


@needs_runtime
def test_the_exported_site_works_without_a_server(browser, tiny_styles, tmp_path):
    """A folder of files behind a plain web server, with no headers of its own, stylizes the camera."""
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    export_site(tmp_path / "site", tiny_styles.values())
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / "site")
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with open_page(browser, f"http://127.0.0.1:{server.server_port}/") as page:
            wait_for_images(page, 3)
            page.keyboard.press(" ")
            wait_for_still(page)
            check_image(page, tiny_styles["first"], tolerance=0.6)
            assert page.get_by_role("radio", name="On this computer").is_disabled()
            assert not page.get_by_text("Use an image as the style").is_visible()
        server.shutdown()


@pytest.mark.parametrize(("backend", "tolerance"), [("server", 6), pytest.param("browser", 1.5, marks=needs_runtime)])
def test_knobs_change_the_next_image(browser, tiny_address, tiny_styles, tmp_path, backend, tolerance):
    """Each knob, moved alone and then together, gives what the command gives, and the page's address says so."""
    Image.open(PHOTOS / "astronaut.jpg").convert("RGB").resize((256, 256)).save(tmp_path / "photo.png")
    with open_page(browser, f"{tiny_address}?style=third&provider=wasm", camera=False, backend=backend) as page:
        wait_for_first_image(page)
        drop_file(page, tmp_path / "photo.png", "image/png")
        wait_until(page, "document.querySelector('#after').dataset.source === 'photo'")
        check_image(page, tiny_styles["third"], tolerance)
        knobs = (("strength", "0.4", "1"), ("stroke_size", "2", "1"), ("keep_color", "luminance", ""))
        knobs += (("keep_color", "match", ""), ("region", "person", ""), ("region", "background", ""))
        for name, value, as_trained in knobs:
            move(page, name, value)
            assert page.evaluate("location.search").endswith(f"provider=wasm&style=third&{name}={value}")
            check_image(page, tiny_styles["third"], tolerance, f"{name}={value}")
            move(page, name, as_trained)
        look = "strength=1.5&stroke_size=2&keep_color=match&region=person"
        for name, value in (pair.split("=") for pair in look.split("&")):
            move(page, name, value)
        check_image(page, tiny_styles["third"], tolerance, look)
        page.reload()
        wait_until(page, "document.querySelector('#after').dataset.style === 'third'")
        assert page.evaluate("document.querySelector('#stroke_size').value") == "2"
        assert page.locator("#strength").is_visible()
        page.keyboard.press("1")
        wait_until(page, "document.querySelector('#after').dataset.style === 'first'")
        assert not page.locator("#strength").is_visible()


@pytest.mark.parametrize(("backend", "tolerance"), [("server", 6), pytest.param("browser", 1.5, marks=needs_runtime)])
def test_an_image_becomes_the_style(browser, tiny_styles, tmp_path, backend, tolerance):
    """Chosen, dropped onto the styles or pasted there, an image is the style at once, at any strength; it is saved as a
    file that gives the same, is still there after a reload, and what is no image is explained."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    names = ("my painting", "dropped", "pasted")
    for number, name in enumerate(names):
        Image.fromarray(np.roll(pixels, number, 2)).resize((160, 120), Image.Resampling.NEAREST).save(
            tmp_path / f"{name}.png"
        )
    listener = open_listener("127.0.0.1", 0)
    app = build_app(tiny_styles, port=listener.getsockname()[1])
    with (
        running_in_thread(app, listener),
        open_page(browser, address_of(listener) + "?provider=wasm", camera=False, backend=backend, quiet=False) as page,
    ):
        wait_for_first_image(page)
        assert not page.get_by_role("link", name="Save style").is_visible()
        page.locator("#style-image").set_input_files(tmp_path / "my painting.png")
        wait_until(page, "document.querySelector('#after').dataset.style === 'my painting'")
        page.wait_for_timeout(1000)
        with page.expect_download() as download:
            page.get_by_role("link", name="Save style").click()
        assert download.value.suggested_filename == "my painting.safetensors"
        saved = tmp_path / "saved.safetensors"
        download.value.save_as(saved)
        assert saved.stat().st_size < 10_000
        style = tiny_styles["first"].make_sibling("saved", {}, load_checkpoint(saved))
        check_image(page, style, tolerance)
        move(page, "strength", "0.5")
        check_image(page, style, tolerance, "strength=0.5")
        drop_file(page, tmp_path / "dropped.png", "image/png", onto="#style-list")
        wait_until(page, "document.querySelector('#after').dataset.style === 'dropped'")
        drop_file(page, tmp_path / "pasted.png", "image/png", onto="#style-list input:checked", pasted=True)
        wait_until(page, "document.querySelector('#after').dataset.style === 'pasted'")
        shown = "[...document.querySelectorAll('#style-list input')].map((input) => input.value)"
        assert page.evaluate(shown) == [*tiny_styles, *names]
        page.reload()
        wait_until(page, "document.querySelector('#after').dataset.style === 'pasted'")
        assert page.evaluate(shown) == [*tiny_styles, *names]
        (tmp_path / "notes.txt").write_text("no picture")
        drop_file(page, tmp_path / "notes.txt", "text/plain", onto="#style-list")
        wait_until(page, "!document.querySelector('#notice').hidden")
        assert "is not a picture that can be read" in page.get_by_role("alert").inner_text()
        drop_file(page, tmp_path / "pasted.png", "image/png", onto="#frame", pasted=True)
        wait_until(page, "document.querySelector('#after').dataset.source === 'photo'")


@pytest.fixture
def refined(tmp_path, monkeypatch) -> Path:
    """A checkpoint that a stub in place of the training gives at its first step; then the stub waits."""
    base, random = load_base(), np.random.default_rng(0)
    weights = {
        name: weight * random.uniform(0.8, 1.2, weight.shape).astype(np.float32)
        for name, weight in base.weights.items()
    }
    path = tmp_path / "refined.safetensors"
    save_checkpoint(path, Checkpoint(base.description, weights, CheckpointInfo(style={"name": "mine"})), dtype="fp32")
    code = f"""if True:
        import json, os, shutil, sys
        folder = json.loads(sys.stdin.readline())["folder"]
        shutil.copy({str(path)!r}, os.path.join(folder, "network.safetensors"))
        for step in (1, 2, 3):
            terms = {{"total": 9 / step, "style": 0.5 / step, "content": 0.1 * step}}
            print(json.dumps(dict(step=step, steps=160, seconds_left=90, terms=terms, network=step == 1)), flush=True)
        sys.stdin.read()
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    monkeypatch.setattr(refinement, "_start_process", lambda: subprocess.Popen([sys.executable, "-c", code], **pipes))
    return path


def wait_for_image_of(page, style, tolerance: float) -> None:
    """Until the image is what this style makes of its photo."""
    deadline = time.monotonic() + 60
    while True:
        page.wait_for_timeout(500)
        try:
            check_image(page, style, tolerance)
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise


@pytest.mark.parametrize(("backend", "tolerance"), [("server", 6), pytest.param("browser", 1.5, marks=needs_runtime)])
def test_a_style_is_refined_while_it_is_watched(
    browser, tiny_styles, refined, photo_folder, painting, tmp_path, backend, tolerance
):
    """The image becomes that of the network in training; the training is still shown after a reload, can be paused and
    resumed, and ends with the style kept and saved, or as it was before."""
    listener = open_listener("127.0.0.1", 0)
    app = build_app(dict(tiny_styles), port=listener.getsockname()[1], photos=photo_folder)
    step = "document.querySelector('#refining:not([hidden]) #refining-step')?.textContent"
    after = tiny_styles["first"].make_sibling("after", {}, load_checkpoint(refined))
    with (
        running_in_thread(app, listener),
        open_page(browser, address_of(listener) + "?provider=wasm", camera=False, backend=backend) as page,
    ):
        wait_for_first_image(page)
        assert not page.get_by_role("button", name="Refine").is_visible()
        page.locator("#style-image").set_input_files(painting)
        wait_until(page, "document.querySelector('#after').dataset.style === 'painting'")
        before = tiny_styles["first"].make_sibling("before", {}, predict_style(painting))
        page.get_by_role("button", name="Refine").click()
        wait_until(page, f"{step} === 'Step 3 of 160, about 2 min left'")
        wait_for_image_of(page, after, tolerance)
        page.reload()
        wait_until(page, f"{step} === 'Step 3 of 160, about 2 min left'")
        wait_for_first_image(page)
        wait_for_image_of(page, after, tolerance)
        assert page.locator("#refining-losses polyline").count() == 3
        assert not page.get_by_role("button", name="Refine").is_visible()
        page.get_by_role("button", name="Pause").click()
        wait_until(page, f"{step} === 'Paused at step 3 of 160'")
        page.get_by_role("button", name="Resume").click()
        wait_until(page, f"{step}.startsWith('Step 3')")
        with page.expect_download() as download:
            page.get_by_role("button", name="Keep").click()
        assert download.value.suggested_filename == "painting.safetensors"
        download.value.save_as(tmp_path / "kept.safetensors")
        kept = load_checkpoint(tmp_path / "kept.safetensors")
        assert all(
            np.allclose(kept.weights[name], weight, rtol=1e-3, atol=2e-3)  # in fp16
            for name, weight in load_checkpoint(refined).weights.items()
        )
        wait_until(page, "document.querySelector('#refining').hidden")
        drop_file(page, painting, "image/png", onto="#style-list")
        wait_until(page, "document.querySelector('#after').dataset.style === 'painting 2'")
        page.get_by_role("button", name="Refine").click()
        wait_until(page, f"{step}?.startsWith('Step 3')")
        page.get_by_role("button", name="Discard").click()
        wait_until(page, "document.querySelector('#refining').hidden")
        wait_for_image_of(page, before, tolerance)


def test_refining_without_photos_is_explained(browser, tiny_styles, painting):
    """A notice says what the server lacks."""
    listener = open_listener("127.0.0.1", 0)
    app = build_app(dict(tiny_styles), port=listener.getsockname()[1])
    with running_in_thread(app, listener), open_page(browser, address_of(listener), camera=False) as page:
        page.locator("#style-image").set_input_files(painting)
        page.get_by_role("button", name="Refine").click()
        wait_until(page, "!document.querySelector('#notice').hidden")
        assert "start nst-fast live with --photos FOLDER" in page.get_by_role("alert").inner_text()
        assert page.locator("#refining").is_hidden()


@pytest.mark.parametrize(("backend", "tolerance"), [("server", 6), pytest.param("browser", 1.5, marks=needs_runtime)])
def test_two_styles_are_blended(browser, backend, tolerance):
    """The image is what the command gives for the blend in the page's address, which brings it back after a reload."""
    shipped = list_styles([], device="cpu")
    styles = {name: shipped[name] for name in ("udnie", "chrysanthemums", "wave_johnson")}
    listener = open_listener("127.0.0.1", 0)
    app = build_app(styles, port=listener.getsockname()[1])
    with (
        running_in_thread(app, listener),
        open_page(browser, address_of(listener) + "?provider=wasm", camera=False, backend=backend) as page,
    ):
        wait_for_first_image(page)
        assert page.locator("#blend-with option").all_inner_texts() == [
            "Nothing",
            styles["chrysanthemums"].about["title"],
        ]
        assert not page.locator("#blend").is_visible()
        page.select_option("#blend-with", "chrysanthemums")
        for share, text in (("0.4", "udnie:0.6,chrysanthemums:0.4"), ("1", "chrysanthemums:1")):
            move(page, "blend", share)
            wait_until(page, f"document.querySelector('#after').dataset.style === '{text}'")
            assert f"style={quote(text, safe='')}" in page.url
            check_image(page, styles["udnie"].make_sibling("blend", {}, open_style(text)), tolerance)
        move(page, "blend", "0.4")
        page.reload()
        wait_until(page, "document.querySelector('#after').dataset.style === 'udnie:0.6,chrysanthemums:0.4'")
        assert page.evaluate("document.querySelector('#blend').value") == "0.4"
        page.locator("#style-list input[value=wave_johnson]").check(force=True)
        wait_until(page, "document.querySelector('#after').dataset.style === 'wave_johnson'")
        assert not page.locator("#blend-with").is_visible()


def test_a_wrong_address_is_as_trained(browser, tiny_address):
    """What the address says and the page does not know is left out."""
    asked = "?style=missing&stroke_size=huge&keep_color=blue&region=cat"
    with open_page(browser, tiny_address + asked, camera=False) as page:
        wait_for_first_image(page)
        assert page.evaluate("document.querySelector('#after').dataset.style") == "first"
        assert page.evaluate("document.querySelector('#stroke_size').value") == "1"
        assert page.evaluate("document.querySelector('#keep_color').value") == ""
        assert page.evaluate("document.querySelector('#region input:checked').value") == ""


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 480, 320])
def test_the_page_fits_and_is_named(browser, tiny_address, width, scheme, tmp_path):
    """At every width nothing is cut off, everything that can be pressed has a name and is large enough to hit."""
    viewport = {"width": width, "height": 800}
    with open_page(browser, tiny_address, camera=False, viewport=viewport, color_scheme=scheme) as page:
        wait_for_first_image(page)
        page.screenshot(path=Path(os.environ.get("NST_FAST_SCREENSHOTS", tmp_path)) / f"page-{width}-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        controls = page.evaluate(
            """[...document.querySelectorAll("button, select, input, .button")]
                .filter((control) => control.checkVisibility())
                .map((control) => ({
                    name: [control.ariaLabel, control.innerText]
                        .concat([...(control.labels || [])].map((label) => label.innerText)),
                    size: Math.min(control.offsetWidth, control.offsetHeight),
                    small: control.matches("button, select, .button"),
                }))"""
        )
        assert [control for control in controls if not any(control["name"])] == []
        assert [control for control in controls if control["small"] and control["size"] < 40] == []


def test_the_picture_in_the_readme(browser, tmp_path):
    """The page with the shipped styles, as a visitor sees it."""
    styles = list_styles([])
    if not styles:
        pytest.skip("no styles are shipped with this copy")
    listener = open_listener("127.0.0.1", 0)
    app = build_app(styles, port=listener.getsockname()[1])
    viewport = {"width": 1280, "height": 760}
    with (
        running_in_thread(app, listener),
        open_page(browser, address_of(listener), size="640", viewport=viewport, color_scheme="dark") as page,
    ):
        page.locator("input[value=wave]").check(force=True)
        wait_until(page, "[...document.images].every((image) => image.complete)")
        wait_until(page, "document.querySelector('#after').dataset.style === 'wave'")
        page.keyboard.press(" ")
        page.wait_for_timeout(3000)
        page.keyboard.press("c")
        # The generated camera is called by the path of its file.
        page.evaluate("document.querySelector('#cameras option').textContent = 'Camera 1'")
        page.evaluate("document.activeElement.blur()")
        path = tmp_path / "live.png"
        page.screenshot(path=path)
        if os.environ.get("NST_FAST_WRITE_PICTURES"):
            target = PROJECT / "docs" / "pictures" / "live.jpg"
            Image.open(path).convert("RGB").save(target, quality=88, optimize=True, progressive=True)
            assert target.stat().st_size < 300_000
        shown = np.array(Image.open(path).convert("RGB")).astype(int)
        assert shown.std() > 20 and json.dumps(state_of(page)).count("Stylizing on this computer") == 1
