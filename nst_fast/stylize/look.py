"""How a network is used: strength, stroke size, colors and subject, as one value and as one string."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote

from nst_fast.errors import SettingError, nearest_name

KEPT_COLORS = ("luminance", "match")
SUBJECTS = ("person", "background")
STRENGTH_RANGE = (0.0, 2.0)
STROKE_SIZE_RANGE = (0.5, 4.0)


@dataclass(frozen=True)
class Look:
    """The knobs of one output. The defaults give what the network gives.

    Attributes:
        strength: how much the network stylizes, 0 (nearly the photo) to 2; 1 is as trained. Only adjustable networks
            have it.
        stroke_size: how large the strokes are, 0.5 to 4; 1 is as trained. See `stylize.guided_upsampling`.
        keep_color: luminance: the photo's colors with the light and dark of the style; match: the mean and the
            covariance of the photo's colors. None: the colors of the style.
        region: what is stylized: person, background, or the path of a mask, white where the style goes. None:
            everything.

    Raises:
        SettingError: a value that is out of range or unknown.
    """

    strength: float = 1.0
    stroke_size: float = 1.0
    keep_color: str | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        for name, (lowest, highest) in (("strength", STRENGTH_RANGE), ("stroke_size", STROKE_SIZE_RANGE)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not lowest <= value <= highest:
                raise SettingError(f"{name} is {str(value)[:40]}; give a number from {lowest:g} to {highest:g}")
        if self.keep_color is not None and self.keep_color not in KEPT_COLORS:
            hint = nearest_name(self.keep_color, list(KEPT_COLORS))
            raise SettingError(f"keep_color is {self.keep_color[:40]!r}; allowed: {', '.join(KEPT_COLORS)}{hint}")
        if self.region == "":
            raise SettingError(f"region is empty; give {', '.join(SUBJECTS)}, or the path of a mask")

    @classmethod
    def parse(cls, text: str) -> "Look":
        """The look that a string such as `strength=0.7&stroke_size=2&keep_color=luminance` describes.

        What it leaves out is as trained; an empty string is `Look()`.

        Raises:
            SettingError: an unknown knob, one given twice, or a value that is not allowed.
        """
        return cls.from_values(split_pairs(text))

    @classmethod
    def from_values(cls, values: dict[str, str]) -> "Look":
        """The look of these values by their names, as texts.

        Raises:
            SettingError: see `parse`.
        """
        allowed = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in allowed:
                hint = nearest_name(name, allowed)
                raise SettingError(f"a look has no {name[:40]!r}; allowed: {', '.join(allowed)}{hint}")
        return cls(
            strength=_number("strength", values.get("strength", "1")),
            stroke_size=_number("stroke_size", values.get("stroke_size", "1")),
            keep_color=values.get("keep_color"),
            region=values.get("region"),
        )

    @property
    def mask(self) -> Path | None:
        """The file that the region names; None: it names none."""
        return None if self.region in (None, *SUBJECTS) else Path(self.region)

    def with_absolute_mask(self) -> "Look":
        """The same look for a process that runs in another folder."""
        return self if self.mask is None else dataclasses.replace(self, region=str(self.mask.absolute()))

    def __str__(self) -> str:
        """What `parse` takes: only what differs from the defaults."""
        different = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }
        return join_pairs(different)


NOTE_START = "nst-fast "


def write_note(style: str, look: Look) -> str:
    """What a picture's metadata says about how it was made, such as `nst-fast style=wave&strength=0.7`.

    Of a mask only the file's name is told.
    """
    if look.mask is not None:
        look = dataclasses.replace(look, region=look.mask.name)
    return NOTE_START + join_style(style, look)


def split_style(text: str) -> tuple[str | None, Look]:
    """The style and the look of a string such as `style=wave&strength=0.7`; None: it names no style.

    Raises:
        SettingError: see `Look.parse`.
    """
    values = split_pairs(text)
    style = values.pop("style", None)
    return style, Look.from_values(values)


def join_style(style: str, look: Look) -> str:
    """The string that `split_style` takes apart."""
    rest = str(look)
    return join_pairs({"style": style}) + (f"&{rest}" if rest else "")


def split_pairs(text: str) -> dict[str, str]:
    """The texts by name in `name=value&name=value`, quoted as in the address of a web page.

    Raises:
        SettingError: it is something else, or gives a name twice.
    """
    try:
        pairs = parse_qsl(text.strip(), keep_blank_values=True, strict_parsing=True) if text.strip() else []
    except ValueError as error:
        raise SettingError(
            f"{text[:80]!r} is no look; give one such as strength=0.7&stroke_size=2&keep_color=luminance"
        ) from error
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1)
        raise SettingError(f"a look has {twice[:40]!r} twice; give it once")
    return values


def join_pairs(values: Mapping[str, object]) -> str:
    """The string that `split_pairs` takes apart; numbers as short as they can be."""
    texts = {
        name: repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
        for name, value in values.items()
    }
    return "&".join(f"{name}={quote(text, safe='/:,')}" for name, text in texts.items())


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SettingError(f"{name} is {text[:40]!r}; give a number") from error
