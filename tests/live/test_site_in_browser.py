"""The exported site as an app, in a real browser: its manifest, without a network, a new export, and the knobs."""

import contextlib
import functools
import http.server
import json
import threading

import pytest
from live_browser import (
    BROWSER_MARKS,
    CHROMIUM,
    PHOTOS,
    check_image,
    drop_file,
    move,
    needs_runtime,
    open_page,
    wait_for_images,
    wait_until,
)
from PIL import Image

from nst_fast.live.site import export_site

pytestmark = [*BROWSER_MARKS, needs_runtime]


serving_log: list[str] = []  # the paths that were asked for


class _Files(http.server.SimpleHTTPRequestHandler):
    """A plain web host, which sends no headers of ours."""

    def log_message(self, *arguments):
        serving_log.append(self.path.partition("?")[0])


@contextlib.contextmanager
def serving(folder, port: int = 0):
    """The address of a folder's web host while the block runs."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Files, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def site(tiny_styles, tmp_path_factory):
    """An exported site."""
    folder = tmp_path_factory.mktemp("exported") / "site"
    export_site(folder, tiny_styles.values())
    return folder


def wait_until_kept(page, path: str) -> None:
    """Until the service worker has kept this file."""
    kept = "caches.keys().then(async (names) => (await (await caches.open(names[0])).keys()).map(({ url }) => url))"
    wait_until(page, f"{kept}.then((urls) => urls.some((url) => url.includes('{path}?')))")


def test_the_site_can_be_installed(playwright, site, tmp_path):
    """Chromium finds no fault with its manifest, nor anything that keeps it from being installed."""
    with serving(site) as address:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        with contextlib.closing(context):
            page = context.new_page()
            page.goto(address + "?provider=wasm")
            wait_until(page, "Boolean(navigator.serviceWorker.controller) && crossOriginIsolated")
            devtools = context.new_cdp_session(page)
            manifest = devtools.send("Page.getAppManifest")
            assert manifest["errors"] == [] and json.loads(manifest["data"])["display"] == "standalone"
            assert devtools.send("Page.getInstallabilityErrors")["installabilityErrors"] == []


def test_the_site_works_without_a_network(browser, site, tiny_styles):
    """After the first visit it opens, stylizes in every style and looks for nothing: the web host is gone."""
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(contextlib.ExitStack())
        address = host.enter_context(serving(site))
        page = stack.enter_context(open_page(browser, address + "?provider=wasm", quiet=False))
        wait_until(page, "crossOriginIsolated && Number(document.querySelector('#after').dataset.count) > 2")
        wait_until_kept(page, "person.onnx")
        wait_until_kept(page, "networks/third.onnx")
        host.close()
        page.context.set_offline(True)
        page.goto(address + "?provider=wasm")
        wait_for_images(page, 2)
        assert page.evaluate("crossOriginIsolated")
        for name in ("Second", "Third"):
            page.get_by_role("radio", name=name).check(force=True)
            wait_until(page, f"document.querySelector('#after').dataset.style === '{name.lower()}'")


def test_a_new_export_is_noticed(browser, tiny_styles, tmp_path):
    """When the page is loaded again it has the new styles; what has not changed is not fetched again."""
    styles = dict(tiny_styles)
    last = styles.pop("third")
    export_site(tmp_path / "site", styles.values())
    with (
        serving(tmp_path / "site") as address,
        open_page(browser, address + "?provider=wasm", camera=False, quiet=False) as page,
    ):
        wait_until(page, "crossOriginIsolated && Number(document.querySelector('#after').dataset.count) > 0")
        wait_until_kept(page, "networks/second.onnx")
        export_site(tmp_path / "site", [*styles.values(), last])
        serving_log.clear()
        page.reload()
        wait_until(page, "document.querySelectorAll('#style-list input').length === 3")
        wait_until_kept(page, "networks/third.onnx")
        changed = {"/files.json", "/service_worker.js", "/styles.json", "/thumbnails/third.jpg", "/networks/third.onnx"}
        # The browser looks for a new service worker some time after the page is there.
        for _ in range(300):
            if changed <= set(serving_log):
                break
            page.wait_for_timeout(100)
        assert set(serving_log) == changed


def test_the_knobs_of_the_site(browser, site, tiny_styles, tmp_path):
    """Strength, stroke size, colors and subject change the photo as the command does, without a server."""
    Image.open(PHOTOS / "astronaut.jpg").convert("RGB").resize((192, 192)).save(tmp_path / "photo.png")
    with (
        serving(site) as address,
        open_page(browser, address + "?style=third&provider=wasm", camera=False, quiet=False) as page,
    ):
        wait_until(page, "crossOriginIsolated && Number(document.querySelector('#after').dataset.count) > 0")
        drop_file(page, tmp_path / "photo.png", "image/png")
        wait_until(page, "document.querySelector('#after').dataset.source === 'photo'")
        check_image(page, tiny_styles["third"], 1.5)
        knobs = (("strength", "0.4", "1"), ("stroke_size", "2", "1"), ("keep_color", "match", ""))
        for name, value, as_trained in (*knobs, ("region", "person", "")):
            move(page, name, value)
            check_image(page, tiny_styles["third"], 1.5, f"{name}={value}")
            move(page, name, as_trained)
