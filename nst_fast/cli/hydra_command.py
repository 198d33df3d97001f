"""Experiments through Hydra, made kinder: ordinary file names, one-line errors, a help that says what keys mean."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nst_fast.errors import NstFastError, SettingError, nearest_name

_PACKAGE = Path(__file__).parent.parent


def configs_folder() -> Path:
    """Where the YAML files are: beside the package in a checkout, inside it in an installed wheel."""
    beside = _PACKAGE.parent / "configs"
    return beside if (beside / "train.yaml").is_file() else _PACKAGE / "configs"


def run_experiment(
    verb: str,
    arguments: Sequence[str],
    *,
    schema: type,
    known_keys: Sequence[str],
    groups: Sequence[str],
    path_keys: Sequence[str],
    experiment: Callable[[Any], None],
) -> None:
    """Compose `configs/VERB.yaml` with the overrides and call `experiment(settings)`; with -m once for each job.

    Args:
        schema: the dataclass of the settings.
        known_keys: every key that an override may name.
        groups: the folders of `configs` from which one file is chosen by name.
        path_keys: those whose values are file names, taken as they are.
        experiment: takes an instance of `schema`.

    Raises:
        SettingError: an unknown key or group member, or a value of the wrong type.
    """
    multirun = any(argument in ("-m", "--multirun") for argument in arguments)
    overrides, options = _split(arguments, verb)
    for override in overrides:
        _check_override(override, known_keys, groups, verb, multirun)
    ConfigStore.instance().store(name=f"{verb}_settings", node=schema)
    failures: list[NstFastError] = []

    def task(config: DictConfig) -> None:
        try:
            if missing := sorted(OmegaConf.missing_keys(config)):
                raise SettingError(
                    f"{', '.join(missing)} must be given, as {missing[0]}=...; see nst-fast {verb} --help"
                )
            experiment(OmegaConf.to_object(config))
        except NstFastError as error:
            # Kept, since Hydra would print lines of its own; in a sweep the other jobs go on.
            failures.append(error)

    # So that what goes wrong comes out as it is, to be said in one line by the command.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Hydra's grammar takes options only after all overrides.
    sys.argv = ["nst-fast", *(_quote_path(override, path_keys, multirun) for override in overrides), *options]
    try:
        hydra.main(version_base="1.3", config_path=str(configs_folder()), config_name=verb)(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise SettingError(f"{_one_line(error)}; see nst-fast {verb} --help") from error
    if failures:
        raise failures[0]


def _split(arguments: Sequence[str], verb: str) -> tuple[list[str], list[str]]:
    """The overrides, and Hydra's own options with their values."""
    overrides: list[str] = []
    options: list[str] = []
    for argument in arguments:
        if argument.startswith("-"):
            options.append(argument)
        elif "=" in argument or argument.startswith("~"):
            overrides.append(argument)
        elif options and options[-1].startswith("-"):
            options.append(argument)  # as in --cfg job
        else:
            raise SettingError(
                f"{argument!r} is no setting; settings are given as key=value, see nst-fast {verb} --help"
            )
    return overrides, options


def _quote_path(argument: str, path_keys: Sequence[str], multirun: bool) -> str:
    """Hydra's grammar has meanings for =, commas, brackets, $, accents...: a path is quoted so that it has none."""
    key, equals, value = argument.partition("=")
    if not equals or key.lstrip("+") not in path_keys or value == "null" or value[:1] in ("'", '"'):
        return argument
    if multirun and not Path(value).expanduser().exists():
        return f"{key}={','.join(_quoted(part) for part in value.split(','))}"
    return f"{key}={_quoted(value)}"


def _quoted(value: str) -> str:
    # In Hydra's quoted values only the quote itself and backslashes before it are escaped; ${ would interpolate.
    body = value.replace("\\'", "\\\\'").replace("'", "\\'").replace("${", "\\${")
    return f"'{body}\\'" if body.endswith("\\") else f"'{body}'"


def _check_override(
    override: str, known_keys: Sequence[str], groups: Sequence[str], verb: str, multirun: bool
) -> None:
    key, _, value = override.partition("=")
    key = key.lstrip("+~")
    if key.startswith(("hydra.", "hydra/")):
        return
    if key in groups:
        members = sorted(file.stem for file in (configs_folder() / key).glob("*.yaml"))
        for member in value.split(",") if multirun else [value]:
            if member not in (*members, "null"):
                raise SettingError(
                    f"{key}={member} is unknown; allowed: {', '.join(members)}{nearest_name(member, members)}"
                )
    elif key not in known_keys and key.rpartition(".")[0] not in known_keys:  # as in style_taps.relu1_1
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
    kept = [line for line in lines if not line.startswith(("full_key:", "object_type=", "reference_type="))]
    return f"{key}: {'; '.join(kept)}" if key else "; ".join(kept)
