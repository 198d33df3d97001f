"""Fixtures that the tests of several modules use."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nst_fast.networks.checkpoint import CheckpointInfo, save_checkpoint
from nst_fast.networks.torch_layers import InstanceNorm
from nst_fast.networks.torch_network import StyleNetwork, build_network, checkpoint_from_network
from nst_fast.training.settings import TrainSettings


def pytest_configure(config: pytest.Config) -> None:
    """One thread in each process where tests run in several: more would only wait for one another."""
    if hasattr(config, "workerinput") or "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder `shared` beside the project, or where NST_FAST_SHARED says; it holds weights too big to keep here."""
    given = os.environ.get("NST_FAST_SHARED")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no folder `shared` beside the project; set NST_FAST_SHARED to one that holds `data`")
    return folder


def draw_picture(generator: np.random.Generator, height: int, width: int) -> Image.Image:
    """A smooth gradient between four random corner colors, with a little noise, so that no two are alike."""
    corners = generator.integers(0, 256, size=(2, 2, 3))
    down, across = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    top = corners[0, 0] * (1 - across) + corners[0, 1] * across
    bottom = corners[1, 0] * (1 - across) + corners[1, 1] * across
    smooth = top * (1 - down) + bottom * down
    noisy = smooth + generator.normal(0, 8, size=(height, width, 3))
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """A folder of twelve photos of 48 x 64 pixels (height x width), four of them in a folder `more` inside it."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(12):
        parent = folder if number < 8 else folder / "more"
        draw_picture(generator, 48, 64).save(parent / f"photo_{number:02}.jpg", quality=95)
    return folder


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    """A painting as a PNG of 60 x 80 pixels: stripes and blots, so that its Gram matrices are those of no photo."""
    generator = np.random.default_rng(1)
    rows, columns = np.mgrid[0:60, 0:80]
    strokes = 0.5 + 0.5 * np.sin(0.9 * rows + 4 * np.sin(columns / 7))
    dark, light = generator.integers(0, 100, size=3), generator.integers(150, 256, size=3)
    colors = dark * (1 - strokes[..., None]) + light * strokes[..., None]
    path = tmp_path / "painting.png"
    Image.fromarray(colors.round().astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def random_network() -> Callable[..., StyleNetwork]:
    """Builds a network whose normalizations are random too, as after training: `random_network("realtime", width=8)`.

    It is in evaluation mode and its weights need no gradients. The width is 4 unless given.
    """

    def build(name: str, **arguments: Any) -> StyleNetwork:
        torch.manual_seed(0)
        network = build_network(name, **{"width": 4, **arguments}).eval().requires_grad_(False)
        for module in network.modules():
            if isinstance(module, InstanceNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
        return network

    return build


@pytest.fixture
def folder_with_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test starts in a folder that holds x.safetensors, a small network of the style `x`, and nothing else."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = build_network("realtime", width=4)
    save_checkpoint(
        Path("x.safetensors"), checkpoint_from_network(network, CheckpointInfo(style={"name": "x"})), dtype="fp32"
    )


@pytest.fixture
def compose_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[TrainSettings, dict]]]:
    """Gives what `nst-fast train ARGUMENTS` would run, in an empty folder on a computer without a GPU.

    Called with the arguments, it returns the settings of each run and in what that run of a sweep differs.
    """
    monkeypatch.chdir(tmp_path)
    # Both are set by the command, for Hydra; here they are put back.
    monkeypatch.setattr(sys, "argv", ["nst-fast"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.delenv("NST_FAST_VGG16_WEIGHTS", raising=False)
    monkeypatch.delenv("NST_FAST_VGG19_WEIGHTS", raising=False)
    monkeypatch.setattr("nst_fast.training.settings.choose_preset", lambda: "laptop")

    def compose(*arguments: str) -> list[tuple[TrainSettings, dict]]:
        from nst_fast.cli import train

        runs: list[tuple[TrainSettings, dict]] = []
        monkeypatch.setattr("nst_fast.cli.train.run_training", lambda settings, swept: runs.append((settings, swept)))
        train.main(list(arguments))
        return runs

    return compose


@pytest.fixture
def compose_optimize(compose_train, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Gives the settings of each run that `nst-fast optimize ARGUMENTS` would make, where `compose_train` works."""

    def compose(*arguments: str) -> list[Any]:
        from nst_fast.cli import optimize

        runs: list[Any] = []
        monkeypatch.setattr("nst_fast.cli.optimize.run_optimization", lambda settings, swept: runs.append(settings))
        optimize.main(list(arguments))
        return runs

    return compose


@pytest.fixture
def compose_reconstruct(compose_train, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Gives the settings of each run that `nst-fast reconstruct ARGUMENTS` would make, where `compose_train` works."""

    def compose(*arguments: str) -> list[Any]:
        from nst_fast.cli import reconstruct

        runs: list[Any] = []
        for name in ("run_reconstruction", "print_receptive_fields"):
            monkeypatch.setattr(f"nst_fast.cli.reconstruct.{name}", lambda settings, swept: runs.append(settings))
        reconstruct.main(list(arguments))
        return runs

    return compose


@pytest.fixture
def compose_evaluate(compose_train, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Gives the settings of each run that `nst-fast evaluate ARGUMENTS` would make, where `compose_train` works."""

    def compose(*arguments: str) -> list[Any]:
        from nst_fast.cli import evaluate

        runs: list[Any] = []
        monkeypatch.setattr("nst_fast.cli.evaluate.run_evaluation", lambda settings, swept: runs.append(settings))
        evaluate.main(list(arguments))
        return runs

    return compose
