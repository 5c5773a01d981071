"""Likeness of pictures: what the descriptor ignores, what it tells apart, places seen again."""

import math
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaussvae_ros.errors import ImageError
from gaussvae_ros.likeness import LENGTH, describe, likeness

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"


def scene(seed: int = 0, size: tuple[int, int] = (640, 480)) -> np.ndarray:
    """Overlapping rectangles and discs, uint8 [H, W, 3]."""
    rng, (w, h) = np.random.default_rng(seed), size
    image = np.full((h, w, 3), rng.integers(60, 200), np.uint8)
    for _ in range(40):
        colour = rng.integers(0, 256, 3).tolist()
        x, y = (rng.uniform(0, 1, 2) * size).astype(int).tolist()
        if rng.random() < 0.5:
            cv2.circle(image, (x, y), int(rng.uniform(0.02, 0.15) * w), colour, -1, cv2.LINE_AA)
        else:
            dx, dy = (rng.uniform(0.02, 0.25, 2) * size).astype(int).tolist()
            cv2.rectangle(image, (x, y), (x + dx, y + dy), colour, -1)
    return image


def alike(a: np.ndarray, b: np.ndarray) -> float:
    return float(likeness(describe(a), describe(b)[None])[0])


def noisy(image: np.ndarray, sigma: float, seed: int = 0, gain: float = 1.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(np.rint(image * gain + noise), 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED
    )


# Descriptors


@pytest.mark.parametrize(
    "size", [(640, 480), (16, 16), (8, 5), (17, 300), (1921, 1081), (672, 376), (64, 48)]
)
def test_any_size_and_both_kinds_give_64_bytes(size):
    image = scene(size=size)
    for picture in (image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), image[::-1, :, ::-1]):
        descriptor = describe(picture)
        assert (
            descriptor.dtype == np.int8
            and descriptor.shape == (LENGTH,)
            and np.abs(descriptor).max() == 127
        )
        assert np.array_equal(describe(picture), descriptor)
    assert alike(image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) > 0.99


def test_the_numbers_mean_brighter_right_left_bottom_top_in_4x4_parts():
    x = np.arange(640)
    for direction, image in enumerate(
        [
            np.tile(x * 255 // 639, (480, 1)),
            np.tile(255 - x * 255 // 639, (480, 1)),
            np.tile(x[:480, None] * 255 // 479, (1, 640)),
            np.tile(255 - x[:480, None] * 255 // 479, (1, 640)),
        ]
    ):
        values = describe(image.astype(np.uint8)).reshape(4, 4, 4)
        assert values[direction].min() > 100 and np.delete(values, direction, 0).max() < 20
    bright = np.zeros((480, 640), np.uint8)
    bright[200:220, 350:370] = 255  # in the second row and third column
    values = describe(bright).reshape(4, 4, 4).astype(int)
    assert (
        np.unravel_index(values.sum(0).argmax(), (4, 4)) == (1, 2)
        and values[:, 1, 2].min() > values[:, 3].max()
    )


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(16, 40), st.integers(16, 40))))
def test_every_picture_is_most_like_itself(image):
    assert alike(image, image) == 1.0
    assert 0 <= alike(image, image[::-1]) <= 1


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((480, 640, 1), np.uint8),
        np.zeros((480, 0, 3), np.uint8),
        np.zeros((480, 640, 3), np.float32),
        np.zeros(480, np.uint8),
        [[1, 2], [3, 4]],
        None,
    ],
)
def test_what_is_no_picture_is_refused_with_one_line(image):
    with pytest.raises(ImageError) as error:
        describe(image)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["scene", "dark", "blank", "ramp"])
@pytest.mark.parametrize("width", [640, 160])
def test_a_noisy_camera_that_stands_still_sees_the_same(kind, width):
    size = (width, width * 3 // 4)
    image = {
        "scene": scene(3, size) * 0.9,
        "dark": scene(3, size) * 0.08 + 5,
        "blank": np.full((size[1], size[0], 3), 128.0),
        "ramp": np.tile(np.linspace(90, 160, width)[:, None], (size[1], 1, 3)),
    }[kind]
    rng = np.random.default_rng(7)
    taken = [
        jpeg(noisy(image, rng.uniform(3, 5), seed, rng.uniform(0.97, 1.03)), 80)
        for seed in range(6)
    ]
    # The novelty that a gate wants by default.
    assert min(alike(taken[0], other) for other in taken[1:]) > 0.975


def test_a_shift_by_a_pixel_is_little_and_another_scene_is_much():
    image = scene(1)
    assert 0.97 < alike(image[:, :-1], image[:, 1:]) < 1
    assert alike(image, scene(2)) < 0.75 and alike(image, image[:, ::-1]) < 0.75


def test_describing_640x480_takes_milliseconds_at_most():
    image, times = scene(), []
    for _ in range(50):
        begun = time.process_time()
        describe(image)
        times.append(time.process_time() - begun)
    assert min(times) < 10e-3


# Likeness


@settings(max_examples=50, deadline=None)
@given(arrays(np.int8, (6, 64)))
def test_likeness_is_the_angle_between_descriptors(many):
    scores = likeness(many[0], many)
    assert scores.dtype == np.float32 and scores.shape == (6,) and scores[0] == 1
    for i in range(1, 6):
        a, b = many[0].astype(float), many[i].astype(float)
        lengths = math.sqrt((a @ a) * (b @ b))
        expected = (
            1.0 if lengths == 0 else 1 - math.acos(min(max(a @ b / lengths, 0), 1)) / (math.pi / 2)
        )
        # Between nearly equal descriptors a cosine of float32 leaves the angle no more digits.
        assert scores[i] == pytest.approx(expected, abs=5e-4)
        assert scores[i] == likeness(many[i], many[:1])[0]  # both ways alike


def test_likeness_to_none_is_empty():
    assert likeness(np.zeros(64, np.int8), np.zeros((0, 64), np.int8)).shape == (0,)


def test_it_needs_neither_torch_nor_ros():
    code = (
        "import sys; from gaussvae_ros import likeness, gates; import numpy as np;"
        "likeness.describe(np.zeros((48, 64), np.uint8));"
        "print([m for m in ('torch', 'numba', 'rclpy') if m in sys.modules])"
    )
    assert (
        subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
    )


# Places that are seen again


def read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared pictures are not here")


@needs_data
def test_the_second_round_of_a_corridor_finds_the_first():
    loop = np.stack(
        [describe(read(path)) for path in sorted((DATA / "pr_corridor_loop").glob("*.jpg"))]
    )
    # By SIFT matches, frame n of the first round is seen again as frame n + 39.
    found = [int(likeness(loop[n + 39], loop[:39]).argmax()) for n in range(1, 40)]
    # Chance: 0.13.
    assert np.mean([abs(n - place) <= 2 for n, place in enumerate(found, 1)]) >= 0.65


@needs_data
def test_places_are_found_again_in_another_season():
    pictures = {
        (month, place): describe(read(DATA / "pr_michigan_seasons" / f"{month:02}{place:02}.jpg"))
        for month in range(1, 13)
        for place in range(1, 6)
    }
    hits = [
        likeness(pictures[then, place], np.stack([pictures[now, p] for p in range(1, 6)])).argmax()
        == place - 1
        for now in range(1, 13)
        for then in range(1, 13)
        for place in range(1, 6)
        if now != then
    ]
    assert np.mean(hits) >= 0.8  # chance: 0.2


@needs_data
def test_a_recalled_frame_is_like_its_original():
    from gaussvae_ros.codec import FrameCodec

    codec = FrameCodec(device="cpu")
    frames = [read(path) for path in sorted((DATA / "pr_corridor_loop").glob("*.jpg"))[:40:8]]
    recalled = [codec.decode(codec.encode(frame)) for frame in frames]
    known = np.stack([describe(frame) for frame in frames])
    for i, picture in enumerate(recalled):
        scores = likeness(describe(picture), known)
        assert scores[i] > 0.95 and scores.argmax() == i
