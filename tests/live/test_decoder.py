"""Decoding in a process of its own: the same pictures, the same errors, and a deadline that holds."""

import time

import numpy as np
import pytest

from nst_fast.errors import ImageError
from nst_fast.live import limits
from nst_fast.live.decoder import DecoderPool
from nst_fast.media.pictures import Picture, decode_picture, encode_picture


@pytest.fixture
def decoders():
    """A pool that is closed at the end."""
    pool = DecoderPool()
    yield pool
    pool.close()


def test_pictures_come_back_whole(decoders, photo, encode):
    """Color, alpha and the number of frames are those of `decode_picture`, picture after picture."""
    alpha = np.linspace(0, 255, photo.shape[0] * photo.shape[1]).astype(np.uint8).reshape(photo.shape[:2])
    for data in (encode(photo), encode_picture(Picture(photo, alpha), ".png"), encode(photo, "GIF"), encode(photo)):
        decoded, expected = decoders.decode(data, max_pixels=10_000), decode_picture(data)
        assert np.array_equal(decoded.rgb, expected.rgb)
        assert (decoded.alpha is None) == (expected.alpha is None)
        assert decoded.alpha is None or np.array_equal(decoded.alpha, expected.alpha)
        assert decoded.frame_count == expected.frame_count


def test_errors_come_back(decoders, photo, encode):
    """What is wrong with a picture is told in the same words."""
    for data, words in (
        (b"", "is empty"),
        (b"garbage", "not a picture"),
        (encode(photo)[:-99], "damaged or cut short"),
    ):
        with pytest.raises(ImageError, match=words):
            decoders.decode(data, max_pixels=10_000)
    with pytest.raises(ImageError, match="2,304 pixels"):
        decoders.decode(encode(photo), max_pixels=1000)


def test_the_deadline_stops_the_process(decoders, encode, photo, monkeypatch):
    """A picture that takes too long is given up in time, and the next one is decoded by another process."""
    large = encode(np.zeros((5000, 8000, 3), np.uint8), "PNG")
    decoders.decode(encode(photo), max_pixels=10_000)  # so that the process is there
    monkeypatch.setattr(limits, "DECODE_SECONDS", 0.1)
    began = time.monotonic()
    with pytest.raises(ImageError, match=r"not decoded within 0 s"):
        decoders.decode(large, max_pixels=50_000_000)
    assert time.monotonic() - began < 2
    monkeypatch.setattr(limits, "DECODE_SECONDS", 30.0)
    assert decoders.decode(encode(photo), max_pixels=10_000).rgb.shape == photo.shape


def test_a_closed_pool_decodes_nothing(decoders, encode, photo):
    """After the end no process is started."""
    decoders.close()
    with pytest.raises(ImageError, match="stopping"):
        decoders.decode(encode(photo), max_pixels=10_000)
