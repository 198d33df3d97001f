"""Refine: a style made from an image is trained further while the page shows it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from nst_fast.errors import ImageError, SettingError
from nst_fast.live import refinement, torch_refining
from nst_fast.live.gallery import LastFrame, Style
from nst_fast.live.refinement import MAX_POINTS
from nst_fast.live.refiner import check_photos
from nst_fast.live.server import build_app
from nst_fast.live.torch_refining import NETWORK_FILE, Reporter, Request, list_stages
from nst_fast.networks.checkpoint import Checkpoint, CheckpointInfo, load_base, load_checkpoint, save_checkpoint
from nst_fast.networks.description import STEERING
from nst_fast.networks.torch_network import network_from_checkpoint
from nst_fast.stylize.stylizer import Stylizer
from nst_fast.training.loop import Moment

# Speaks as the process of a training does: says that it is alive, then does what the line `NAME` in `plan` says.
STUB = """
    import json, os, shutil, sys, threading
    request = json.loads(sys.stdin.readline())
    folder = request["folder"]
    with open(os.path.join(folder, "request.json"), "w") as file:
        json.dump(request, file)
    def send(**news):
        print(json.dumps(news), flush=True)
    def step(number, network=None):
        if network:
            shutil.copy(network, os.path.join(folder, "new"))
            os.replace(os.path.join(folder, "new"), os.path.join(folder, "network.safetensors"))
        terms = {"total": 9.0 / number, "style": 1.0, "content": 0.5}
        send(step=number, steps=160, seconds_left=160.0 - number, terms=terms, network=bool(network))
"""


@pytest.fixture
def checkpoints(tmp_path) -> dict[str, Path]:
    """Two refined networks: `code` differs from the base in its scales and shifts only, `whole` in all weights."""
    base, random, files = load_base(), np.random.default_rng(0), {}
    for name in ("code", "whole"):
        weights = {
            key: weight * random.uniform(0.7, 1.3, weight.shape).astype(np.float32)
            if key == STEERING or name == "whole"
            else weight
            for key, weight in base.weights.items()
        }
        files[name] = tmp_path / f"{name}.safetensors"
        info = CheckpointInfo(style={"name": "mine"})
        save_checkpoint(files[name], Checkpoint(base.description, weights, info), dtype="fp32")
    return files


@pytest.fixture
def run_stub(monkeypatch):
    """Has a script take the part of the training, with the functions of STUB; gives the processes started."""
    started = []

    def run(script: str) -> list[subprocess.Popen]:
        def start():
            code = textwrap.dedent(STUB) + textwrap.dedent(script)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            started.append(subprocess.Popen([sys.executable, "-c", code], **pipes))
            return started[-1]

        monkeypatch.setattr(refinement, "_start_process", start)
        return started

    return run


@pytest.fixture
def refining(styles, photo_folder):
    """A program that talks to a server with photos."""
    with TestClient(
        build_app(dict(styles), port=8765, photos=photo_folder), base_url="http://127.0.0.1:8765"
    ) as client:
        yield client


@pytest.fixture
def painting_file(encode) -> bytes:
    """A style image."""
    return encode(
        np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1), "PNG"
    )


def wait_for(client, wanted: str, **values) -> dict:
    """The refinement, once it is in this state and has these values."""
    deadline = time.monotonic() + 100
    while True:
        found = client.get("/api/refinement").json()["refinement"]
        if found["state"] == wanted and all(found[name] == value for name, value in values.items()):
            return found
        assert time.monotonic() < deadline and found["state"] != "failed", found
        time.sleep(0.02)


def stylize(client, photo: bytes, decode) -> np.ndarray:
    """The photo in the style that is being refined."""
    answer = client.post("/api/stylize?style=mine&format=png", content=photo)
    assert answer.status_code == 200, answer.text
    return decode(answer.content).astype(int)


def expected(checkpoint: Path, photo: np.ndarray) -> np.ndarray:
    return Stylizer(checkpoint, device="cpu").stylize_pixels(photo).astype(int)


def test_a_style_gets_better_and_is_kept(refining, run_stub, checkpoints, painting_file, photo, encode, decode):
    """Each network of the training is the style's network at once; kept, the style is a checkpoint file like any."""
    run_stub(
        f"step(1, {str(checkpoints['code'])!r}); step(2); step(3, {str(checkpoints['whole'])!r}); sys.stdin.read()"
    )
    made = refining.post("/api/styles?name=mine", content=painting_file).json()
    before = stylize(refining, encode(photo, "PNG"), decode)
    answer = refining.post("/api/refinement?style=mine")
    assert (answer.status_code, answer.json()["why_not"]) == (201, None)
    state = wait_for(refining, "training", version=2)
    assert (state["step"], state["steps"], state["seconds_left"]) == (3, 160, 157)
    assert state["losses"][0] == {"step": 1, "total": 9.0, "style": 1.0, "content": 0.5}
    after = stylize(refining, encode(photo, "PNG"), decode)
    assert np.abs(after - expected(checkpoints["whole"], photo)).max() <= 1 and np.abs(after - before).mean() > 3
    answer = refining.post("/api/refinement/keep")
    assert (answer.status_code, answer.json()["refinement"]) == (200, None)
    path = checkpoints["whole"].with_name("kept.safetensors")
    path.write_bytes(refining.get("/" + made["file"]).content)
    kept = load_checkpoint(path)
    assert kept.info.style == {"name": "mine"}
    assert all(
        np.allclose(kept.weights[name], weight, rtol=1e-3, atol=2e-3)  # in fp16
        for name, weight in load_checkpoint(checkpoints["whole"]).weights.items()
    )
    entry = refining.get("/api/styles").json()["styles"][-1]
    assert entry["name"] == "mine" and "blends" not in entry


def test_a_style_that_is_discarded_is_what_it_was(
    refining, run_stub, checkpoints, painting_file, photo, encode, decode
):
    """Discarding ends the process, removes its folder, and brings the predicted style back."""
    processes = run_stub(f"step(1, {str(checkpoints['whole'])!r}); sys.stdin.read()")
    refining.post("/api/styles?name=mine", content=painting_file)
    before = stylize(refining, encode(photo, "PNG"), decode)
    refining.post("/api/refinement?style=mine")
    wait_for(refining, "training", version=1)
    assert np.abs(stylize(refining, encode(photo, "PNG"), decode) - before).mean() > 3
    assert refining.post("/api/refinement/discard").json()["refinement"] is None
    assert np.array_equal(stylize(refining, encode(photo, "PNG"), decode), before)
    assert processes[0].poll() is not None
    assert refining.get("/api/styles").json()["styles"][-1]["blends"] is True


def test_a_style_is_being_refined_until_it_is_what_it_was(refining, run_stub, checkpoints, painting_file, monkeypatch):
    """Whoever asks while the style before is prepared is not told that all is over."""
    run_stub(f"step(1, {str(checkpoints['whole'])!r}); sys.stdin.read()")
    refining.post("/api/styles?name=mine", content=painting_file)
    refining.post("/api/refinement?style=mine")
    wait_for(refining, "training", version=1)
    exchange, seen = Style.exchange, []

    def look_and_exchange(style, checkpoint):
        seen.append(refining.get("/api/refinement").json()["refinement"])
        exchange(style, checkpoint)

    monkeypatch.setattr(Style, "exchange", look_and_exchange)
    assert refining.post("/api/refinement/discard").json()["refinement"] is None
    assert [found["style"] for found in seen] == ["mine"]


def test_scales_and_shifts_alone_are_exchanged_without_another_engine(styles, photo, checkpoints):
    """A network that shares its weights with the one in use takes its stylizer; another one gets one that is ready."""
    style = styles["wave"].make_sibling("mine", {}, load_base())
    stylizer = style.stylizer
    style.last_frame = LastFrame(photo, 0.5, 0.0, stylizer.look)
    style.exchange(load_checkpoint(checkpoints["code"]))
    assert style.stylizer is stylizer
    assert np.abs(stylizer.stylize_pixels(photo).astype(int) - expected(checkpoints["code"], photo)).max() <= 1
    style.exchange(load_checkpoint(checkpoints["whole"]))
    prepared = style.stylizer
    assert prepared is not stylizer
    assert np.abs(prepared.stylize_pixels(photo).astype(int) - expected(checkpoints["whole"], photo)).max() <= 1


def test_frames_go_on_while_a_network_is_prepared(styles, photo, checkpoints, monkeypatch):
    """Whoever stylizes meanwhile does so with the network before, and waits for nothing."""
    style = styles["wave"].make_sibling("mine", {}, load_base())
    before, opened, go_on = style.stylizer, threading.Event(), threading.Event()
    build = style._open

    def build_slowly(checkpoint, **options):
        opened.set()
        assert go_on.wait(100)
        return build(checkpoint, **options)

    monkeypatch.setattr(style, "_open", build_slowly)
    thread = threading.Thread(target=style.exchange, args=[load_checkpoint(checkpoints["whole"])])
    thread.start()
    assert opened.wait(100)
    assert style.stylizer is before
    go_on.set()
    thread.join()
    assert style.stylizer is not before


def test_pausing_and_resuming_reach_the_process(refining, run_stub, painting_file):
    """The process gets a line for each; the state says which it is, and repeating one changes nothing."""
    run_stub(
        """
        step(1)
        for number, line in enumerate(sys.stdin, 2):
            send(step=number, steps=160, seconds_left=None, terms={line.strip(): 1.0}, network=False)
        """
    )
    refining.post("/api/styles?name=mine", content=painting_file)
    refining.post("/api/refinement?style=mine")
    wait_for(refining, "training", step=1)
    for name, state in (("pause", "paused"), ("pause", "paused"), ("resume", "training"), ("resume", "training")):
        assert refining.post(f"/api/refinement/{name}").json()["refinement"]["state"] == state
    found = wait_for(refining, "training", step=3)
    assert [list(entry)[1] for entry in found["losses"][1:]] == ["pause", "resume"]


def test_the_request_names_all_that_is_trained_with(refining, run_stub, checkpoints, painting_file, photo_folder):
    """The style image goes into the folder of the process; after a style was kept, its network is the next start."""
    run_stub(
        f"""
        step(1, {str(checkpoints["whole"])!r})
        send(step=2, steps=2, seconds_left=0, terms=request, network=False)
        sys.stdin.read()
        """
    )
    refining.post("/api/styles?name=mine", content=painting_file)
    for has_init in (False, True):
        refining.post("/api/refinement?style=mine")
        request = wait_for(refining, "training", step=2)["losses"][-1]
        assert (request["photos"], request["name"]) == (str(photo_folder), "mine")
        assert np.asarray(Image.open(request["style"])).shape == (384, 512, 3)
        assert (request["init"] is not None) == has_init
        if has_init:
            assert load_checkpoint(request["init"]).digest == load_checkpoint(checkpoints["whole"]).digest
        refining.post("/api/refinement/keep")
        assert not Path(request["folder"]).exists()


def test_a_finished_training_waits_to_be_kept(refining, run_stub, checkpoints, painting_file):
    """Its process and its folder are gone by then, and the last network is that of its checkpoint."""
    processes = run_stub(f"step(159); send(finished={str(checkpoints['whole'])!r}); sys.stdin.read()")
    refining.post("/api/styles?name=mine", content=painting_file)
    refining.post("/api/refinement?style=mine")
    state = wait_for(refining, "finished", version=1)
    assert state["seconds_left"] == 0
    assert processes[0].wait(100) == 0
    assert refining.post("/api/refinement/pause").json()["refinement"]["state"] == "finished"
    assert refining.post("/api/refinement/keep").json()["refinement"] is None


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("send(error='nearly all photos are broken')", "nearly all photos are broken"),
        ("sys.exit(1)", "ended by itself"),
        ("print('no JSON', flush=True)", "Expecting value"),
        ("send(finished='absent.safetensors')", "absent.safetensors"),
    ],
)
def test_a_training_that_fails_says_why(refining, run_stub, painting_file, script, words):
    """What it reports, or that it ended, is told; the style is still there, and can be refined again."""
    run_stub(script)
    refining.post("/api/styles?name=mine", content=painting_file)
    refining.post("/api/refinement?style=mine")
    deadline = time.monotonic() + 100
    while (state := refining.get("/api/refinement").json()["refinement"])["state"] != "failed":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert words in state["error"] and "\n" not in state["error"]
    assert refining.post("/api/refinement/discard").status_code == 200
    assert refining.post("/api/refinement?style=mine").status_code == 201


def test_one_style_at_a_time(refining, run_stub, painting_file):
    """A second one, one that was not made from an image, or nothing to act on: one line each."""
    run_stub("sys.stdin.read()")
    for name in ("mine", "other"):
        refining.post(f"/api/styles?name={name}", content=painting_file)
    answers = [
        (refining.post("/api/refinement/pause"), 409, "nothing is being refined"),
        (refining.post("/api/refinement?style=wave"), 409, "style 'wave' was not made from an image here"),
        (refining.post("/api/refinement?style=none"), 404, "style 'none' is unknown"),
        (refining.post("/api/refinement"), 400, "give the parameter style"),
        (refining.post("/api/refinement?style=mine&photos=/etc"), 400, "give the parameter style, and no other"),
        (refining.post("/api/refinement?style=mine"), 201, ""),
        (refining.post("/api/refinement?style=other"), 409, "'mine' is being refined; keep or discard it first"),
    ]
    for answer, status, words in answers:
        assert answer.status_code == status
        assert status == 201 or (words in answer.text and answer.text.count("\n") == 1)
    refining.post("/api/refinement/discard")


def test_without_photos_or_the_extra_it_says_so(client, refining, painting_file, monkeypatch):
    """One line says what is missing and what to do; nothing is started."""
    client.post("/api/styles?name=mine", content=painting_file)
    answer = client.post("/api/refinement?style=mine")
    assert (answer.status_code, "start nst-fast live with --photos FOLDER" in answer.text) == (409, True)
    assert "--photos FOLDER" in client.get("/api/refinement").json()["why_not"]
    monkeypatch.setitem(sys.modules, "torch", None)
    refining.post("/api/styles?name=mine", content=painting_file)
    answer = refining.post("/api/refinement?style=mine")
    assert (answer.status_code, "needs the extra train" in answer.text) == (409, True)


def test_others_refine_nothing(refining, styles, photo_folder):
    """Another site, and whoever lacks the token, is refused as everywhere."""
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert refining.post("/api/refinement?style=wave", headers=headers).status_code == 403
        assert refining.post("/api/refinement/discard", headers=headers).status_code == 403
    app = build_app(dict(styles), port=8765, photos=photo_folder, token="some-long-secret")
    with TestClient(app, base_url="http://127.0.0.1:8765") as other:
        assert other.post("/api/refinement?style=wave").status_code == 401
        assert other.get("/api/refinement").status_code == 401


def test_a_style_in_training_makes_no_room(refining, run_stub, painting_file, monkeypatch):
    """However long it has not been used, it is another one that goes."""
    monkeypatch.setattr("nst_fast.live.limits.MAX_MADE_STYLES", 2)
    monkeypatch.setattr("nst_fast.live.limits.MADE_STYLE_BUSY_SECONDS", 0)
    run_stub("sys.stdin.read()")
    for name in ("mine", "second"):
        refining.post(f"/api/styles?name={name}", content=painting_file)
    refining.post("/api/refinement?style=mine")
    refining.post("/api/styles?name=third", content=painting_file)
    names = [style["name"] for style in refining.get("/api/styles").json()["styles"]]
    assert names[-2:] == ["mine", "third"]


def test_the_end_of_the_server_ends_the_training(styles, photo_folder, run_stub, painting_file):
    """No process is left, and no folder."""
    processes = run_stub("step(1); sys.stdin.read()")
    app = build_app(dict(styles), port=8765, photos=photo_folder)
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        client.post("/api/styles?name=mine", content=painting_file)
        client.post("/api/refinement?style=mine")
        wait_for(client, "training")
    assert processes[0].wait(100) is not None


def test_a_long_training_stays_a_short_list(styles, tmp_path, run_stub):
    """The losses of a thousand steps are at most MAX_POINTS, the latest among them."""
    run_stub("[step(number) for number in range(1, 1001)]; sys.stdin.read()")
    style = styles["wave"].make_sibling("mine", {}, load_base())
    (tmp_path / "run").mkdir()
    run = refinement.Refinement(style, {"folder": str(tmp_path / "run")})
    deadline = time.monotonic() + 100
    while run.describe()["step"] < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.close()
    losses = run.describe()["losses"]
    assert len(losses) <= MAX_POINTS and losses[-1]["step"] == 1000


def test_the_trainings_are_those_of_the_quick_preset(tmp_path):
    """Compact loss network and codes first, then VGG-19 from there; without VGG-19's weights it is not asked for."""
    request = Request(folder=str(tmp_path), style="a.png", photos="photos", name="mine", init="before.safetensors")
    first, second = list_stages(request, with_vgg=True)
    assert (first.loss_network.name, second.loss_network.name) == ("compact", "vgg19")
    assert first.steps + second.steps == 312 and first.crop_size == second.crop_size == 224
    assert second.learning_rate == 0.005
    assert first.code_share > 0 and (first.init, second.init) == (
        "before.safetensors",
        str(tmp_path / "compact" / "mine.safetensors"),
    )
    (only,) = list_stages(request, with_vgg=False)
    assert (only.loss_network.name, only.steps) == ("compact", 312)


def test_weights_of_vgg19_are_looked_for_but_not_fetched(tmp_path, monkeypatch):
    """A file that the environment names, or one that torchvision has fetched before."""
    monkeypatch.delenv("NST_FAST_VGG19_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert not torch_refining.has_vgg19()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth").touch()
    assert torch_refining.has_vgg19()
    monkeypatch.setenv("NST_FAST_VGG19_WEIGHTS", "any.safetensors")
    assert torch_refining.has_vgg19()


def test_what_is_reported(tmp_path, monkeypatch):
    """Steps of all trainings together, moving means of the losses, and a network at most every few seconds."""
    now, lines = [0.0], []
    monkeypatch.setattr(torch_refining, "time", SimpleNamespace(monotonic=lambda: now[0]))
    stages = list_stages(Request(folder=str(tmp_path), style="a", photos="b", name="mine"), with_vgg=True)
    stream = SimpleNamespace(write=lambda text: lines.append(json.loads(text)), flush=lambda: None)
    reporter = Reporter(tmp_path, "mine", stages, stream)
    network = network_from_checkpoint(load_base())
    for step, terms in ((0, {}), (1, {"total": 4.0}), (2, {"total": 2.0}), (5, {"total": 2.0})):
        now[0] = float(step)
        reporter.watch(Moment(step, 112, terms, lambda: network))
    assert [line["network"] for line in lines] == [False, True, False, True]
    assert [line["terms"].get("total") for line in lines] == pytest.approx([None, 4.0, 3.8, 3.62], nan_ok=True)
    assert lines[0]["seconds_left"] is None and lines[1]["seconds_left"] == pytest.approx(111 + 4.5 * 200)
    assert load_checkpoint(tmp_path / NETWORK_FILE).info.style == {"name": "mine"}
    assert load_checkpoint(tmp_path / NETWORK_FILE).shared_digest == load_base().shared_digest
    reporter.begin(1)
    reporter.watch(Moment(1, 200, {"total": 9.0}, lambda: network))
    assert (lines[-1]["step"], lines[-1]["steps"], lines[-1]["terms"]) == (113, 312, {"total": 9.0})


def start_real_process() -> subprocess.Popen:
    """The process itself, with few steps, and as quick as the tests beside it."""
    code = (
        "import os; os.nice = lambda more: 0; from nst_fast.live import torch_refining as r;"
        "r.COMPACT_STEPS, r.VGG_STEPS = 4, 1; r.main()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NST_FAST_VGG")}
    return subprocess.Popen([sys.executable, "-c", code], env={**environment, "TORCH_HOME": "/nowhere"}, **pipes)


@pytest.mark.timeout(600)
def test_a_real_training_ends_with_its_server(tmp_path, painting, photo_folder):
    """It streams networks, waits while it is paused, and is gone with its folder when its input ends."""
    folder = tmp_path / "run"
    folder.mkdir()
    with start_real_process() as process:
        process.stdin.write(
            json.dumps({"folder": str(folder), "style": str(painting), "photos": str(photo_folder), "name": "mine"})
            + "\npause\n"
        )
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["step"] == 0
        time.sleep(1)
        process.stdin.write("resume\n")
        process.stdin.flush()
        news = [json.loads(process.stdout.readline()) for _ in range(6)]
        assert [entry.get("step") for entry in news] == [1, 2, 3, 4, 5, None]
        assert (folder / NETWORK_FILE).is_file()
        refined = load_checkpoint(news[-1]["finished"])
        assert refined.info.style["name"] == "mine" and refined.info.loss["loss_network"] == "compact"
        process.stdin.close()
        assert process.wait(60) == 0
    assert not folder.exists()


def test_photos_are_looked_at_when_the_server_starts(tmp_path):
    """No folder, or one without photos: one line."""
    with pytest.raises(ImageError, match="does not exist"):
        check_photos(tmp_path / "absent")
    with pytest.raises(SettingError, match="holds no images; give a folder of photos"):
        check_photos(tmp_path)


def test_a_killed_server_leaves_no_training(tmp_path, painting, photo_folder):
    """Not even `kill -9` of whoever holds the other end of the pipe leaves the process behind."""
    folder = tmp_path / "run"
    folder.mkdir()
    request = {"folder": str(folder), "style": str(painting), "photos": str(photo_folder), "name": "mine"}
    code = f"""
    import time
    from nst_fast.live.refinement import _start_process
    process = _start_process()
    process.stdin.write({json.dumps(request)!r} + chr(10) + "pause" + chr(10))
    process.stdin.flush()
    print(process.pid, process.stdout.readline(), flush=True)
    time.sleep(999)
    """
    code = textwrap.dedent(code)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        pid = int(server.stdout.readline().split()[0])
        os.kill(pid, 0)
        server.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while folder.exists() or Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
