"""Many frames as small pictures, by all cores: in processes, since threads would wait for each
other in Python.
"""

import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError

TOGETHER = 32  # pictures that a process makes in a row: frames that follow share references
AHEAD = 3  # such rows of each process that are made ahead
REMEMBER = 2**24  # bytes of what a process decoded last

Job = tuple[Sequence[bytes], tuple[int, int]]  # the records of a frame, and (w, h) px
Item = TypeVar("Item")
_codec: FrameCodec | None = None  # that of a process


def recalls(
    items: Iterable[tuple[Item, Job | None]], path: Path, codec: object, processes: int
) -> Iterator[tuple[Item, np.ndarray | GaussVaeError | None]]:
    """Items in their order, each with the picture of its job or the error that it ended with.

    `codec` makes them, a FrameCodec, where `processes` is 1; else each process has one of its own
    with the models of the memory file at `path`.

    Raises:
        GaussVaeError: a process was ended by somebody else.
    """
    pool = _pool(path, processes)
    waiting, row = deque(), []
    try:
        for item in items:
            row.append(item)
            if len(row) == TOGETHER:
                waiting.append(_start(pool, row, codec if processes == 1 else None))
                row = []
            if len(waiting) > AHEAD * processes:
                yield from _done(*waiting.popleft())
        waiting.append(_start(pool, row, codec if processes == 1 else None))
        while waiting:
            yield from _done(*waiting.popleft())
    except BrokenExecutor:
        raise GaussVaeError("a process that recalls frames was ended: is memory short?") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(path: Path, processes: int) -> Executor:
    if processes == 1:
        return ThreadPoolExecutor(1, "recall")
    spawn = get_context("spawn")  # a forked process would share the open memory file
    return ProcessPoolExecutor(processes, spawn, _begin, (str(path),))


def _begin(path: str) -> None:
    """What a process does first."""
    global _codec
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    _codec = FrameCodec(models=[MemoryBank(path, readonly=True)], remember=REMEMBER)


def _start(pool: Executor, row: list[tuple], codec: object | None) -> tuple:
    jobs = [job for _, job in row if job is not None]
    return row, pool.submit(_make, jobs, codec)


def _make(jobs: list[Job], codec: object | None) -> list[np.ndarray | GaussVaeError]:
    made = []
    for records, size in jobs:
        try:
            made.append((codec or _codec).decode(records, size=size))
        except GaussVaeError as error:
            made.append(error)
    return made


def _done(row: list[tuple], making: object) -> Iterator[tuple]:
    made = iter(making.result())
    for item, job in row:
        yield item, None if job is None else next(made)
