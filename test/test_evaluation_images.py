"""Images from files, folders and videos: what is found, pixels as stored, frames, refusals."""

import cv2
import numpy as np
import pytest
from PIL import Image
from test_peers import scene

from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation.images import find_images, frame, frames_of, image_sets, read_image

LEVELS = (10, 60, 110, 160, 210)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    for i in range(3):
        Image.fromarray(scene((20, 30, 3), seed=i)).save(path / f"{i}.png")
    (path / "notes.txt").write_text("not a picture")
    return path


def film(path) -> None:
    """A video of five grey frames."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (160, 90))
    for level in LEVELS:
        video.write(np.full((90, 160, 3), level, np.uint8))
    video.release()


def test_finding_images(folder, tmp_path):
    assert [p.name for p in find_images([folder / "2.png", folder])] == ["2.png", "0.png", "1.png"]
    with pytest.raises(ImageError, match="no such file"):
        find_images([tmp_path / "absent"])
    with pytest.raises(ImageError, match=rf"no images in {tmp_path}: their names end in \.bmp, "):
        find_images([tmp_path])


def test_reading_images_as_stored(tmp_path):
    colour, grey = scene((20, 30, 3)), scene((20, 30))
    ramp = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    alpha = np.dstack((colour, np.full((20, 30), 9, np.uint8)))
    deep = (ramp >> 8).astype(np.uint8)
    files = {
        "rgb": (colour, colour),
        "grey": (grey, grey),
        "deep": (ramp, deep),
        "alpha": (alpha, colour),
    }
    for name, (stored, expected) in files.items():
        Image.fromarray(stored).save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.png"), expected)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(colour).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(colour, -1))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"hello"])
def test_what_is_not_an_image_gets_one_line(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="cannot read .*x.png") as error:
        read_image(path)
    assert "\n" not in str(error.value)


def test_missing_and_unknown_files_get_one_line(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        read_image(tmp_path / "absent.png")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(ImageError, match="pixels of type F"):
        read_image(tmp_path / "depth.tif")


def test_camera_frames_are_taken_from_folders_and_videos(folder, tmp_path):
    film(tmp_path / "v.mp4")
    frames = frames_of([tmp_path / "v.mp4"], 3)
    assert list(frames) == ["000000", "000002", "000004"]
    for image, level in zip(frames.values(), (10, 110, 210), strict=True):
        assert image.shape == (480, 640, 3) and abs(int(image[240, 320, 0]) - level) < 6
    assert list(image_sets([folder, tmp_path / "v.mp4"])) == [str(folder), str(tmp_path / "v.mp4")]
    with pytest.raises(ImageError, match="cannot read"):
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(b"no video")
        frames_of([broken], 2)


def test_a_frame_is_the_middle_of_an_image():
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 83:217] = 200  # the middle 4:3
    assert (frame(image) > 190).all()
    assert frame(image[..., 0]).shape == (480, 640)
    exact = scene((480, 640, 3))
    np.testing.assert_array_equal(frame(exact), exact)
