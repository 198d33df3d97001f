import pytest

from nst_fast.errors import SettingError
from nst_fast.stylize.look import Look, join_style, split_style, write_note


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("", Look()),
        ("strength=0.7", Look(strength=0.7)),
        ("stroke_size=2&keep_color=luminance", Look(stroke_size=2.0, keep_color="luminance")),
        ("strength=0&stroke_size=0.5&keep_color=match&region=person", Look(0.0, 0.5, "match", "person")),
        ("region=masks/my%20face%26.png", Look(region="masks/my face&.png")),
    ],
)
def test_a_look_is_a_string(text, look):
    """The string gives the look, and the look the string: whichever is kept says the same."""
    assert Look.parse(text) == look
    assert str(look) == text


def test_a_string_may_name_the_style_too():
    """The style is taken out of the string and put back."""
    assert split_style("style=my%20wave&strength=0.5") == ("my wave", Look(strength=0.5))
    assert split_style("strength=0.5") == (None, Look(strength=0.5))
    assert join_style("my wave", Look(strength=0.5)) == "style=my%20wave&strength=0.5"
    assert join_style("wave", Look()) == "style=wave"


def test_the_note_of_a_picture_hides_folders():
    """What goes into a picture's metadata names the mask, not where its owner keeps it."""
    assert write_note("wave", Look(region="/home/me/mask.png")) == "nst-fast style=wave&region=mask.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strength=2.5", "strength is 2.5; give a number from 0 to 2"),
        ("strength=nan", "strength is nan; give a number from 0 to 2"),
        ("strength=much", "strength is 'much'; give a number"),
        ("stroke_size=0.4", "stroke_size is 0.4; give a number from 0.5 to 4"),
        ("keep_color=lumi", "keep_color is 'lumi'; allowed: luminance, match (nearest: luminance)"),
        ("region=", "region is empty; give person, background, or the path of a mask"),
        (
            "stroke=2",
            "a look has no 'stroke'; allowed: strength, stroke_size, keep_color, region (nearest: stroke_size)",
        ),
        ("strength=1&strength=2", "a look has 'strength' twice; give it once"),
        ("0.7", "'0.7' is no look; give one such as strength=0.7&stroke_size=2&keep_color=luminance"),
    ],
)
def test_what_is_not_allowed_is_said(text, message):
    """Each mistake is one line that says what is allowed."""
    with pytest.raises(SettingError) as caught:
        Look.parse(text)
    assert str(caught.value) == message
