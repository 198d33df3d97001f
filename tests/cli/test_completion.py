import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nst_fast.cli import completion
from nst_fast.cli.completion import list_values
from nst_fast.cli.main import VERBS
from nst_fast.networks.checkpoint_header import list_shipped_checkpoints
from nst_fast.settings.keys import resolve_key
from nst_fast.training.settings import TrainSettings


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> dict[str, Path]:
    """The script for each shell, as a file."""
    folder = tmp_path_factory.mktemp("scripts")
    files = {}
    for shell in completion.SHELLS:
        command = [sys.executable, "-m", "nst_fast.cli.main", "completion", shell]
        files[shell] = folder / f"completion.{shell}"
        files[shell].write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return files


@pytest.fixture
def complete_in_bash(scripts, tmp_path):
    """What bash offers for words, of which the last one is being typed, in a folder with photo.jpg and `photos`."""
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "photos").mkdir()

    def complete(*words: str) -> list[str]:
        code = (
            f"source {shlex.quote(str(scripts['bash']))}; COMP_WORDS=({shlex.join(['nst-fast', *words])}); "
            f"COMP_CWORD={len(words)}; _nst_fast; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        result = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
        assert result.stderr == ""
        return result.stdout.split()

    return complete


def test_bash_completes_verbs_and_options(complete_in_bash):
    """Every verb of the program, every option of stylize, and the values of those that have choices."""
    assert complete_in_bash("") == list(VERBS)
    assert complete_in_bash("st") == ["stylize", "styles"]
    assert {"--style", "--stroke-size", "--json", "--smoothing"} <= set(complete_in_bash("stylize", "--s")) | set(
        complete_in_bash("stylize", "--j")
    )
    assert complete_in_bash("stylize", "--tiles", "a") == ["auto", "always"]
    assert complete_in_bash("stylize", "a.jpg", "--keep-color", "") == ["luminance", "match"]
    assert complete_in_bash("completion", "") == ["bash", "zsh", "fish"]
    assert complete_in_bash("export", "wave", "--format", "o") == ["onnx"]


def test_bash_completes_styles_and_files(complete_in_bash):
    """--style offers the shipped styles and files, an input files, and --photos folders."""
    assert set(complete_in_bash("stylize", "photo.jpg", "--style", "")) == {
        *list_shipped_checkpoints(),
        "photo.jpg",
        "photos",
    }
    assert complete_in_bash("sheet", "photo.jpg", "--style", "wa") == ["wave", "wave_johnson"]
    assert set(complete_in_bash("stylize", "pho")) == {"photo.jpg", "photos"}
    assert complete_in_bash("export", "wave", "--photos", "") == ["photos"]


def test_bash_completes_settings(complete_in_bash):
    """The verbs of Hydra offer their settings, behind the equals sign the choices or files. bash splits words there."""
    assert complete_in_bash("train", "style_str") == ["style_strength="]
    assert set(complete_in_bash("train", "preset", "=")) == {
        path.stem for path in Path("configs/preset").glob("*.yaml")
    }
    assert complete_in_bash("train", "content=x", "preset", "=", "la") == ["laptop"]
    assert set(complete_in_bash("optimize", "content", "=", "pho")) == {"photo.jpg", "photos"}
    assert complete_in_bash("evaluate", "checkpoint=wave", "--cf") == ["--cfg"]
    assert complete_in_bash("reconstruct", "--rec") == ["--receptive-fields"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(scripts, tmp_path):
    """fish, asked by its own `complete -C`, offers verbs, options, styles, settings and files."""
    (tmp_path / "photo.jpg").touch()

    def complete(line: str) -> set[str]:
        code = f"source {scripts['fish']}; complete -C {shlex.quote(line)}"
        environment = {**os.environ, "HOME": str(tmp_path)}
        result = subprocess.run(
            ["fish", "--no-config", "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert (result.returncode, result.stderr) == (0, "")
        return {row.partition("\t")[0] for row in result.stdout.splitlines()}

    assert complete("nst-fast st") == {"stylize", "styles"}
    assert "--stroke-size" in complete("nst-fast stylize --str")
    assert {"wave", "wave_johnson"} <= complete("nst-fast stylize a.jpg --style wa")
    assert "photo.jpg" in complete("nst-fast stylize pho")
    assert "style_strength=" in complete("nst-fast train style_str")
    assert complete("nst-fast train preset=la") == {"preset=laptop"}
    assert complete("nst-fast train style=pho") == {"style=photo.jpg"}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_script(scripts, tmp_path):
    """zsh reads the script as its help says, below compinit, and then completes nst-fast by it."""
    code = (
        f'autoload -U compinit; compinit -u -d {tmp_path}/dump; eval "$(cat {scripts["zsh"]})"; '
        "print $_comps[nst-fast]; whence -w _nst_fast_style_or_file _nst_fast_setting_train"
    )
    result = subprocess.run(["zsh", "-fc", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split("\n")[:3] == [
        "_shtab_nst_fast",
        "_nst_fast_style_or_file: function",
        "_nst_fast_setting_train: function",
    ]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_scripts_are_sound(scripts, shell):
    """The shell, where it is installed, finds no mistake in its script; and every verb is in it."""
    if shutil.which(shell) is not None:
        result = subprocess.run([shell, "-n", scripts[shell]], capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, "")
    assert all(verb in scripts[shell].read_text() for verb in VERBS)


def test_the_settings_that_are_offered_are_those_of_the_program():
    """Every short key leads to a setting, and none is left out."""
    values = list_values("train")
    groups = {"preset", "network", "loss_network"}
    keys = {resolve_key(TrainSettings, key) for key in values.keys() - groups}
    from nst_fast.settings.declare import list_settings

    assert keys == {row.key for row in list_settings(TrainSettings)}
    assert values["show_progress"] == ["true", "false"] and values["style"] == []


def test_without_the_extra_there_are_no_settings(monkeypatch, capsys):
    """Without the extra `train` the script is printed all the same; a module of ours that is missing is a bug."""

    def fail(name):
        def import_module(module, *rest):
            if module.endswith("training.settings"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(module, *rest)

        return import_module

    real = completion.importlib.import_module
    monkeypatch.setattr("nst_fast.cli.completion.importlib.import_module", fail("yaml"))
    assert list_values("train") == {} and list_values("evaluate") != {}
    monkeypatch.setattr("nst_fast.cli.completion.importlib.import_module", fail("nst_fast.brush"))
    with pytest.raises(ModuleNotFoundError):
        list_values("train")


def test_shtab_is_imported_by_this_verb_only():
    """No other verb waits for it."""
    code = "import sys; from nst_fast.cli.main import main; main(['styles', '--json']); print('shtab' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *styles, imported = result.stdout.splitlines()
    assert imported == "False" and json.loads("\n".join(styles))


def test_a_shell_that_is_not_known(capsys):
    """argparse names the allowed ones, with exit status 2."""
    with pytest.raises(SystemExit) as caught:
        completion.main(["tcsh"])
    assert caught.value.code == 2 and "choose from 'bash', 'zsh', 'fish'" in capsys.readouterr().err
