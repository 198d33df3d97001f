"""What TensorBoard shows of a run: scalars and images, in a file of its format."""

import itertools
import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import Tensor
from torch.utils.tensorboard import summary

from nst_fast.files.atomic import explain_write_errors

_count = itertools.count()


class EventFile:
    """A new event file in the run's folder. TensorBoard reads it after the files that are there already.

    Unlike torch's SummaryWriter, which writes from its own thread up to two minutes later and turns a full disk into
    a traceback, this class writes every value at once and raises an error that says what is wrong.

    Args:
        folder: the run's folder; it is created.
        first_step: number of steps done when this run starts or resumes. TensorBoard drops what earlier files have
            beyond this step.

    Raises:
        OutputError: the folder cannot be written. The methods raise it, too.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        # TensorBoard reads the files in the order of their names.
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_count):06d}"
        self.path = folder / name
        with explain_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._add(Event(step=first_step + 1, file_version="brain.Event:2"))
        self._add(Event(step=first_step + 1, session_log=SessionLog(status=SessionLog.START)))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Add one value at a step."""
        self._add(Event(step=step, summary=summary.scalar(name, value)))

    def add_image(self, name: str, image: Tensor, step: int) -> None:
        """Add an image at a step: shape (3, H, W), RGB in [0, 1]."""
        self._add(Event(step=step, summary=summary.image(name, image, dataformats="CHW")))

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        with explain_write_errors(self.path), open(self.path, "ab") as file:
            RecordWriter(file).write(event.SerializeToString())
