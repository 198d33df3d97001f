"""What the scripts of `nst-fast completion` need beside shtab's own: functions in the language of each shell."""

import shlex
from collections.abc import Mapping, Sequence

from nst_fast.networks.checkpoint_header import list_shipped_checkpoints

# In bash, names with `_file` in them complete file names, so that a folder gets a slash and no space.
STYLE_FUNCTION = "_nst_fast_style_or_file"
SETTINGS = "_nst_fast_setting"


def shell_function(name: str) -> dict[str, str]:
    """A completion, as shtab takes it, by a function of the script."""
    return {"bash": name, "zsh": name, "fish": f"({name})"}


FILE = {"bash": "_shtab_compgen_files", "zsh": "_files", "fish": "(__fish_complete_path (commandline -ct))"}
FOLDER = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "fish": "(__fish_complete_directories)"}
STYLE = shell_function(STYLE_FUNCTION)


def write_functions(
    shell: str, settings: Mapping[str, Mapping[str, Sequence[str]]], words: Mapping[str, Sequence[str]]
) -> str:
    """The functions that the completions of this module name.

    Args:
        shell: bash, zsh or fish.
        settings: for each experiment its settings, each with the values it may have; none: any, such as a file.
        words: the name of a function, and the words that it offers.
    """
    styles = _join(list_shipped_checkpoints())
    write_words, write_settings = {
        "bash": (_BASH_WORDS, _bash_settings),
        "zsh": (_ZSH_WORDS, _zsh_settings),
        "fish": (_FISH_WORDS, _fish_settings),
    }[shell]
    parts = [_STYLES[shell].format(name=STYLE_FUNCTION, styles=styles)]
    parts += [write_words.format(name=name, words=_join(some)) for name, some in words.items()]
    parts += [write_settings(f"{SETTINGS}_{verb}", values) for verb, values in settings.items()]
    return "\n".join(parts)


def _join(words: Sequence[str] | Mapping[str, object]) -> str:
    return " ".join(map(shlex.quote, words))


_STYLES = {
    "bash": '{name}() {{ compgen -W "{styles}" -- "$1"; compgen -f -- "$1"; }}',
    "zsh": "{name}() {{ compadd -- {styles}; _files }}",
    "fish": "function {name}\n  printf '%s\\n' {styles}\n  __fish_complete_path (commandline -ct)\nend",
}
_BASH_WORDS = '{name}() {{ compgen -W "{words}" -- "$1"; }}'
_ZSH_WORDS = "{name}() {{ compadd -- {words} }}"
_FISH_WORDS = "function {name}\n  printf '%s\\n' {words}\nend"


def _bash_settings(name: str, values: Mapping[str, Sequence[str]]) -> str:
    """bash splits a word at its equals sign."""
    cases = "".join(
        f'    {key}) compgen -W "{_join(choices)}" -- "$word" ;;\n' for key, choices in values.items() if choices
    )
    keys = " ".join(f"{key}=" for key in values)
    return (
        f"{name}() {{\n"
        '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" key=\n'
        '  if [[ $word = "=" ]]; then key=$before word=\n'
        '  elif [[ $before = "=" ]]; then key=${COMP_WORDS[COMP_CWORD-2]}\n'
        "  fi\n"
        '  case "$key" in\n'
        f'    "") compgen -W "{keys}" -- "$1" ;;\n'
        f"{cases}"
        '    *) compgen -f -- "$word" ;;\n'
        "  esac\n"
        "}"
    )


def _zsh_settings(name: str, values: Mapping[str, Sequence[str]]) -> str:
    cases = "".join(
        f"  elif compset -P '{key}='; then compadd -- {_join(choices)}\n" for key, choices in values.items() if choices
    )
    keys = " ".join(f"{key}=" for key in values)
    return (
        f"{name}() {{\n"
        "  if false; then :\n"
        f"{cases}"
        "  elif compset -P '*='; then _files\n"
        f"  else compadd -S '' -- {keys}\n"
        "  fi\n"
        "}"
    )


def _fish_settings(name: str, values: Mapping[str, Sequence[str]]) -> str:
    cases = "".join(
        f"    case '{key}=*'\n      printf '%s\\n' {_join([f'{key}={choice}' for choice in choices])}\n"
        for key, choices in values.items()
        if choices
    )
    keys = " ".join(f"{key}=" for key in values)
    return (
        f"function {name}\n"
        "  set -l word (commandline -ct)\n"
        "  switch $word\n"
        f"{cases}"
        "    case '*=*'\n"
        "      set -l key (string replace -r '=.*' '' -- $word)\n"
        "      for path in (__fish_complete_path (string replace -r '^[^=]*=' '' -- $word))\n"
        "        echo $key=$path\n"
        "      end\n"
        "    case '*'\n"
        f"      printf '%s\\n' {keys}\n"
        "  end\n"
        "end"
    )
