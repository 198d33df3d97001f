"""What the README and the documentation tell you to type, checked against the program."""

import argparse
import importlib
import itertools
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from nst_fast.cli.main import VERBS
from nst_fast.errors import NstFastError

PROJECT = Path(__file__).resolve().parent.parent
PAGES = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "checkpoints/README.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "integrations").rglob("*.md")),
]
FENCE = re.compile(r"^ {0,3}(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)^ {0,3}\1", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SHELL = ("sh", "bash", "shell", "console", "zsh")
HYDRA_VERBS = ("train", "optimize", "evaluate", "reconstruct")
# First words of inline code that is a command. In shell blocks, every line is one.
PROGRAMS = ("nst-fast", "python", "bash", "uv", "pip")
OTHER_PROGRAMS = ("curl", "head", "npm", "openssl", "source", "tensorboard", "/usr/bin/time", ".venv/bin/pre-commit")
PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT_TABLE["optional-dependencies"])


class WrongCommandError(Exception):
    """A command that the program would refuse."""


class _ParsedError(Exception):
    """Raised by the patched argparse in place of starting the work."""


def list_commands(page: str) -> list[list[str]]:
    """Every command of the shell blocks and of inline code, as a list of words.

    Understands prompts, comments, continued lines, and several commands in one line.
    """
    blocks = [block for _, language, block in FENCE.findall(page) if language.lower() in SHELL]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = INLINE.findall(FENCE.sub("", page))
    lines += [
        code for code in inline if code.startswith("./scripts/") or (code.split(" ")[0] in PROGRAMS and " " in code)
    ]
    commands = []
    for line in lines:
        lexer = shlex.shlex(re.sub(r"^\s*[$%>] +", "", line), posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("|&;"):
                command.append(word)
            elif command:
                commands.append(command)
                command = []
    return commands


@pytest.fixture
def check_command(
    compose_train, compose_optimize, compose_evaluate, compose_reconstruct, monkeypatch
) -> Callable[[list[str]], None]:
    """Parses one command as the program would. Raises WrongCommandError where the program would refuse it."""
    compose = {
        "train": compose_train,
        "optimize": compose_optimize,
        "evaluate": compose_evaluate,
        "reconstruct": compose_reconstruct,
    }

    def stop_after(method: Callable) -> Callable:
        def parse(*arguments, **options):
            method(*arguments, **options)
            raise _ParsedError

        return parse

    def parse(function: Callable, *arguments: object) -> None:
        """Calls a function that parses with argparse and then works; the work is left out."""
        with monkeypatch.context() as patch:
            for name in ("parse_args", "parse_intermixed_args"):
                patch.setattr(argparse.ArgumentParser, name, stop_after(getattr(argparse.ArgumentParser, name)))
            with pytest.raises(_ParsedError):
                function(*arguments)

    def check_nst_fast(arguments: list[str]) -> None:
        if not arguments or arguments[0].startswith("-") or "--help" in arguments:
            return
        verb, *rest = arguments
        if verb not in VERBS:
            raise WrongCommandError(f"{verb} is not a verb")
        if not rest and verb not in ("styles", "live", "benchmark"):
            return  # the verb is only mentioned
        if verb not in HYDRA_VERBS:
            parse(importlib.import_module(VERBS[verb][0]).main, rest)
        else:
            runs = compose[verb](*rest)
            assert runs or "--cfg" in rest

    def check_script(script: str, arguments: list[str]) -> None:
        path = PROJECT / script
        if not path.is_file():
            raise WrongCommandError(f"{script} does not exist")
        if path.suffix == ".py":
            monkeypatch.setattr("sys.argv", [path.name, *arguments])
            parse(importlib.import_module(path.stem).main)
        elif path.name == "evaluate_checkpoints.sh" and arguments:
            compose_evaluate(
                "checkpoint=wave", f"style={arguments[0]}/wave.jpg", f"content={arguments[1]}", *arguments[2:]
            )
        elif path.name in ("test.sh", "test_browser.sh"):
            for argument in arguments:
                if "/" in argument and not (PROJECT / argument).exists():
                    raise WrongCommandError(f"{argument} does not exist")
        elif arguments:
            raise WrongCommandError(f"{script} takes no arguments")

    def check(words: list[str]) -> None:
        program, *arguments = words
        try:
            if Path(program).name == "nst-fast":
                check_nst_fast(arguments)
            elif program in ("python", "bash"):
                check_script(arguments[0], arguments[1:])
            elif "scripts/" in program or program == ".ci/run":
                check_script(program, arguments)
            elif program in ("pip", "uv"):
                check_installation(words)
            elif program == "/usr/bin/time":
                check(arguments[1:])
            elif program not in OTHER_PROGRAMS:
                raise WrongCommandError(f"{program} is a program that this test does not know")
        except NstFastError as error:
            raise WrongCommandError(str(error)) from error
        except SystemExit as error:  # argparse refuses; its words are on standard error
            raise WrongCommandError(f"exit status {error.code}") from error

    return check


def check_installation(words: list[str]) -> None:
    """Check a command of pip or uv: its extras exist, it installs from the checkout, and it removes no other extra."""
    program, action, *arguments = words
    if program == "pip":
        names = [argument for argument in arguments if not argument.startswith("-")]
        released = "urls" in PROJECT_TABLE
        for name in names:
            if name.partition("[")[0] != "." and not (released and name.partition("[")[0] == "nst-fast"):
                raise WrongCommandError(f"{name} cannot be installed; there is only the checkout")
            check_extras(re.findall(r"\[(.*)\]", name))
    elif action == "sync":
        check_extras([extra for option, extra in itertools.pairwise(arguments) if option == "--extra"])
        if "--extra" in arguments and "--inexact" not in arguments:
            raise WrongCommandError("uv sync --extra removes the other extras; add --inexact")
    elif action not in ("lock", "build", "publish"):
        raise WrongCommandError(f"uv {action} is not a command that this test knows")


def check_extras(lists: list[str]) -> None:
    """Check lists of extras, such as `train,film`."""
    for extra in (extra.strip() for extras in lists for extra in extras.split(",")):
        if extra not in EXTRAS:
            raise WrongCommandError(f"{extra} is not an extra; extras: {', '.join(sorted(EXTRAS))}")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_every_command_parses(path, check_command, capsys):
    """The program understands every command of the page, and every script that it names takes these arguments."""
    for words in list_commands(path.read_text(encoding="utf-8")):
        try:
            check_command(words)
        except WrongCommandError as error:
            pytest.fail(f"{shlex.join(words)}: {error}; {capsys.readouterr().err}")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_every_extra_exists(path):
    """Every extra that the page names, as nst-fast[film] or "the extra `film`", is in pyproject.toml."""
    page = path.read_text(encoding="utf-8")
    check_extras(re.findall(r"nst-fast\[([\w,-]+)\]", page) + re.findall(r"extra `(\w+)`", page))


def test_the_readme_lists_every_extra():
    """The README's table of extras is complete."""
    rows = re.findall(r"^\| (`[\w`, ]+`) \|", (PROJECT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == EXTRAS


def test_the_readme_has_commands():
    """The README shows how to try the program, to stylize, to train and to open the live page."""
    commands = list_commands((PROJECT / "README.md").read_text(encoding="utf-8"))
    verbs = {words[1] for words in commands if Path(words[0]).name == "nst-fast" and len(words) > 1}
    assert {"train", "stylize", "live", "styles"} <= verbs
    assert {"./scripts/quickstart.sh", "./scripts/test.sh"} <= {words[0] for words in commands}


EXAMPLE = """
# A page

```sh
$ nst-fast train style=a.jpg \\
    content=photos/   # a comment, with 'a quote
nst-fast styles | head -3; ./scripts/quickstart.sh && nst-fast stylize "my photo.jpg" --style wave
# nst-fast only a comment
```

Then `nst-fast train --cfg job`, or `preset=full`, or `bash scripts/test.sh`; `nst-fast` alone is a name.

```python
nst-fast is not looked for here
```
"""


def test_commands_are_found():
    """Prompts, comments, quotes, continued lines and several commands in one line are understood."""
    assert list_commands(EXAMPLE) == [
        ["nst-fast", "train", "style=a.jpg", "content=photos/"],
        ["nst-fast", "styles"],
        ["head", "-3"],
        ["./scripts/quickstart.sh"],
        ["nst-fast", "stylize", "my photo.jpg", "--style", "wave"],
        ["nst-fast", "train", "--cfg", "job"],
        ["bash", "scripts/test.sh"],
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nst-fast trian style=a.jpg content=photos", "trian is not a verb"),
        ("nst-fast train style=a.jpg content=photos stesp=5", "stesp"),
        ("nst-fast train style=a.jpg content=photos lattice_weight=3", "grid_weight"),
        ("nst-fast train style=a.jpg", "content"),
        ("nst-fast train style=a.jpg content=photos preset=huge", "huge"),
        ("nst-fast train style=a.jpg content=photos crop_size=30", "crop_size"),
        ("nst-fast optimize content=a.jpg style=b.jpg iteratoins=5", "iteratoins"),
        ("nst-fast optimize content=a.jpg", "style"),
        ("nst-fast reconstruct contnet=a.jpg", "contnet"),
        ("nst-fast reconstruct content=a.jpg iterations=0", "iterations"),
        ("nst-fast evaluate checkpoint=wave style=a.jpg", "content"),
        ("nst-fast evaluate checkpoint=wave style=a.jpg content=photos photos=0", "photos"),
        ("nst-fast stylize photo.jpg", "exit status 2"),
        ("nst-fast stylize photo.jpg --style wave --strentgh 5", "exit status 2"),
        ("nst-fast styles wave", "exit status 2"),
        ("nst-fast benchmark --size 640", "exit status 2|size"),
        ("nst-fast export wave --format onx", "exit status 2"),
        ("nst-fast live --style", "exit status 2"),
        ("nst-fast live --port wave", "exit status 2"),
        ("bash scripts/absent.sh", "does not exist"),
        ("./scripts/test.sh tests/absent", "tests/absent does not exist"),
        ("./scripts/quickstart.sh wave", "takes no arguments"),
        ("bash scripts/evaluate_checkpoints.sh STYLES PHOTOS photoes=2", "photoes"),
        ("python scripts/benchmark_reference.py --secnods 5", "exit status 2"),
        ("python scripts/make_pictures.py galery", "exit status 2"),
        ("pip install '.[trian]'", "trian is not an extra"),
        ("pip install tensorflow", "tensorflow cannot be installed"),
        ("uv sync --inexact --extra onnx", "onnx is not an extra"),
        ("uv sync --extra film", "removes the other extras"),
        ("rm -r photos", "does not know"),
    ],
)
def test_wrong_commands_are_found(line, reason, check_command):
    """A command with a mistake in it is refused, for the reason that is meant."""
    ((words),) = list_commands(f"```sh\n{line}\n```\n")
    with pytest.raises(WrongCommandError, match=reason):
        check_command(words)
