import dataclasses
import json
import math
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from nst_fast.cli import train
from nst_fast.cli.hydra_command import OverridesParser, make_schema
from nst_fast.cli.main import main
from nst_fast.cli.quoting import quoted
from nst_fast.cli.settings_help import show_value
from nst_fast.errors import ImageError, TrainingError
from nst_fast.loss_networks.weights import choose_loss_network
from nst_fast.losses.settings import LossSettings
from nst_fast.networks.torch_network import build_network
from nst_fast.settings.declare import list_settings
from nst_fast.settings.keys import shorten_key
from nst_fast.settings.values import as_plain_values
from nst_fast.training import loop
from nst_fast.training.loop import Moment, TrainingResult
from nst_fast.training.settings import TrainSettings

PLAIN = TrainSettings(style="a.jpg", content="photos")
NEEDED = ("style=a.jpg", "content=photos")
# A value that is not the default for every key that there is.
OTHER_VALUES = {
    "style": "b.jpg",
    "content": "other",
    "output": "out",
    "init": "wave",
    "name": "Wave",
    "title": "The Wave",
    "artist": "Hokusai",
    "year": 1831,
    "loss.style_strength": 7.5,
    "style_short_side": 320,
    "color": "match",
    "fit_colors": True,
    "train_only": "strength",
    "network.name": "johnson",
    "network.width": 16,
    "network.input_noise": 0.03,
    "loss_network.name": "vgg16",
    "loss_network.weights": "random",
    "loss_network.pooling": "average",
    "loss_network.input_normalization": "caffe",
    "loss.content_taps": {"relu2_2": 1.0, "relu4_2": 0.5},
    "loss.style_taps": {"relu1_2": 2.0},
    "loss.scaling": "johnson",
    "loss.content_weight": 0.5,
    "loss.total_variation_weight": 1e-6,
    "loss.grid_weight": 3.0,
    "steps": 77,
    "compact_share": 0.25,
    "batch_size": 3,
    "crop_size": 96,
    "largest_crop": 1.25,
    "held_out_photos": 5,
    "optimizer": "adam",
    "learning_rate": 0.0025,
    "warmup_steps": 9,
    "cosine": False,
    "ema_decay": 0.875,
    "seed": 11,
    "device": "cpu",
    "precision": "bf16",
    "channels_last": False,
    "compile": True,
    "workers": 2,
    "photo_memory_gib": 0.5,
    "checkpoint_dtype": "fp32",
    "log_every_steps": 3,
    "save_every_steps": 4,
    "strip_every_steps": 6,
    "overwrite": True,
    "show_progress": False,
    "live": True,
    "loss.band_share": 0.25,
    "loss.content_focus": 0.5,
    "loss.window_share": 0.3,
    "loss.tone_weight": 0.5,
    "loss.color_weight": 0.25,
    "loss.style_statistic": "gram",
    "network.adjustable": False,
    "temporal_weight": 0.25,
    "crop_share": 0.75,
    "code_share": 0.5,
}
# Ordinary names that mean something to Hydra, to OmegaConf or to a shell.
STRANGE_NAMES = [
    "IMG (1).jpg",
    "a,b=c.jpg",
    "été.jpg",
    "${x}.jpg",
    "\\${x}.jpg",
    "$x {a: b}.jpg",
    "[1, 2].jpg",
    "it's.jpg",
    "'quoted'.jpg",
    "'quoted'",
    '"double".jpg',
    '"double"',
    " spaces  inside .jpg",
    "backslash\\",
    "two backslashes\\\\",
    "\\'.jpg",
    "???.jpg",
    "a:b@c#d!e~f*.jpg",
    "%s {0}.jpg",
    "日本語.jpg",
    "-dash.jpg",
    "+plus=.jpg",
    "~tilde.jpg",
    "true",
    "1831",
    "1e3.jpg",
]


def write_override(key: str, value: object) -> str:
    if isinstance(value, dict):
        return f"{key}={{{','.join(f'{tap}:{weight}' for tap, weight in value.items())}}}"
    return f"{key}={str(value).lower() if isinstance(value, bool) else value}"


@pytest.fixture
def error_of(compose_train, capsys):
    """Gives the one line that `nst-fast train ARGUMENTS` prints, without `nst-fast: error: `."""

    def error_of(*arguments: str) -> str:
        assert main(["train", *arguments]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("nst-fast: error: ") and output.err.count("\n") == 1
        return output.err.removeprefix("nst-fast: error: ").removesuffix("\n")

    return error_of


@pytest.fixture
def recorded(compose_train, monkeypatch):
    """Gives the settings that `nst-fast train ARGUMENTS` hands to the function `train`."""
    run_training = train.run_training

    def record(*arguments: str) -> TrainSettings:
        calls: list[TrainSettings] = []

        def note(settings: TrainSettings, *, on_moment) -> SimpleNamespace:
            assert callable(on_moment) if settings.live else on_moment is None
            calls.append(settings)
            return SimpleNamespace(checkpoint=Path("x.safetensors"), held_out={})

        monkeypatch.setattr(loop, "train", note)
        monkeypatch.setattr("nst_fast.cli.live.open_browser", lambda address: None)
        for settings, swept in compose_train(*arguments):
            run_training(settings, swept)
        (call,) = calls
        return call

    return record


def test_without_a_preset_the_defaults_hold(compose_train, recorded):
    """`~preset` takes the preset away; what is left are the defaults of TrainSettings, which `train` gets."""
    ((settings, swept),) = compose_train(*NEEDED, "~preset")
    assert swept == {} and settings == PLAIN
    assert recorded(*NEEDED, "~preset") == dataclasses.replace(PLAIN, output="runs/a")


@pytest.mark.parametrize("short", [False, True])
def test_every_setting_can_be_given(recorded, short):
    """Each key of the help, full or short, sets what `train` gets, and there is no other."""
    assert sorted(OTHER_VALUES) == sorted(row.key for row in list_settings(TrainSettings))
    name = shorten_key if short else (lambda settings, key: key)
    changed = recorded(
        "~preset", *(write_override(name(TrainSettings, key), value) for key, value in OTHER_VALUES.items())
    )
    assert as_plain_values(changed) == OTHER_VALUES
    assert all(value != OTHER_VALUES[key] for key, value in as_plain_values(PLAIN).items())


def test_the_schema_for_hydra_has_the_same_defaults():
    """Hydra gets a copy of the class that is not frozen, with its keys, types and defaults; mappings begin at null."""
    config = OmegaConf.structured(make_schema(TrainSettings))
    assert OmegaConf.missing_keys(config) == {"style", "content"}
    rows = [row for row in list_settings(PLAIN) if row.key not in ("style", "content")]
    for row in rows:
        expected = None if isinstance(row.value, dict) else row.value
        assert OmegaConf.select(config, row.key) == expected
    config.loss.style_strength = 5  # a node of a frozen class would be read-only
    assert config.loss.style_strength == 5.0


def test_the_home_folder_can_be_meant(recorded, monkeypatch):
    """A ~ that the shell left alone is the home folder."""
    monkeypatch.setenv("HOME", "/home/monet")
    call = recorded("style=~/a.jpg", "content=~/photos", "output=~/out")
    assert [call.style, call.content, call.output] == ["/home/monet/a.jpg", "/home/monet/photos", "/home/monet/out"]
    assert recorded("style=a~.jpg", "content=b/~/c").content == "b/~/c"


def test_a_preset_stands_between_defaults_and_command_line(compose_train):
    """A preset's values replace the defaults, also of groups, and what is given replaces the preset's."""
    ((settings, _),) = compose_train(*NEEDED, "preset=paper", "steps=5")
    assert (settings.steps, settings.loss.style_strength, settings.cosine) == (5, 5.0, False)
    assert (settings.network.name, settings.loss_network.name) == ("johnson", "vgg16")
    ((settings, _),) = compose_train("steps=5", "network=realtime", *NEEDED, "preset=paper")
    assert (settings.steps, settings.network.name) == (5, "realtime")


@pytest.mark.parametrize("cuda", [True, False])
def test_the_preset_follows_the_computer(compose_train, monkeypatch, cuda):
    """Without a preset it is `full` where there is a GPU, else `laptop`; one that is given is taken."""
    monkeypatch.setattr("nst_fast.training.settings.choose_preset", lambda: "full" if cuda else "laptop")
    ((settings, _),) = compose_train(*NEEDED)
    assert settings.compile is cuda
    ((settings, _),) = compose_train(*NEEDED, "preset=quickstart")
    assert settings.steps == 300


@pytest.mark.parametrize("preset", ["laptop", "paper"])
def test_taps_replace_those_of_a_preset(compose_train, preset):
    """Taps that are given are all there are, whether the preset has some of its own or not."""
    ((settings, _),) = compose_train(*NEEDED, f"preset={preset}", "style_taps={relu1_1:1,relu3_1:0.5}")
    assert settings.loss.style_taps == {"relu1_1": 1.0, "relu3_1": 0.5}
    ((settings, _),) = compose_train(*NEEDED, f"preset={preset}", "style_taps=null")
    assert settings.loss.style_taps == LossSettings().style_taps


@pytest.mark.parametrize("first", range(0, len(STRANGE_NAMES), 5))
def test_names_are_taken_as_they_are(compose_train, first):
    """File names and titles need no quoting beyond the shell's, whether they exist or not; in sweeps, if they do."""
    names = (STRANGE_NAMES + STRANGE_NAMES)[first : first + 5]
    keys = ("style", "content", "output", "title", "loss_network.weights")
    arguments = [f"{key}={name}" for key, name in zip(keys, names, strict=True)]
    for options, exist in [([], True), (["-m"], True), ([], False)]:
        for name in names:
            # In quotes as Hydra has them, unless there is such a file.
            if exist or name in ("'quoted'", '"double"'):
                Path(name).touch()
            else:
                Path(name).unlink()
        ((settings, swept),) = compose_train(*arguments, *options)
        weights = settings.loss_network.weights
        assert [settings.style, settings.content, settings.output, settings.title, weights] == names
        assert swept == {}


@given(st.text(alphabet="ab\\'\"${}[]()=, .:é#@!~*?%&;|<>-\n\t", max_size=12))
@example("a\\\n")
@example("\\\\${a}\\\\'\\")
def test_quoting_can_be_undone(text):
    """Whatever the text, Hydra and OmegaConf read it again out of its quotes."""
    value = OverridesParser.create().parse_override(f"style={quoted(text)}").value()
    config = OmegaConf.create({"style": None})
    OmegaConf.update(config, "style", value)
    assert OmegaConf.to_container(config, resolve=True) == {"style": text}


def test_quotes_for_hydra_still_work(compose_train):
    """Values that are quoted as Hydra's manual says are unquoted, and null is nothing."""
    ((settings, _),) = compose_train("style='a b.jpg'", 'content="photos, old"', "output=null")
    assert (settings.style, settings.content, settings.output) == ("a b.jpg", "photos, old", None)


def test_a_sweep_has_a_run_for_each_value(compose_train):
    """With -m each style is a run with a folder of its own; a title with a comma is none."""
    runs = compose_train("-m", "style=old/a.jpg,b.jpg", "content=photos", "title=The Wave, 1831")
    assert [settings.style for settings, _ in runs] == ["old/a.jpg", "b.jpg"]
    assert {settings.title for settings, _ in runs} == {"The Wave, 1831"}
    folders = [str(train._choose_folder(settings.output, "x", swept)) for settings, swept in runs]
    assert folders == ["runs/x-style=old_a.jpg", "runs/x-style=b.jpg"]
    Path("a,b.jpg").touch()
    ((settings, _),) = compose_train("-m", "style=a,b.jpg", "content=photos")
    assert settings.style == "a,b.jpg"


@pytest.mark.parametrize(
    ("overrides", "folders"),
    [
        (["steps=1,2"], ["runs/a-steps=1", "runs/a-steps=2"]),
        (["seed=range(0,2)", "output=o"], ["o/a-seed=0", "o/a-seed=1"]),
        (["output=o,p"], ["o", "p"]),
        (["network=johnson,realtime"], ["runs/a-network=johnson", "runs/a-network=realtime"]),
        (["preset=laptop,full"], ["runs/a-preset=laptop", "runs/a-preset=full"]),
        (["steps=3"], ["runs/a"]),
        (["style_strength=5,10"], ["runs/a-style_strength=5", "runs/a-style_strength=10"]),
        (["loss.style_strength=5,10"], ["runs/a-loss.style_strength=5", "runs/a-loss.style_strength=10"]),
    ],
)
def test_each_run_of_a_sweep_has_its_folder(compose_train, overrides, folders):
    """The folder is named by what is swept, not by all that is given, below `output` where that is given."""
    runs = compose_train("--multirun", "style=a.jpg", f"content={'x' * 300}", *overrides)
    assert [str(train._choose_folder(settings.output, "a", swept)) for settings, swept in runs] == folders


def test_folders_of_long_names_stay_apart():
    """Long values are cut to what a file system takes, and still give different folders."""
    folders = {
        train._choose_folder(None, "é" * 100, {"style": "é" * 200 + ".jpg", "steps": str(number)}) for number in (1, 2)
    }
    assert len(folders) == 2
    assert all(len(folder.name.encode()) <= 255 for folder in folders)


def test_failures_of_a_sweep_are_told_together(error_of, monkeypatch):
    """In a sweep the other runs go on; at the end one line names what failed, with exit status 2."""
    tried = []

    def fail(settings: TrainSettings, **_) -> None:
        tried.append(settings.style)
        raise ImageError(f"{settings.style} is no image")

    monkeypatch.setattr(loop, "train", fail)
    line = error_of("-m", "style=a.jpg,b.jpg", "content=photos")
    assert line == "2 runs of the sweep failed: a.jpg is no image | b.jpg is no image"
    assert tried == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(("signalled", "status"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_signal_ends_the_whole_sweep(compose_train, monkeypatch, signalled, status):
    """Ctrl-C or SIGTERM in the first run of a sweep is not answered by the second."""
    tried = []

    def stop(settings: TrainSettings, **_) -> None:
        tried.append(settings.style)
        raise signalled

    monkeypatch.setattr(loop, "train", stop)
    arguments = ["train", "-m", "style=a.jpg,b.jpg", "content=photos"]
    if isinstance(signalled, SystemExit):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == status
    else:
        assert main(arguments) == status
    assert tried == ["a.jpg"]


def test_a_signal_ends_the_sweep_also_where_the_run_fails(error_of, monkeypatch):
    """A run whose loss diverges just when Ctrl-C came says so, and no other run begins."""
    tried = []

    def fail(settings: TrainSettings, **_) -> None:
        tried.append(settings.style)
        error = TrainingError("the loss is no longer a number")
        error.signal_number = signal.SIGINT
        raise error

    monkeypatch.setattr(loop, "train", fail)
    assert error_of("-m", "style=a.jpg,b.jpg", "content=photos") == "the loss is no longer a number"
    assert tried == ["a.jpg"]


def test_cfg_shows_the_settings_only(compose_train, capsys):
    """--cfg job prints the settings as YAML that can be read again, and runs nothing."""
    assert compose_train(*NEEDED, "steps=5", "--cfg", "job") == []
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["style"] == "a.jpg" and shown["steps"] == 5 and shown["network"]["name"] == "realtime"


@pytest.mark.parametrize("preset", ["laptop", "full"])
def test_help_shows_what_you_get(compose_train, monkeypatch, capsys, preset):
    """The help shows each setting, by its short key, with the value and meaning that you get on this computer."""
    monkeypatch.setattr("nst_fast.training.settings.guess_preset", lambda: preset)
    monkeypatch.setattr("nst_fast.training.settings.choose_preset", lambda: preset)
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"where the preset is {preset} unless you choose one" in shown
    ((settings, _),) = compose_train(*NEEDED)
    for row in list_settings(settings.fill_in()):
        value = "" if row.key in ("style", "content") else show_value(row.value)
        line = next(line for line in shown.splitlines() if line.startswith(f"  {shorten_key(settings, row.key)}="))
        assert line.split("  ")[1] == f"{shorten_key(settings, row.key)}={value}"
        assert row.help and row.help in shown
    for name in ("laptop", "full", "paper", "quick", "quickstart"):
        assert f"  {name} " in shown
    assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stesp=5"], "'stesp' is not a setting (nearest: steps); see nst-fast train --help"),
        (
            ["network.widht=8"],
            "'network.widht' is not a setting (nearest: network.width); see nst-fast train --help",
        ),
        (["style_taps.relu1_1=1"], "'style_taps.relu1_1' is not a setting (nearest: style_taps)"),
        (["+hue=red"], "'hue' is not a setting; see nst-fast train --help"),
        (["steps=many"], "steps: Value 'many' of type 'str' could not be converted to Integer; see nst-fast train"),
        (["steps="], "steps: Value '' of type 'str' could not be converted to Integer; see nst-fast train --help"),
        (["precision=${oc.env:NO_SUCH_NAME}"], "precision: KeyError raised while resolving interpolation: "),
        (["cosine=5.5"], "cosine: Value '5.5' is not a valid bool (type float); see nst-fast train --help"),
        (["network.width=wide"], "network.width: Value 'wide' of type 'str' could not be converted to"),
        (["precision=[1,2]"], "precision: Cannot convert 'list' to string: '[1, 2]'; see nst-fast train --help"),
        (["style_taps=relu1_1"], "style_taps is 'relu1_1'; it must give a number for each name, such as {relu2_2: 1}"),
        (
            ["style_taps={relu1_1:x}"],
            "style_taps relu1_1 is 'x'; it must be a number",
        ),
        (
            ["preset=laptpo"],
            "preset=laptpo is unknown; allowed: full, laptop, paper, quick, quickstart (nearest: laptop)",
        ),
        (["network=jonson"], "network=jonson is unknown; allowed: johnson, realtime (nearest: johnson)"),
        (["network=null"], "network=null is unknown; allowed: johnson, realtime"),
        (
            ["loss_network=vgg91"],
            "loss_network=vgg91 is unknown; allowed: auto, compact, vgg16, vgg19 (nearest: vgg19)",
        ),
        (
            ["-m", "loss_network=vgg16,vgg11"],
            "loss_network=vgg11 is unknown; allowed: auto, compact, vgg16, vgg19 (nearest: vgg1",
        ),
        (["steps=1,2"], "Ambiguous value for argument 'steps=1,2'; 1. To use it as a list"),
        (["steps=[1"], "no viable alternative at input '[1'; see nst-fast train --help"),
        (["photo.jpg"], "'photo.jpg' is not a setting; write settings as key=value; see nst-fast train --help"),
        (["--steps=5"], "'--steps=5' is not an option of nst-fast train; write settings without dashes as key=value,"),
        (
            ["--steps", "5"],
            "'--steps' is not an option of nst-fast train; write settings without dashes as key=value,",
        ),
        (["--cfg", "jop"], "'jop' is not a setting; write settings as key=value, and --cfg takes job, hydra, all;"),
        (["--cfg"], "--cfg needs a value; allowed: job, hydra, all"),
        (["transform_net=johnson"], "'transform_net' has a new name; give network instead; see nst-fast train --help"),
        (["transform_net.width=8"], "'transform_net.width' has a new name; give network.width instead; see"),
        (["lattice_weight=3"], "'lattice_weight' has a new name; give loss.grid_weight instead; see"),
        (["loss=3"], "'loss' is a group of settings; give one of loss.style_strength, loss.content_weight, "),
        (["hydra.color=red"], "hydra.color: Key 'color' not in 'HydraConf'; see nst-fast train --help"),
        (["crop_size=30"], "crop_size is 30; it must be a multiple of 4"),
        (["style=absent.jpg"], "absent.jpg does not exist; check the path"),
    ],
)
def test_mistakes_are_one_line(error_of, monkeypatch, arguments, message):
    """Each mistake is one line on standard error that names what was given and what is allowed, with exit status 2."""
    # The real command, up to the style image, which is not there.
    assert error_of(*NEEDED, *arguments).startswith(message)


def test_missing_settings_are_named(error_of):
    """Without the style image or the photos it says what is missing and how to give it."""
    assert error_of("content=photos") == "style must be given, as style=...; see nst-fast train --help"
    assert error_of() == "content, style must be given, as content=...; see nst-fast train --help"
    assert error_of("style=null", "content=photos").startswith("style: field 'style' is not Optional;")


def test_weights_are_taken_from_the_environment(compose_train, monkeypatch):
    """NST_FAST_VGG19_WEIGHTS names the file for vgg19, its counterpart that for vgg16; other weights are left alone."""
    monkeypatch.setenv("NST_FAST_VGG19_WEIGHTS", "my weights/${19}.pth")
    monkeypatch.setenv("NST_FAST_VGG16_WEIGHTS", "16.pth")
    cases = {
        (): "my weights/${19}.pth",
        ("preset=quickstart",): "shipped",
        ("loss_network=vgg16",): "16.pth",
        ("preset=paper",): "16.pth",
        ("loss_network.weights=random",): "random",
        ("loss_network.weights=mine.pth",): "mine.pth",
    }
    for arguments, expected in cases.items():
        ((settings, _),) = compose_train(*NEEDED, *arguments)
        assert choose_loss_network(settings.loss_network).weights == expected


@pytest.mark.usefixtures("compose_train")
def test_a_weights_file_of_the_environment_is_opened(monkeypatch, tmp_path, painting, photo_folder, capsys):
    """A file in NST_FAST_VGG19_WEIGHTS that is not there ends the run with its name."""
    monkeypatch.setenv("NST_FAST_VGG19_WEIGHTS", "absent.pth")
    assert main(["train", f"style={painting}", f"content={photo_folder}", "device=cpu"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]  # after what was logged
    assert line.startswith("nst-fast: error: loss network weights 'absent.pth' are not a file; give a torchvision-")
    assert not (tmp_path / "runs").exists()


def test_the_installed_command_trains_and_paints(tmp_path, photo_folder, painting):
    """From files of strange names to a checkpoint, with the losses and the next step in a line each."""
    style = tmp_path / "Été, (1)=[a] ${x} 'q' 50%.png"
    shutil.copy(painting, style)
    photos = photo_folder.rename(tmp_path / "photos, old=1 (é)")
    small = "steps=2 held_out_photos=1 crop_size=32 style_short_side=32 batch_size=1 network.width=4 device=cpu"
    shallow = ["style_taps={relu1_1:1}", "content_taps={relu1_1:1}", "loss_network.weights=random"]
    command = [Path(sys.executable).with_name("nst-fast"), "train", f"style={style.name}", f"content={photos.name}"]
    result = subprocess.run(
        [*command, "preset=quickstart", *small.split(), *shallow],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    checkpoint = tmp_path / "runs" / style.stem / f"{style.stem}.safetensors"
    assert checkpoint.is_file()
    lines = result.stdout.splitlines()
    assert lines[-2].startswith("on 1 held-out photos: style ")
    relative = checkpoint.relative_to(tmp_path)
    assert lines[-1] == f"wrote {relative}; try it: nst-fast stylize PHOTO --style {relative}"
    assert "Traceback" not in result.stderr and "2/2" in result.stderr


def test_losses_are_said_in_numbers(monkeypatch, capsys):
    """The last lines give the losses on held-out photos, or nothing where there were none."""
    for held_out, expected in [
        ({"style": 0.0314, "content": 0.5, "total": math.pi, "photos": 8}, "style 0.031, content 0.50"),
        ({}, None),
    ]:
        result = SimpleNamespace(checkpoint=Path("a.safetensors"), held_out=held_out)
        monkeypatch.setattr(loop, "train", lambda settings, *, on_moment, result=result: result)
        train.run_training(PLAIN, {})
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == (1 if expected is None else 2)
        assert expected is None or lines[0] == f"on 8 held-out photos: {expected}"


def test_an_image_of_the_wrong_kind_is_told(error_of, tmp_path, photo_folder):
    """A style image that is text is one line, through the whole command."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.jpg").write_text("hello")
    assert error_of("style=a.jpg", f"content={photo_folder}").startswith("a.jpg is not a picture that can be read; ")


def test_live_serves_the_page_beside_the_training(tmp_path, monkeypatch):
    """live=true gives the training something to show itself to, and the page shows it while it lasts."""
    opened, seen = [], []

    def pretend(settings: TrainSettings, *, on_moment) -> TrainingResult:
        on_moment(Moment(3, 5, {"total": 0.5}, lambda: build_network("realtime", width=4)))
        address, _, token = opened[0].partition("?token=")
        headers = {"authorization": f"Bearer {token}"}
        with urllib.request.urlopen(urllib.request.Request(address + "api/training", headers=headers)) as answer:
            seen.append(json.load(answer))
        return TrainingResult(tmp_path / "a.safetensors", {}, 5, 1.0)

    monkeypatch.setattr(loop, "train", pretend)
    monkeypatch.setattr("nst_fast.cli.live.open_browser", opened.append)
    settings = TrainSettings(style="a.jpg", content="photos", output=str(tmp_path), live=True)
    train.run_training(settings, {})
    assert seen == [{"step": 3, "steps": 5, "losses": [{"step": 3, "total": 0.5}], "strip": None}]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(opened[0], timeout=5)
