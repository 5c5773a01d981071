"""Bare streams of stills and videos: bytes, pictures, refusals, what is missing."""

import re
import sys

import cv2
import numpy as np
import pytest
from test_peers import scene

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation import streams
from gaussvae_ros.evaluation.encoders import STILLS, VIDEOS
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.streams import decode, encode, payload_bytes

ABSENT = streams.missing({**STILLS, **VIDEOS})
needs_ffmpeg = pytest.mark.skipif(bool(ABSENT), reason=f"no peers: {ABSENT}")


def code(picture: np.ndarray, codec: str, quantiser: int) -> tuple[int, np.ndarray]:
    """Bytes of a still, and the picture that comes back."""
    stream = encode([picture], STILLS[codec], quantiser)
    (decoded,) = decode(stream, STILLS[codec], picture.shape)
    return payload_bytes(stream, STILLS[codec].muxer), decoded


def moving(count: int, shape: tuple[int, ...] = (64, 96, 3)) -> list[np.ndarray]:
    """Frames of a scene that passes by, 3 px a frame."""
    wide = scene((shape[0], shape[1] + 3 * count, *shape[2:]))
    return [np.ascontiguousarray(wide[:, 3 * k : 3 * k + shape[1]]) for k in range(count)]


@needs_ffmpeg
@pytest.mark.parametrize("codec", STILLS)
@pytest.mark.parametrize("shape", [(64, 96, 3), (61, 97, 3), (61, 97)])
def test_a_finer_quantiser_costs_bytes_and_gains_quality(codec, shape):
    image = scene(shape)
    sizes, quality = [], []
    for quantiser in (50, 40, 30):
        size, picture = code(image, codec, quantiser)
        assert picture.shape == shape and picture.dtype == np.uint8
        sizes.append(size)
        quality.append(psnr(image, picture))
    assert sizes == sorted(set(sizes)) and quality == sorted(quality)
    assert quality[-1] > 27  # the chroma of these scenes is as fine as their luma: 4:2:0 costs much


@needs_ffmpeg
@pytest.mark.parametrize("codec", STILLS)
def test_colours_and_greys_keep_their_level(codec):
    """A wrong matrix, range or order of channels shifts flat areas by more than a few levels."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :32], image[:, 32:64], image[:, 64:] = (200, 40, 90), (20, 160, 60), (250, 250, 250)
    picture = code(image, codec, 10)[1]
    for x in (16, 48, 80):
        np.testing.assert_allclose(picture[32, x].astype(int), image[32, x], atol=4)
    grey = np.full((64, 64), 17, np.uint8)
    np.testing.assert_allclose(code(grey, codec, 10)[1].astype(int), grey, atol=2)


@needs_ffmpeg
@pytest.mark.parametrize("codec", STILLS)
def test_a_flat_picture_is_little_more_than_headers(codec):
    """A container, SEI or the encoder's own options as text would cost hundreds of bytes."""
    size, _ = code(np.full((240, 320, 3), 100, np.uint8), codec, STILLS[codec].coarsest)
    assert 15 < size < 150


@needs_ffmpeg
@pytest.mark.parametrize("codec", ["hevc", "vvc"])
def test_a_picture_that_an_encoder_refuses_is_one_error(codec):
    with pytest.raises(GaussVaeError, match="ffmpeg failed") as error:
        code(scene((4, 4, 3)), codec, 40)
    assert "\n" not in str(error.value)


def test_what_a_decoder_does_not_need_is_not_counted_and_what_is_repeated_counts_once():
    start = b"\0\0\0\1"
    units = {
        "hevc": [(b"\x46\x01", 0), (b"\x40\x01vps", 5), (b"\x4e\x01sei", 0), (b"\x26\x01slice", 7)],
        "vvc": [(b"\0\xa1", 0), (b"\0\x79sps", 5), (b"\0\xb9sei", 0), (b"\0\x41slice", 7)],
    }
    for muxer, parts in units.items():
        stream = b"".join(start + unit for unit, _ in parts)
        assert payload_bytes(stream, muxer) == sum(size for _, size in parts) == 12
        assert payload_bytes(2 * stream, muxer) == 12 + 7  # two slices, one parameter set
    header, frame = b"\x0a\x01x", b"\x32\x81\x01" + bytes(129)
    assert payload_bytes(b"\x12\x00" + header + frame, "obu") == payload_bytes(
        header + frame, "obu"
    )
    assert payload_bytes(2 * (b"\x12\x00" + header + frame), "obu") == 3 + 2 * 132


def test_without_the_package_all_are_missing_and_the_reason_says_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setattr(streams, "listed", streams.listed.__wrapped__)
    found = streams.missing(VIDEOS)
    assert found.keys() == VIDEOS.keys()
    assert all("pip install 'gaussvae_ros[peers]'" in why for why in found.values())
    with pytest.raises(GaussVaeError, match="pip install"):
        code(scene((64, 64, 3)), "vvc", 40)


def test_an_ffmpeg_without_an_encoder_names_it(monkeypatch):
    listed = " V....D libx265   libx265 H.265 / HEVC\n V..... libaom-av1 libaom AV1\n"
    monkeypatch.setattr(streams, "listed", lambda: listed)
    assert streams.missing(STILLS) == {"vvc": "the ffmpeg of imageio-ffmpeg has no libvvenc"}


@needs_ffmpeg
def test_chroma_sits_where_the_encoder_thinks_it_does():
    """Colours that change over pixels come back in place: half a chroma sample costs dB."""
    x = np.linspace(0, 2 * np.pi, 96)
    wave = np.stack([128 + 90 * np.sin(2 * x + k) for k in range(3)], 1)
    image = np.repeat(wave[None], 64, 0).round().astype(np.uint8)
    picture = code(image, "vvc", 15)[1]
    shifted = cv2.warpAffine(picture, np.float32([[1, 0, 1], [0, 1, 0]]), (96, 64), borderMode=1)
    assert psnr(image, picture) > 35 > psnr(image, shifted)


@needs_ffmpeg
@pytest.mark.parametrize("codec", VIDEOS)
@pytest.mark.parametrize("shape", [(64, 96, 3), (65, 97)], ids=["rgb", "odd mono"])
def test_frames_of_a_video_come_back_in_their_order(codec, shape):
    """And cost less than one by one: they are coded as a video, each from those beside it."""
    frames = moving(25, shape)
    stream = encode(frames, VIDEOS[codec], 30)
    decoded = list(decode(stream, VIDEOS[codec], shape))
    assert [d.shape for d in decoded] == [shape] * 25
    for number, picture in enumerate(decoded):
        near = [psnr(frame, picture) for frame in frames]
        assert np.argmax(near) == number
    alone = encode(frames[:1], VIDEOS[codec], 30)
    muxer = VIDEOS[codec].muxer
    assert payload_bytes(stream, muxer) < 0.6 * 25 * payload_bytes(alone, muxer)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("codec", "keys"),
    {"x265": 1, "x265-10": 4, "svt-av1": 1, "svt-av1-10": 4, "vvenc-16": 2}.items(),
)
def test_keys_are_where_the_name_says(codec, keys):
    stream = encode(moving(40), VIDEOS[codec], 35)
    if VIDEOS[codec].muxer == "obu":  # each key has the sequence header before it
        assert sum(o[0] >> 3 & 15 == 1 for o in streams._obus(stream)) == keys
        return
    units = re.split(b"\0\0\1", stream)[1:]
    if VIDEOS[codec].muxer == "hevc":
        assert sum(16 <= unit[0] >> 1 & 63 <= 21 for unit in units) == keys
    else:
        assert sum(7 <= unit[1] >> 3 <= 9 for unit in units) == keys
