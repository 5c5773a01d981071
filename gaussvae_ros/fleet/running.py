"""Ray: functions called with many items on the cores of this machine, or of a cluster.

Ray Data hands the items out, keeps the queue short, and calls again elsewhere what a worker or
machine that was lost had under way. A function here gives the same for the same item, so results
do not depend on who did what.
"""

import logging
import os
import pickle
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import cv2

from gaussvae_ros import kernels
from gaussvae_ros.errors import FleetError
from gaussvae_ros.extras import install

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # reports to Ray's makers

try:
    import ray
    import ray.data
except ImportError as error:
    raise FleetError(f"Ray is missing: {install('fleet')}") from error

LOCAL = "local"
OBJECTS = 100 * 2**20  # bytes for what is under way on this machine
ANSWERS = 5  # s, in which a cluster does
BLOCKS = 10_000  # of items, at most: each is a task


@contextmanager
def connected(address: str = LOCAL, jobs: int | None = None) -> Iterator[None]:
    """Use the cluster at an address ("auto", host:port, ray://host:port), or a "local" one that
    ends with this, with so many workers (None: one for each core). One that this process is
    connected to is used in any case.

    Raises:
        FleetError: no cluster there, or one of another version of Ray or Python.
    """
    if ray.is_initialized():
        yield
        return
    how = {"log_to_driver": False, "logging_level": logging.ERROR}
    with tempfile.TemporaryDirectory(prefix="gaussvae_ray_", ignore_cleanup_errors=True) as folder:
        if address == LOCAL:
            how |= {"num_cpus": jobs, "object_store_memory": OBJECTS, "_temp_dir": folder}
            how["include_dashboard"] = False
        try:
            _check(address)
            with _found_by_workers():
                ray.init(address=address, **how)
        except Exception as error:  # each kind of address has its own
            said = (str(error).splitlines() or [type(error).__name__])[0]
            none = address == "auto" and isinstance(error, ConnectionError)
            said = "no cluster runs on this machine" if none else said
            raise FleetError(f"Ray at {address}: {said}") from error
        try:
            yield
        finally:
            ray.shutdown()


def mapped(
    function: Callable, items: Sequence, jobs: int | None = None, chunk: int = 1
) -> Iterator:
    """What the function, which pickles, gives for each item, in their order: some `chunk` at a
    time, by at most so many workers (None: all that there are).

    Raises:
        FleetError: the function raised an error.
    """
    if not items:
        return
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    # Memory that is set apart for results lets one task run at a time beside a small store.
    context.op_resource_reservation_enabled = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    blocks = min(-(-len(items) // chunk), BLOCKS)
    data = ray.data.from_items(
        [{"item": pickle.dumps(item)} for item in items], override_num_blocks=blocks
    )
    size = min(jobs, blocks) if jobs else None
    data = data.map(_Called(function), compute=ray.data.TaskPoolStrategy(size), num_cpus=1)
    try:
        for row in data.iter_rows():
            yield pickle.loads(row["made"])
    except ray.exceptions.RayError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        raise FleetError(
            f"a worker failed: {said[-1] if said else type(error).__name__}"
        ) from error


def _check(address: str) -> None:
    """Raise OSError or ValueError unless something listens there; Ray would ask for ten minutes."""
    if address not in (LOCAL, "auto"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if not (host and port.isdecimal()):
            raise ValueError("it is none of auto, HOST:PORT and ray://HOST:PORT")
        socket.create_connection((host, int(port)), ANSWERS).close()


@contextmanager
def _found_by_workers() -> Iterator[None]:
    """Processes that begin here find this package, installed or not."""
    before = os.environ.get("PYTHONPATH")
    here = str(Path(__file__).parents[2])
    os.environ["PYTHONPATH"] = here if before is None else f"{here}{os.pathsep}{before}"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


class Workers(Executor):
    """As many workers, as `concurrent.futures` has them."""

    def __init__(self, jobs: int | None = None):
        self._jobs = jobs

    def map(self, function: Callable, items: Iterable, *, chunksize: int = 1) -> Iterator:
        """As `mapped`."""
        return mapped(function, list(items), self._jobs, chunksize)


class _Called:
    """A function as Ray Data calls it, with rows, on one core."""

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, row: dict) -> dict:
        kernels.use_threads(1)
        cv2.setNumThreads(1)
        return {"made": pickle.dumps(self._function(pickle.loads(row["item"])))}
