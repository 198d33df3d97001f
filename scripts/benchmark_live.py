"""How many frames per second the live page stylizes, and with what delay.

    python scripts/benchmark_live.py               the server alone, with frames from a second process
    python scripts/benchmark_live.py --browser     page, server and network together: Chromium with a generated camera
    python scripts/benchmark_live.py --coherence 0.6    frames that are carried along the motion, too
    python scripts/benchmark_live.py --refine painting.jpg --photos photos    the same frames while a style is refined

Prints a line for each, and JSON as the last line. Frames have 640 x 360 pixels. Run nothing else meanwhile.
"""

import argparse
import contextlib
import io
import itertools
import json
import multiprocessing
import shutil
import statistics
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image

from nst_fast.live.gallery import list_styles
from nst_fast.live.running import address_of, open_listener, running_in_thread
from nst_fast.live.server import build_app

PROJECT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 640, 360
IN_FLIGHT = 2  # as the page has it
WARM_UP_SECONDS = 3.0


def draw_frames() -> list[bytes]:
    """A camera that moves over a photo, as JPEG."""
    photo = Image.open(PROJECT / "docs" / "examples" / "photos" / "astronaut.jpg").convert("RGB").resize((760, 760))
    frames = []
    for step in range(24):
        buffer = io.BytesIO()
        left, top = 5 * step, 100 + 2 * step
        photo.crop((left, top, left + WIDTH, top + HEIGHT)).save(buffer, "JPEG", quality=90)
        frames.append(buffer.getvalue())
    return frames


def send_frames(address: str, settings: dict[str, Any], seconds: float, results) -> None:
    """Runs in the second process: sends frames as they come back, with `IN_FLIGHT` of them under way."""
    import websockets.sync.client

    frames, sent, delays = draw_frames(), {}, []
    with websockets.sync.client.connect(address.replace("http", "ws") + "api/frames", compression=None) as connection:
        connection.send(json.dumps({"smoothing": 0.5, **settings}))
        number, began = 0, time.perf_counter()
        while (now := time.perf_counter()) < began + WARM_UP_SECONDS + seconds:
            while len(sent) < IN_FLIGHT:
                number += 1
                sent[number] = time.perf_counter()
                connection.send(number.to_bytes(4) + frames[number % len(frames)])
            answer = connection.recv(timeout=120)
            number_back = int.from_bytes(answer[:4])
            if now > began + WARM_UP_SECONDS:
                if not delays:
                    results.put("warm")
                delays.append(time.perf_counter() - sent[number_back])
            for old in [other for other in sent if other <= number_back]:
                del sent[old]
    results.put((len(delays), 1000 * statistics.median(delays)))


def measure_server(address: str, settings: dict[str, Any], seconds: float) -> dict[str, float]:
    """Frames per second, the median delay, and the processor time per frame of the server alone.

    The processor time hardly depends on what else the computer does.

    Args:
        settings: of the frames, as `nst_fast.live.frames` takes them.
    """
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=send_frames, args=(address, settings, seconds, results))
    process.start()
    results.get(timeout=300)  # warm
    spent = time.process_time()
    count, delay = results.get(timeout=seconds + 300)
    spent = time.process_time() - spent
    process.join()
    return {
        "frames_per_second": count / seconds,
        "median_delay_ms": delay,
        "processor_ms_per_frame": 1000 * spent / count,
    }


def measure_refining(address: str, image: Path, seconds: float) -> dict[str, dict[str, float]]:
    """A style made from an image: frames without training, then while it is refined, and how often its network changes.

    Training begins to count when the first network is there.
    """
    name = ask(address + "api/styles?name=measured", image.read_bytes())["name"]
    figures = {"style image": measure_server(address, {"style": name}, seconds)}
    ask(f"{address}api/refinement?style={name}", b"")
    changes: list[float] = []
    stopped = threading.Event()

    def watch() -> None:
        version = None
        while not stopped.wait(0.1):
            found = ask(address + "api/refinement")["refinement"]["version"]
            if found != version:
                changes.append(time.monotonic())
                version = found

    watcher = threading.Thread(target=watch)
    watcher.start()
    while len(changes) < 2:
        time.sleep(0.1)
    figures["while it is refined"] = measure_server(address, {"style": name}, seconds)
    stopped.set()
    watcher.join()
    ask(address + "api/refinement/discard", b"")
    gaps = [after - before for before, after in itertools.pairwise(changes[1:])]
    if not gaps:
        raise SystemExit("the network did not change; give more --seconds")
    figures["while it is refined"] |= {"median_gap_s": statistics.median(gaps), "longest_gap_s": max(gaps)}
    return figures


def ask(address: str, data: bytes | None = None) -> dict[str, Any]:
    """The JSON of an answer; with data, to a POST."""
    with urllib.request.urlopen(urllib.request.Request(address, data)) as answer:
        return json.load(answer)


def measure_page(address: str, style: str, seconds: float) -> dict[str, float]:
    """What the page itself counts: from a camera's frame to the stylized canvas."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clip = Path(folder) / "camera.mjpeg"
        clip.write_bytes(b"".join(draw_frames()))
        flags = ["--no-sandbox", "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={clip}"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        with contextlib.closing(browser):
            context = browser.new_context(permissions=["camera"])
            context.add_init_script(
                f"localStorage['nst-fast size'] = {WIDTH}; localStorage['nst-fast style'] = '{style}'"
            )
            page = context.new_page()
            page.goto(address)
            count = "Number(document.querySelector('#after').dataset.count || 0)"
            while page.evaluate(count) < 10:
                page.wait_for_timeout(200)
            page.wait_for_timeout(1000 * WARM_UP_SECONDS)
            first, began, delays = page.evaluate(count), time.perf_counter(), []
            while time.perf_counter() < began + seconds:
                page.wait_for_timeout(1000)
                delays.append(int(page.locator("#figures").inner_text().split("·")[1].split()[0]))
            rate = (page.evaluate(count) - first) / (time.perf_counter() - began)
    return {"frames_per_second": rate, "median_delay_ms": statistics.median(delays)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Frames per second and delay of the live page, at 640 x 360.")
    parser.add_argument("--browser", action="store_true", help="also through a page in Chromium")
    parser.add_argument("--coherence", type=float, default=0.0, help="also with this coherence, 0 to 0.95")
    parser.add_argument("--refine", type=Path, metavar="IMAGE", help="also with a style made from this image, refined")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="to refine with")
    parser.add_argument("--style", default="wave", help="a shipped style or a checkpoint (default: %(default)s)")
    parser.add_argument("--engine", default="auto", help="see nst-fast stylize --help (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="per measurement (default: %(default)s)")
    options = parser.parse_args()
    if (options.refine is None) != (options.photos is None):
        parser.error("--refine and --photos belong together")
    styles = list_styles([options.style], engine=options.engine)
    style = next(iter(styles))
    listener = open_listener("127.0.0.1", 0)
    figures: dict[str, dict[str, float]] = {}
    app = build_app(styles, port=listener.getsockname()[1], photos=options.photos)
    with running_in_thread(app, listener):
        address = address_of(listener)
        figures["server"] = measure_server(address, {"style": style}, options.seconds)
        if options.coherence:
            settings = {"style": style, "coherence": options.coherence}
            figures["server with coherence"] = measure_server(address, settings, options.seconds)
        if options.browser:
            figures["page"] = measure_page(address, style, options.seconds)
        if options.refine:
            figures |= measure_refining(address, options.refine, options.seconds)
    print(f"{style}, {styles[style].stylizer.describe()}")
    for name, measured in figures.items():
        rate, delay = measured["frames_per_second"], measured["median_delay_ms"]
        processor = measured.get("processor_ms_per_frame")
        of_processor = f", {processor:.0f} ms of processor time per frame" if processor else ""
        gaps = [measured[gap] for gap in ("median_gap_s", "longest_gap_s") if gap in measured]
        of_gaps = f", a network every {gaps[0]:.1f} s, {gaps[1]:.1f} s at most" if gaps else ""
        print(f"{name}: {rate:.1f} frames/s, median delay {delay:.0f} ms{of_processor}{of_gaps}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
