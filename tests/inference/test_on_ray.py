import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_fast.errors import OutputError, SettingError
from nst_fast.images import read_picture
from nst_fast.inference.on_ray import RayPainter, WorkerSettings, stylize_on_ray
from nst_fast.inference.planning import Painting, plan_paintings
from nst_fast.inference.stylizer import Stylizer

pytestmark = pytest.mark.usefixtures("folder_with_style")


def plan_pictures(count: int) -> list[Painting]:
    Path("photos").mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{number:02}.png")
    Path("photos/broken.png").write_bytes(b"")
    return plan_paintings([Path("photos")], Path("o"), style_name="x").paintings


SETTINGS = WorkerSettings(os.devnull, {"device": "cpu"}, {"keep_existing": True})


def settings_here() -> WorkerSettings:
    return WorkerSettings(os.path.abspath("x.safetensors"), SETTINGS.stylizer, SETTINGS.pictures)


def as_batch(paintings: list[Painting]) -> dict[str, np.ndarray]:
    return {
        "number": np.arange(len(paintings)),
        "source": np.array([str(painting.source) for painting in paintings]),
        "target": np.array([str(painting.target) for painting in paintings]),
        "moves": np.array([painting.moves for painting in paintings]),
    }


def test_a_worker_paints_batch_after_batch():
    """What runs in a worker paints what the stylizer does, says what failed, and goes on with the next batch."""
    paintings = plan_pictures(3)
    painter = RayPainter(settings_here())
    result = painter(as_batch(paintings))
    assert sorted(zip(result["number"], result["status"], strict=True)) == [
        (0, "painted"),
        (1, "painted"),
        (2, "painted"),
        (3, "failed"),
    ]
    assert "photos/broken.png is empty (0 bytes); copy or download it again" in result["message"]
    expected = Stylizer("x.safetensors", device="cpu").stylize_picture(read_picture("photos/01.png"))
    assert np.array_equal(read_picture("o/01.png").rgb, expected.rgb)
    assert set(painter(as_batch(paintings[:2]))["status"]) == {"taken"}


def test_a_full_disk_ends_the_job_also_in_a_worker():
    """What would fail for every file comes back as one line."""
    paintings = plan_pictures(2)
    Path("file").write_text("")
    there = [Painting(painting.source, Path("file", painting.target.name)) for painting in paintings]
    result = RayPainter(settings_here())(as_batch(there))
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
    """On a local cluster of two nodes every picture is painted once, by two processes, each of which loads once."""
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # a busy computer takes its time
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    paintings = plan_pictures(40)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        outcomes = list(stylize_on_ray(paintings, settings_here(), workers=2))
        # Ray's list of actors for users needs its dashboard, which is another extra.
        painters = [actor for actor in ray._private.state.actors().values() if "RayPainter" in actor["ActorClassName"]]
        addresses = {(actor["Address"]["NodeID"], actor["Pid"]) for actor in painters}
        assert len({node for node, _ in addresses}) == len(addresses) == 2
        again = list(stylize_on_ray(paintings[:3], settings_here(), workers=1))
        file = Path("file")
        file.write_text("")
        with pytest.raises(OutputError, match=r"cannot write .*file/00\.png: a part of this path is a file"):
            list(stylize_on_ray([Painting(paintings[0].source, file / "00.png")], settings_here(), workers=1))
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert sorted(str(outcome.painting.target) for outcome in outcomes if outcome.status == "painted") == [
        f"o/{number:02}.png" for number in range(40)
    ]
    assert [outcome.message.endswith("is empty (0 bytes); copy or download it again") for outcome in outcomes].count(
        True
    ) == 1
    assert {outcome.status for outcome in again} == {"taken"}
    expected = Stylizer("x.safetensors", device="cpu").stylize_picture(read_picture("photos/17.png"))
    assert np.array_equal(read_picture("o/17.png").rgb, expected.rgb)
