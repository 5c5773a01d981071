"""visual_recall's services, asked through a graph: what conditions, places and pictures find."""

import math
from pathlib import Path

import numpy as np
import pytest
from graph import Ros
from messages import image_message, jpeg_message
from recalling import BARE, DAMAGED, FOREIGN, MONO, START, find, near, stamp
from sensor_msgs.msg import CompressedImage, Image

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.likeness import describe

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
        ({"text": "Dock"}, [MONO]),
        ({"text": "second dock", "camera": "rear"}, [MONO]),
        ({"text": "nothing"}, []),
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
def test_find_by_conditions(recall: Ros, request_: dict, ids: list[int]) -> None:
    answer = find(recall, **request_)
    assert answer.success and answer.message == "", answer.message
    assert [f.id for f in answer.frames] == ids and len(answer.scores) == 0


def test_frames_that_look_labelled_so(recall: Ros, recalled: Path) -> None:
    with MemoryBank(recalled) as bank:
        bank.set_label(4, "hall")
    try:
        with MemoryBank(recalled, readonly=True) as bank:
            expected = bank.find_labelled_alike("hall", limit=3, before=START + 8 * 10**8)
        answer = find(recall, label="~hall", limit=3, before=stamp(0.8))
        assert answer.success, answer.message
        assert [f.id for f in answer.frames] == [frame.id for frame, _ in expected]
        assert list(answer.scores) == pytest.approx([score for _, score in expected])
        assert len(expected) == 3 and 4 not in [f.id for f in answer.frames]
    finally:
        with MemoryBank(recalled) as bank:
            bank.set_label(4, None)


def test_loop_candidates(recall: Ros, recalled: Path, frames: list[np.ndarray]) -> None:
    with MemoryBank(recalled, readonly=True) as bank:
        by_id = bank.loop_candidates(7, limit=5)  # all of its session is of the same few seconds
        alone = bank.loop_candidates(describe(frames[6]).tobytes(), limit=5)
    assert len(alone) > len(by_id)
    for request, expected in (
        ({"like_id": 7}, by_id),
        ({"like_image": image_message(frames[6], 0)}, alone),
    ):
        answer = find(recall, limit=5, loops=True, **request)
        assert answer.success and len(answer.frames) == len(expected), answer.message
        found = zip(answer.frames, answer.scores, strict=True)
        assert [(f.id, pytest.approx(p, abs=1e-6)) for f, p in found] == [
            (frame.id, probability) for frame, probability in expected
        ]


def test_likeness(recall: Ros, recalled: Path, frames: list[np.ndarray]) -> None:
    with MemoryBank(recalled, readonly=True) as bank:
        expected = [
            (f.id, score) for f, score in bank.find_like(describe(frames[6]).tobytes(), limit=4)
        ]
    assert expected[0] == (7, pytest.approx(1.0))
    for request in (
        {"like_id": 7},
        {"like_image": image_message(frames[6], 0)},
        {"like_image": image_message(frames[6][..., ::-1].copy(), 0, encoding="bgr8")},
    ):
        answer = find(recall, limit=4, **request)
        assert answer.success, answer.message
        found = [
            (f.id, pytest.approx(score, abs=1e-6))
            for f, score in zip(answer.frames, answer.scores, strict=True)
        ]
        assert found == expected
    least = expected[1][1]
    answer = find(recall, like_id=7, min_score=least - 1e-6)
    assert [f.id for f in answer.frames] == [frame_id for frame_id, _ in expected[:2]]
    answer = find(recall, limit=1, like_compressed=jpeg_message(frames[6], 0))
    assert answer.frames[0].id == 7 and answer.scores[0] > 0.9
    assert (
        find(recall, like_id=BARE, limit=1).frames[0].id == 7
    )  # it has no descriptor: its picture is described
    with MemoryBank(recalled, readonly=True) as bank:
        row = [(f.id, score) for f, score in bank.find_like(bank.row(7, 4), limit=4)]
    answer = find(recall, limit=4, like_id=7, row=4)
    assert row[0] == (7, 1.0) and [f.id for f in answer.frames] == [f for f, _ in row]
    assert list(answer.scores) == pytest.approx([score for _, score in row], abs=1e-6)
    among = find(recall, like_id=7, after=stamp(0), before=stamp(0.2))
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
            "by distance or by score, not by both",
        ),
        ({"loops": True, "camera": "camera"}, "loops of what"),
        ({"label": "~nowhere"}, "no frame has the label 'nowhere'"),
        ({"label": "~dock"}, "'dock' was stored with a descriptor"),
        ({"label": "~dock", "like_id": 5}, "scored by one of"),
        ({"like_id": 5, "row": 3, "loops": True}, "a row is that of like_id"),
        ({"row": 3}, "a row is that of like_id"),
        ({"like_id": 5, "row": 101}, "a row has 1 to 100 frames, not 101"),
        ({"min_score": 0.5}, "goes with what scores"),
        ({"min_score": math.nan, "like_id": 5}, "min_score is from 0 to 1"),
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
def test_wrong_searches_get_a_sentence(recall: Ros, request_: dict, says: str) -> None:
    answer = find(recall, **request_)
    assert not answer.success and says in answer.message and "\n" not in answer.message
    assert not answer.frames
