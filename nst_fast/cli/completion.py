"""`nst-fast completion SHELL`: a script for the shell that completes verbs, options, styles and settings."""

import argparse
import importlib
from typing import Any

from nst_fast.cli.main import VERBS
from nst_fast.cli.shell_functions import FILE, FOLDER, SETTINGS, STYLE, shell_function, write_functions
from nst_fast.errors import TRAIN_PACKAGES
from nst_fast.media.film_formats import EFFORTS
from nst_fast.stylize.engines.choice import ENGINES, PRECISIONS
from nst_fast.stylize.look import KEPT_COLORS, SUBJECTS

SHELLS = ("bash", "zsh", "fish")
_EXAMPLES = """\
Put one of these lines into the startup file of your shell:

  bash   eval "$(nst-fast completion bash)"       in ~/.bashrc
  zsh    eval "$(nst-fast completion zsh)"        in ~/.zshrc, below compinit
  fish   nst-fast completion fish | source        in ~/.config/fish/config.fish

The script knows the verbs, options, settings and shipped styles of the program that printed it.
"""
# Where a verb's parser is, if not in its module.
_PARSER_MODULES = {"stylize": "nst_fast.cli.stylize_options"}
# The verbs of Hydra, whose arguments are settings: where their settings are, and the folders of `configs/` they take.
_EXPERIMENTS = {
    "train": ("nst_fast.training.settings", "TrainSettings", ("preset", "network", "loss_network")),
    "optimize": ("nst_fast.optimization.settings", "OptimizeSettings", ("loss_network",)),
    "evaluate": ("nst_fast.evaluation.settings", "EvaluateSettings", ("loss_network",)),
    "reconstruct": ("nst_fast.reconstruction.settings", "ReconstructSettings", ("loss_network",)),
}
# What the values of an option are, by the name that its help gives them.
_FILES, _FOLDERS, _STYLES = ("FILE", "INPUT", "PATH", "PHOTO", "STRING|FILE"), ("FOLDER",), ("NAME|FILE",)
_WORDS = {
    "DEVICE": ("cpu", "cuda", "directml", "coreml", "mps"),
    "ENGINE": ("auto", *ENGINES),
    "HOW": KEPT_COLORS,
    "TYPE": PRECISIONS,
    "WHERE": SUBJECTS,
    "WORD": EFFORTS,
}


def main(arguments: list[str]) -> int:
    """Print the script; returns the exit status."""
    options = build_parser().parse_args(arguments)
    import shtab

    shell = options.shell
    parser, settings = _build_command_parser()
    words = {_name_function(name): some for name, some in _WORDS.items()}
    script = shtab.complete(parser, shell, preamble=write_functions(shell, settings, words))
    if shell == "bash":
        # A setting goes on behind its equals sign, so no space follows that.
        script += (
            "\n_nst_fast() {\n"
            '  _shtab_nst_fast "$@"\n'
            "  [[ ${#COMPREPLY[@]} = 1 && ${COMPREPLY[0]} = *= ]] && compopt -o nospace 2>/dev/null\n"
            "  return 0\n"
            "}\ncomplete -o bashdefault -F _nst_fast nst-fast\n"
        )
    print(script)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="nst-fast completion",
        description="Print a script that lets your shell complete what you type after nst-fast.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that you use")
    return parser


def _build_command_parser() -> tuple[argparse.ArgumentParser, dict[str, dict[str, list[str]]]]:
    """One parser for the whole command, and for each experiment the values of its settings, see `list_values`."""
    parser = argparse.ArgumentParser(prog="nst-fast")
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    verbs = parser.add_subparsers()
    settings: dict[str, dict[str, list[str]]] = {}
    for verb, (module, meaning) in VERBS.items():
        if verb in _EXPERIMENTS:
            _add_experiment(verbs.add_parser(verb, help=meaning), verb)
            settings[verb] = list_values(verb)
        else:
            one = importlib.import_module(_PARSER_MODULES.get(verb, module)).build_parser()
            verbs.add_parser(verb, help=meaning, parents=[one], add_help=False)
            for action in one._actions:
                _set_completion(action)
    return parser, settings


def _name_function(metavar: str) -> str:
    return f"_nst_fast_{metavar.lower()}"


def _set_completion(action: Any) -> None:
    """Say how the values of an option or argument are completed; where nothing is said, its choices are."""
    for name in [action.metavar] if isinstance(action.metavar, str) else []:
        if name in _FILES:
            action.complete = FILE
        elif name in _FOLDERS:
            action.complete = FOLDER
        elif name in _STYLES:
            action.complete = STYLE
        elif name in _WORDS:
            action.complete = shell_function(_name_function(name))


def _add_experiment(parser: argparse.ArgumentParser, verb: str) -> None:
    """The arguments of a verb that takes settings."""
    setting: Any = parser.add_argument("setting", nargs="*", metavar="KEY=VALUE", help="see --help")
    setting.complete = shell_function(f"{SETTINGS}_{verb}")
    for option, meaning in (
        ("--multirun", "run once for each combination of values"),
        ("--resolve", "print the settings with their values filled in"),
        ("--hydra-help", "all that Hydra offers"),
        ("--json", "print one JSON object for each file"),
    ):
        parser.add_argument(option, action="store_true", help=meaning)
    parser.add_argument("--cfg", choices=("job", "hydra", "all"), help="only print the settings")
    if verb == "reconstruct":
        parser.add_argument("--receptive-fields", action="store_true", help="how much of an image an activation sees")


def list_values(verb: str) -> dict[str, list[str]]:
    """The settings of an experiment by their short keys, each with the values it may have; an empty list: any.

    Where the extra `train` is missing there are none.
    """
    module, name, groups = _EXPERIMENTS[verb]
    try:
        settings_class = getattr(importlib.import_module(module), name)
        from nst_fast.settings.declare import list_settings
        from nst_fast.settings.keys import shorten_key
        from nst_fast.settings.presets import list_choices
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_PACKAGES:
            raise
        return {}
    values: dict[str, list[str]] = {group: list_choices(group) for group in groups}
    for row in list_settings(settings_class):
        choices: list[str] = ["true", "false"] if row.hint is bool else [*(row.metadata["choices"] or ())]
        values.setdefault(shorten_key(settings_class, row.key), choices)
    return values
