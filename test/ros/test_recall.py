"""visual_recall's services, asked through a graph: one frame, and what the memory holds."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Duration, Time
from gaussvae_ros.srv import DescribeMemory
from graph import Ros
from recalling import (
    BARE,
    CODEC,
    DAMAGED,
    FOREIGN,
    HUGE,
    MONO,
    NODE,
    TALLY,
    ageless,
    frame,
    stamp,
    stored,
)
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.nodes import convert


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
    recall: Ros, recalled: Path, request_: dict, size: tuple | None, roi: tuple | None
) -> None:
    facts, data = stored(recalled, 5)
    expected = CODEC.decode(data, size, roi)
    answer = frame(recall, id=5, **request_)
    assert answer.success and answer.message == ""
    assert ageless(answer.frame) == facts and answer.frame.header.frame_id == "camera"
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


def test_encodings(recall: Ros, recalled: Path) -> None:
    expected = CODEC.decode(stored(recalled, 5)[1])
    for encoding in ("rgb8", "bgr8"):
        image = frame(recall, id=5, encoding=encoding).image
        assert image.encoding == encoding and np.array_equal(convert.image_from(image), expected)
    grey = frame(recall, id=5, encoding="mono8").image
    assert grey.encoding == "mono8" and len(grey.data) == 160 * 120
    luma = expected @ np.array([0.299, 0.587, 0.114])
    assert np.abs(convert.image_from(grey) - luma).max() <= 1
    answer = frame(recall, id=5, encoding="jpeg")
    assert answer.image.width == 0 and answer.compressed.header == answer.frame.header
    shown = cv2.imdecode(np.frombuffer(answer.compressed.data, np.uint8), cv2.IMREAD_UNCHANGED)[
        ..., ::-1
    ]
    assert np.abs(shown.astype(int) - expected).mean() < 3


def test_mono_frames(recall: Ros, recalled: Path) -> None:
    expected = CODEC.decode(stored(recalled, MONO)[1])
    assert expected.ndim == 2
    for encoding in ("rgb8", "bgr8"):
        shown = convert.image_from(frame(recall, id=MONO, encoding=encoding).image)
        assert np.array_equal(shown, np.dstack([expected] * 3))
    answer = frame(recall, id=MONO, encoding="mono8")
    assert np.array_equal(convert.image_from(answer.image), expected)
    assert (answer.frame.camera, answer.frame.label, answer.frame.has_pose) == (
        "rear",
        "dock",
        False,
    )
    assert answer.frame.header.frame_id == "rear_optical_frame" and answer.camera_info.width == 0
    jpeg = frame(recall, id=MONO, encoding="jpeg").compressed
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
def test_by_stamp(recall: Ros, request_: dict, expected: int) -> None:
    answer = frame(recall, **request_)
    assert answer.success, answer.message
    assert answer.frame.id == expected


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
def test_wrong_requests_for_a_frame_get_a_sentence(recall: Ros, request_: dict, says: str) -> None:
    answer = frame(recall, **request_)
    assert not answer.success and says in answer.message and "\n" not in answer.message
    assert answer.image == Image() and answer.compressed == CompressedImage()


def test_the_tolerance_can_be_changed_while_running(recall: Ros) -> None:
    assert recall.set_parameter(NODE, "tolerance", 2.0) == ""
    assert frame(recall, stamp=stamp(2.5)).frame.id == 12
    assert "range" in recall.set_parameter(NODE, "tolerance", -1.0)
    assert "unconfigured" in recall.set_parameter(NODE, "bank", "/elsewhere.db")
    assert recall.set_parameter(NODE, "tolerance", 0.5) == ""
    assert not frame(recall, stamp=stamp(2.5)).success


def test_describe(recall: Ros, recalled: Path) -> None:
    answer = recall.call(DescribeMemory, f"{NODE}/describe_memory")
    with MemoryBank(recalled, readonly=True) as bank:
        info = bank.info()
    assert answer.success and answer.path == str(recalled)
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
