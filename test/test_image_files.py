"""Image files to arrays: deep, odd, turned, damaged and huge ones, against OpenCV and Pillow."""

import io
import logging
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.images.files import decode

W, H = 40, 26  # px


def scene() -> np.ndarray:
    y, x = np.mgrid[:H, :W]
    return np.stack([6 * x, 9 * y, 255 - 3 * x - 4 * y], -1).astype(np.uint8)


def as_file(image: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, kind, **options)
    return out.getvalue()


def by_opencv(samples: np.ndarray, ending: str) -> bytes:
    return cv2.imencode(ending, samples[..., ::-1] if samples.ndim == 3 else samples)[1].tobytes()


def read(data: bytes) -> np.ndarray:
    return decode(io.BytesIO(data))[0]


@pytest.mark.parametrize("ending", [".png", ".tif", ".ppm"])
@pytest.mark.parametrize("bits", [12, 16])
def test_deep_colour_keeps_its_bits_in_every_kind_of_file(ending: str, bits: int) -> None:
    deep = (scene().astype(np.uint16) << (bits - 8)) + 3
    assert np.array_equal(read(by_opencv(deep, ending)), deep)


@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm"])
def test_deep_grey_keeps_its_bits_in_every_kind_of_file(ending: str) -> None:
    deep = scene()[..., 0].astype(np.uint16) * 257
    assert np.array_equal(read(by_opencv(deep, ending)), deep)


def test_deep_files_with_alpha_lose_only_that() -> None:
    deep = scene().astype(np.uint16) * 257
    with_alpha = np.dstack([deep[..., ::-1], deep[..., 0]])  # blue first, as OpenCV writes
    assert np.array_equal(read(cv2.imencode(".png", with_alpha)[1].tobytes()), deep)
    grey = deep[..., 0]
    rows = b"".join(b"\0" + np.dstack([r, r[::-1]]).astype(">u2").tobytes() for r in grey)
    assert np.array_equal(read(png(W, H, 16, 4, rows)), grey)


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", head)
        + part(b"IDAT", zlib.compress(rows))
        + part(b"IEND", b"")
    )


def test_a_pgm_of_16_bits_is_read(tmp_path: Path) -> None:
    grey = scene()[..., 0]
    head = f"P5\n{W} {H}\n65535\n".encode()
    (tmp_path / "deep.pgm").write_bytes(
        head + (grey.astype(np.uint16) * 257).astype(">u2").tobytes()
    )
    assert np.array_equal(read_image(tmp_path / "deep.pgm"), grey)


def test_modes_of_pillow() -> None:
    image, grey = Image.fromarray(scene()), scene()[..., 0]
    assert np.array_equal(read(as_file(image.convert("RGBA"), "PNG")), scene())
    assert np.array_equal(read(as_file(Image.fromarray(grey).convert("LA"), "PNG")), grey)
    bilevel = image.convert("1")
    assert np.array_equal(read(as_file(bilevel, "PNG")), np.asarray(bilevel) * 255)
    palette = image.quantize(64)
    assert np.array_equal(
        read(as_file(palette, "PNG", transparency=3)), np.asarray(palette.convert("RGB"))
    )
    for kind in ("JPEG", "TIFF"):
        assert (
            np.abs(
                read(as_file(image.convert("CMYK"), kind, quality=95)).astype(int) - scene()
            ).mean()
            < 4
        )


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_of_an_animation_the_first_picture_is_read(kind: str) -> None:
    first, second = Image.fromarray(scene()), Image.fromarray(255 - scene())
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read(as_file(first, kind, save_all=True, append_images=[second], **options))
    assert image.shape == (H, W, 3) and np.abs(image.astype(int) - scene()).mean() < 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_exif_turns_as_pillow_does(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = as_file(scene(), kind, exif=exif)
    with Image.open(io.BytesIO(data)) as file:
        assert np.array_equal(read(data), np.asarray(ImageOps.exif_transpose(file)))


def test_deep_files_are_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = scene()[..., 0].astype(np.uint16) * 257
    assert np.array_equal(read(as_file(deep, "PNG", exif=exif)), np.rot90(deep, -1))


def test_damaged_exif_costs_no_picture() -> None:
    data = as_file(scene(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x07" * 40)
    assert read(data).shape == (H, W, 3)


def wall(size: tuple[int, int] = (320, 240)) -> np.ndarray:
    return cv2.resize(scene(), size, interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("lost", [b"", b"\0" * 50])
def test_a_jpeg_without_its_end_marker_is_whole(lost: bytes) -> None:
    data = as_file(wall(), "JPEG", quality=95)
    image, problem = decode(io.BytesIO(data[:-2] + lost))
    assert (
        np.array_equal(image, read(data))
        and problem == "the JPEG has no end: 240 of its 240 rows are there"
    )


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.booleans())
def test_a_jpeg_is_read_as_far_as_it_goes(part: float, turned: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8 if turned else 1
    data = as_file(wall(), "JPEG", quality=95, exif=exif)
    whole = read(data)
    try:
        image, problem = decode(io.BytesIO(data[: int(part * len(data))]))
    except ImageError as error:
        assert part < 0.5 and "\n" not in str(error)
        return
    image, whole = (np.rot90(i, -1) if turned else i for i in (image, whole))
    if part < 1:
        rows = int(problem.split(": ")[1].split()[0])
        assert rows >= 0.25 * 240
        # Of the last 16 rows a part may be there, and colours reach into the next row.
        sure = rows - 18
        assert np.array_equal(image[:sure], whole[:sure])
        assert (image[rows:] == 128).all()
    else:
        assert problem == ""


@pytest.mark.parametrize("rest", [b"", b"\0" * 50, b"\xff\xd9" * 3, bytes(range(250)) * 9])
@pytest.mark.parametrize("kind", ["RGB", "L"])
def test_a_jpeg_that_ends_before_its_rows_do_says_so(rest: bytes, kind: str) -> None:
    data = as_file(np.asarray(Image.fromarray(wall()).convert(kind)), "JPEG", quality=95)
    image, problem = decode(io.BytesIO(data[: len(data) // 2] + b"\xff\xd9" + rest))
    rows = int(re.fullmatch(r"the JPEG is cut short: (\d+) of its 240 rows are there", problem)[1])
    assert 60 < rows < 200 and np.array_equal(image[: rows - 18], read(data)[: rows - 18])


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_is_grey_at_its_end_is_whole(progressive: bool) -> None:
    picture = wall()
    picture[100:] = 128
    data = as_file(picture, "JPEG", quality=95, progressive=progressive)
    image, problem = decode(io.BytesIO(data))
    assert (image[-1] == 128).all() and problem == ""


def test_what_follows_a_jpeg_and_thumbnails_do_not_matter() -> None:
    thumbnail = as_file(scene(), "JPEG")
    data = as_file(wall(), "JPEG", quality=95, exif=b"Exif\0\0" + thumbnail)
    assert decode(io.BytesIO(data + b"a trailer of the camera"))[1] == ""
    assert "240 of its 240 rows" in decode(io.BytesIO(data[:-2]))[1]


def test_files_say_what_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cut.jpg").write_bytes(as_file(wall(), "JPEG")[:-2])
    with caplog.at_level(logging.WARNING, "gaussvae_ros"):
        read_image(tmp_path / "cut.jpg")
    assert "cut.jpg: the JPEG has no end" in caplog.text


@pytest.mark.parametrize(
    "data, text",
    [
        (b"", "not an image"),
        (by_opencv(np.zeros((H, W), np.float32), ".tif"), "pixels of type F"),
        (by_opencv(scene().astype(np.float32), ".tif"), "not an image, or damaged"),
        (as_file(Image.new("I", (W, H)), "TIFF"), "pixels of type I .* measurements"),
        (by_opencv(scene().astype(np.uint16) * 257, ".png")[:-900], "damaged"),
        (as_file(scene(), "PNG")[:-200], "damaged"),
        (png(60_000, 60_000, 8, 2, b""), "more than 178 million pixels"),
        (png(60_000, 60_000, 16, 2, b""), "more than 178 million pixels"),
        (png(30_000, 4_000, 8, 2, b""), "damaged"),
        (as_file(wall(), "JPEG")[:400], "not an image, or damaged"),
    ],
)
def test_what_cannot_be_read_gets_one_line(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ImageError, match=text) as caught:
        read_image(tmp_path / "x")
    assert "\n" not in str(caught.value) and str(tmp_path / "x") in str(caught.value)


def test_a_large_picture_is_read_without_a_word_of_pillow(tmp_path: Path) -> None:
    Image.new("L", (10_000, 10_000), 7).save(tmp_path / "large.png", compress_level=1)
    code = (
        "import sys; from gaussvae_ros.evaluation.images import read_image;"
        "image = read_image(sys.argv[1]); print(image.shape, image.max())"
    )
    command = [sys.executable, "-c", code, tmp_path / "large.png"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (done.stdout, done.stderr) == ("(10000, 10000) 7\n", "")
