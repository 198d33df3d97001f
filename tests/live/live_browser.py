"""What tests of the live page in a real browser share: Chromium, driven by Playwright, and what the page shows."""

import base64
import contextlib
import functools
import io
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.live.gallery import Style
from nst_fast.live.web_runtime import find_runtime
from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.stylize.look import Look
from nst_fast.stylize.stylizer import Stylizer

CHROMIUM = os.environ.get("NST_FAST_CHROMIUM") or shutil.which("chromium")
PROJECT = Path(__file__).resolve().parents[2]
PHOTOS = PROJECT / "docs" / "examples" / "photos"
SECONDS = 180.0  # that a busy computer may take for one step

BROWSER_MARKS = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; Debian: apt-get install chromium"),
]
needs_runtime = pytest.mark.skipif(not find_runtime(), reason="needs nst-fast live --fetch-runtime, once")


def launch(playwright, *flags: str):
    """A headless Chromium."""
    # Without a sandbox, since containers often run as root; the pages are our own.
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])


def build_style(name: str, seed: int, *, adjustable: bool = False) -> Style:
    """A tiny network, quick enough for a browser on a busy computer."""

    @functools.cache
    def load() -> Checkpoint:
        torch.manual_seed(seed)
        network = build_network("realtime", width=4, **({"adjustable": True} if adjustable else {}))
        if adjustable:
            with torch.no_grad():
                network.steering += 0.3 * torch.randn_like(network.steering)
        return checkpoint_from_network(network)

    return Style(name, {"adjustable": True} if adjustable else {}, load, device="cpu")


def wait_until(page, expression: str, seconds: float = SECONDS):
    """The value of an expression, once it is true (`wait_for_function` needs eval, which the page forbids)."""
    deadline = time.monotonic() + seconds
    while not (value := _evaluate(page, expression)):
        assert time.monotonic() < deadline, f"not within {seconds} s: {expression}; state: {state_of(page)}"
        page.wait_for_timeout(100)
    return value


def _evaluate(page, expression: str):
    """None while the page is being loaded again, as the exported site does on a first visit."""
    try:
        return page.evaluate(expression)
    except Exception as error:  # Playwright's own, which is not imported where it is not needed
        if "Execution context was destroyed" in str(error):
            return None
        raise


def state_of(page) -> list[str]:
    """What the page says."""
    return page.evaluate("[...document.querySelectorAll('#state, #notice:not([hidden])')].map(e => e.innerText)")


def count_of(page) -> int:
    """How many stylized images were shown so far."""
    return page.evaluate("Number(document.querySelector('#after').dataset.count || 0)")


def wait_for_images(page, more: int = 2) -> None:
    """Until so many more were shown."""
    goal = count_of(page) + more
    wait_until(page, f"Number(document.querySelector('#after').dataset.count || 0) >= {goal}")


def wait_for_first_image(page) -> None:
    """Until a page that was just opened shows something, be it shown already."""
    wait_until(page, "Number(document.querySelector('#after').dataset.count || 0) >= 1")


def pixels_of(page, canvas: str) -> np.ndarray:
    """What a canvas shows, shape (height, width, 3), uint8."""
    address = page.evaluate(f"document.querySelector('{canvas}').toDataURL('image/png')")
    return np.array(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))


def drop_file(page, path: Path, media_type: str, *, onto: str = "#frame", pasted: bool = False) -> None:
    """As if dropped onto an element with the mouse, or pasted while it has the focus."""
    data = base64.b64encode(path.read_bytes()).decode()
    page.evaluate(
        """([data, name, type, onto, pasted]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type}));
            const options = {bubbles: true, cancelable: true};
            document.querySelector(onto).dispatchEvent(
                pasted
                    ? new ClipboardEvent("paste", {...options, clipboardData: transfer})
                    : new DragEvent("drop", {...options, dataTransfer: transfer}));
        }""",
        [data, path.name, media_type, onto, pasted],
    )


@contextlib.contextmanager
def open_page(browser, address: str, *, camera: bool = True, size: str = "256", quiet: bool = True, **options):
    """The page at a small size, not mirrored; fails if it reports an error or asks another server."""
    storage = {"size": size, "mirror": "false", "backend": options.pop("backend", "server")}
    context = browser.new_context(permissions=["camera"] if camera else [], **options)
    script = "".join(f"localStorage.setItem('nst-fast {key}', '{value}');" for key, value in storage.items())
    context.add_init_script(f"try {{ {script} }} catch {{}}")
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(address)
        yield page
        assert not quiet or troubles == []
        base = address.partition("?")[0]
        assert [url for url in asked if not url.startswith((base, "blob:", "data:"))] == []
    finally:
        context.close()


def check_image(page, style: Style, tolerance: float, look: str = "") -> None:
    """The stylized canvas is what the network makes of the canvas beside it, and is not that one."""
    before, after = (pixels_of(page, canvas).astype(int) for canvas in ("#before", "#after"))
    stylizer = Stylizer(style.stylizer.checkpoint, device="cpu", look=Look.parse(look))
    expected = stylizer.stylize_pixels(before.astype(np.uint8))
    assert np.abs(after - expected).mean() < tolerance, look
    assert np.abs(after - before).mean() > (1 if "region" in look else 10)


def wait_for_still(page) -> None:
    """Waits for what was under way when the page was frozen: until nothing has changed for a while."""
    shown = pixels_of(page, "#after")
    for _ in range(20):
        page.wait_for_timeout(1500)
        now = pixels_of(page, "#after")
        if np.array_equal(now, shown):
            return
        shown = now
    raise AssertionError("the image goes on changing")


def move(page, name: str, value: str) -> None:
    """Set a knob as its user would, and wait for the next image."""
    shown = count_of(page)
    if name == "region":
        page.locator(f"#region input[value='{value}']").check(force=True)
    elif name == "keep_color":
        page.locator("#keep_color").select_option(value)
    else:
        page.locator(f"#{name}").fill(value)
    wait_until(page, f"Number(document.querySelector('#after').dataset.count) > {shown}")
    page.wait_for_timeout(500)
