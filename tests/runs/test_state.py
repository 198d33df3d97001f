import os
import pickle

import pytest
import torch
from torch import nn

from nst_fast.errors import OutputError, TrainingError
from nst_fast.files import atomic
from nst_fast.runs.state import check_identity, load_state, restore_parts, save_state

ADVICE = "choose another output, or set overwrite to start over"


def make_parts(seed: int) -> dict:
    torch.manual_seed(seed)
    network = nn.Linear(3, 2)
    return {"network": network, "optimizer": torch.optim.Adam(network.parameters(), 0.1)}


def take_steps(parts: dict, count: int) -> None:
    for number in range(count):
        parts["optimizer"].zero_grad()
        parts["network"](torch.full((1, 3), float(number))).square().sum().backward()
        parts["optimizer"].step()


@pytest.fixture
def state_path(tmp_path):
    """A state of two steps of a tiny network."""
    parts = make_parts(0)
    take_steps(parts, 2)
    save_state(tmp_path / "state.pt", identity={"steps": 5, "taps": {"relu1_1": 1.0}}, step=2, parts=parts)
    return tmp_path / "state.pt"


def test_a_restored_run_equals_a_straight_one(state_path):
    """Network and optimizer, restored into others and trained on, end in the weights of a straight run."""
    straight = make_parts(0)
    take_steps(straight, 4)
    interrupted = make_parts(0)
    take_steps(interrupted, 2)
    save_state(state_path, identity={}, step=2, parts=interrupted)
    resumed = make_parts(1)
    restore_parts(load_state(state_path), resumed)
    for part in (resumed, interrupted):
        part["optimizer"].zero_grad()
    take_steps(resumed, 2)
    take_steps(interrupted, 2)
    assert torch.equal(resumed["network"].weight, interrupted["network"].weight)
    assert not torch.equal(resumed["network"].weight, make_parts(0)["network"].weight)


def test_a_state_holds_what_was_saved(state_path):
    """The identity and the step come back as they were."""
    state = load_state(state_path)
    assert state["identity"] == {"steps": 5, "taps": {"relu1_1": 1.0}}
    assert state["step"] == 2


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_state_is_refused(state_path, share):
    """A file that ends early, anywhere, is refused in one line that says what to do."""
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


@pytest.mark.parametrize(
    "content", [{"format_version": 1, "step": 1}, {"format_version": 3, "step": 1}, {"step": 1}, [1, 2], torch.zeros(2)]
)
def test_another_version_is_refused(state_path, content):
    """A state of another format version, or something else that torch saved, is called a state of another version."""
    torch.save(content, state_path)
    with pytest.raises(TrainingError) as caught:
        load_state(state_path)
    assert str(caught.value) == f"the saved state '{state_path}' is from another version of nst-fast; {ADVICE}"


class RunsCode:
    """Something that a pickle executes when it is read."""

    def __init__(self, mark) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("save", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))])
def test_code_in_a_state_is_not_executed(state_path, save):
    """A pickle that would create a folder when read is refused, and creates none."""
    mark = state_path.with_name("executed")
    save({"format_version": 2, "step": 1, "network": RunsCode(mark)}, state_path)
    with pytest.raises(TrainingError, match="cannot be read"):
        load_state(state_path)
    assert not mark.exists()
    with state_path.open("rb") as file:
        pickle_is_bare = file.read(2) != b"PK"
    if pickle_is_bare:
        pickle.loads(state_path.read_bytes())  # the trap works where code is allowed
        assert mark.exists()


def test_the_last_state_survives_a_failed_one(state_path, monkeypatch):
    """When a state cannot be written, the previous one stays whole and no other file is left."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = state_path.read_bytes()
    monkeypatch.setattr(atomic.os, "replace", fail)
    with pytest.raises(OutputError, match="the disk is full"):
        save_state(state_path, identity={}, step=3, parts=make_parts(0))
    assert state_path.read_bytes() == before
    assert [path.name for path in state_path.parent.iterdir()] == ["state.pt"]


def test_the_same_identity_passes(tmp_path):
    """Equal values pass, in whatever order."""
    check_identity({"steps": 5, "seed": 0}, {"seed": 0, "steps": 5}, tmp_path)


def test_another_identity_names_what_differs(tmp_path):
    """The message names each setting that differs, with both values, and the three ways out."""
    with pytest.raises(TrainingError) as caught:
        check_identity({"steps": 5, "seed": 0, "width": 4}, {"steps": 6, "seed": 0, "cosine": True}, tmp_path)
    assert str(caught.value) == (
        f"'{tmp_path}' holds a run with other settings (cosine was None, is True now; steps was 5, is 6 now; "
        f"width was 4, is None now); use the same settings to resume it, choose another output, "
        f"or set overwrite to start over"
    )


def test_a_long_difference_is_shortened(tmp_path):
    """However much differs, the message stays short."""
    saved = {f"key_{number}": "x" * 500 for number in range(50)}
    with pytest.raises(TrainingError) as caught:
        check_identity(saved, {}, tmp_path)
    assert len(str(caught.value)) < 900
