"""Tests against real ROS 2 processes. `make test` builds the package and runs them where ROS 2 is.

The Python that runs them, the environment's, runs the nodes, too. `python -m pytest` here in the
checkout would import the source tree, which has no messages: test/ros/run.sh starts it elsewhere.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

# Each test takes the next: the highest, which hardly anybody uses, and whose ports Linux gives to
# nobody else.
DOMAINS = cycle(range(215, 232))
START = 1_700_000_000_000_000_000  # ns, stamp of the first frame of `bank`


def why_not() -> str:
    """Why these tests cannot run here; empty if they can."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if find_spec("rclpy") is None:
        here = [path.parent.name for path in sorted(Path("/opt/ros").glob("*/setup.sh"))]
        fits = [
            name
            for name in here
            if list(Path("/opt/ros", name).glob(f"lib/python{version}/*-packages/rclpy"))
        ]
        if fits:
            return f"ROS 2 {fits[0]} is not sourced; make test does that where colcon is installed"
        if here:
            found = f"ROS 2 {here[0]} is here, but not for Python {version}"
            return f"{found}; make PYTHON=... names another"
        return "there is no ROS 2 here"
    if find_spec("gaussvae_ros.msg") is None:
        return (
            "gaussvae_ros is not built for ROS 2, or the source tree hides it; make test builds it"
        )
    return ""


WHY_NOT = why_not()


class _Skipped(pytest.Module):
    def collect(self) -> list:
        pytest.skip(WHY_NOT, allow_module_level=True)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Test modules import ROS, so that none is loaded without it."""
    return _Skipped.from_parent(parent, path=module_path) if WHY_NOT else None


@pytest.fixture
def ros(tmp_path: Path) -> Iterator:
    """A `graph.Ros` in a domain of its own, which parallel runs of these tests do not use."""
    with graph_in(tmp_path) as graph:
        yield graph


@pytest.fixture(scope="module")
def shared_ros(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The same for all tests of a module."""
    with graph_in(tmp_path_factory.mktemp("graph")) as graph:
        yield graph


@contextmanager
def graph_in(folder: Path) -> Iterator:
    from domain_coordinator import domain_id
    from graph import Ros

    with pytest.MonkeyPatch.context() as patch, domain_id(lambda: next(DOMAINS)) as domain:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        for name in ("ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_NAMESPACE"):
            patch.delenv(name, raising=False)
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        graph = Ros(domain, folder)
        try:
            yield graph
        finally:
            graph.close()


@pytest.fixture(scope="session")
def frames() -> list[np.ndarray]:
    """12 pictures, uint8 [120, 160, 3], along a drive through the simulated building."""
    import cv2

    from gaussvae_ros.sim.building import build
    from gaussvae_ros.sim.camera import Sensor
    from gaussvae_ros.sim.drive import FOCAL, SIZE, photograph, where

    world, sensor = build(seed=0), Sensor(SIZE, FOCAL, 0)
    views = (
        photograph(world, sensor, x, y, yaw, 0.0)
        for x, y, yaw in where(np.linspace(2, 12, 12), 30.0)
    )
    return [cv2.resize(view, (160, 120), interpolation=cv2.INTER_AREA) for view in views]


@pytest.fixture(scope="session")
def finished_bank(frames: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory of `frames`, from START on every 0.1 s, of "camera", poses at x = 0, 0.25, ... m.

    Copy it to write.
    """
    from gaussvae_ros.bank import MemoryBank, Pose
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.likeness import describe

    path, codec = tmp_path_factory.mktemp("finished") / "memory.db", FrameCodec(device="cpu")
    with MemoryBank(path) as bank:
        for i, image in enumerate(frames):
            bank.add(
                codec.encode(image),
                stamp_ns=START + i * 10**8,
                camera="camera",
                pose=Pose(0.25 * i, 0.0, 0.0),
                descriptor=describe(image).tobytes(),
                frame_id="camera",
            )
    return path


@pytest.fixture(scope="session")
def recalled(
    finished_bank: Path, frames: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The memory of `recalling.make_memory`, which several tests read, and none writes to."""
    from recalling import make_memory

    path = tmp_path_factory.mktemp("recalled") / "memory.db"
    make_memory(path, finished_bank, frames)
    return path


@pytest.fixture(scope="session")
def recall(recalled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A graph with an active recall node on `recalled`, for tests that leave both as they were."""
    from recalling import start

    with graph_in(tmp_path_factory.mktemp("recall")) as graph:
        start(graph, recalled)
        yield graph


@pytest.fixture(scope="session", autouse=True)
def compiled(finished_bank: Path) -> None:
    """Numba's kernels are in its cache, which the nodes share, before a test waits for them."""
    from gaussvae_ros.bank import MemoryBank
    from gaussvae_ros.codec import FrameCodec

    with MemoryBank(finished_bank, readonly=True) as bank:
        codec, data = FrameCodec(device="cpu"), bank.get(1).data
    for size in (None, (96, 96)):
        codec.decode(data, size=size)
    codec.encode(codec.decode(data)[..., 0])


# For bagmaker.py and the like, after everything else.
if str(Path(__file__).parents[1]) not in sys.path:
    sys.path.append(os.path.dirname(os.path.dirname(__file__)))
