"""The Gradio app, with a stand-in for Gradio, and the files of the Space and the container."""

import importlib.util
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import yaml

from nst_fast.live.guard import HEADERS
from nst_fast.media.pictures import Picture
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.stylize.look import Look
from nst_fast.stylize.style_image import predict_style
from nst_fast.stylize.stylizer import Stylizer

INTEGRATIONS = Path(__file__).resolve().parents[2] / "integrations"


@pytest.fixture
def app(monkeypatch):
    """The app's module, where Gradio's components are plain records of their arguments."""
    names = ("Image", "Dropdown", "Slider", "Interface")
    gradio = types.ModuleType("gradio")
    for name in names:
        setattr(gradio, name, lambda *values, **options: types.SimpleNamespace(values=values, **options))
    gradio.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    spec = importlib.util.spec_from_file_location("gradio_app", INTEGRATIONS / "gradio" / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def test_the_gradio_app_stylizes(app, photo):
    """A shipped style, or the image if there is one, gives what Stylizer gives with these knobs."""
    expected = Stylizer("wave", look=Look(stroke_size=2.0)).stylize_picture(Picture(photo)).rgb
    assert np.array_equal(app.stylize(photo, "wave", None, 1, 2), expected)
    style = predict_style(Picture(photo[::-1].copy()))
    expected = Stylizer(style, look=Look(strength=0.5)).stylize_picture(Picture(photo)).rgb
    assert np.array_equal(app.stylize(photo, "wave", photo[::-1].copy(), 0.5, 1), expected)


def test_the_gradio_app_explains_mistakes(app, photo):
    """The page shows the program's own line, and one for a missing photo."""
    with pytest.raises(app.gradio.Error, match="wave_johnson was trained without the strength knob"):
        app.stylize(photo, "wave_johnson", None, 0.5, 1)
    with pytest.raises(app.gradio.Error, match="there is no photo; choose one"):
        app.stylize(None, "wave", None, 1, 1)


def test_the_gradio_page(app):
    """It has an input for each parameter, and offers all shipped styles."""
    page = app.build_app()
    assert page.values == (app.stylize,) and len(page.inputs) == app.stylize.__code__.co_argcount
    assert page.inputs[1].values == (list(list_shipped_checkpoints()),)


def test_the_space_has_settings():
    """Its README starts with what Hugging Face reads: a static page with the headers that threads need."""
    text = (INTEGRATIONS / "space" / "README.md").read_text(encoding="utf-8")
    settings = yaml.safe_load(text.split("---\n")[1])
    assert settings["sdk"] == "static" and settings["app_file"] == "index.html"
    assert len(settings["short_description"]) <= 60
    for name in ("cross-origin-embedder-policy", "cross-origin-opener-policy"):
        assert settings["custom_headers"][name] == HEADERS[name]


def test_the_container_copies_what_exists():
    """Every path that is copied is in the repository, the user has no rights, and there is a health check."""
    text = (INTEGRATIONS / "container" / "Containerfile").read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--)(.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert {"nst_fast", "configs", "checkpoints", "pyproject.toml"} <= set(copied)
    assert all((INTEGRATIONS.parent / path).exists() for path in copied)
    assert re.search(r"^USER 10001$", text, re.MULTILINE) and "\nHEALTHCHECK " in text
    command = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.MULTILINE)
    assert command is not None
    compile(yaml.safe_load(command[1])[2], "healthcheck", "exec")
