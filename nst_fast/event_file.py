"""What TensorBoard shows of a run, in a file of its format."""

import itertools
import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import Tensor
from torch.utils.tensorboard import summary

from nst_fast.atomic_files import explain_write_errors

_count = itertools.count()


class EventFile:
    """Adds a file to the folder of a run, which TensorBoard reads after those that are there.

    torch's SummaryWriter does the same from a thread of its own, up to two minutes later, and of a full disk it makes
    a traceback; here every figure is in the file at once, and what goes wrong is said.

    Args:
        folder: of the run; it is made.
        first_step: the steps done where the run begins or goes on; TensorBoard drops what it had beyond.

    Raises:
        OutputError: the folder cannot be written; so do the methods.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        # The order of their names is that in which TensorBoard reads the files.
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_count):06d}"
        self.path = folder / name
        with explain_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._add(Event(step=first_step + 1, file_version="brain.Event:2"))
        self._add(Event(step=first_step + 1, session_log=SessionLog(status=SessionLog.START)))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """One figure at a step."""
        self._add(Event(step=step, summary=summary.scalar(name, value)))

    def add_image(self, name: str, image: Tensor, step: int) -> None:
        """A picture at a step: shape (3, H, W), RGB in [0, 1]."""
        self._add(Event(step=step, summary=summary.image(name, image, dataformats="CHW")))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        with explain_write_errors(self.path), open(self.path, "ab") as file:
            RecordWriter(file).write(event.SerializeToString())
