"""Kernels in a number of threads, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from gaussvae_ros import kernels


@contextmanager
def kernel_threads(count: int) -> Iterator[None]:
    before = kernels.threads()
    kernels.use_threads(count)
    try:
        yield
    finally:
        kernels.use_threads(before)
