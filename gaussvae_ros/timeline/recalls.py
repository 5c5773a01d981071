"""Many frames as small pictures, by all cores: in processes, since threads would wait for each
other in Python.
"""

import signal
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import numpy as np

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError

TOGETHER = 32  # pictures that a process makes in a row: frames that follow share references

Job = tuple[Sequence[bytes], tuple[int, int]]  # the records of a frame, and (w, h) px
Item = TypeVar("Item")


def recalls(
    items: Iterable[tuple[Item, Job | None]], path: Path, codec: object, processes: int
) -> Iterator[tuple[Item, np.ndarray | GaussVaeError | None]]:
    """Items in their order, each with the picture of its job or the error that it ended with.

    `codec` makes them, a FrameCodec, where `processes` is 1; else each process has one of its own
    with the models of the memory file at `path`.

    Raises:
        GaussVaeError: a process was ended by somebody else.
    """
    if processes == 1:
        for item, job in items:
            yield item, None if job is None else _made(codec, *job)
        return
    workers = [_Worker(path) for _ in range(processes)]
    try:
        for number, row in enumerate(_rows(items)):
            worker = workers[number % processes]  # so that rows come back in their order
            yield from worker.done()
            worker.start(row)
        for k in range(1, processes + 1):
            yield from workers[(number + k) % processes].done()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise GaussVaeError("a process that recalls frames was ended: is memory short?") from None
    finally:
        for worker in workers:
            worker.close()


class _Worker:
    """A process that makes a row of pictures at a time. If it is killed, the pipe ends; those who
    wait for a `ProcessPoolExecutor` may wait for ever then.
    """

    def __init__(self, path: Path) -> None:
        spawn = get_context("spawn")  # a forked process would share the open memory file
        self._pipe, other = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(str(path), other), daemon=True)
        self._process.start()
        other.close()
        self._row: list[tuple] = []

    def start(self, row: list[tuple]) -> None:
        """Begin with a row, when the one before is done."""
        self._row = row
        self._pipe.send([job for _, job in row if job is not None])

    def done(self) -> Iterator[tuple]:
        """What became of the row, once it is done."""
        row, self._row = self._row, []
        made = iter(self._pipe.recv() if row else ())
        for item, job in row:
            yield item, None if job is None else next(made)

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _work(path: str, pipe: Connection) -> None:
    """What a process does until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    codec = FrameCodec(models=[MemoryBank(path, readonly=True)])
    try:
        while True:
            pipe.send([_made(codec, *job) for job in pipe.recv()])
    except (EOFError, OSError):  # the first process is gone
        return


def _made(
    codec: object, records: Sequence[bytes], size: tuple[int, int]
) -> np.ndarray | GaussVaeError:
    try:
        return codec.decode(records, size=size)
    except GaussVaeError as error:
        return error


def _rows(items: Iterable) -> Iterator[list]:
    row = []
    for item in items:
        row.append(item)
        if len(row) == TOGETHER:
            yield row
            row = []
    yield row
