"""visual_recall's services, asked through a graph: every answer against the memory and the offline
codec.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from conftest import START
from geometry_msgs.msg import PoseStamped
from graph import Ros, image_message, jpeg_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recalling import (  # noqa: F401 (memory and node are fixtures)
    BARE,
    CODEC,
    DAMAGED,
    FOREIGN,
    MONO,
    NODE,
    TALLY,
    find,
    frame,
    frames_of,
    memory,
    node,
)
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.likeness import describe
from gaussvae_ros.nodes import convert
from gaussvae_ros.srv import DescribeMemory, FindFrames, RecallFrame, RecallFrames


def stamp(seconds: float) -> Time:
    return convert.to_time(START + round(seconds * 1e9))


def stored(path: Path, frame_id: int) -> tuple[object, bytes]:
    """What the memory holds: a MemoryFrame and the record."""
    with MemoryBank(path, readonly=True) as bank:
        found = bank.get(frame_id)
    return convert.memory_frame(found), found.data


def some_of(fields: dict, without: str = "") -> st.SearchStrategy[dict]:
    """Requests that give any of these fields."""
    return st.fixed_dictionaries(
        {}, optional={name: field for name, field in fields.items() if name != without}
    )


# recall_frame


@pytest.mark.parametrize(
    "request_, size, roi",
    [
        ({}, None, None),
        ({"width": 64, "height": 64}, (64, 64), None),
        ({"width": 80}, (80, 60), None),
        ({"height": 30}, (40, 30), None),
        ({"width": 1}, (1, 1), None),
        (
            {"roi": RegionOfInterest(x_offset=20, y_offset=30, width=64, height=48)},
            None,
            (20, 30, 64, 48),
        ),
        (
            {"roi": RegionOfInterest(x_offset=20, y_offset=30, width=64, height=48), "width": 128},
            (128, 96),
            (20, 30, 64, 48),
        ),
    ],
)
def test_pictures_are_those_of_the_offline_codec(
    node: Ros, memory: Path, request_: dict, size: tuple | None, roi: tuple | None
) -> None:
    facts, data = stored(memory, 5)
    expected = CODEC.decode(data, size, roi)
    answer = frame(node, id=5, **request_)
    assert answer.success and answer.message == ""
    assert answer.frame == facts and answer.frame.header.frame_id == "camera"
    assert (answer.image.encoding, answer.image.header) == ("rgb8", facts.header)
    assert np.array_equal(convert.image_from(answer.image), expected)
    assert len(answer.compressed.data) == 0
    w, h = size or (roi or (0, 0, 160, 120))[2:]
    x, y, across, down = roi or (0, 0, 160, 120)
    info = answer.camera_info
    assert (info.width, info.height, info.header) == (w, h, facts.header)
    sx, sy = w / across, h / down
    assert np.allclose(
        info.k,
        [190 * sx, 0, (80 - x) * sx - 0.5, 0, 190 * sy, (60 - y) * sy - 0.5, 0, 0, 1],
        rtol=0,
        atol=1e-9,
    )


def test_encodings(node: Ros, memory: Path) -> None:
    expected = CODEC.decode(stored(memory, 5)[1])
    for encoding in ("rgb8", "bgr8"):
        image = frame(node, id=5, encoding=encoding).image
        assert image.encoding == encoding and np.array_equal(convert.image_from(image), expected)
    grey = frame(node, id=5, encoding="mono8").image
    assert grey.encoding == "mono8" and len(grey.data) == 160 * 120
    luma = expected @ np.array([0.299, 0.587, 0.114])
    assert np.abs(convert.image_from(grey) - luma).max() <= 1
    answer = frame(node, id=5, encoding="jpeg")
    assert answer.image.width == 0 and answer.compressed.header == answer.frame.header
    shown = cv2.imdecode(np.frombuffer(answer.compressed.data, np.uint8), cv2.IMREAD_UNCHANGED)[
        ..., ::-1
    ]
    assert np.abs(shown.astype(int) - expected).mean() < 3


def test_mono_frames(node: Ros, memory: Path) -> None:
    expected = CODEC.decode(stored(memory, MONO)[1])
    assert expected.ndim == 2
    for encoding in ("rgb8", "bgr8"):
        shown = convert.image_from(frame(node, id=MONO, encoding=encoding).image)
        assert np.array_equal(shown, np.dstack([expected] * 3))
    answer = frame(node, id=MONO, encoding="mono8")
    assert np.array_equal(convert.image_from(answer.image), expected)
    assert (answer.frame.camera, answer.frame.label, answer.frame.has_pose) == (
        "rear",
        "dock",
        False,
    )
    assert answer.frame.header.frame_id == "rear_optical_frame" and answer.camera_info.width == 0
    jpeg = frame(node, id=MONO, encoding="jpeg").compressed
    assert cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_UNCHANGED).shape == (
        120,
        160,
    )


@pytest.mark.parametrize(
    "request_, expected",
    [
        ({"stamp": stamp(0.3)}, 4),
        ({"stamp": stamp(0.34)}, 4),
        ({"stamp": stamp(0.36)}, 5),
        ({"stamp": stamp(-0.4)}, 1),  # within the 0.5 s of the parameter
        ({"stamp": stamp(1.55)}, 12),
        ({"stamp": stamp(3.0), "tolerance": Duration(sec=2)}, 12),
        ({"stamp": stamp(1000.01), "camera": "rear"}, MONO),
        ({"stamp": stamp(4000), "camera": "camera"}, BARE),
    ],
)
def test_by_stamp(node: Ros, request_: dict, expected: int) -> None:
    answer = frame(node, **request_)
    assert answer.success, answer.message
    assert answer.frame.id == expected


HUGE = 0xFFFFFFFF


@pytest.mark.parametrize(
    "request_, says",
    [
        ({"id": 99}, "no frame 99"),
        ({"id": -1}, "no frame -1"),
        ({"id": 2**63 - 1}, "no frame"),
        ({}, "which frame? give an id, or a stamp, and the camera where there are several"),
        (
            {"camera": "camera"},
            "no frame of camera 'camera' within 0.5 s of the stamp 0.000000000 s",
        ),
        ({"stamp": stamp(2.5)}, "the nearest, 12, is 1.400 s away"),
        ({"stamp": stamp(0.35), "tolerance": Duration(nanosec=1000)}, "no frame within 1e-06 s"),
        ({"stamp": Time(sec=-5)}, "no frame within"),
        ({"stamp": stamp(0), "camera": "rear"}, "no frame of camera 'rear' within"),
        ({"stamp": stamp(0), "camera": "nobody"}, "the memory holds no frame of camera 'nobody'"),
        ({"stamp": stamp(0), "camera": "\n"}, "camera must be text on one line"),
        ({"stamp": stamp(0), "tolerance": Duration(sec=-1)}, "tolerance is at least 0 s, not -1 s"),
        ({"id": 5, "stamp": stamp(0)}, "not by both"),
        ({"id": 5, "camera": "camera"}, "not by both"),
        ({"id": 5, "encoding": "32FC1"}, "encoding is one of rgb8, bgr8, mono8, jpeg, not '32FC1'"),
        ({"id": 5, "width": HUGE}, "cannot be made"),
        ({"id": 5, "width": 65535, "height": 65535}, "cannot be made"),
        (
            {"id": 5, "roi": RegionOfInterest(x_offset=150, width=20, height=20)},
            "not inside the frame of 160x120 px",
        ),
        (
            {"id": 5, "roi": RegionOfInterest(x_offset=HUGE, width=HUGE, height=HUGE)},
            "not inside the frame",
        ),
        ({"id": 5, "roi": RegionOfInterest(width=20)}, "is empty"),
        ({"id": FOREIGN}, "made with model fffefd"),
        ({"id": DAMAGED}, "frame 15 is damaged"),
    ],
)
def test_wrong_requests_for_a_frame_get_a_sentence(node: Ros, request_: dict, says: str) -> None:
    answer = frame(node, **request_)
    assert not answer.success and says in answer.message and "\n" not in answer.message
    assert answer.image == Image() and answer.compressed == CompressedImage()


def test_the_tolerance_can_be_changed_while_running(node: Ros) -> None:
    assert node.set_parameter(NODE, "tolerance", 2.0) == ""
    assert frame(node, stamp=stamp(2.5)).frame.id == 12
    assert "range" in node.set_parameter(NODE, "tolerance", -1.0)
    assert "unconfigured" in node.set_parameter(NODE, "bank", "/elsewhere.db")
    assert node.set_parameter(NODE, "tolerance", 0.5) == ""
    assert not frame(node, stamp=stamp(2.5)).success


# recall_frames


@pytest.mark.parametrize(
    "request_, ids, center",
    [
        ({"center": 6, "radius": 2}, [4, 5, 6, 7, 8], 2),
        ({"center": 2, "radius": 5}, [1, 2, 3, 4, 5, 6, 7], 1),
        ({"center": 11, "radius": 3}, [8, 9, 10, 11, 12], 3),
        ({"center": 6}, [6], 0),
        ({"stamp": stamp(0.52), "radius": 1}, [5, 6, 7], 1),
        ({"stamp": stamp(1000), "camera": "rear", "radius": 9}, [MONO], 0),
        ({"center": 3, "radius": 499}, list(range(1, 13)), 2),
        ({"ids": [7, 3, 7]}, [7, 3, 7], -1),
    ],
)
def test_windows_and_lists(
    node: Ros, memory: Path, request_: dict, ids: list[int], center: int
) -> None:
    answer = frames_of(node, width=96, height=96, **request_)
    assert answer.success, answer.message
    assert ([f.id for f in answer.frames], answer.center) == (ids, center)
    for found, image in zip(answer.frames, answer.images, strict=True):
        facts, data = stored(memory, found.id)
        expected = CODEC.decode(data, (96, 96))
        expected = np.dstack([expected] * 3) if expected.ndim == 2 else expected
        assert found == facts and image.header == facts.header
        assert np.array_equal(convert.image_from(image), expected)


def test_windows_as_jpeg_and_at_the_frames_own_size(node: Ros) -> None:
    answer = frames_of(node, center=2, radius=1, encoding="jpeg")
    assert len(answer.compressed) == 3 and not answer.images
    assert [convert.image_from(image).shape for image in answer.compressed] == [(120, 160, 3)] * 3
    assert convert.image_from(frames_of(node, ids=[1], width=40).images[0]).shape == (30, 40, 3)


def test_frames_that_cannot_come_do_not_keep_the_others(node: Ros) -> None:
    answer = frames_of(node, ids=[3, 99, FOREIGN, 4, DAMAGED, BARE], width=32, height=32)
    assert not answer.success and answer.center == -1
    assert [f.id for f in answer.frames] == [3, 4, BARE] and len(answer.images) == 3
    assert all(
        part in answer.message
        for part in ("no frame 99", "frame 14: record was made with", "frame 15 is damaged")
    )
    many = frames_of(node, ids=list(range(100, 200)))
    assert not many.success and many.message.endswith("and 95 more") and not many.frames


def test_a_window_goes_around_what_cannot_be_shown(node: Ros) -> None:
    answer = frames_of(node, center=BARE, radius=5, width=32, height=32)
    assert answer.success and [f.id for f in answer.frames] == [BARE] and answer.center == 0
    assert "frame 14: record was made with" in answer.message
    centre = frames_of(node, center=FOREIGN, radius=5, width=32, height=32)
    assert not centre.success and centre.center == -1 and [f.id for f in centre.frames] == [BARE]


@pytest.mark.parametrize(
    "request_, says",
    [
        ({}, "which frame? give an id, or a stamp"),
        ({"center": 99}, "no frame 99"),
        ({"center": -3}, "no frame -3"),
        ({"ids": [1, 2], "center": 1}, "not by both"),
        ({"ids": [1, 2], "radius": 1}, "not by both"),
        ({"ids": [1, 2], "stamp": stamp(0)}, "not by both"),
        ({"center": 1, "stamp": stamp(0)}, "not by both"),
        ({"ids": [0]}, "no frame 0"),
        ({"ids": [1] * 1001}, "at most 1000 frames, not 1001"),
        ({"center": 1, "radius": 500}, "at most 1000 frames, not 1001"),
        ({"center": 1, "radius": HUGE}, "at most 1000 frames"),
        ({"center": 6, "radius": 5, "width": 8000, "height": 8000}, "at most 67108864 px"),
        ({"center": 6, "width": HUGE, "height": 1}, "at most 67108864 px"),
        ({"center": 6, "width": 65536, "height": 1}, "cannot be made"),
        ({"center": 6, "encoding": "png"}, "encoding is one of"),
        ({"stamp": stamp(0), "tolerance": Duration(sec=-1)}, "tolerance is at least 0 s"),
    ],
)
def test_wrong_requests_for_frames_get_a_sentence(node: Ros, request_: dict, says: str) -> None:
    answer = frames_of(node, **request_)
    assert not answer.success and says in answer.message and "\n" not in answer.message
    assert not answer.frames and not answer.images


# find_frames


def near(x: float, y: float = 0.0, yaw: float = 0.0, reference: str = "map") -> PoseStamped:
    pose = PoseStamped()
    pose.header.frame_id = reference
    pose.pose.position.x, pose.pose.position.y = x, y
    pose.pose.orientation.z, pose.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return pose


DRIVE = list(range(1, 13))


@pytest.mark.parametrize(
    "request_, ids",
    [
        ({}, [*DRIVE, MONO, FOREIGN, BARE]),  # the damaged one cannot be read
        ({"limit": 3}, [1, 2, 3]),
        ({"after": stamp(0.3), "before": stamp(0.5)}, [4, 5, 6]),
        ({"after": stamp(1000)}, [MONO, FOREIGN, BARE]),
        ({"camera": "rear"}, [MONO]),
        ({"camera": "nobody"}, []),
        ({"session": 2, "camera": "camera"}, [FOREIGN, BARE]),
        ({"label": "dock"}, [MONO]),
        ({"near": near(1.0), "radius": 0.3}, [4, 5, 6]),
        ({"near": near(1.0, reference=""), "radius": 0.3}, [4, 5, 6]),
        ({"near": near(1.0, reference="/map"), "radius": 0.3}, [4, 5, 6]),
        ({"near": near(1.05), "radius": 0.35, "by_distance": True}, [5, 6, 4]),
        ({"near": near(1.05), "by_distance": True, "limit": 4}, [5, 6, 4, 7]),
        (
            {"near": near(9.0, reference=""), "by_distance": True, "camera": "camera", "limit": 2},
            [12, 11],
        ),
        ({"near": near(1.0, yaw=0.2), "radius": 0.3, "yaw_tolerance": 0.3}, [4, 5, 6]),
        ({"near": near(1.0, yaw=0.4), "radius": 0.3, "yaw_tolerance": 0.3}, []),
        ({"near": near(50.0, yaw=-0.2), "yaw_tolerance": 0.3}, DRIVE),  # radius 0: anywhere
        ({"near": near(50.0), "radius": 0.0}, [*DRIVE, MONO, FOREIGN, BARE]),
        ({"near": near(1.0), "radius": 1e12, "limit": 1000}, DRIVE),
        ({"after": stamp(5), "before": stamp(1)}, []),
    ],
)
def test_find_by_conditions(node: Ros, request_: dict, ids: list[int]) -> None:
    answer = find(node, **request_)
    assert answer.success and answer.message == "", answer.message
    assert [f.id for f in answer.frames] == ids and len(answer.scores) == 0


def test_likeness(node: Ros, memory: Path, frames: list[np.ndarray]) -> None:
    with MemoryBank(memory, readonly=True) as bank:
        expected = [
            (f.id, score) for f, score in bank.find_like(describe(frames[6]).tobytes(), limit=4)
        ]
    assert expected[0] == (7, pytest.approx(1.0))
    for request in (
        {"like_id": 7},
        {"like_image": image_message(frames[6], 0)},
        {"like_image": image_message(frames[6][..., ::-1].copy(), 0, encoding="bgr8")},
    ):
        answer = find(node, limit=4, **request)
        assert answer.success, answer.message
        found = [
            (f.id, pytest.approx(score, abs=1e-6))
            for f, score in zip(answer.frames, answer.scores, strict=True)
        ]
        assert found == expected
    answer = find(node, limit=1, like_compressed=jpeg_message(frames[6], 0))
    assert answer.frames[0].id == 7 and answer.scores[0] > 0.9
    # It has no descriptor: its picture is described.
    assert find(node, like_id=BARE, limit=1).frames[0].id == 7
    among = find(node, like_id=7, after=stamp(0), before=stamp(0.2))
    assert sorted(f.id for f in among.frames) == [1, 2, 3] and list(among.scores) == sorted(
        among.scores, reverse=True
    )


@pytest.mark.parametrize(
    "request_, says",
    [
        ({"limit": 1001}, "at most 1000 frames, not 1001"),
        ({"radius": -1.0}, "radius at least 0"),
        ({"radius": math.nan}, "radius at least 0"),
        ({"near": near(math.nan), "radius": 1.0}, "near must be finite"),
        (
            {"near": near(1.0), "by_distance": True, "like_id": 5},
            "by distance or by likeness, not by both",
        ),
        (
            {"near": near(1.0, reference="moon"), "radius": 1.0},
            "in the frame moon and the poses of the memory are in map",
        ),
        (
            {"near": near(1.0, reference="moon"), "by_distance": True},
            "nothing came on /tf and /tf_static",
        ),
        ({"near": near(math.inf), "yaw_tolerance": 1.0}, "not finite"),
        ({"near": near(0, yaw=math.nan), "yaw_tolerance": 1.0}, "not finite"),
        ({"yaw_tolerance": -1.0}, "yaw_tolerance at least 0"),
        ({"yaw_tolerance": math.nan}, "yaw_tolerance at least 0"),
        ({"camera": "\x07"}, "camera must be text on one line"),
        ({"like_id": 99}, "no frame 99"),
        ({"like_id": -1}, "no frame -1"),
        ({"like_id": DAMAGED}, "frame 15 is damaged"),
        ({"like_id": FOREIGN}, "made with model fffefd"),
        (
            {"like_id": 1, "like_compressed": CompressedImage(data=b"x")},
            "one of like_id, like_image and like_compressed",
        ),
        (
            {"like_image": Image(width=5, height=5, encoding="rgb8", step=15)},
            "image message is truncated",
        ),
        ({"like_image": Image(width=5, height=5, encoding="what")}, "'what' is not supported"),
        (
            {"like_compressed": CompressedImage(format="jpeg", data=b"nothing")},
            "neither JPEG nor PNG",
        ),
    ],
)
def test_wrong_searches_get_a_sentence(node: Ros, request_: dict, says: str) -> None:
    answer = find(node, **request_)
    assert not answer.success and says in answer.message and "\n" not in answer.message
    assert not answer.frames


# describe_memory


def test_describe(node: Ros, memory: Path) -> None:
    answer = node.call(DescribeMemory, f"{NODE}/describe_memory")
    with MemoryBank(memory, readonly=True) as bank:
        info = bank.info()
    assert answer.success and answer.path == str(memory)
    assert (answer.frames, answer.poses, answer.bytes) == (16, 12, info["bytes"])
    assert (answer.first, answer.last) == (stamp(0), stamp(4000))
    assert (answer.lower.x, answer.upper.x, answer.upper.y) == (0.0, 2.75, 0.0)
    assert dict(zip(answer.tiers, answer.tier_frames, strict=True)) == {"latent": 15, "splats": 1}
    assert dict(zip(answer.cameras, answer.camera_frames, strict=True)) == {"camera": 15, "rear": 1}
    assert dict(zip(answer.labels, answer.label_frames, strict=True)) == {"dock": 1}
    first, second = answer.sessions
    assert (first.id, first.frames, first.last) == (1, 12, stamp(1.1))
    assert (second.name, second.frames, second.first) == ("second", 4, stamp(1000))
    assert {name: getattr(second, name) for name in TALLY} == TALLY
    assert (first.received, first.dropped) == (0, 0)


# anything

WORDS, PIXELS = st.text(max_size=6), st.sampled_from([0, 1, 7, 200, 65536, HUGE])
IDS = st.one_of(st.integers(0, 20), st.integers(-(2**63), 2**63 - 1))
TIMES = st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, HUGE))
DURATIONS = st.builds(Duration, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, HUGE))
ENCODINGS = st.one_of(st.sampled_from(["", "rgb8", "bgr8", "mono8", "jpeg"]), WORDS)
PARTS = st.builds(RegionOfInterest, x_offset=PIXELS, y_offset=PIXELS, width=PIXELS, height=PIXELS)
PLACES = st.builds(near, st.floats(), st.floats(), st.floats(-9, 9), WORDS)
PICTURES = st.builds(
    Image,
    width=PIXELS,
    height=PIXELS,
    step=PIXELS,
    encoding=ENCODINGS,
    data=st.binary(max_size=99).map(list),
)
FRAME = {
    "id": IDS,
    "camera": WORDS,
    "stamp": TIMES,
    "tolerance": DURATIONS,
    "width": PIXELS,
    "height": PIXELS,
}
FRAMES = {"ids": st.lists(IDS, max_size=5), "center": IDS, "radius": PIXELS, **FRAME}
WANTED = {
    "after": TIMES,
    "before": TIMES,
    "camera": WORDS,
    "session": IDS,
    "label": WORDS,
    "near": PLACES,
}
NUMBERS = {
    "radius": st.floats(),
    "yaw_tolerance": st.floats(),
    "limit": PIXELS,
    "like_id": IDS,
    "like_image": PICTURES,
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.tuples(st.just("recall_frame"), some_of({**FRAME, "roi": PARTS, "encoding": ENCODINGS})),
        st.tuples(
            st.just("recall_frames"), some_of({**FRAMES, "encoding": ENCODINGS}, without="id")
        ),
        st.tuples(st.just("find_frames"), some_of({**WANTED, **NUMBERS})),
    )
)
def test_any_request_gets_pictures_or_a_sentence(node: Ros, asked: tuple[str, dict]) -> None:
    service, request = asked
    kind = {"recall_frame": RecallFrame, "recall_frames": RecallFrames, "find_frames": FindFrames}[
        service
    ]
    answer = node.call(kind, f"{NODE}/{service}", **request)
    assert answer.success or (answer.message and "failed: " not in answer.message), answer.message
