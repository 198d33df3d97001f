"""Experiments through Hydra, made easier: short keys, ordinary file names, and errors of one line.

The settings are frozen dataclasses (`nst_fast.settings.declare`). Hydra composes their defaults with the files in
`configs/` and the command line. Then an instance is made from the plain values, so that only this room sees Hydra.
"""

import dataclasses
import os
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nst_fast.cli.file_reports import reporting_files, take_json
from nst_fast.cli.path_lists import quote_path_lists
from nst_fast.cli.quoting import quote_texts
from nst_fast.errors import NstFastError, SettingError
from nst_fast.files.shipped import configs_folder
from nst_fast.settings.declare import SettingRow, default_of, list_settings
from nst_fast.settings.keys import resolve_key
from nst_fast.settings.presets import check_choice, flatten
from nst_fast.settings.values import make_settings

# Those of Hydra's options that make sense here, with the values that they may have.
_OPTIONS = {
    **dict.fromkeys(("--multirun", "-m", "--resolve", "--hydra-help"), ()),
    **dict.fromkeys(("--cfg", "-c"), ("job", "hydra", "all")),
    **dict.fromkeys(("--info", "-i"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")),
}


def run_experiment(
    verb: str,
    arguments: Sequence[str],
    *,
    settings_class: type,
    choices: Sequence[str] = ("loss_network",),
    experiment: Callable[[Any, Mapping[str, str]], None],
    outputs: Callable[[Any, Mapping[str, str]], Sequence[Path]],
) -> None:
    """Compose `configs/VERB.yaml` with the arguments and call `experiment(settings, swept)`; with -m for each job.

    With `--json` among the arguments, standard output gets what became of each output and nothing else.

    Args:
        verb: of the command, such as `train`.
        arguments: `key=value`, with the full key of a setting or its last part, options of Hydra, and `--json`.
        settings_class: of the verb.
        choices: the folders of `configs/` from which one file is chosen by name.
        experiment: takes an instance of `settings_class`; and the keys and values in which this job of a sweep differs
            from the others, as they were given (none if there is only one job).
        outputs: takes the same and gives the files that the experiment writes.

    Raises:
        SettingError: an unknown key or choice, or a value of the wrong type.
    """
    arguments, as_json = take_json(list(arguments))
    rows = list_settings(settings_class)
    multirun = any(argument in ("-m", "--multirun") for argument in arguments)
    arguments = quote_path_lists(arguments, _names_of(rows, _is_path_list))
    overrides, options = _split(arguments, verb)
    given_keys: dict[str, str] = {}
    translated = [
        _use_full_key(override, settings_class, choices, verb, multirun, given_keys) for override in overrides
    ]
    translated = quote_texts(translated, [row.key for row in rows if _is_text(row)], multirun)
    # Hydra merges a mapping into the one that is there, unless that is removed before.
    mappings = [row.key for row in rows if _is_mapping(row.hint)]
    translated = [
        part
        for override in translated
        for part in ([f"{_key_of(override)}=null", override] if _key_of(override) in mappings else [override])
    ]
    ConfigStore.instance().store(name=f"{verb}_settings", node=make_schema(settings_class))
    failures: list[NstFastError] = []

    def task(config: DictConfig) -> None:
        if failures and failures[-1].signal_number is not None:
            return  # Ctrl-C ends the sweep, even if the run that it should have ended failed first
        try:
            settings = _read_settings(config, settings_class, verb)
            swept = _find_swept(HydraConfig.get().overrides.task, translated)
            swept = {given_keys.get(key, key): value for key, value in swept.items()}
            with reports.watching(outputs(settings, swept) if as_json else []):
                experiment(settings, swept)
        except NstFastError as error:
            # Kept, because Hydra would print lines of its own; in a sweep the other jobs continue.
            failures.append(error)
        except (HydraException, OmegaConfBaseException) as error:  # an interpolation that leads nowhere
            failures.append(SettingError(f"{_one_line(error)}; see nst-fast {verb} --help"))

    # So that errors come out as they are, for the command to print in one line.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Hydra's grammar takes options only after all overrides.
    sys.argv = ["nst-fast", *translated, *options]
    try:
        with reporting_files(as_json=as_json) as reports:
            hydra.main(version_base="1.3", config_path=str(configs_folder()), config_name=verb)(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise SettingError(f"{_one_line(error)}; see nst-fast {verb} --help") from error
    if len(failures) > 1:
        raise NstFastError(f"{len(failures)} runs of the sweep failed: {' | '.join(map(str, failures))}")
    if failures:
        raise failures[0]


def make_schema(settings_class: type) -> type:
    """The settings class as Hydra needs it: not frozen, and without a default for mappings.

    OmegaConf makes nodes of frozen dataclasses read-only, and merges a mapping into its default where ours replace it.
    """
    hints = typing.get_type_hints(settings_class)
    fields: list[tuple[str, Any, Any]] = []
    for field in dataclasses.fields(settings_class):
        hint = hints[field.name]
        default = default_of(field)
        if dataclasses.is_dataclass(default):
            nested = make_schema(type(default))
            values = {row.name: _schema_value(getattr(default, row.name)) for row in dataclasses.fields(default)}
            fields.append((field.name, nested, dataclasses.field(default_factory=lambda n=nested, v=values: n(**v))))
        elif _is_mapping(hint):
            fields.append((field.name, Any, dataclasses.field(default=None)))
        elif default is dataclasses.MISSING:
            fields.append((field.name, hint, dataclasses.field()))
        else:
            fields.append((field.name, hint, dataclasses.field(default_factory=lambda value=default: _listed(value))))
    return dataclasses.make_dataclass(settings_class.__name__, fields, kw_only=True)


def _schema_value(value: Any) -> Any:
    return None if isinstance(value, Mapping) else _listed(value)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _read_settings(config: DictConfig, settings_class: type, verb: str) -> Any:
    if missing := sorted(OmegaConf.missing_keys(config)):
        raise SettingError(f"{', '.join(missing)} must be given, as {missing[0]}=...; see nst-fast {verb} --help")
    data = OmegaConf.to_container(config, resolve=True)
    assert isinstance(data, dict)
    rows = list_settings(settings_class)
    values = flatten(data, {row.key for row in rows})  # type: ignore[arg-type]
    mappings = [row.key for row in rows if _is_mapping(row.hint)]
    return make_settings(
        settings_class, {key: value for key, value in values.items() if value is not None or key not in mappings}
    )


def _is_mapping(hint: Any) -> bool:
    return typing.get_origin(hint) in (Mapping, dict)


def _is_text(row: SettingRow) -> bool:
    return row.metadata["verbatim"] and typing.get_origin(row.hint) is not tuple


def _is_path_list(row: SettingRow) -> bool:
    return row.metadata["verbatim"] and typing.get_origin(row.hint) is tuple


def _names_of(rows: Sequence[SettingRow], wanted: Callable[[SettingRow], bool]) -> list[str]:
    return [row.key for row in rows if wanted(row)]


def _split(arguments: Sequence[str], verb: str) -> tuple[list[str], list[str]]:
    """The overrides, and Hydra's own options with their values."""
    overrides: list[str] = []
    options: list[str] = []
    for argument in arguments:
        allowed_values = _OPTIONS.get(options[-1], ()) if options else ()
        if argument in _OPTIONS or argument in allowed_values:
            options.append(argument)
        elif argument.startswith("-"):
            raise SettingError(
                f"{argument!r} is not an option of nst-fast {verb}; write settings without dashes as key=value, "
                f"options are {' '.join(_OPTIONS)}"
            )
        elif "=" in argument or argument.startswith("~"):
            overrides.append(argument)
        else:
            hint = f", and {options[-1]} takes {', '.join(allowed_values)}" if allowed_values else ""
            raise SettingError(
                f"{argument!r} is not a setting; write settings as key=value{hint}; see nst-fast {verb} --help"
            )
    if options and options[-1] in ("--cfg", "-c"):
        raise SettingError(f"{options[-1]} needs a value; allowed: {', '.join(_OPTIONS[options[-1]])}")
    return overrides, options


def _use_full_key(
    override: str,
    settings_class: type,
    choices: Sequence[str],
    verb: str,
    multirun: bool,
    given_keys: dict[str, str],
) -> str:
    """The override with the full key of its setting, which is noted in `given_keys` with the key as given.

    Raises:
        SettingError: an unknown key, or an unknown choice.
    """
    written, equals, value = override.partition("=")
    key = _key_of(override)
    if key.startswith(("hydra.", "hydra/")):
        return override
    if key in choices:
        for name in value.split(",") if multirun else [value]:
            if equals:
                check_choice(key, name)
        return override
    try:
        full_key = resolve_key(settings_class, key)
    except SettingError as error:
        raise SettingError(f"{error}; see nst-fast {verb} --help") from error
    given_keys[full_key] = key
    prefix = written[: len(written) - len(written.lstrip("+~"))]
    return f"{prefix}{full_key}{equals}{value}"


def _key_of(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _find_swept(job_overrides: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """The keys that were given several values, each with its value in this job."""
    parser = OverridesParser.create()
    swept = {override.key_or_group for override in parser.parse_overrides(list(given)) if override.is_sweep_override()}
    job = parser.parse_overrides(list(job_overrides))
    return {override.key_or_group: str(override.value()) for override in job if override.key_or_group in swept}


def _one_line(error: BaseException) -> str:
    # The first cause says what is wrong; Hydra wraps it in where it was found.
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    key = next((line.removeprefix("full_key: ") for line in lines if line.startswith("full_key: ")), "")
    left_out = ("full_key:", "object_type=", "reference_type=", "See https://", "^")
    kept = [line for line in lines if not line.startswith(left_out)]
    return f"{key}: {'; '.join(kept)}" if key else "; ".join(kept)
