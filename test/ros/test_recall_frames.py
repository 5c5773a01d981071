"""visual_recall's services, asked through a graph: windows and lists of frames."""

from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from graph import Ros
from recalling import BARE, CODEC, DAMAGED, FOREIGN, HUGE, MONO, ageless, frames_of, stamp, stored

from gaussvae_ros.nodes import convert


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
    recall: Ros, recalled: Path, request_: dict, ids: list[int], center: int
) -> None:
    answer = frames_of(recall, width=96, height=96, **request_)
    assert answer.success, answer.message
    assert ([f.id for f in answer.frames], answer.center) == (ids, center)
    for found, image in zip(answer.frames, answer.images, strict=True):
        facts, data = stored(recalled, found.id)
        expected = CODEC.decode(data, (96, 96))
        expected = np.dstack([expected] * 3) if expected.ndim == 2 else expected
        assert ageless(found) == facts and image.header == facts.header
        assert np.array_equal(convert.image_from(image), expected)


def test_windows_as_jpeg_and_at_the_frames_own_size(recall: Ros) -> None:
    answer = frames_of(recall, center=2, radius=1, encoding="jpeg")
    assert len(answer.compressed) == 3 and not answer.images
    assert [convert.image_from(image).shape for image in answer.compressed] == [(120, 160, 3)] * 3
    assert convert.image_from(frames_of(recall, ids=[1], width=40).images[0]).shape == (30, 40, 3)


def test_frames_that_cannot_come_do_not_keep_the_others(recall: Ros) -> None:
    answer = frames_of(recall, ids=[3, 99, FOREIGN, 4, DAMAGED, BARE], width=32, height=32)
    assert not answer.success and answer.center == -1
    assert [f.id for f in answer.frames] == [3, 4, BARE] and len(answer.images) == 3
    assert all(
        part in answer.message
        for part in ("no frame 99", "frame 14: record was made with", "frame 15 is damaged")
    )
    many = frames_of(recall, ids=list(range(100, 200)))
    assert not many.success and many.message.endswith("and 95 more") and not many.frames


def test_a_window_goes_around_what_cannot_be_shown(recall: Ros) -> None:
    answer = frames_of(recall, center=BARE, radius=5, width=32, height=32)
    assert answer.success and [f.id for f in answer.frames] == [BARE] and answer.center == 0
    assert "frame 14: record was made with" in answer.message
    centre = frames_of(recall, center=FOREIGN, radius=5, width=32, height=32)
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
def test_wrong_requests_for_frames_get_a_sentence(recall: Ros, request_: dict, says: str) -> None:
    answer = frames_of(recall, **request_)
    assert not answer.success and says in answer.message and "\n" not in answer.message
    assert not answer.frames and not answer.images
