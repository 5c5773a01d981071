"""What RViz and Foxglove see of a memory: its route, frusta, and recalled pictures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import START
from graph import Ros, until
from nav_msgs.msg import Path as Route
from recalling import NODE, frame, frames_of
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import Marker, MarkerArray

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.route import CORNERS, LATCHED, MOST, Chosen, frustum

OF_ONE = 16  # points of a frustum


@pytest.fixture
def memory(ros: Ros, finished_bank: Path) -> Path:
    """A recall node's, which tests may write to."""
    path = ros.folder / "memory.db"
    shutil.copy(finished_bank, path)
    return path


def start(ros: Ros, memory: Path, *more: str) -> tuple[list[Route], list[MarkerArray]]:
    """The messages of both topics, of an active node."""
    ros.run("recall_node", "--ros-args", "-p", f"bank:={memory}", *more)
    assert ros.transition(NODE, "configure") and ros.transition(NODE, "activate")
    listen = [(Route, f"/{NODE}/route"), (MarkerArray, f"/{NODE}/markers")]
    return tuple(ros.listen(kind, topic, LATCHED) for kind, topic in listen)


def xs(route: Route) -> list[float]:
    return [pose.pose.position.x for pose in route.poses]


def by_kind(markers: MarkerArray) -> dict[str, Marker]:
    return {marker.ns: marker for marker in markers.markers}


def test_route_and_frusta_follow_the_memory(ros: Ros, memory: Path) -> None:
    routes, arrays = start(ros, memory)
    until(lambda: routes and arrays)
    assert xs(routes[-1]) == [0.25 * i for i in range(12)]
    assert routes[-1].header.frame_id == "map"
    assert [convert.stamp_ns(p.header.stamp) for p in routes[-1].poses][3] == START + 3 * 10**8
    kinds = by_kind(arrays[-1])
    assert kinds.keys() == {"frames", "recalled", "newest"}
    assert len(kinds["frames"].points) == 12 * OF_ONE and len(kinds["newest"].points) == OF_ONE
    assert kinds["newest"].points[0].x == 0.25 * 11
    assert kinds["recalled"].action == Marker.DELETE
    assert all(m.header.frame_id == "map" and m.type == Marker.LINE_LIST
               for m in (kinds["frames"], kinds["newest"]))  # fmt: skip

    assert frame(ros, id=5).success  # is marked once it was recalled
    until(lambda: by_kind(arrays[-1])["recalled"].points)
    assert by_kind(arrays[-1])["recalled"].points[0].x == 1.0
    assert frames_of(ros, center=5, radius=1, width=16, height=16).success
    until(lambda: len(by_kind(arrays[-1])["recalled"].points) == 3 * OF_ONE)

    with MemoryBank(memory) as bank:  # a loop is closed, and a frame comes
        bank.set_poses({i: Pose(i, 1.0, 0.0) for i in range(1, 13)})
        bank.add(bank.get(1).data, stamp_ns=START + 10**10, pose=Pose(50, 0, 0))
    until(lambda: xs(routes[-1]) == [*range(1, 13), 50])
    until(lambda: by_kind(arrays[-1])["newest"].points[0].x == 50)
    assert by_kind(arrays[-1])["recalled"].points[0].y == 1.0

    with MemoryBank(memory) as bank:  # the lift: coordinates of another map
        bank.begin_session("first floor", start_ns=START + 10**11, map_id="first floor")
        bank.add(bank.get(1).data, stamp_ns=START + 10**11, pose=Pose(3, 0, 0))
        bank.remove([2])
    until(lambda: xs(routes[-1]) == [3.0])
    count = len(routes)
    assert frame(ros, id=3).success
    until(lambda: len(routes) > count)
    assert by_kind(arrays[-1])["recalled"].action == Marker.DELETE  # it is not in this map
    late = ros.listen(Route, f"/{NODE}/route", LATCHED)
    until(lambda: late)  # who comes later gets it, too
    assert xs(late[-1]) == [3.0]


def test_nothing_is_published_where_nothing_changes(ros: Ros, memory: Path) -> None:
    routes, arrays = start(ros, memory)
    until(lambda: routes and arrays)
    count = len(routes), len(arrays)
    assert not ros.hears(NODE, f"/{NODE}/recalled/image")
    with pytest.raises(AssertionError, match="not within"):
        until(lambda: (len(routes), len(arrays)) != count, 3.0)
    assert ros.node.count_publishers(f"/{NODE}/recalled/image") == 0


def test_recalled_frames_as_images(ros: Ros, memory: Path, frames: list[np.ndarray]) -> None:
    k = [190.0, 0.0, 79.5, 0.0, 190.0, 59.5, 0.0, 0.0, 1.0]
    info = CameraInfo(width=160, height=120, k=k, r=np.eye(3).ravel(), p=np.eye(3, 4).ravel())
    with MemoryBank(memory) as bank:
        bank.set_calibration("camera", convert.calibration(info), session=1)
    start(ros, memory, "-p", "publish_recalled:=true")
    images = ros.listen(Image, f"/{NODE}/recalled/image")
    infos = ros.listen(CameraInfo, f"/{NODE}/recalled/camera_info")
    until(lambda: ros.node.count_publishers(f"/{NODE}/recalled/image"))
    until(lambda: frame(ros, id=5).success and images and infos)
    answer = frame(ros, id=5)
    assert images[-1].header == answer.frame.header and images[-1].data == answer.image.data
    assert infos[-1].width == 160 and infos[-1].k[0] == 190
    count = len(images)
    window = frames_of(ros, center=5, radius=1, width=80, height=60, encoding="jpeg")
    until(lambda: len(images) == len(infos) == count + 3)
    assert [i.header.stamp for i in images[-3:]] == [f.header.stamp for f in window.frames]
    assert images[-1].encoding == "rgb8" and infos[-1].width == 80 and infos[-1].k[0] == 95
    shown = convert.image_from(images[-1]).astype(float)
    assert np.abs(shown - convert.image_from(window.compressed[-1])).max() == 0


def test_a_frustum_looks_along_x() -> None:
    ahead = frustum(Pose(1, 2, 3))
    assert len(ahead) == OF_ONE and (ahead[0].x, ahead[0].y, ahead[0].z) == (1, 2, 3)
    assert max(point.x for point in ahead) == pytest.approx(1 + CORNERS[0][0])
    turned = frustum(Pose(0, 0, 0, 0, 0, 0.5**0.5, 0.5**0.5))
    assert max(point.y for point in turned) == pytest.approx(CORNERS[0][0])


def test_large_memories_are_thinned_evenly(tmp_path: Path, finished_bank: Path) -> None:
    with MemoryBank(finished_bank, readonly=True) as bank:
        data = bank.get(1).data
    chosen = Chosen()
    with MemoryBank(tmp_path / "memory.db") as bank:
        for i in range(3 * MOST):
            bank.add(data, stamp_ns=i, pose=Pose(i, 0, 0))
            if i in (10, MOST, 2 * MOST + 7):
                chosen.read(bank)
        ids = [found.id for found in chosen.read(bank)]
        assert MOST / 2 <= len(ids) <= MOST and len(set(np.diff(ids))) == 1 and ids[0] == 1
        assert chosen.newest == 3 * MOST
        bank.remove(list(range(1, 2 * MOST + 1)))
        assert [found.id for found in chosen.read(bank)] == list(range(2 * MOST + 1, 3 * MOST + 1))
