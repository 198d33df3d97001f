"""What the README and the pages below `docs` tell the reader to type, held against the program."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import nst_fast
from nst_fast.cli import benchmark, export, live, styles, stylize
from nst_fast.cli.evaluate import build_evaluation_plan
from nst_fast.cli.main import VERBS
from nst_fast.cli.optimize import build_plan
from nst_fast.cli.reconstruct import build_reconstruction_plan
from nst_fast.cli.train import build_recipe

PROJECT = Path(__file__).resolve().parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^ {0,3}(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)^ {0,3}\1", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SHELL = ("sh", "bash", "shell", "console", "zsh")


def list_blocks(page: str, languages: tuple[str, ...]) -> list[str]:
    """The contents of the fenced blocks in one of the languages."""
    return [block for _, language, block in FENCE.findall(page) if language.lower() in languages]


def list_commands(page: str) -> list[list[str]]:
    """Every command in shell blocks and in inline code that begins with nst-fast or a script, as a list of words.

    Prompts, comments and continued lines are taken care of; a line of several commands gives each.
    """
    lines = [line for block in list_blocks(page, SHELL) for line in block.replace("\\\n", " ").splitlines()]
    lines += [code for code in INLINE.findall(FENCE.sub("", page)) if code.startswith(("nst-fast ", "./scripts/"))]
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


def check_command(words: list[str], compose_train, compose_optimize, compose_reconstruct, compose_evaluate) -> None:
    """Parse one command as the program would; raises whatever is wrong with it."""
    program, *arguments = words
    if Path(program).name != "nst-fast":
        for script in re.findall(r"(?:\./)?scripts/[\w./-]+", " ".join(words)):
            assert (PROJECT / script).is_file(), f"{script} does not exist"
        return
    if not arguments or arguments[0].startswith("-") or "--help" in arguments:
        return
    verb, *rest = arguments
    assert verb in VERBS, f"{verb} is no verb"
    if not rest and verb not in ("styles", "benchmark"):
        return  # only named, in a sentence
    if verb == "train" and "--cfg" in rest:
        assert compose_train(*rest) == []
    elif verb == "train":
        for settings, _ in compose_train(*rest):
            build_recipe(settings)
    elif verb == "optimize":
        for settings in compose_optimize(*rest):
            build_plan(settings)
    elif verb == "reconstruct":
        for settings in compose_reconstruct(*rest):
            build_reconstruction_plan(settings)
    elif verb == "evaluate":
        for settings in compose_evaluate(*rest):
            build_evaluation_plan(settings)
    elif verb == "stylize":
        stylize._build_parser().parse_intermixed_args(stylize._protect_file_names(rest))
    elif verb == "export":
        export.build_parser().parse_args(rest)
    elif verb == "benchmark":
        benchmark.build_parser().parse_args(rest)
    elif verb == "live":
        live.build_parser().parse_args(rest)
    else:
        assert verb == "styles", f"this test does not know how to parse {verb}; teach it"
        styles.main(rest)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_every_command_parses(
    path, compose_train, compose_optimize, compose_reconstruct, compose_evaluate, monkeypatch
):
    """Every command of the page is one that the program understands, and every script that it names exists."""
    monkeypatch.setattr("nst_fast.checkpoint.list_shipped_checkpoints", dict)
    for words in list_commands(path.read_text(encoding="utf-8")):
        try:
            check_command(words, compose_train, compose_optimize, compose_reconstruct, compose_evaluate)
        except SystemExit as error:  # as argparse refuses
            pytest.fail(f"{shlex.join(words)}: exit status {error.code}")
        except Exception as error:
            pytest.fail(f"{shlex.join(words)}: {error}")


def test_the_readme_has_commands():
    """The README shows how to train, to paint and to try the program; so what is above was not looked for in vain."""
    page = (PROJECT / "README.md").read_text(encoding="utf-8")
    if not page.strip():
        pytest.skip("the README is empty")
    commands = list_commands(page)
    verbs = {words[1] for words in commands if Path(words[0]).name == "nst-fast" and len(words) > 1}
    assert {"train", "stylize"} <= verbs
    assert any(words[0].endswith("scripts/quickstart.sh") for words in commands)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_python_examples_import_what_there_is(path):
    """The Python of the page is Python, and what it imports from nst_fast is there."""
    for block in list_blocks(path.read_text(encoding="utf-8"), ("python", "py")):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "nst_fast":
                assert [alias.name for alias in node.names if not hasattr(nst_fast, alias.name)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_links_lead_somewhere(path):
    """Every picture and file of the project that the page links to exists."""
    page = FENCE.sub("", path.read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", page)]
    missing = [target for target in targets if target and "://" not in target and not (path.parent / target).exists()]
    assert missing == []


EXAMPLE = """
# A page

```sh
$ nst-fast train style=a.jpg \\
    content=photos/   # a comment, with 'a quote
nst-fast styles | head -3; ./scripts/quickstart.sh && nst-fast stylize "my photo.jpg" --style wave
# nst-fast only a comment
```

Then `nst-fast train --cfg job`, or `preset=full`.

```python
nst-fast is not looked for here
```
"""


def test_commands_are_found():
    """Prompts, comments, quotes, continued lines and several commands in a line are understood."""
    assert list_commands(EXAMPLE) == [
        ["nst-fast", "train", "style=a.jpg", "content=photos/"],
        ["nst-fast", "styles"],
        ["head", "-3"],
        ["./scripts/quickstart.sh"],
        ["nst-fast", "stylize", "my photo.jpg", "--style", "wave"],
        ["nst-fast", "train", "--cfg", "job"],
    ]


@pytest.mark.parametrize(
    "line",
    [
        "nst-fast trian style=a.jpg content=photos",
        "nst-fast train style=a.jpg content=photos stesp=5",
        "nst-fast train style=a.jpg",
        "nst-fast train style=a.jpg content=photos preset=huge",
        "nst-fast train style=a.jpg content=photos crop_size=30",
        "nst-fast optimize content=a.jpg style=b.jpg iteratoins=5",
        "nst-fast optimize content=a.jpg",
        "nst-fast reconstruct contnet=a.jpg",
        "nst-fast reconstruct content=a.jpg iterations=0",
        "nst-fast evaluate checkpoint=wave style=a.jpg",
        "nst-fast evaluate checkpoint=wave style=a.jpg content=photos photos=0",
        "nst-fast stylize photo.jpg",
        "nst-fast stylize photo.jpg --style wave --strength 5",
        "nst-fast styles wave",
        "nst-fast benchmark --size 640",
        "nst-fast export wave --format onx",
        "nst-fast live --style",
        "nst-fast live --port wave",
        "bash scripts/absent.sh",
    ],
)
def test_wrong_commands_are_found(
    line, compose_train, compose_optimize, compose_reconstruct, compose_evaluate, monkeypatch
):
    """A command with a mistake in it does not pass."""
    monkeypatch.setattr("nst_fast.checkpoint.list_shipped_checkpoints", dict)
    ((words),) = list_commands(f"```sh\n{line}\n```\n")
    with pytest.raises((Exception, SystemExit)):
        check_command(words, compose_train, compose_optimize, compose_reconstruct, compose_evaluate)
