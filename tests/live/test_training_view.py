"""The page beside a training: losses, the strip, and the network of the moment."""

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from nst_fast.live.server import build_app
from nst_fast.live.training_view import MOST_POINTS, TrainingView
from nst_fast.training.loop import Moment
from nst_fast.transform_nets import RealtimeNet


@pytest.fixture
def view(tmp_path):
    """A run that has not begun."""
    return TrainingView("sunset", tmp_path / "strip.jpg")


@pytest.fixture
def client(view):
    """A page that looks on."""
    app = build_app({"sunset": view.style}, port=8765, training=view)
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        yield client


def test_before_the_first_step_it_is_said(client, encode, photo):
    """There is nothing to paint with, nor a strip, and the page is told so."""
    assert client.get("/api/styles").json()["training"] is True
    assert client.get("/api/training").json() == {"step": 0, "steps": 0, "losses": [], "strip": None}
    assert client.get("/api/training/strip.jpg").status_code == 404
    answer = client.post("/api/stylize", content=encode(photo))
    assert (answer.status_code, "still preparing" in answer.text) == (400, True)


def test_the_network_of_the_moment_paints(client, view, encode, decode, photo, tmp_path):
    """After each moment the page paints with a copy of that network, which later steps do not reach."""
    network = RealtimeNet(width=4)
    view.watch(Moment(0, 30, {}, network))
    paintings = []
    for step in (10, 20):
        view.watch(Moment(step, 30, {"total": 2.0 / step, "style": 0.1}, network))
        expected = view.style.stylizer.stylize_pixels(photo)
        with torch.no_grad():
            for weight in network.parameters():
                weight.mul_(1.5)  # the training goes on
        answer = client.post("/api/stylize?format=png", content=encode(photo, "PNG"))
        paintings.append(decode(answer.content))
        assert np.abs(paintings[-1].astype(int) - expected).max() <= 1
    assert np.abs(paintings[0].astype(int) - paintings[1]).mean() > 3
    training = client.get("/api/training").json()
    assert (training["step"], training["steps"]) == (20, 30)
    assert training["losses"] == [{"step": 10, "total": 0.2, "style": 0.1}, {"step": 20, "total": 0.1, "style": 0.1}]
    (tmp_path / "strip.jpg").write_bytes(encode(photo))
    assert client.get("/api/training").json()["strip"] > 0
    assert client.get("/api/training/strip.jpg").content == encode(photo)


def test_a_long_run_is_a_short_list(view):
    """However many moments there are, the list is bounded, in order, and keeps its beginning and end."""
    network = RealtimeNet(width=4)
    for step in range(1, 1500):
        view.watch(Moment(step, 2000, {"total": 1.0}, network))
    steps = [entry["step"] for entry in view.describe()["losses"]]
    assert len(steps) <= MOST_POINTS and steps == sorted(steps)
    assert (steps[0], steps[-1]) == (1, 1499)
