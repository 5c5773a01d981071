"""Processes, threads and signals of a training.

Several processes train together when `torchrun` starts them: who they are, and
what they must agree on.
"""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numba
import torch
from torch import distributed

from gaussvae_ros import kernels
from gaussvae_ros.errors import TrainingError

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """This process among the `world` processes that train together; the one of rank 0 writes."""

    rank: int
    world: int
    device: torch.device

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true in any process; all of them must ask."""
        if self.world == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return bool(flags)


@contextmanager
def join() -> Iterator[Team]:
    """The team that `torchrun` started this process in, or it alone; a GPU each if there are any.

    Raises:
        TrainingError: fewer GPUs than processes, or another process was lost.
    """
    given = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0}
    rank, world, local = (int(os.environ.get(name, alone)) for name, alone in given.items())
    gpus = torch.cuda.device_count()
    if gpus and local >= gpus:
        raise TrainingError(
            f"process {local} has no GPU, there are {gpus}:"
            " start that many processes on this machine"
        )
    device = torch.device("cuda", local) if gpus else torch.device("cpu")
    if world == 1:
        yield Team(rank, world, device)
        return
    if gpus:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if gpus else "gloo")
    try:
        yield Team(rank, world, device)
    except RuntimeError as error:
        if "gloo" in str(error) or isinstance(error, distributed.DistError):
            raise TrainingError(
                f"process {rank} of {world} lost the others; theirs is the first error"
            ) from error
        raise
    finally:
        distributed.destroy_process_group()


@contextmanager
def equal_threads() -> Iterator[None]:
    """As many threads for kernels as torch has, at most one for each core that numba sees.

    Where both use OpenMP, numba's first kernel gives its own number to torch, too, whose sums
    depend on it: a resumed training would differ by when that was.
    """
    torch_had, kernels_had = torch.get_num_threads(), kernels.threads()
    kernels.use_threads(torch_had)
    number = kernels.threads()
    if number > 1:
        numba.get_num_threads()  # makes numba's threads, and so changes torch's number now
    torch.set_num_threads(number)
    try:
        yield
    finally:
        kernels.use_threads(kernels_had)
        torch.set_num_threads(torch_had)


@contextmanager
def ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """The items of an endless iterator, each made in a thread while the one before it is used."""

    def taken(pool):
        coming = pool.submit(next, items)
        while True:
            item = coming.result()
            coming = pool.submit(next, items)
            yield item

    with ThreadPoolExecutor(1) as pool:
        yield taken(pool)


@contextmanager
def caught_signals() -> Iterator[list[int]]:
    """The SIGINT and SIGTERM that came, instead of what they do; for Python's main thread alone."""
    caught, before = [], {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda came, frame: caught.append(came))
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
