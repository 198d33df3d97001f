"""Which films can be read and written: suffixes, codecs, and what each container can hold."""

import importlib.util
from dataclasses import dataclass

from nst_fast.errors import SettingError, nearest_name

# Containers that can be written, each with its default codec.
_DEFAULT_CODECS = {".mp4": "h264", ".m4v": "h264", ".mov": "h264", ".mkv": "h264", ".webm": "vp9"}
WRITABLE_FILMS = frozenset(_DEFAULT_CODECS)
# Containers that can be read; those that cannot be written become .mp4.
FILM_SUFFIXES = WRITABLE_FILMS | {
    *(".3gp", ".asf", ".avi", ".f4v", ".flv", ".m2ts", ".m2v", ".mpeg"),
    *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".wmv", ".y4m"),
}
# Pictures that may be animated. They need no extra.
ANIMATION_SUFFIXES = frozenset({".gif", ".webp"})

# Sound that a container holds as it is, by FFmpeg's names. Matroska holds all.
_COPIED_SOUND = {
    ".mp4": frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}),
    ".webm": frozenset({"opus", "vorbis"}),
}
EFFORTS = ("fast", "medium", "slow")


@dataclass(frozen=True)
class Encoder:
    """One of FFmpeg's encoders.

    Attributes:
        name: FFmpeg's name.
        crf: default constant rate factor, at which the encoded film is hard to tell from what was encoded; lower is
            better.
        worst_crf: the highest that the encoder accepts.
        efforts: the encoder's options for each of EFFORTS.
        odd_sizes: whether it accepts odd widths and heights at half the resolution of color.
        least_side: in pixels; below it x265 4.1 writes beyond its memory and SVT-AV1 refuses.
    """

    name: str
    crf: int
    worst_crf: int
    efforts: dict[str, dict[str, str]]
    odd_sizes: bool = False
    least_side: int = 1


# Stylized frames are all texture, which costs far more bits than a usual film, so the factors are higher than usual.
ENCODERS = {
    "h264": Encoder(
        "libx264",
        20,
        51,
        {"fast": {"preset": "superfast"}, "medium": {"preset": "medium"}, "slow": {"preset": "slower"}},
    ),
    "h265": Encoder(
        "libx265",
        23,
        51,
        {
            "fast": {"preset": "superfast", "x265-params": "log-level=error"},
            "medium": {"preset": "medium", "x265-params": "log-level=error"},
            "slow": {"preset": "slow", "x265-params": "log-level=error"},
        },
        least_side=64,
    ),
    "vp9": Encoder(
        "libvpx-vp9",
        28,
        63,
        {
            effort: {"deadline": deadline, "cpu-used": speed, "row-mt": "1", "b": "0"}
            for effort, deadline, speed in (("fast", "realtime", "7"), ("medium", "good", "4"), ("slow", "good", "1"))
        },
        odd_sizes=True,
    ),
    "av1": Encoder(
        "libsvtav1",
        30,
        63,
        {"fast": {"preset": "9"}, "medium": {"preset": "8"}, "slow": {"preset": "4"}},
        least_side=64,
    ),
}
_CODECS_OF_WEBM = ("vp9", "av1")


@dataclass(frozen=True)
class Encoding:
    """How a film is written.

    Attributes:
        codec: one of ENCODERS.
        crf: constant rate factor; lower means better and larger.
        effort: one of EFFORTS; more effort gives smaller files of the same quality.
    """

    codec: str
    crf: int
    effort: str


def is_film(suffix: str) -> bool:
    """Whether a file with this suffix, such as .mp4, counts as a film."""
    return suffix.lower() in FILM_SUFFIXES


def choose_encoding(suffix: str, *, codec: str | None = None, crf: int | None = None, effort: str = "fast") -> Encoding:
    """The encoding for a film file.

    Args:
        suffix: of the file, one of WRITABLE_FILMS.
        codec: one of ENCODERS. None: vp9 for .webm, else h264.
        crf: None: the default of the codec.
        effort: one of EFFORTS.

    Raises:
        SettingError: an unknown value, or a codec that the container cannot hold.
    """
    suffix = suffix.lower()
    if codec is not None and codec not in ENCODERS:
        raise SettingError(
            f"codec {codec!r} is unknown; allowed: {', '.join(ENCODERS)}{nearest_name(codec, list(ENCODERS))}"
        )
    if effort not in EFFORTS:
        raise SettingError(f"effort {effort!r} is unknown; allowed: {', '.join(EFFORTS)}")
    chosen = codec or _DEFAULT_CODECS[suffix]
    if suffix == ".webm" and chosen not in _CODECS_OF_WEBM:
        raise SettingError(f"a .webm file cannot hold {chosen}; give the codec vp9 or av1, or choose .mp4 or .mkv")
    encoder = ENCODERS[chosen]
    if crf is not None and not 0 <= crf <= encoder.worst_crf:
        raise SettingError(f"crf is {crf}; {chosen} accepts 0 (best) to {encoder.worst_crf} (smallest)")
    return Encoding(chosen, encoder.crf if crf is None else crf, effort)


def holds_sound(suffix: str, codec: str) -> bool:
    """Whether the container holds sound of this codec (FFmpeg's name) as it is."""
    suffix = suffix.lower()
    return suffix == ".mkv" or codec in _COPIED_SOUND[".webm" if suffix == ".webm" else ".mp4"]


def sound_encoder(suffix: str) -> str:
    """FFmpeg's encoder for sound that the container does not hold as it is."""
    return "libopus" if suffix.lower() == ".webm" else "aac"


def require_film_extra() -> None:
    """Raise SettingError, which names the extra, where PyAV is not installed."""
    if importlib.util.find_spec("av") is None:
        raise SettingError("films need PyAV, which is not installed; install the extra: pip install 'nst-fast[film]'")
