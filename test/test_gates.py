"""Which frames are worth storing: limits one by one, properties, and real sequences."""

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.gates import SLACK, Gate, Limits
from gaussvae_ros.likeness import describe, likeness

DATA = Path(__file__).parents[2] / "shared" / "data"
S = 10**9  # ns
OFF = Limits(
    min_interval=0,
    max_interval=math.inf,
    min_distance=math.inf,
    min_angle=math.inf,
    novelty=math.inf,
)
SAME = np.full(64, 100, np.int8)


def pose(x: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    return np.array([x, 0, 0, 0, 0, math.sin(yaw / 2), math.cos(yaw / 2)])


def turned(angle: float) -> np.ndarray:
    """A descriptor whose likeness to turned(0) is about 1 - angle / 90 degrees."""
    return np.rint(127 * np.repeat([math.cos(angle), math.sin(angle)], 32)).astype(np.int8)


def admitted(gate: Gate, frames) -> list[int]:
    return [i for i, frame in enumerate(frames) if gate.admits(*frame)]


def test_the_first_frame_is_admitted_and_with_all_limits_off_no_other():
    frames = [(i * S, turned(i), pose(i, i)) for i in range(50)]
    assert admitted(Gate(OFF), frames) == [0]


def test_distance():
    frames = [(i * S, SAME, pose(0.04 * i)) for i in range(10)]
    assert admitted(Gate(replace(OFF, min_distance=0.1)), frames) == [0, 3, 6, 9]


@pytest.mark.parametrize("sign", [1, -1])
def test_angle(sign):
    frames = [
        (i * S, SAME, pose(yaw=sign * math.radians(3 * i)) * ([1] * 3 + [(-1) ** i] * 4))
        for i in range(10)
    ]
    # q and -q turn alike.
    assert admitted(Gate(replace(OFF, min_angle=math.radians(8))), frames) == [0, 3, 6, 9]


def test_novelty_counts_from_the_frame_admitted_last():
    frames = [(i * S, turned(math.radians(2 * i)), None) for i in range(10)]
    steps = [1 - float(likeness(turned(0), turned(math.radians(a))[None])[0]) for a in (4, 6)]
    assert admitted(Gate(replace(OFF, novelty=sum(steps) / 2)), frames) == [0, 3, 6, 9]


def test_intervals():
    still = [(i * S, SAME, None) for i in range(10)]
    assert admitted(Gate(replace(OFF, max_interval=3)), still) == [0, 3, 6, 9]
    moving = [(i * S // 30, SAME, pose(i)) for i in range(30)]
    assert admitted(Gate(replace(OFF, min_interval=0.1, min_distance=0.1)), moving) == list(
        range(0, 30, 3)
    )


def test_a_camera_at_just_the_rate_keeps_it_despite_jitter():
    rng = np.random.default_rng(0)
    frames = [
        (i * S // 10 + int(rng.uniform(-0.012, 0.012) * S), SAME, pose(i)) for i in range(100)
    ]
    assert len(admitted(Gate(), frames)) == 100


def test_poses_that_are_not_known_leave_it_to_the_picture():
    gate = Gate(replace(OFF, min_distance=0.1))
    assert gate.admits(0, SAME, None) and not gate.admits(S, SAME, pose(9))
    gate = Gate(replace(OFF, min_distance=0.1))
    assert gate.admits(0, SAME, pose(0)) and not gate.admits(S, SAME, None)
    assert not gate.admits(2 * S, SAME, np.full(7, math.nan)) and gate.admits(3 * S, SAME, pose(1))


def test_limits_change_while_running():
    gate = Gate(OFF)
    assert gate.admits(0, SAME, pose(0)) and not gate.admits(S, SAME, pose(1))
    gate.limits = replace(OFF, min_distance=0.5)
    assert gate.admits(2 * S, SAME, pose(1))
    assert not gate.admits(3 * S, SAME, pose(1.1))


def test_a_clock_set_back_does_not_shut_the_gate():
    gate = Gate(Limits(min_interval=0.1, max_interval=60))
    assert gate.admits(1000 * S, SAME, None)
    assert not gate.admits(999 * S, SAME, None)  # nothing new
    assert gate.admits(998 * S, turned(1), None) and gate.admits(900 * S, turned(1), None)


stamps = st.lists(st.integers(0, 3 * S), min_size=1, max_size=40).map(
    lambda gaps: np.cumsum(gaps).tolist()
)


@settings(max_examples=100, deadline=None)
@given(stamps, st.floats(0, 2), st.floats(0, 5), st.floats(0, 3), st.floats(0, 1), st.randoms())
def test_never_too_soon_never_too_late_and_far_or_new_frames_always(
    times, least, most, distance, novelty, rng
):
    limits = Limits(least, most, distance, math.inf, novelty)
    gate, last = Gate(limits), None
    x = 0.0
    for stamp in times:
        x += rng.uniform(-1, 1)
        here = (stamp, turned(rng.uniform(0, 1.5)), rng.choice([None, pose(x)]))
        admits = gate.admits(*here)
        if last is None:
            assert admits
        else:
            elapsed = (stamp - last[0]) / 1e9
            known = here[2] is not None and last[2] is not None
            moved = known and abs(here[2][0] - last[2][0]) >= distance
            new = 1 - float(likeness(here[1], last[1][None])[0]) >= novelty
            assert admits == (elapsed >= (1 - SLACK) * least and (elapsed >= most or moved or new))
        if admits:
            last = here


# Real sequences, without poses


def frames(name: str):
    """(stamp ns, picture RGB or mono) of a shared sequence."""
    if name.startswith("seq_zed"):
        for path in sorted((DATA / name / "left").glob("*.jpg")):
            yield int(path.stem) * 1000, cv2.imread(str(path))[..., ::-1]
    elif name.startswith("seq_tum"):
        for path in sorted((DATA / name / "rgb").glob("*.jpg")):
            yield int(float(path.stem) * 1e6) * 1000, cv2.imread(str(path))[..., ::-1]
    elif name.startswith("seq_kitti"):
        for i, path in enumerate(sorted((DATA / name / "image_l").glob("*.png"))):
            yield i * S // 10, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    else:
        (path,), i = (DATA / name).glob("*.mp4"), 0
        video = cv2.VideoCapture(str(path))
        rate = round(video.get(cv2.CAP_PROP_FPS))
        while (read := video.read())[0]:
            yield i * S // rate, read[1][..., ::-1]
            i += 1


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared pictures are not here")
@pytest.mark.parametrize(
    "name, least",
    [
        ("seq_zed_lab_a", 0.95),
        ("seq_zed_lab_c", 0.85),  # it stands for half a second first
        ("seq_tum_fr1_rpy", 0.95),
        ("seq_kitti_gray_1", 0.99),
        ("seq_highway", 0.95),
    ],
)
def test_a_camera_that_moves_keeps_10_hz(name, least):
    gate, answers, last = Gate(), [], -S
    for stamp, image in frames(name):
        if stamp - last >= 0.095 * S:  # what a camera at 10 Hz would have shown
            last = stamp
            answers.append(gate.admits(stamp, describe(np.ascontiguousarray(image)), None))
    assert len(answers) > 30 and np.mean(answers) >= least


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared pictures are not here")
@pytest.mark.parametrize(
    "name", ["seq_zed_lab_a", "seq_tum_fr1_rpy", "seq_kitti_gray_1", "seq_static_cam"]
)
def test_a_camera_that_stands_still_stores_a_frame_a_minute(name):
    image = next(frames(name))[1].astype(np.float32)
    rng, gate, kept = np.random.default_rng(0), Gate(), 0
    for i in range(0, 130, 3):  # s
        noisy = image * rng.uniform(0.97, 1.03) + rng.normal(0, rng.uniform(3, 5), image.shape)
        noisy = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        noisy = cv2.imdecode(
            cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_UNCHANGED
        )
        kept += gate.admits(i * S, describe(noisy), pose(0.01 * rng.normal()))
    assert kept == 3
