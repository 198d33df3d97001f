"""A run that can be interrupted: it starts or resumes, saves its state, and locks its folder meanwhile."""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from nst_fast.errors import OutputError, TrainingError
from nst_fast.files.claims import Claim, claim
from nst_fast.runs.state import check_identity, load_state, save_state

STATE_FILE = "state.pt"


class SavedRun:
    """The folder of one run. The same call with the same settings resumes the run.

    Training, optimization, reconstruction and evaluation all save their state this way:

        with SavedRun(folder, identity, outputs=[image]) as saved_run:
            state = saved_run.find_state(overwrite=False)  # None: start from the beginning
            ...
            saved_run.save(step=step, parts={"optimizer": optimizer})

    Inside the `with` block the folder is locked: a second process with the same output stops with an error instead of
    writing into the same files.

    Args:
        folder: holds the state and everything else that belongs to the run; it is created.
        identity: plain values that decide the result: settings, and digests of the images. A run is resumed only by
            a call with the same identity.
        outputs: the files outside the folder that the run will write. Where one of them exists already, it must be
            from this run.

    Attributes:
        state_path: the file of the state.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, outputs: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.identity = dict(identity)
        self.outputs = list(outputs)
        self.state_path = folder / STATE_FILE
        self._claim: Claim | None = None
        self._created_folders: list[Path] = []

    def __enter__(self) -> "SavedRun":
        """Lock the folder.

        Raises:
            TrainingError: another process works in it.
        """
        self._created_folders = [path for path in (self.folder, *self.folder.parents) if not os.path.exists(path)]
        self._claim = claim(self.state_path)
        if self._claim is None:
            raise TrainingError(
                f"another process is working on the run in {str(self.folder)!r}; wait until it ends, "
                f"or choose another output"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        with contextlib.suppress(OSError):  # not empty, as after every run that began
            for path in self._created_folders:  # the innermost first
                path.rmdir()

    def find_state(self, *, overwrite: bool) -> dict[str, Any] | None:
        """The saved state to resume from, or None to start.

        Args:
            overwrite: start, whatever is there.

        Returns:
            The values that were saved: `step`, `finished`, the state of each part, and the facts.

        Raises:
            TrainingError: the folder holds a run with another identity, or a damaged state.
            OutputError: an output exists that is not from this run.
        """
        if overwrite:
            return None
        # os.path, since Path.exists raises for a name that is too long. Writing the state will say what is wrong.
        state = self.load() if os.path.exists(self.state_path) else None
        written = [] if state is None else state["outputs"]
        for output in self.outputs:
            if os.path.lexists(output) and output.name not in written:
                raise OutputError(
                    f"{str(output)!r} exists and is not the output of this run; choose another output, "
                    f"or set overwrite to replace it"
                )
        return state

    def load(self) -> dict[str, Any]:
        """The state as last saved, for instance to go back to it after the loss diverged.

        Raises:
            TrainingError: the state cannot be read, or is that of another run.
        """
        state = load_state(self.state_path)
        check_identity(state["identity"], self.identity, self.folder)
        return state

    def save(
        self,
        *,
        step: int,
        parts: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
        finished: bool = False,
    ) -> None:
        """Write the state atomically; the previous one survives until the new one is complete.

        Args:
            step: number of steps done.
            parts: objects with a `state_dict`, which `restore_parts` loads again.
            facts: more plain values and tensors to keep.
            finished: nothing is left to do.

        Raises:
            OutputError: the folder cannot be written.
        """
        own = {"finished": finished, "outputs": [output.name for output in self.outputs]}
        save_state(
            self.state_path, identity=self.identity, step=step, parts=parts or {}, facts={**own, **(facts or {})}
        )


def skip_run_folders(files: Iterable[Path], folder: Path) -> list[Path]:
    """Those of the files in `folder` that do not belong to a run whose folder lies below it."""
    run_folders: dict[Path, bool] = {folder: False}

    def is_in_run(parent: Path) -> bool:
        if parent not in run_folders:
            run_folders[parent] = os.path.isfile(parent / STATE_FILE) or is_in_run(parent.parent)
        return run_folders[parent]

    return [file for file in files if not is_in_run(file.parent)]
