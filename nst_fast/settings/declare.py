"""How a setting is declared: once, in a frozen dataclass, with its default, its help text and its limits.

    @with_help
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class BrushSettings:
        "How the brush moves."

        picture: str = setting(MISSING, "the image file", verbatim=True)
        strokes: int = setting(100, "number of strokes", at_least=1)
        paint: PaintSettings = setting(PaintSettings, "")

        def __post_init__(self) -> None:
            check_settings(self)

Python code makes an instance and hands it to a function, the command line registers the class with Hydra, and `--help`
prints `list_settings`. Nothing else repeats a name or a default.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

# The default of a setting that you must give. Python then requires the argument, and so does Hydra.
MISSING: Any = dataclasses.MISSING

_Class = TypeVar("_Class", bound=type)


def setting(
    default: Any,
    help: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    more_than: float | None = None,
    less_than: float | None = None,
    choices: Sequence[str] | None = None,
    changes_result: bool = True,
    verbatim: bool = False,
    heading: str | None = None,
) -> Any:
    """Declare one setting, as the value of a dataclass field.

    Args:
        default: the value without any input; MISSING where there is none; a settings class, or an instance of one, for
            nested settings.
        help: what the setting means, with its unit and what None means. `--help` shows it. Leave it empty for nested
            settings: their own fields have help.
        at_least, at_most, more_than, less_than: limits of a number; None: no limit.
        choices: the names that a text may be; None: any text.
        changes_result: False for what only changes where, how fast or how visibly something runs. A run may be resumed
            with another value of such a setting.
        verbatim: True for file names and free text, in which the command line reads no special characters.
        heading: printed above this setting by `--help`; None: no heading.
    """
    metadata = {
        "help": help,
        "limits": {"at least": at_least, "more than": more_than, "at most": at_most, "less than": less_than},
        "choices": choices,
        "changes_result": changes_result,
        "verbatim": verbatim,
        "heading": heading,
    }
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    if dataclasses.is_dataclass(default) or isinstance(default, dict):
        copy = dict if isinstance(default, dict) else dataclasses.replace
        return dataclasses.field(default_factory=lambda: copy(default), metadata=metadata)  # type: ignore[operator]
    return dataclasses.field(default=default, metadata=metadata)


class SettingRow(NamedTuple):
    """One setting that a user can give.

    Attributes:
        key: with the names of the groups around it, such as `loss.style_strength`.
        value: the default, or what an instance holds; MISSING for a required setting of a class.
        help: what it means.
        hint: its annotated type.
        heading: printed above it, its own or that of the group that it is the first of; None: no heading.
        metadata: the other arguments of `setting`.
    """

    key: str
    value: Any
    help: str
    hint: Any
    heading: str | None
    metadata: typing.Mapping[str, Any]


def list_settings(settings: Any, prefix: str = "") -> list[SettingRow]:
    """Every setting of a settings class or of an instance, in order of declaration, nested ones in their place.

    Args:
        settings: a class gives its defaults, an instance its values.
        prefix: put before each key.
    """
    rows: list[SettingRow] = []
    hints = typing.get_type_hints(settings if isinstance(settings, type) else type(settings))
    for field in dataclasses.fields(settings):
        value = default_of(field) if isinstance(settings, type) else getattr(settings, field.name)
        heading = field.metadata["heading"]
        if dataclasses.is_dataclass(value):
            first, *others = list_settings(value, f"{prefix}{field.name}.")
            rows += [first._replace(heading=heading or first.heading), *others]
        else:
            hint = hints[field.name]
            rows.append(SettingRow(prefix + field.name, value, field.metadata["help"], hint, heading, field.metadata))
    return rows


def list_groups(settings: Any) -> list[str]:
    """The names of the nested settings, such as `loss`, of a settings class or an instance."""
    hints = typing.get_type_hints(settings if isinstance(settings, type) else type(settings))
    return [field.name for field in dataclasses.fields(settings) if dataclasses.is_dataclass(hints[field.name])]


def default_of(field: dataclasses.Field) -> Any:
    """The default of a dataclass field, made fresh where a factory makes it; MISSING for a required one."""
    factory: Callable[[], Any] | Any = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def with_help(settings_class: _Class) -> _Class:
    """Append every setting and its help to the docstring of a settings class, so that Python's `help()` shows them."""
    rows = [f"    {row.key}: {row.help}" for row in list_settings(settings_class)]
    settings_class.__doc__ = "\n".join([inspect.cleandoc(settings_class.__doc__ or ""), "", "Attributes:", *rows])
    return settings_class
