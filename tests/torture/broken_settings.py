"""Random overrides of train, optimize and evaluate: each ends in a plan or in an error of one line.

    python tests/torture/broken_settings.py [--seed 0] [--count 5000]

A trial takes up to four settings, right or wrong in name and value. Most are given to the settings as Python values;
each tenth goes through the whole command as text, with Hydra; each five hundredth does so in a process of its own.
Where the settings are sound, nothing is run: they are the plan.
"""

import contextlib
import io
import os
import random
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from small_jobs import start
from verdict import Violation, torture

from nst_fast.cli import evaluate, optimize, train
from nst_fast.cli.main import main as run
from nst_fast.errors import NstFastError
from nst_fast.evaluation.settings import EvaluateSettings
from nst_fast.optimization.settings import OptimizeSettings
from nst_fast.settings.declare import list_groups, list_settings
from nst_fast.settings.presets import build_settings
from nst_fast.training.settings import CHOICES, TrainSettings

# Verb -> its settings, the choices of files, and what has to be given.
_VERBS: dict[str, tuple[type, tuple[str, ...], dict[str, str]]] = {
    "train": (TrainSettings, CHOICES, {"style": "style.png", "content": "photos"}),
    "optimize": (OptimizeSettings, ("loss_network",), {"style": "style.png", "content": "photo.png"}),
    "evaluate": (
        EvaluateSettings,
        ("loss_network",),
        {"checkpoint": "wave", "style": "style.png", "content": "photos"},
    ),
}
_TEXTS = (
    *(
        "",
        " ",
        "null",
        "none",
        "true",
        "yes",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1",
        "0",
        "1",
        "1.5",
        "07",
        "0x10",
        "1_0",
    ),
    *("[]", "[1,2]", "[1,[2]]", "{}", "{a:1}", "{relu1_1:1}", "{relu1_1:-1}", "{1:2}", "{a:{b:1}}", "[", "}", "a=b"),
    *("${x}", "${oc.env:HOME}", "${oc.env:NO_SUCH_NAME}", "${", "???", "'", '"', "\\", "a,b", "1,2", "a b", "~", "*"),
    *("auto", "cpu", "cuda", "compact", "vgg16", "johnson", "relative", "adam", "lbfgs", "laptop", "webp", "wave"),
    *("\N{SNOWMAN}", "e\N{COMBINING ACUTE ACCENT}", "a\nb", "\x1b[31m", "x" * 5000, "9" * 400, "range(1,3)", "glob(*)"),
)


def draw_value(numbers: random.Random) -> Any:
    """A value as Python has it."""
    kind = numbers.randrange(6)
    if kind == 0:
        return numbers.choice((0, 1, -1, 2, 15, 16, 17, 63, 64, 2**31, 2**63, -(2**63), 10**30))
    if kind == 1:
        return numbers.choice((0.0, -0.0, 0.5, 1.0, 1.5, 1e-300, 1e300, float("inf"), float("-inf"), float("nan")))
    if kind == 2:
        return numbers.choice((None, True, False, [], {}, [1, "a"], {"relu1_1": 1.0}, {"relu1_1": None}, [[1]], {1: 2}))
    return numbers.choice(_TEXTS)


def draw_key(numbers: random.Random, settings_class: type, choices: tuple[str, ...]) -> str:
    """A key, usually one that there is."""
    keys = [row.key for row in list_settings(settings_class)]
    key = numbers.choice(keys)
    kind = numbers.randrange(12)
    if kind < 5:
        return key
    if kind < 8:
        return key.rpartition(".")[2]
    if kind == 8:
        return numbers.choice(choices)
    if kind == 9:
        return numbers.choice(list_groups(settings_class) or ["loss"])
    place = numbers.randrange(len(key))
    return numbers.choice(
        (key[:place] + key[place + 1 :], key + "." + key, key.upper(), "", ".", "a b", "loss..x", "é")
    )


def write_override(numbers: random.Random, key: str) -> str:
    """The same as text, sometimes of another form."""
    value = numbers.choice(_TEXTS) if numbers.random() < 0.8 else str(draw_value(numbers))
    prefix = numbers.choice(("", "", "", "", "", "", "+", "++", "~"))
    return prefix + key + numbers.choice(("=", "=", "=", "=", "=", "==", "")) + value


def check_line(said: str) -> None:
    """Raise Violation unless this is one printable line of ours."""
    lines = said.strip("\n").split("\n")
    if len(lines) != 1 or not lines[0].isprintable() or not lines[0].startswith("nst-fast: error: "):
        raise Violation(f"not an error of one line: {said[:1000]!r}")


def try_values(settings_class: type, choices: tuple[str, ...], given: dict[str, Any]) -> None:
    """Make the settings in Python."""
    try:
        build_settings(settings_class, given, choices)
    except NstFastError as error:
        if "\n" in str(error).replace("a\nb", ""):  # a value that has two lines is quoted as it is
            raise Violation(f"an error of several lines for {given}: {error}") from error
    except Exception as error:
        raise Violation(f"{given}: {type(error).__name__}: {error}") from error


def try_command(arguments: list[str]) -> None:
    """Through the command in this process; nothing is run."""
    out, err = io.StringIO(), io.StringIO()
    patches = [(train, "run_training"), (optimize, "run_optimization"), (evaluate, "run_evaluation")]
    with contextlib.ExitStack() as stack:
        for module, name in patches:
            stack.enter_context(mock.patch.object(module, name))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        try:
            status = run(arguments)
        except BaseException as error:
            raise Violation(f"{arguments}: {type(error).__name__}: {error}") from error
    judge(arguments, status, err.getvalue())


def try_process(arguments: list[str], folder: Path) -> None:
    """Through the command in a process of its own, which prints the plan."""
    with start(folder, *arguments, "--cfg", "job", stdout=-1, stderr=-1) as process:
        _, said = process.communicate(timeout=600)
    judge(arguments, process.returncode, said)


def judge(arguments: list[str], status: int, said: str) -> None:
    """Raise Violation unless the status is 0 or there is one line."""
    if status not in (0, 2) or "Traceback" in said:
        raise Violation(f"{arguments}: status {status}: {said[-1000:]}")
    if status:
        try:
            check_line(said)
        except Violation as violation:
            raise Violation(f"{arguments}: {violation}") from violation


def main() -> None:
    """Draw, and judge."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # Hydra makes folders for sweeps

        def trial(numbers: random.Random, number: int) -> None:
            verb = numbers.choice(list(_VERBS))
            settings_class, choices, needed = _VERBS[verb]
            keys = [draw_key(numbers, settings_class, choices) for _ in range(numbers.randrange(1, 5))]
            if number % 10:
                try_values(settings_class, choices, needed | {key: draw_value(numbers) for key in keys})
                return
            overrides = [write_override(numbers, key) for key in keys]
            overrides += ["-m"] * (numbers.random() < 0.05)
            arguments = [verb, *(f"{key}={value}" for key, value in needed.items()), *overrides]
            if number % 500:
                try_command(arguments)
            else:
                try_process([argument.replace("\0", "") for argument in arguments], Path(folder))

        torture(str(__doc__), trial, count=5000)


if __name__ == "__main__":
    main()
