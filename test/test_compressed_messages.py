"""Compressed image messages: JPEG, PNG, mosaics and deep colour inside, damaged files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bagmaker import START, BagMaker
from imagemessages import H, W, as_file, compressed, mosaic, raw, scene
from PIL import Image

from gaussvae_ros.bags import Bag
from gaussvae_ros.images.messages import ImageDecoder, image_from_message


@pytest.mark.parametrize(
    "fmt",
    [
        "jpeg",
        "jpg",
        "",
        "rgb8; jpeg compressed bgr8",
        "bgr8; jpeg compressed bgr8",
        "rgb8; jpeg compressed rgb8",
        "rgb8;jpeg compressed",
        "bgra8; jpeg compressed bgr8",
        "yuv422_yuy2; jpeg compressed bgr8",
        "bayer_rggb8; jpeg compressed bgr8",
    ],
)
def test_jpeg(fmt: str) -> None:
    out = image_from_message(compressed(as_file(scene(), "jpeg", quality=95), fmt))
    assert out.shape == (H, W, 3) and np.abs(out.astype(int) - scene()).mean() < 4


@pytest.mark.parametrize("fmt", ["png", "rgb8; png compressed bgr8", "bgr8; png compressed bgr8"])
def test_png_is_exact(fmt: str) -> None:
    assert np.array_equal(image_from_message(compressed(as_file(scene(), "png"), fmt)), scene())


def test_mono_files_stay_mono_and_alpha_goes() -> None:
    mono = scene()[..., 0]
    assert np.array_equal(
        image_from_message(compressed(as_file(mono, "png"), "mono8; png compressed mono8")), mono
    )
    assert image_from_message(compressed(as_file(mono, "jpeg"))).shape == (H, W)
    alpha = np.dstack([scene(), mono])
    assert np.array_equal(image_from_message(compressed(as_file(alpha, "png"))), scene())


def test_png_of_16_bits() -> None:
    mono = scene()[..., 0]
    mono[0, 0] = 255
    assert np.array_equal(
        image_from_message(compressed(as_file(mono.astype(np.uint16) << 4, "png"))), mono
    )


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("kind, ending", [("png", ".png"), ("jpeg", ".jpg"), ("tiff", ".tif")])
@pytest.mark.parametrize(
    "fmt", ["bayer_{}8; {} compressed ", "BAYER_{}8;{}", "bayer_{0}8; {1} compressed bayer_{0}8"]
)
def test_a_mosaic_in_a_file_becomes_colours(order: str, kind: str, ending: str, fmt: str) -> None:
    samples = mosaic(scene(), order)
    file = cv2.imencode(ending, samples, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    image = image_from_message(compressed(file, fmt.format(order, kind)))
    expected = image_from_message(raw(f"bayer_{order}8", samples))
    assert np.abs(image.astype(int) - expected).max() <= (0 if kind != "jpeg" else 4)


@pytest.mark.parametrize("order", ["rggb", "grbg"])
def test_a_deep_mosaic_in_a_png(order: str) -> None:
    samples = mosaic(scene(), order).astype(np.uint16) << 4
    file = cv2.imencode(".png", samples)[1].tobytes()
    image = image_from_message(compressed(file, f"bayer_{order}16; png compressed "))
    expected = image_from_message(raw(f"bayer_{order}16", samples.view(np.uint8)))
    assert np.array_equal(image, expected) and image.shape == (H, W, 3)


def test_a_mosaic_that_was_made_grey_stays_grey() -> None:
    file = as_file(scene()[..., 0], "jpeg")
    assert image_from_message(compressed(file, "bayer_rggb8; jpeg compressed mono8")).shape == (
        H,
        W,
    )


@pytest.mark.parametrize("fmt", ["rgb16; png compressed bgr16", "rgb16; png compressed ", "png"])
def test_deep_colour_has_one_brightness_whichever_way_it_comes(fmt: str) -> None:
    deep = scene().astype(np.uint16) << 4
    file = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    expected = image_from_message(raw("rgb16", deep.reshape(H, -1).view(np.uint8)))
    assert np.array_equal(image_from_message(compressed(file, fmt)), expected)
    assert np.array_equal(expected, scene())


def test_the_brightness_of_a_stream_does_not_follow_the_scene() -> None:
    dark, bright = scene()[..., 0].astype(np.uint16), scene()[..., 0].astype(np.uint16) << 4
    decoder = ImageDecoder("/cam")
    for _ in range(2):
        first = decoder.image(raw("mono16", bright.view(np.uint8)))
        second = decoder.image(raw("mono16", dark.view(np.uint8)))
        assert np.array_equal(first, scene()[..., 0]) and np.array_equal(
            second, scene()[..., 0] >> 4
        )


@pytest.mark.parametrize("kind", ["raw", "png"])
def test_the_images_of_a_bag_have_one_brightness_from_the_first_on(
    kind: str, tmp_path: Path
) -> None:
    maker, steps = BagMaker("mcap"), (1 << 2, 1 << 4, 1 << 3)
    for i, step in enumerate(steps):
        deep = scene()[..., 0].astype(np.uint16) * step
        if kind == "raw":
            maker.image("/cam", START + i, deep, encoding="mono16")
        else:
            maker.jpeg("/cam", START + i, as_file(deep, "png"))
    with Bag(maker.write(tmp_path)) as bag:
        images = [image.pixels for image in bag.images("/cam")]
    for image, step in zip(images, steps, strict=True):
        assert np.array_equal(image, scene()[..., 0].astype(int) * step >> 4)


def test_a_cut_jpeg_says_what_is_there() -> None:
    decoder, data = ImageDecoder(), as_file(cv2.resize(scene(), (320, 240)), "jpeg")
    assert (
        decoder.image(compressed(data[:-2])).shape == (240, 320, 3)
        and "240 of its 240 rows" in decoder.problem
    )
    assert decoder.image(compressed(data)).shape == (240, 320, 3) and decoder.problem == ""


@pytest.mark.parametrize("turned", [3, 6])
def test_exif_turns_messages_as_it_turns_files(turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    out = image_from_message(compressed(as_file(scene(), "png", exif=exif), "png"))
    assert np.array_equal(out, np.rot90(scene(), 2 if turned == 3 else -1))
