"""The verb `optimize`, by its arguments and as a process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from nst_fast.cli.main import main
from nst_fast.losses.settings import LossSettings
from nst_fast.optimization.settings import OptimizeSettings
from nst_fast.settings.networks import LossNetworkSettings

QUICK = ("loss_network=vgg16", "weights=random", "short_side=20", "content_taps={relu1_2:1}", "style_taps={relu1_1:1}")


def test_the_command_makes_settings(compose_optimize):
    """Settings that are not given have the defaults of the class; those that are given arrive, by short or full key."""
    needed = ("content=a.jpg", "style=b.jpg")
    ((settings),) = compose_optimize(*needed)
    assert settings == OptimizeSettings(content="a.jpg", style="b.jpg")
    ((settings),) = compose_optimize(
        *needed, "c.jpg", "style_weights=[2,1]", "loss.style_strength=5", "scaling=gatys", "iterations=7", *QUICK
    )
    assert settings == OptimizeSettings(
        content="a.jpg",
        style=("b.jpg", "c.jpg"),
        style_weights=(2.0, 1.0),
        loss=LossSettings(
            style_strength=5.0, scaling="gatys", content_taps={"relu1_2": 1.0}, style_taps={"relu1_1": 1.0}
        ),
        loss_network=LossNetworkSettings(name="vgg16", weights="random"),
        iterations=7,
        short_side=20,
    )


def test_an_image_and_a_film(compose_train, photo_folder, painting, capsys):
    """The command writes where it says; a sweep gives each image a name of its own."""
    arguments = [f"content={photo_folder / 'photo_01.jpg'}", f"style={painting}", *QUICK, "iterations=2"]
    assert main(["optimize", *arguments, "frames_every_iterations=1", "film=gif"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("after 2 iterations: total ")
    assert lines[1] == "wrote stylized/photo_01-painting.png and stylized/photo_01-painting.gif"
    with Image.open("stylized/photo_01-painting.png") as image:
        assert image.size == (27, 20)
    assert main(["optimize", "-m", *arguments, "style_strength=1,80"]) == 0
    assert {path.name for path in Path("stylized").glob("*.png")} == {
        "photo_01-painting.png",
        "photo_01-painting-style_strength=1.png",
        "photo_01-painting-style_strength=80.png",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["content=a.jpg"], "style must be given, as style=..."),
        (["content=a.jpg", "style=b.jpg", "film=gif"], "film 'gif' is made of frames; set frames_every_iterations"),
        (["content=a.jpg", "style=b.jpg", "itrations=3"], "'itrations' is not a setting (nearest: iterations); see"),
        (["content=a.jpg", "style=b.jpg", "normalisation=gatys"], "'normalisation' has a new name; give loss.scaling"),
    ],
)
def test_mistakes(compose_train, capsys, arguments, message):
    """Each is one line on standard error, with exit status 2."""
    assert main(["optimize", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"nst-fast: error: {message}")
    assert error.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for another process there")
@pytest.mark.timeout(600)
def test_ctrl_c_and_the_same_command_again(photo_folder, painting, tmp_path):
    """A process that is sent SIGINT writes its image, and the same command ends with the bytes of a straight run."""

    def command(name: str) -> list[str]:
        verb = [sys.executable, "-m", "nst_fast.cli.main", "optimize", f"content={photo_folder / 'photo_01.jpg'}"]
        shape = ["loss_network=compact", "short_side=32", "iterations=60", "save_every_iterations=7", "device=cpu"]
        return [*verb, f"style={painting}", f"output={tmp_path / name}", *shape]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command("straight.png"), check=True, capture_output=True, env=environment)
    process = subprocess.Popen(command("interrupted.png"), stderr=subprocess.PIPE, text=True, env=environment)
    state = tmp_path / "interrupted.run" / "state.pt"
    first = None
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if state.exists() and first is None:
            first = state.stat().st_mtime_ns
        elif state.exists() and state.stat().st_mtime_ns != first:
            break  # iterations are under way, and one state of them is saved
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "stopped at iteration " in errors and "run the same command again to resume" in errors
    assert (tmp_path / "interrupted.png").exists()
    resumed = subprocess.run(command("interrupted.png"), check=True, capture_output=True, text=True, env=environment)
    assert "resuming" in resumed.stderr
    assert (tmp_path / "interrupted.png").read_bytes() == (tmp_path / "straight.png").read_bytes()
