import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nst_fast.batch.on_ray import RayWorker, WorkerSettings, stylize_on_ray
from nst_fast.batch.plan import BatchItem, plan_batch
from nst_fast.errors import OutputError, SettingError
from nst_fast.files.claims import claim
from nst_fast.media.pictures import read_picture
from nst_fast.stylize.stylizer import Stylizer

pytestmark = pytest.mark.usefixtures("folder_with_style")


def plan_pictures(count: int) -> list[BatchItem]:
    Path("photos").mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{number:02}.png")
    Path("photos/broken.png").write_bytes(b"")
    return plan_batch([Path("photos")], Path("o"), style_name="x").items


def settings_here() -> WorkerSettings:
    return WorkerSettings(os.path.abspath("x.safetensors"), keep_existing=True, stylizer={"device": "cpu"})


def as_batch(items: list[BatchItem]) -> dict[str, np.ndarray]:
    return {
        "number": np.arange(len(items)),
        "source": np.array([str(item.source) for item in items]),
        "target": np.array([str(item.target) for item in items]),
        "animated": np.array([item.animated for item in items]),
    }


def test_a_worker_stylizes_batch_after_batch():
    """A worker writes what the stylizer returns, says what failed, and takes the next batch."""
    items = plan_pictures(3)
    worker = RayWorker(settings_here())
    result = worker(as_batch(items))
    assert sorted(zip(result["number"], result["status"], strict=True)) == [
        (0, "stylized"),
        (1, "stylized"),
        (2, "stylized"),
        (3, "failed"),
    ]
    assert "photos/broken.png is empty (0 bytes); copy or download it again" in result["message"]
    expected = Stylizer("x.safetensors", device="cpu").stylize_picture(read_picture("photos/01.png"))
    assert np.array_equal(read_picture("o/01.png").rgb, expected.rgb)
    assert set(worker(as_batch(items[:2]))["status"]) == {"taken"}


def test_a_full_disk_ends_the_job_also_in_a_worker():
    """What would fail for every file comes back as one line."""
    items = plan_pictures(2)
    Path("file").write_text("")
    there = [BatchItem(item.source, Path("file", item.target.name)) for item in items]
    result = RayWorker(settings_here())(as_batch(there))
    assert (result["number"][-1], result["status"][-1]) == (-1, "stopped")
    assert result["message"][-1].startswith("cannot write file/00.png: a part of this path is a file")


def test_without_ray_the_extra_is_named(monkeypatch):
    """Where Ray is missing one line says which extra to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install 'nst-fast\[ray\]'"):
        list(stylize_on_ray([], settings_here(), workers=2))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.timeout(900)
def test_two_computers_share_a_folder(monkeypatch):
    """On a local cluster of two nodes every picture is stylized once, by two processes, each of which loads once."""
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # a busy computer takes its time
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    items = plan_pictures(40)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        outcomes = list(stylize_on_ray(items, settings_here(), workers=2))
        # Ray's list of actors for users needs its dashboard, which is another extra.
        workers = [actor for actor in ray._private.state.actors().values() if "RayWorker" in actor["ActorClassName"]]
        addresses = {(actor["Address"]["NodeID"], actor["Pid"]) for actor in workers}
        assert len({node for node, _ in addresses}) == len(addresses) == 2
        again = list(stylize_on_ray(items[:3], settings_here(), workers=1))
        file = Path("file")
        file.write_text("")
        with pytest.raises(OutputError, match=r"cannot write .*file/00\.png: a part of this path is a file"):
            list(stylize_on_ray([BatchItem(items[0].source, file / "00.png")], settings_here(), workers=1))
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert sorted(str(outcome.item.target) for outcome in outcomes if outcome.status == "stylized") == [
        f"o/{number:02}.png" for number in range(40)
    ]
    assert [outcome.message.endswith("is empty (0 bytes); copy or download it again") for outcome in outcomes].count(
        True
    ) == 1
    assert {outcome.status for outcome in again} == {"taken"}
    expected = Stylizer("x.safetensors", device="cpu").stylize_picture(read_picture("photos/17.png"))
    assert np.array_equal(read_picture("o/17.png").rgb, expected.rgb)


def test_films_are_claimed_by_workers_too(tmp_path):
    """A film that exists or that another process holds is `taken`, as a picture is."""
    pytest.importorskip("av")
    Path("a.mp4").write_bytes(b"never opened")
    Path("done.mp4").write_bytes(b"finished")
    held = claim(Path("held.mp4"))
    assert held is not None
    items = [BatchItem(Path("a.mp4"), Path(name), animated=True) for name in ("done.mp4", "held.mp4", "new.mp4")]
    result = RayWorker(settings_here())(as_batch(items))
    assert sorted(zip(result["number"], result["status"], strict=True)) == [(0, "taken"), (1, "taken"), (2, "failed")]
    assert Path("done.mp4").read_bytes() == b"finished"
    held.release()


def test_a_cluster_that_is_started_here_stays_on_this_computer(monkeypatch):
    """Where no cluster runs, one is started that listens on this computer only, without a dashboard."""
    calls = []

    class Stop(Exception):
        pass

    def init(**settings):
        calls.append(settings)
        raise ConnectionError if settings["address"] == "auto" else Stop

    ray = SimpleNamespace(is_initialized=lambda: False, init=init, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    with pytest.raises(Stop):
        list(stylize_on_ray([], settings_here(), workers=2))
    assert [call["address"] for call in calls] == ["auto", "local"]
    assert (calls[1]["_node_ip_address"], calls[1]["include_dashboard"]) == ("127.0.0.1", False)
