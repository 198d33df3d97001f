import os
import pickle

import pytest
import torch
from torch import nn

from nst_fast import atomic_files
from nst_fast.errors import OutputError, TrainingError
from nst_fast.run_state import check_same_recipe, load_state, restore_parts, save_state

ADVICE = "start anew with overwrite=true or another output"


def make_parts(seed: int) -> dict:
    torch.manual_seed(seed)
    network = nn.Linear(3, 2)
    return {"network": network, "optimiser": torch.optim.Adam(network.parameters(), 0.1)}


def take_steps(parts: dict, count: int) -> None:
    for number in range(count):
        parts["optimiser"].zero_grad()
        parts["network"](torch.full((1, 3), float(number))).square().sum().backward()
        parts["optimiser"].step()


@pytest.fixture
def state_path(tmp_path):
    """A state of two steps of a tiny network."""
    parts = make_parts(0)
    take_steps(parts, 2)
    save_state(tmp_path / "state.pt", recipe={"steps": 5, "taps": {"relu1_1": 1.0}}, step=2, parts=parts)
    return tmp_path / "state.pt"


def test_a_restored_run_goes_on_as_if_never_cut(state_path):
    """Network and optimiser, restored into others and trained on, end in the weights of a straight run."""
    straight = make_parts(0)
    take_steps(straight, 4)
    cut = make_parts(0)
    take_steps(cut, 2)
    save_state(state_path, recipe={}, step=2, parts=cut)
    resumed = make_parts(1)
    restore_parts(load_state(state_path), resumed)
    for part in (resumed, cut):
        part["optimiser"].zero_grad()
    take_steps(resumed, 2)
    take_steps(cut, 2)
    assert torch.equal(resumed["network"].weight, cut["network"].weight)
    assert not torch.equal(resumed["network"].weight, make_parts(0)["network"].weight)


def test_a_state_holds_what_was_saved(state_path):
    """The recipe and the step come back as they were."""
    state = load_state(state_path)
    assert state["recipe"] == {"steps": 5, "taps": {"relu1_1": 1.0}}
    assert state["step"] == 2


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_state_is_refused(state_path, share):
    """A file cut off anywhere is refused in one line that says what to do."""
    content = state_path.read_bytes()
    state_path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TrainingError) as caught:
        load_state(state_path)
    assert str(caught.value).startswith(f"the saved state '{state_path}' cannot be read (")
    assert str(caught.value).endswith(ADVICE)
    assert "\n" not in str(caught.value)


def test_other_files_are_refused(state_path):
    """A text, a folder and a missing file are refused the same way."""
    state_path.write_bytes(b"hello")
    for path in (state_path, state_path.parent, state_path.with_name("absent.pt")):
        with pytest.raises(TrainingError, match=f"^the saved state '{path}' cannot be read .*{ADVICE}$"):
            load_state(path)


@pytest.mark.parametrize("content", [{"format_version": 2, "step": 1}, {"step": 1}, [1, 2], torch.zeros(2)])
def test_another_version_is_refused(state_path, content):
    """A state of another format version, or something else that torch saved, is called that."""
    torch.save(content, state_path)
    with pytest.raises(TrainingError) as caught:
        load_state(state_path)
    assert str(caught.value) == f"the saved state '{state_path}' is of another version of nst-fast; {ADVICE}"


class RunsCode:
    """What a pickle executes when it is read."""

    def __init__(self, mark) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("save", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))])
def test_code_in_a_state_is_not_executed(state_path, save):
    """A pickle that would make a folder when read is refused, and makes none."""
    mark = state_path.with_name("executed")
    save({"format_version": 1, "step": 1, "network": RunsCode(mark)}, state_path)
    with pytest.raises(TrainingError, match="cannot be read"):
        load_state(state_path)
    assert not mark.exists()
    with state_path.open("rb") as file:
        pickle_is_bare = file.read(2) != b"PK"
    if pickle_is_bare:
        pickle.loads(state_path.read_bytes())  # the trap works where code is allowed
        assert mark.exists()


def test_the_last_state_survives_a_failed_one(state_path, monkeypatch):
    """When a state cannot be written, the one before stays whole and no other file is left."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = state_path.read_bytes()
    monkeypatch.setattr(atomic_files.os, "replace", fail)
    with pytest.raises(OutputError, match="the disk is full"):
        save_state(state_path, recipe={}, step=3, parts=make_parts(0))
    assert state_path.read_bytes() == before
    assert [path.name for path in state_path.parent.iterdir()] == ["state.pt"]


def test_the_same_recipe_passes(tmp_path):
    """Equal values pass, in whatever order."""
    check_same_recipe({"steps": 5, "seed": 0}, {"seed": 0, "steps": 5}, tmp_path)


def test_another_recipe_names_what_differs(tmp_path):
    """The message names each setting that differs, with both values, and the three ways out."""
    with pytest.raises(TrainingError) as caught:
        check_same_recipe({"steps": 5, "seed": 0, "width": 4}, {"steps": 6, "seed": 0, "cosine": True}, tmp_path)
    assert str(caught.value) == (
        f"'{tmp_path}' holds a run begun with other settings (cosine None there, True now; steps 5 there, 6 now; "
        f"width 4 there, None now); give the same settings to continue it, another output=FOLDER, or overwrite=true"
    )


def test_a_long_difference_is_cut(tmp_path):
    """However much differs, the message stays readable."""
    saved = {f"key_{number}": "x" * 500 for number in range(50)}
    with pytest.raises(TrainingError) as caught:
        check_same_recipe(saved, {}, tmp_path)
    assert len(str(caught.value)) < 900
