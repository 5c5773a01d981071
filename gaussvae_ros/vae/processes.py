"""One training on several processes (`torchrun`): who they are, and what they must agree on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from gaussvae_ros.errors import TrainingError


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
    """The team that `torchrun` started this process in, or one process alone; a GPU each where there are GPUs.

    Raises:
        TrainingError: fewer GPUs than processes, or another process was lost.
    """
    rank, world, local = (int(os.environ.get(name, n)) for name, n in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
    gpus = torch.cuda.device_count()
    if gpus and local >= gpus:
        raise TrainingError(f"process {local} has no GPU, there are {gpus}: start that many processes on this machine")
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
            raise TrainingError(f"process {rank} of {world} lost the others; theirs is the first error") from error
        raise
    finally:
        distributed.destroy_process_group()
