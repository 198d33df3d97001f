from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from nst_fast.films.film import FilmSettings, stylize_film  # noqa: E402
from nst_fast.films.large_strokes import enlarge_strokes  # noqa: E402
from nst_fast.films.source import open_source  # noqa: E402
from nst_fast.media.film_opening import ReadErrors  # noqa: E402
from nst_fast.media.film_reader import read_frames  # noqa: E402
from nst_fast.media.pictures import read_picture  # noqa: E402
from nst_fast.media.resizing import resize_pixels  # noqa: E402
from nst_fast.media.yuv_image import YuvImage  # noqa: E402
from nst_fast.stylize.guided_upsampling import enlarge_rows  # noqa: E402
from nst_fast.stylize.look import Look  # noqa: E402
from nst_fast.stylize.stylizer import Stylizer  # noqa: E402

PHOTO = Path(__file__).resolve().parents[2] / "docs" / "examples" / "photos" / "astronaut.jpg"
BT709 = 1


@pytest.mark.parametrize("size", [(240, 320), (180, 322)])
def test_as_in_rgb(size):
    """What is added to the luma is what RGB has added to each color: the two differ by what halved colors lose."""
    photo = YuvImage.from_rgb(read_picture(PHOTO).rgb, BT709, *size)
    small = photo.shrink(size[0] // 2, size[1] // 2)
    stylized = Stylizer("wave").stylize_pixels(small)
    expected = enlarge_rows(stylized, small, photo.to_rgb(), 0, size[0])
    plain = resize_pixels(stylized, *size)
    result = enlarge_strokes(stylized, small, photo).to_rgb()
    assert np.abs(result.astype(int) - expected).mean() < 2.5
    # The point of it: plain resizing has not the edges that the two agree on.
    assert np.abs(plain.astype(int) - expected).mean() > 2 * np.abs(result.astype(int) - expected).mean()


def test_a_film_has_them(make_film, tmp_path):
    """From file to file, in the film's own colors: what stylizing each frame in RGB gives, but for compression."""
    photo = resize_pixels(read_picture(PHOTO).rgb, 160, 160)
    source = make_film(tmp_path / "a.mp4", [photo] * 3)
    stylizer = Stylizer("wave", look=Look(stroke_size=2))
    result = stylize_film(stylizer, source, tmp_path / "b.mp4", FilmSettings(smoothing=0, crf=1))
    assert result.frames == 3
    read = [
        [frame.rgb for frame in read_frames(probe, ReadErrors())]
        for probe in (open_source(path).info for path in (source, result.path))
    ]
    for frame, made in zip(*read, strict=True):
        assert np.abs(stylizer.stylize_pixels(frame).astype(int) - made).mean() < 6
