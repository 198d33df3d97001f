"""The stream: the newest frame, its state, and the settings that clients may wish for."""

import asyncio

import numpy as np
import pytest

from nst_fast.errors import ImageError, SettingError
from nst_fast.live.stream import Stream, StreamFrame, check_settings


def test_a_frame_is_a_jpeg_and_pixels(photo, encode, decode):
    """Whichever is missing is made of the other one, once."""
    made = StreamFrame(1, pixels=photo)
    assert np.abs(decode(made.jpeg).astype(int) - photo).mean() < 3
    assert made.jpeg is made.jpeg
    given = StreamFrame(2, jpeg=encode(photo))
    assert np.array_equal(given.pixels, decode(encode(photo)))
    assert given.pixels is given.pixels
    with pytest.raises(ImageError, match="not a JPEG"):
        StreamFrame(3, jpeg=b"GIF89a").pixels  # noqa: B018


def test_the_newest_frame_wins(photo):
    """Whoever comes late gets the newest frame; whoever has it waits for the next one."""

    async def run():
        stream = Stream()
        waiting = asyncio.create_task(stream.next_frame(0))
        await asyncio.sleep(0)
        for _ in range(3):
            stream.publish(pixels=photo)
        first = await waiting
        assert first.number == 3
        next_one = asyncio.create_task(stream.next_frame(3))
        await asyncio.sleep(0.01)
        assert not next_one.done()
        stream.publish(pixels=photo)
        assert (await next_one).number == 4

    asyncio.run(run())


def test_a_source_that_was_replaced_ends_nothing(photo):
    """The end of the first source leaves the second one on air; its own end takes the frame away."""

    async def run():
        stream, asked = Stream(), []
        first, second = (lambda wanted: None), asked.append
        stream.begin("page", first)
        stream.begin("page", second)
        stream.publish(pixels=photo)
        stream.end(first)
        assert stream.source == "page" and stream.frame is not None
        stream.change_settings({"style": "wave"})
        assert asked == [{"style": "wave"}]
        stream.end(second)
        assert stream.describe() == {"source": None, "settings": {}, "problem": None, "viewers": 0}
        assert stream.frame is None
        stream.change_settings({"style": "udnie"})
        assert asked == [{"style": "wave"}]

    asyncio.run(run())


def test_no_state_is_missed():
    """A state that changed while nobody waited is told at once, the last one only."""

    async def run():
        stream = Stream()
        number, state = await stream.next_state(-1)
        assert state["viewers"] == 0
        stream.tell(viewers=1)
        stream.tell(viewers=2, problem="the camera is gone")
        number, state = await stream.next_state(number)
        assert (state["viewers"], state["problem"]) == (2, "the camera is gone")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([], "settings are JSON such as"),
        ({"colour": 1}, "settings are JSON such as"),
        ({"style": 3}, "style and look must be text"),
        ({"look": None}, "style and look must be text"),
        ({"look": "strength=9"}, "strength is 9"),
        ({"look": "region=/etc/passwd"}, "region is '/etc/passwd'; allowed here"),
        ({"smoothing": 1}, "smoothing is 1; give 0 to 0.95"),
        ({"smoothing": True}, "smoothing is True"),
        ({"coherence": 1}, "coherence is 1; give 0 to 0.95"),
        ({"size": 63}, "size is 63; give 64 to 1920"),
        ({"size": 640.0}, "size is 640.0"),
    ],
)
def test_settings_are_checked(wanted, words):
    """One line says what was given, and what is allowed."""
    with pytest.raises(SettingError, match=words):
        check_settings(wanted)


def test_settings_are_taken_as_they_are():
    """Any of them may be missing; no size means automatic."""
    every = {"style": "wave", "smoothing": 0, "coherence": 0.6, "look": "strength=0.5", "size": 640}
    for wanted in ({}, {"size": None}, every):
        assert check_settings(wanted) == wanted
