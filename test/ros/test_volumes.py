"""Volumes through both nodes: stored by the service and from a topic, recalled in regions."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import START
from gaussvae_ros.msg import VoxelGrid
from gaussvae_ros.srv import DescribeMemory, RecallVolume, StoreVolume
from geometry_msgs.msg import Point
from graph import until
from messages import header
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger
from writing import NODE, Memory

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.client import MemoryClient, RecallError, voxels
from gaussvae_ros.nodes.voxels import points_from, points_message, voxelised

YAW_90 = (0.0, 0.0, 0.5**0.5, 0.5**0.5)


def room() -> np.ndarray:
    """Distances, m, to the walls of a room of 3.2 x 2.4 x 1.6 m in voxels of 10 cm."""
    z, y, x = (np.arange(n) * 0.1 + 0.05 for n in (16, 24, 32))
    to_x, to_y = np.minimum(x, 3.2 - x), np.minimum(y, 2.4 - y)
    flat = np.minimum(to_y[:, None], to_x[None]).astype(np.float32)
    return np.broadcast_to(flat, (len(z), *flat.shape)).copy()


def recall(ros, **request) -> RecallVolume.Response:
    return ros.call(RecallVolume, "visual_recall/recall_volume", **request)


def box(lower, upper) -> dict:
    corners = (Point(**dict(zip("xyz", map(float, corner)))) for corner in (lower, upper))
    return dict(zip(("lower", "upper"), corners))


@pytest.fixture(scope="module")
def memory(shared_ros):
    """Both nodes, and a dock at (10, 0) of the map that looks along map's y."""
    made = Memory(shared_ros, map_frame="map", map_id="hall", volume_topic="centres",
                  volume_voxel_size=0.1, volume_period=0.0)  # fmt: skip
    shared_ros.static_transform("map", "dock", (10, 0, 0), YAW_90)
    options = ("-p", f"bank:={made.path}", "-p", "autostart:=true")
    shared_ros.run("recall_node", "--ros-args", *options)
    shared_ros.until_active("visual_recall")
    return made


def test_a_grid_is_stored_and_its_regions_come_back(memory, shared_ros):
    with MemoryClient(timeout_s=30) as client:
        about = {"frame": "map", "stamp_ns": START, "quality": 80}
        first = client.store_volume(room(), 0.1, (1.0, 2.0, 0.0), **about)
        whole = client.recall_volume(first)
        assert np.abs(voxels(whole) - room()).max() < 0.03 and whole.header.frame_id == "map"
        assert whole.header.stamp.sec * 10**9 == START and whole.origin.position.y == 2.0
        part = client.recall_volume(lower=(2, 2, 0), upper=(2.5, 3, 0.4), frame="map")
        assert voxels(part).shape == (4, 10, 5)
        assert np.abs(voxels(part) - room()[:4, :10, 10:15]).max() < 0.03
        points = client.recall_points(lower=(2, 2, 0), upper=(2.5, 3, 0.4), frame="map")
        assert len(points) == 4 * 5 and np.allclose(points[:, 1], 2.05, atol=1e-5)
        wide = client.recall_points(lower=(2, 2, 0), upper=(2.5, 3, 0.4), values=(0, 0.2))
        assert len(wide) == 2 * len(points)
        with pytest.raises(RecallError, match="no volume 99"):
            client.recall_volume(99)
        with pytest.raises(RecallError, match="the memory has no such volume"):
            client.recall_points(lower=(50, 50, 0), upper=(51, 51, 1), frame="map")
        with pytest.raises(RecallError, match="the region holds nothing of volume"):
            client.recall_points(first, lower=(50, 50, 0), upper=(51, 51, 1))
        with pytest.raises(RecallError, match="a lower and an upper corner"):
            client.recall_points(first, lower=(2, 2, 0), upper=(1, 3, 1))
        with pytest.raises(RecallError, match="by its id or by time and map, not by both"):
            client.recall_points(first, map_id="hall")
        with pytest.raises(RecallError, match="the region is in the frame moon and the volumes"):
            client.recall_points(first, frame="moon")
    with MemoryBank(memory.path, readonly=True) as bank:
        volume = bank.volume(first)
        assert volume.map_id == "hall" and volume.pose.reference == "map"
        assert bank.info()["sessions"][volume.session - 1]["name"] != "unnamed"


def test_regions_and_grids_in_other_frames_of_tf(memory, shared_ros):
    """The dock's x is map's y, its y is map's -x."""
    with MemoryClient(timeout_s=30) as client:
        solid = np.ones((2, 4, 6), np.uint8)
        solid[:, :, :3] = 0
        stamp = START + 10**9
        number = client.store_volume(solid, 0.5, (1, 1, 0), frame="dock", stamp_ns=stamp)
        points = client.recall_points(number, frame="map")
        assert len(points) == 24 and (points[:, 3] == 1).all()
        # 1 + 1.5 to 1 + 3 along map's y, and 1 to 3 to the left of 10
        assert np.allclose(points[:, :2].min(0), (7.25, 2.75), atol=1e-4)
        assert np.allclose(points[:, :2].max(0), (8.75, 3.75), atol=1e-4)
        near = client.recall_points(number, lower=(2.5, 1, 0), upper=(3, 2, 1), frame="dock")
        assert len(near) == 4 and near[:, :2].min() > 1
        grid = client.recall_volume(number, frame="dock")
        assert np.allclose([grid.origin.position.x, grid.origin.orientation.w], [1, 1], atol=1e-6)
        unknown = np.ones(solid.shape, bool)
        unknown[0] = False
        number = client.store_volume(solid, 0.5, (0, 0, 9), known=unknown, frame="map")
        again = voxels(client.recall_volume(number))
        assert (again.mask == ~unknown).all() and (again[1] == solid[1]).all()
        with pytest.raises(RecallError, match="the volume is in the frame moon and the poses"):
            client.store_volume(solid, 0.5, frame="moon")


def test_what_is_no_grid_is_refused(memory, shared_ros):
    for grid, says in (
        (VoxelGrid(type="float64", voxel_size=0.1), "not 'float64'"),
        (
            VoxelGrid(type="uint8", width=2, height=2, depth=2, data=[0] * 7),
            "2x2x2 voxels of uint8",
        ),
        (VoxelGrid(type="uint8", width=1, height=1, depth=1, data=[0]), "voxel"),
    ):
        answer = shared_ros.call(StoreVolume, f"{NODE}/store_volume", grid=grid)
        assert not answer.success and says in answer.message


def test_points_of_occupied_voxels_become_a_volume_that_grows(memory, shared_ros):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

    def publish(count, stamp_ns):
        places = np.argwhere(np.ones((count, 3, 2)))[:, ::-1] * 0.1 + (30.05, 0.05, 0.05)
        points = np.column_stack([places, np.zeros(len(places))]).astype(np.float32)
        shared_ros.publish("centres", points_message(points, header(stamp_ns, "map")), qos=latched)
        return places

    def of_topic():
        with MemoryBank(memory.path, readonly=True) as bank:
            return bank.find_volumes(near=(30, 0, 0), radius=1.0)

    publish(4, START + 2 * 10**9)
    until(lambda: len(of_topic()) == 1, 30.0, shared_ros.logs)
    first = of_topic()[0]
    places = publish(9, START + 3 * 10**9)
    until(lambda: [v.id for v in of_topic()] > [first.id], 30.0, shared_ros.logs)
    assert len(of_topic()) == 1 and of_topic()[0].stamp_ns == START + 3 * 10**9
    answer = recall(shared_ros, **box((29, -1, -1), (31, 1, 1)), header=header(0, "map"))
    assert answer.success and answer.id == of_topic()[0].id
    found = points_from(answer.points)
    assert np.allclose(np.sort(found[:, :3], 0), np.sort(places, 0), atol=1e-4)
    grid, corner = voxelised(found, 0.1)
    assert grid.all() and grid.shape == (9, 3, 2) and np.allclose(corner, (30, 0, 0), atol=1e-4)
    assert shared_ros.call(Trigger, f"{NODE}/pause").success
    publish(12, START + 4 * 10**9)
    time.sleep(2.5)  # it looks once a second
    assert shared_ros.call(Trigger, f"{NODE}/resume").success
    assert of_topic()[0].stamp_ns == START + 3 * 10**9
    told = shared_ros.call(DescribeMemory, "visual_recall/describe_memory")
    assert told.success and told.volumes >= 2


@pytest.mark.parametrize("height, width", [(1, 7), (7, 1), (3, 4), (0, 0), (0, 5), (5, 0)])
def test_points_may_be_laid_out_in_any_rows_or_be_none(height, width):
    places = np.arange(height * width * 4, dtype=np.float32).reshape(-1, 4)
    message = points_message(places, header(START, "map"))
    message.height, message.width = height, width
    message.row_step = width * message.point_step + 8  # each row ends in padding
    rows = places.reshape(height, 4 * width).view(np.uint8)
    message.data = np.pad(rows, ((0, 0), (0, 8))).ravel()
    assert np.array_equal(points_from(message), places[:, :3])


def test_a_node_that_is_cleaned_up_answers_for_the_volume_at_hand(ros):
    memory = Memory(ros, map_frame="map")
    voxel = VoxelGrid(header=header(START, "elsewhere"), voxel_size=0.1, width=1, height=1, depth=1)
    voxel.type, voxel.data = "uint8", [1]
    with ThreadPoolExecutor(1) as pool:  # it waits 2 s for TF
        asked = pool.submit(ros.call, StoreVolume, f"{NODE}/store_volume", grid=voxel)
        time.sleep(0.5)
        assert ros.transition(NODE, "deactivate") and ros.transition(NODE, "cleanup")
        answer = asked.result()
    assert not answer.success and "is in the frame elsewhere" in answer.message
    assert "Traceback" not in memory.process.log, memory.process.log
    assert ros.transition(NODE, "configure") and ros.transition(NODE, "activate")


def test_a_node_that_ends_stores_what_came_last(ros):
    memory = Memory(ros, map_frame="map", volume_topic="centres", volume_period=3600.0)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    for k in range(2):
        points = np.array([[k, 0, 0, 0], [k + 1, 1, 1, 0]], np.float32)
        ros.publish("centres", points_message(points, header(START + k, "map")), qos=latched)
        with MemoryBank(memory.path, readonly=True) as bank:
            until(lambda: k or bank.volume_ids(), 30.0, ros.logs)
        time.sleep(0.5)
    with memory.stop() as bank:
        assert [volume.stamp_ns for volume in bank.find_volumes()] == [START + 1, START]
