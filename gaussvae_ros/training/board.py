"""TensorBoard's event files: curves, histograms and pictures.

Written here and now rather than by torch's SummaryWriter, whose thread would meet a
full disk out of our sight.
"""

import os
import time
from pathlib import Path

import numpy as np

from gaussvae_ros.errors import TrainingError
from gaussvae_ros.extras import install

BINS = 64  # of a histogram


class Board:
    """One event file in `folder`.

    Args:
        step: that training begins at; what earlier files hold of later steps is no longer shown.

    Raises:
        TrainingError: the package tensorboard is missing.
        OSError: here and in `add`, the file cannot be written.
    """

    def __init__(self, folder: str | Path, step: int = 0):
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.summary.writer.record_writer import RecordWriter
            from torch.utils.tensorboard import summary
        except ImportError as error:
            raise TrainingError(f"TensorBoard is missing: {install('train')}") from error
        self._event, self._summary = Event, summary
        # TensorBoard reads them in the order of their names.
        name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._file = open(Path(folder) / name, "wb", buffering=0)
        self._records = RecordWriter(self._file)
        self._write(step=step, file_version="brain.Event:2")
        self._write(step=step, session_log=SessionLog(status=SessionLog.START))

    def add_scalars(self, step: int, values: dict[str, float]) -> None:
        """A point on each curve."""
        for name, value in values.items():
            self._write(step=step, summary=self._summary.scalar(name, value))

    def add_histogram(self, step: int, name: str, values: np.ndarray) -> None:
        self._write(step=step, summary=self._summary.histogram(name, values, BINS))

    def add_picture(self, step: int, name: str, picture: np.ndarray) -> None:  # uint8 [h, w, 3]
        self._write(step=step, summary=self._summary.image(name, picture, dataformats="HWC"))

    def close(self) -> None:
        self._file.close()

    def _write(self, **content) -> None:
        try:
            self._records.write(self._event(wall_time=time.time(), **content).SerializeToString())
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._file.name) from error
