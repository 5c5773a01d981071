"""Processes that make what is learned from, one for each core."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2
import numba

from gaussvae_ros import kernels
from gaussvae_ros.errors import GaussVaeError


@contextmanager
def working(jobs: int | None, lost: GaussVaeError) -> Iterator[ProcessPoolExecutor]:
    """Processes (None: one for each core) that each use one core: a fit per core is faster than a
    fit on all of them.

    After an error they begin nothing more. Raises `lost` where one of them was ended from outside.
    """
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    jobs = jobs or numba.config.NUMBA_NUM_THREADS
    with ProcessPoolExecutor(jobs, context, _start) as workers:
        try:
            yield workers
        except BrokenProcessPool:
            raise lost from None
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says what to do then
    kernels.use_threads(1)
    cv2.setNumThreads(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End with a parent that was killed: a worker would wait for its next task for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)
