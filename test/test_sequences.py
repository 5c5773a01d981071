"""Sequences from folders, videos and bags: which frames, of what size, and what is refused."""

import cv2
import numpy as np
import pytest
from bagmaker import KINDS, START, BagMaker
from PIL import Image
from test_evaluation_images import LEVELS, film
from test_peers import scene

from gaussvae_ros.errors import BagError, ImageError
from gaussvae_ros.evaluation.sequences import fitted, read_sequence


def levels(frames: list[np.ndarray]) -> list[int]:
    return [round(float(frame.mean())) for frame in frames]


def save(folder, **pictures):
    folder.mkdir()
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


def flat(level: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), level, np.uint8)


def test_a_folder_is_read_by_name(tmp_path):
    folder = save(tmp_path / "f", **{f"{n:03d}": flat(10 * n) for n in (7, 2, 11, 5, 9)})
    assert levels(read_sequence(folder, 60)) == [20, 50, 70, 90, 110]
    assert levels(read_sequence(folder, 2, every=2)) == [20, 70]
    assert levels(read_sequence(folder, 60, every=4)) == [20, 110]


def test_a_video_is_read_from_its_beginning(tmp_path):
    film(tmp_path / "v.mp4")
    frames = read_sequence(tmp_path / "v.mp4", 2, every=2)
    assert frames[0].shape == (90, 160, 3)
    np.testing.assert_allclose(levels(frames), LEVELS[:3:2], atol=4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bag_is_read_in_time(kind, tmp_path):
    maker = BagMaker(kind)
    for n in (2, 0, 1, 3):
        maker.image("/a", START + n * 10**8, flat(20 * n))
    path = maker.image("/b", START, flat(255)).write(tmp_path, "bag")
    assert levels(read_sequence(path, 60, topic="/a")) == [0, 20, 40, 60]
    with pytest.raises(BagError, match="choose one with --topic: /a"):
        read_sequence(path, 60)


def test_what_a_bag_lacks_is_logged(tmp_path, caplog):
    maker = BagMaker("mcap")
    for n, picture in enumerate((flat(20), b"no jpeg", flat(40))):
        maker.jpeg("/a", START + n * 10**8, picture)
    assert levels(read_sequence(maker.write(tmp_path, "bag"), 60)) == [20, 40]
    assert "an image is left out" in caplog.text


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (640, 480)),
        ((1280, 720), (640, 360)),
        ((1226, 370), (640, 194)),
        ((720, 1280), (270, 480)),
        ((161, 121), (160, 120)),
        ((641, 479), (640, 478)),
        ((5000, 11), (640, 2)),
    ],
)
@pytest.mark.parametrize("depth", [(3,), ()], ids=["rgb", "mono"])
def test_frames_fit_a_camera_frame_and_keep_their_aspect(size, expected, depth):
    picture = scene((size[1], size[0], *depth))
    found = fitted(picture)
    assert found.shape == (expected[1], expected[0], *depth) and found.dtype == np.uint8
    if size == expected:
        np.testing.assert_array_equal(found, picture)
    elif size[0] < 640:
        np.testing.assert_array_equal(found, picture[: expected[1], : expected[0]])
    else:
        whole = cv2.resize(picture, expected, interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(found, whole)


def test_what_is_no_sequence_is_refused(tmp_path):
    one = save(tmp_path / "one", a=flat(1))
    with pytest.raises(ImageError, match="1 frames are no sequence"):
        read_sequence(one, 60)
    with pytest.raises(ImageError, match="a.png is no sequence: name a folder of images, a video"):
        read_sequence(one / "a.png", 60)
    with pytest.raises(ImageError, match="no such file or folder"):
        read_sequence(tmp_path / "none", 60)
    mixed = save(tmp_path / "mixed", a=flat(1), b=flat(1)[..., 0], c=flat(1, (32, 48)))
    with pytest.raises(ImageError, match=r"b.png has shape 48 x 64, and a.png 48 x 64 x 3"):
        read_sequence(mixed, 60)
    with pytest.raises(ImageError, match=r"c.png has shape 48 x 32 x 3"):
        read_sequence(mixed, 60, every=2)
    tiny = save(tmp_path / "tiny", a=flat(1, (8, 8)), b=flat(1, (8, 8)))
    with pytest.raises(ImageError, match="8x8 px are too small"):
        read_sequence(tiny, 60)
    (tmp_path / "v.mp4").write_bytes(b"no video")
    with pytest.raises(ImageError, match="no video that OpenCV reads"):
        read_sequence(tmp_path / "v.mp4", 60)
