"""How kernels are compiled by numba, and in how many threads they run.

    @kernel(error_model="numpy")      a function of one thread
    @parallel(fastmath={"contract"})  one whose `prange` loops threads may share
    @inline                           a part of kernels
    @leaf                             a part of kernels that makes no arrays

cache.py keeps their machine code.
"""

import os
import threading
from collections.abc import Callable
from functools import wraps

# Read when the first of numba's parallel kernels runs and when torch is imported. By default idle
# threads spin for long until the next kernel, and the one that has work, in another program or in
# the other library, waits for them: a fit of 40 ms then took 300 to 600 beside other programs, and
# training's 15 ms in the rasteriser 60 beside torch's own threads. Those that sleep at once wake
# too late on a quiet machine (47 ms a fit). A short spin has the best of both (37 ms).
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

import numba
from numba import njit, prange

from gaussvae_ros.kernels.cache import KernelCache

__all__ = ["inline", "kernel", "leaf", "parallel", "prange", "threads", "use_threads"]

# Where the system has a TBB, numba would take that: a fit then takes three times as long beside
# other programs, each one leaves 2 MB behind, and a process that drew in a thread of its own spins
# at its end instead of ending. The variable alone would come too late where numba is imported
# already.
_layers = os.environ.get("NUMBA_THREADING_LAYER_PRIORITY", "omp tbb workqueue")
numba.config.THREADING_LAYER_PRIORITY = _layers.split()

inline = njit(inline="always")

# Kernels count who uses an array, with two locked instructions for each argument: more work than
# coding a bit. Those that neither make an array nor a view of one may leave it out.
leaf = njit(error_model="numpy", _nrt=False, forceinline=True)

_count = numba.config.NUMBA_NUM_THREADS if os.environ.get("NUMBA_NUM_THREADS") else 1
_forked = False
_pool = threading.Lock()  # numba's threads serve one kernel at a time: not all its layers allow two


def kernel(**options) -> Callable:
    """Compile a function on its first call, or take its machine code from its place."""
    return lambda function: _cached(function, "", nogil=True, **options)


def parallel(**options) -> Callable:
    """As `kernel`, in two ways with the same results: for one thread, and for several."""

    def decorate(function: Callable) -> Callable:
        alone = _cached(function, "", nogil=True, **options)
        shared = _cached(function, "-parallel", nogil=True, parallel=True, **options)

        @wraps(function)
        def call(*args):
            count = threads()
            if count == 1:  # in no need of numba's threads, which then never start
                return alone(*args)
            with _pool:
                numba.set_num_threads(count)  # of calls from this thread
                return shared(*args)

        return call

    return decorate


def use_threads(count: int) -> None:
    """Let `parallel` kernels run in so many threads, at most as many as there are cores.

    At first it is NUMBA_NUM_THREADS, or else one: where others use the cores, two threads wait for
    each other so long that an encode takes twice the time, and on idle cores they save a quarter
    of it for a fifth more work.
    """
    global _count
    _count = count


def threads() -> int:
    """In how many threads `parallel` kernels run."""
    return 1 if _forked else max(min(_count, numba.config.NUMBA_NUM_THREADS), 1)


def _cached(function: Callable, kind: str, **options) -> Callable:
    made = njit(**options)(function)
    made._cache = KernelCache(function, kind)  # as numba's cache=True does with its own
    return made


def _in_child() -> None:
    """GNU's OpenMP, under numba's threads, ends a forked child that uses it."""
    global _forked
    _forked = True
    _pool.release()


os.register_at_fork(before=_pool.acquire, after_in_parent=_pool.release, after_in_child=_in_child)
