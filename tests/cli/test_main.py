import logging
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from nst_fast.cli import main as command
from nst_fast.cli import styles
from nst_fast.cli.main import VERBS, main
from nst_fast.errors import NstFastError

INSTALLED = Path(sys.executable).with_name("nst-fast")


def fail_with(monkeypatch, error: BaseException) -> None:
    """Have the verb `styles` raise."""

    def fail(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(styles, "main", fail)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], []])
def test_help_lists_the_verbs(arguments, capsys):
    """The help has a line for each verb; without any argument it comes too, with exit status 2."""
    assert main(arguments) == (0 if arguments else 2)
    lines = capsys.readouterr().out.splitlines()
    for verb, (_, description) in VERBS.items():
        assert [line.split() for line in lines if f"nst-fast {verb} " in line] == [
            ["nst-fast", verb, *description.split()]
        ]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help(verb, capsys):
    """Each verb's --help begins with how it is used and ends well."""
    try:
        status = main([verb, "--help"])
    except SystemExit as error:  # argparse's way
        status = error.code
    assert status in (0, None)
    assert capsys.readouterr().out.startswith(f"usage: nst-fast {verb}")


@pytest.mark.parametrize(
    ("given", "hint"), [("trian", " (nearest: train)"), ("stylise", " (nearest: stylize)"), ("x", "")]
)
def test_an_unknown_verb(given, hint, capsys):
    """One line names the verbs and the nearest one, with exit status 2."""
    assert main([given, "photo.jpg"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"nst-fast: error: '{given}' is not a verb of nst-fast; verbs: {', '.join(VERBS)}{hint}\n"


def test_the_version(capsys):
    """--version gives that of the installed program."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nst-fast {version('nst-fast')}\n"


def test_a_mistake_is_one_line(monkeypatch, capsys):
    """What the user can fix is one line on standard error and exit status 2."""
    fail_with(monkeypatch, NstFastError("the cup is empty; fill it"))
    assert main(["styles"]) == 2
    assert capsys.readouterr().err == "nst-fast: error: the cup is empty; fill it\n"


def test_a_missing_package_names_its_extra(monkeypatch, capsys):
    """Without the packages of training, a verb that needs them says what to install; any other missing one is a bug."""
    fail_with(monkeypatch, ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert main(["styles"]) == 2
    assert capsys.readouterr().err == (
        "nst-fast: error: nst-fast styles needs torch, which is not installed; run: pip install 'nst-fast[train]'\n"
    )
    fail_with(monkeypatch, ModuleNotFoundError("No module named 'nst_fast.brush'", name="nst_fast.brush"))
    with pytest.raises(ModuleNotFoundError):
        main(["styles"])


def test_what_the_library_logs_is_shown_once(monkeypatch, capsys):
    """Each message is a line on standard error, however often the command ran in this process; details stay hidden."""

    def log(arguments: list[str]) -> int:
        logger = logging.getLogger("nst_fast.training.loop")
        logger.debug("detail")
        logger.info("resuming at step 3")
        logger.warning("skipping a.jpg")
        return 0

    monkeypatch.setattr(styles, "main", log)
    for _ in range(2):
        assert main(["styles"]) == 0
        output = capsys.readouterr()
        assert (output.out, output.err) == ("", "resuming at step 3\nskipping a.jpg\n")


@pytest.mark.parametrize("arguments", [["--debug", "styles"], ["styles", "--debug"]])
def test_debug_shows_where_an_error_comes_from(arguments, monkeypatch):
    """With --debug, before or behind the verb, the error itself comes out."""
    for error in (NstFastError("the cup is empty"), KeyboardInterrupt()):
        fail_with(monkeypatch, error)
        with pytest.raises(type(error)):
            main(arguments)


def test_a_bug_is_not_hidden(monkeypatch):
    """Any other error is a bug and comes with its traceback."""
    fail_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["styles"])


def test_ctrl_c_gives_130(monkeypatch, capsys):
    """Ctrl-C ends without a traceback, with the exit status that shells expect."""
    fail_with(monkeypatch, KeyboardInterrupt())
    assert main(["styles"]) == 130
    assert capsys.readouterr().err == ""


def test_an_error_while_ctrl_c_is_handled(monkeypatch, capsys):
    """What fails only because Ctrl-C cut something short is no bug, such as argparse that misses its own notes."""

    def parse(arguments: list[str]) -> int:
        try:
            raise KeyboardInterrupt
        finally:
            raise AttributeError("no notes")

    monkeypatch.setattr(styles, "main", parse)
    assert main(["styles"]) == 130
    assert capsys.readouterr().err == ""
    with pytest.raises(AttributeError):
        main(["--debug", "styles"])


def test_ctrl_c_at_the_very_end(tmp_path):
    """When the command is done, Ctrl-C ends the process as it ends any other, without a traceback."""
    code = (
        "import os, signal, sys; from nst_fast.cli.main import main; sys.argv = ['nst-fast', '--version']; main(); "
        "os.kill(os.getpid(), signal.SIGINT)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == -signal.SIGINT
    assert result.stderr == ""


def test_help_is_quick():
    """--help of the command and of train come without waiting for torch, at once."""
    for arguments in (["--help"], ["train", "--help"]):
        code = f"import sys; from nst_fast.cli.main import main; main({arguments}); print('torch' in sys.modules)"
        started = time.perf_counter()
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert time.perf_counter() - started < 10  # loosely: half a second when nothing else runs
        assert result.stdout.splitlines()[-1] == "False"


def test_the_installed_command(tmp_path):
    """The command is installed, gives main's result as its exit status, and with --debug a traceback."""
    assert subprocess.run([INSTALLED, "--help"], capture_output=True, cwd=tmp_path).returncode == 0
    result = subprocess.run([INSTALLED, "trian"], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("nst-fast: error: 'trian' is not a verb")
    result = subprocess.run([INSTALLED, "--debug", "trian"], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback") and "NstFastError: 'trian' is not a verb" in result.stderr


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_has_gone_is_not_worth_a_word(buffered):
    """As in `nst-fast --help | head -0`: nothing on standard error, whether the output is buffered or not."""
    code = "import sys, time; time.sleep(0.2); from nst_fast.cli.main import main; sys.exit(main(['--help']))"
    options = [] if buffered else ["-u"]
    environment = {"PATH": "/usr/bin:/bin"}  # without PYTHONUNBUFFERED
    process = subprocess.Popen(
        [sys.executable, *options, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1


def test_the_module_can_be_run():
    """`python -m nst_fast.cli.main` does the same."""
    result = subprocess.run([sys.executable, "-m", command.__name__, "--help"], capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.startswith("usage: nst-fast VERB")
