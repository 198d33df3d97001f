"""The page beside a training: losses, the strip, and the network of the moment."""

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from nst_fast.live.server import build_app
from nst_fast.live.training_view import MAX_POINTS, TrainingView
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.training.loop import Moment


@pytest.fixture
def view(tmp_path):
    """A run that has not begun."""
    return TrainingView("sunset", tmp_path / "strip.jpg", checkpoint_from_network)


@pytest.fixture
def client(view):
    """A page that looks on."""
    app = build_app({"sunset": view.style}, port=8765, training=view)
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        yield client


def test_before_the_first_step_the_page_is_told(client, encode, photo):
    """There is neither a network nor a strip yet, and the answers say so."""
    assert client.get("/api/styles").json()["training"] is True
    assert client.get("/api/training").json() == {"step": 0, "steps": 0, "losses": [], "strip": None}
    assert client.get("/api/training/strip.jpg").status_code == 404
    answer = client.post("/api/stylize", content=encode(photo))
    assert (answer.status_code, "still preparing" in answer.text) == (400, True)


def test_the_present_network_stylizes(client, view, encode, decode, photo, tmp_path):
    """The page stylizes with a copy of the network on the CPU, which later steps do not change."""
    network = build_network("realtime", width=4)
    view.watch(Moment(0, 30, {}, lambda: network))
    images = []
    for step in (10, 20):
        view.watch(Moment(step, 30, {"total": 2.0 / step, "style": 0.1}, lambda: network))
        expected = view.style.stylizer.stylize_pixels(photo)
        with torch.no_grad():
            for weight in network.parameters():
                weight.mul_(1.5)  # the training goes on
        answer = client.post("/api/stylize?format=png", content=encode(photo, "PNG"))
        images.append(decode(answer.content))
        assert np.abs(images[-1].astype(int) - expected).max() <= 1
    assert np.abs(images[0].astype(int) - images[1]).mean() > 3
    training = client.get("/api/training").json()
    assert (training["step"], training["steps"]) == (20, 30)
    assert training["losses"] == [{"step": 10, "total": 0.2, "style": 0.1}, {"step": 20, "total": 0.1, "style": 0.1}]
    (tmp_path / "strip.jpg").write_bytes(encode(photo))
    assert client.get("/api/training").json()["strip"] > 0
    assert client.get("/api/training/strip.jpg").content == encode(photo)


def test_visitors_stay_on_the_cpu(view):
    """Whatever device trains, the page computes on the CPU: a visitor's photo must not take the trainer's memory."""
    view.watch(Moment(0, 30, {}, lambda: build_network("realtime", width=4)))
    assert view.style.stylizer.device == view.style.picture_stylizer(tiled=True).device == "cpu"
    assert all(type(weight) is np.ndarray for weight in view.style.stylizer.checkpoint.weights.values())


def test_a_long_run_is_a_short_list(view):
    """However many moments there are, the list is bounded, in order, and keeps its beginning and end."""
    network = build_network("realtime", width=4)
    for step in range(1, 1500):
        view.watch(Moment(step, 2000, {"total": 1.0}, lambda: network))
    steps = [entry["step"] for entry in view.describe()["losses"]]
    assert len(steps) <= MAX_POINTS and steps == sorted(steps)
    assert (steps[0], steps[-1]) == (1, 1499)
