"""scripts/measure_stability.py, whose mathematics tests/evaluation/test_stability.py checks."""

import json
from fractions import Fraction
from pathlib import Path

import measure_stability as measuring
import numpy as np
import pytest
from PIL import Image

from nst_fast.errors import ImageError

RANDOM = np.random.default_rng(0)


def make_film(path: Path, frames: list[np.ndarray]) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "10"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
        container.mux(stream.encode())


def test_one_table_for_styles_and_smoothings(folder_with_style, monkeypatch, capsys):
    """All styles and smoothings on synthetic motion and on a real film, and the same figures as JSON."""
    pytest.importorskip("cv2")
    noise = Image.fromarray(RANDOM.integers(0, 256, (20, 60, 3), dtype=np.uint8))
    scene = np.asarray(noise.resize((240, 80), Image.Resampling.BICUBIC))
    Image.fromarray(scene).save("photo.png")
    make_film(Path("pan.mp4"), [scene[:, 2 * number : 2 * number + 96] for number in range(10)])
    arguments = ["--style", "x.safetensors", "--smoothing", "0", "0.9", "--photos", "photo.png", "--films", "pan.mp4"]
    arguments += ["--size", "96x64", "--frames", "9", "--film-frames", "10", "--engine", "onnxruntime"]
    monkeypatch.setattr("sys.argv", ["measure_stability.py", *arguments, "--json", "figures.json"])
    measuring.main()
    output = capsys.readouterr().out
    result = json.loads(Path("figures.json").read_text())
    assert json.loads(output.splitlines()[-1]) == result
    rows = [("film itself", None), ("x.safetensors", 0.0), ("x.safetensors", 0.9)]
    tables = [result["synthetic"], result["pan.mp4"], *result["motions"].values()]
    assert len(tables) == 2 + len(measuring.MOTIONS)
    for table in tables:
        assert [(one["style"], one["smoothing"]) for one in table] == rows
        itself, alone, _ = table
        assert itself["short_term"] < alone["short_term"], "a random network is not stable"
    # Without its motion, two frames of this film differ by far more.
    unmoved = np.sqrt(np.mean((scene[:, 2:].astype(float) - scene[:, :-2]) ** 2)) / 255
    assert result["pan.mp4"][0]["short_term"] < 0.25 * unmoved
    still, pan = (result["motions"][name][0]["short_term"] for name in ("still", "pan 2,1"))
    assert still == pytest.approx(2 / 255 * 2**0.5, rel=0.15), "two levels of noise in each of two frames"
    assert pan == pytest.approx(still, rel=0.1)


def test_no_pair_lies_across_a_cut(tmp_path, monkeypatch):
    """After a cut the warps begin again with the frame after it."""
    pytest.importorskip("cv2")
    dark, light = (np.full((48, 64, 3), level, np.uint8) for level in (30, 200))
    make_film(tmp_path / "cut.mp4", [dark] * 10 + [light] * 10)
    monkeypatch.setattr("sys.argv", ["x", "--size", "64x48", "--film-frames", "20"])
    steps = list(measuring.follow_film(tmp_path / "cut.mp4", measuring.parse_options()))
    assert [number for number, (_, cut, _) in enumerate(steps) if cut] == [10]
    assert [sorted(warps) for _, _, warps in steps] == 2 * [[], *[[1]] * 7, [1, 8], [1, 8]]
    monkeypatch.setattr("sys.argv", ["x", "--size", "64x48", "--film-start", "0.4"])
    (first, _, _), *rest = measuring.follow_film(tmp_path / "cut.mp4", measuring.parse_options())
    assert first.mean() > 150 and len(rest) == 9, "the second scene begins there"
    monkeypatch.setattr("sys.argv", ["x", "--film-start", "9"])
    with pytest.raises(ImageError, match=r"is 0:00\.8 long, so nothing of it is left"):
        next(measuring.follow_film(tmp_path / "cut.mp4", measuring.parse_options()))


def test_too_few_frames_are_refused(monkeypatch, capsys):
    """Long-term errors need more than eight frames."""
    monkeypatch.setattr("sys.argv", ["x", "--frames", "8"])
    with pytest.raises(SystemExit):
        measuring.parse_options()
    assert "argument --frames: give more than 8" in capsys.readouterr().err
