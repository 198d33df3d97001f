"""Experiments through Hydra, made kinder: ordinary file names, one-line errors, a help that says what keys mean."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nst_fast.cli.settings import list_settings
from nst_fast.errors import NstFastError, SettingError, nearest_name
from nst_fast.shipped import configs_folder

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
    schema: type,
    groups: Sequence[str],
    verbatim_keys: Sequence[str],
    mapping_keys: Sequence[str] = (),
    experiment: Callable[[Any, Mapping[str, str]], None],
) -> None:
    """Compose `configs/VERB.yaml` with the overrides and call `experiment(settings, swept)`; with -m for each job.

    Args:
        schema: the dataclass of the settings; its keys are those that an override may name.
        groups: the folders of `configs` from which one file is chosen by name.
        verbatim_keys: those whose values are file names or free text, taken as they are.
        mapping_keys: those whose values are mappings, taken in place of what a preset says.
        experiment: takes an instance of `schema`, and the keys and values in which this job of a sweep differs from
            the others (none where there is only one).

    Raises:
        SettingError: an unknown key or group member, or a value of the wrong type.
    """
    multirun = any(argument in ("-m", "--multirun") for argument in arguments)
    overrides, options = _split(arguments, verb)
    known_keys = [key for key, _, _ in list_settings(schema)]
    for override in overrides:
        _check_override(override, known_keys, groups, verb, multirun)
    overrides = [_quote_verbatim(override, verbatim_keys, multirun) for override in overrides]
    # Hydra merges a mapping into the one that is there, unless that is taken away before.
    overrides = [
        part
        for override in overrides
        for part in ([f"{_key_of(override)}=null", override] if _key_of(override) in mapping_keys else [override])
    ]
    ConfigStore.instance().store(name=f"{verb}_settings", node=schema)
    failures: list[NstFastError] = []

    def task(config: DictConfig) -> None:
        if failures and failures[-1].signal_number is not None:
            return  # Ctrl-C ends the sweep, also where the run that it was to end failed first
        try:
            if missing := sorted(OmegaConf.missing_keys(config)):
                raise SettingError(
                    f"{', '.join(missing)} must be given, as {missing[0]}=...; see nst-fast {verb} --help"
                )
            experiment(OmegaConf.to_object(config), _find_swept(HydraConfig.get().overrides.task, overrides))
        except NstFastError as error:
            # Kept, since Hydra would print lines of its own; in a sweep the other jobs go on.
            failures.append(error)

    # So that what goes wrong comes out as it is, to be said in one line by the command.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Hydra's grammar takes options only after all overrides.
    sys.argv = ["nst-fast", *overrides, *options]
    try:
        hydra.main(version_base="1.3", config_path=str(configs_folder()), config_name=verb)(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise SettingError(f"{_one_line(error)}; see nst-fast {verb} --help") from error
    if len(failures) > 1:
        raise NstFastError(f"{len(failures)} runs of the sweep failed: {' | '.join(map(str, failures))}")
    if failures:
        raise failures[0]


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
                f"{argument!r} is no option of nst-fast {verb}; settings are given without dashes as key=value, "
                f"options are {' '.join(_OPTIONS)}"
            )
        elif "=" in argument or argument.startswith("~"):
            overrides.append(argument)
        else:
            hint = f", and {options[-1]} takes {', '.join(allowed_values)}" if allowed_values else ""
            raise SettingError(
                f"{argument!r} is no setting; settings are given as key=value{hint}; see nst-fast {verb} --help"
            )
    if options and options[-1] in ("--cfg", "-c"):
        raise SettingError(f"{options[-1]} needs a value; allowed: {', '.join(_OPTIONS[options[-1]])}")
    return overrides, options


def _quote_verbatim(argument: str, verbatim_keys: Sequence[str], multirun: bool) -> str:
    """Hydra's grammar has meanings for =, commas, brackets, $, accents...: a path is quoted so that it has none."""
    key, equals, value = argument.partition("=")
    if not equals or key.lstrip("+") not in verbatim_keys or value == "null":
        return argument
    if os.path.exists(os.path.expanduser(value)):
        return f"{key}={quoted(value)}"
    if value[:1] in ("'", '"') and value[-1] == value[0] and len(value) > 1:
        return argument  # quoted for Hydra already
    # In a sweep commas part the values, but not those of a text, which have a space behind them.
    parts = re.split(r",(?! )", value) if multirun else [value]
    return f"{key}={','.join(map(quoted, parts))}"


def quoted(value: str) -> str:
    """`value` as Hydra's grammar takes it for exactly that text."""
    # In Hydra's quoted values the quote is escaped, in OmegaConf's strings ${ is, and backslashes only before these.
    value = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    value = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", value) + "'"


def _key_of(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _find_swept(job_overrides: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """The keys that were given several values, each with its value in this job."""
    parser = OverridesParser.create()
    swept = {override.key_or_group for override in parser.parse_overrides(list(given)) if override.is_sweep_override()}
    job = parser.parse_overrides(list(job_overrides))
    return {override.key_or_group: str(override.value()) for override in job if override.key_or_group in swept}


def _check_override(
    override: str, known_keys: Sequence[str], groups: Sequence[str], verb: str, multirun: bool
) -> None:
    key, value = _key_of(override), override.partition("=")[2]
    if key.startswith(("hydra.", "hydra/")):
        return
    if key in groups and not override.startswith("~"):
        members = sorted(file.stem for file in (configs_folder() / key).glob("*.yaml"))
        for member in value.split(",") if multirun else [value]:
            if member not in members:
                raise SettingError(
                    f"{key}={member} is unknown; allowed: {', '.join(members)}{nearest_name(member, members)}"
                )
    elif key not in known_keys and key not in groups:
        raise SettingError(
            f"{key!r} is no setting of nst-fast {verb}{nearest_name(key, [*known_keys, *groups])}; "
            f"see nst-fast {verb} --help"
        )


def _one_line(error: BaseException) -> str:
    # The first cause says what is wrong; Hydra wraps it in where it was found.
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    key = next((line.removeprefix("full_key: ") for line in lines if line.startswith("full_key: ")), "")
    left_out = ("full_key:", "object_type=", "reference_type=", "See https://", "^")
    kept = [line for line in lines if not line.startswith(left_out)]
    return f"{key}: {'; '.join(kept)}" if key else "; ".join(kept)
